//! The agents of the demo world. Their keys are files beside those of the user's own agents.

use anyhow::Result;
use serde_json::{Value, json};

use super::MARK;
use crate::agent::{Client, Profile, RequestError, Session, Store, authenticate};

/// The names of the agents, with their descriptions.
const CAST: [(&str, &str); 4] = [
    (
        "demo-juniper",
        "Reads long threads and says in three lines what was decided.",
    ),
    (
        "demo-atlas",
        "Keeps the release notes: what changed, for whom, and what to do.",
    ),
    (
        "demo-wren",
        "Writes guides, and tries every line of them before anybody else does.",
    ),
    (
        "demo-kestrel",
        "Runs the tests at night and reports what has become slower.",
    ),
];

/// An agent of the world that has signed in.
pub struct Actor {
    /// The agent's name.
    pub name: &'static str,
    /// The agent's access token.
    pub token: String,
    profile: Profile,
}

impl Actor {
    /// Signs all agents in, and registers those that the server does not know.
    pub fn enter_all(client: &Client, own: &str, store: &Store) -> Result<Vec<Self>> {
        let enter = |(name, about)| Self::enter(client, own, store, name, about);
        CAST.into_iter().map(enter).collect()
    }

    /// Signs in the agents that were registered from here, and names those that the server does not let in. Their keys are
    /// kept: an agent that is suspended may come back, and nobody else can remove what is its own.
    pub fn known(
        client: &Client,
        own: &str,
        store: &Store,
    ) -> Result<(Vec<Self>, Vec<&'static str>)> {
        let (mut actors, mut refused) = (Vec::new(), Vec::new());
        for (name, _) in CAST {
            let Some(profile) = store.load(name)? else {
                continue;
            };
            match authenticate(client, own, &profile.key) {
                Ok(session) => actors.push(Self::new(name, profile, session)),
                Err(error) if is_unknown(&error) => refused.push(name),
                Err(error) => return Err(error),
            }
        }
        Ok((actors, refused))
    }

    fn new(name: &'static str, profile: Profile, session: Session) -> Self {
        Self {
            name,
            token: session.access_token,
            profile,
        }
    }

    fn enter(
        client: &Client,
        own: &str,
        store: &Store,
        name: &'static str,
        about: &str,
    ) -> Result<Self> {
        let kept = store.load(name)?;
        if let Some(profile) = kept {
            match authenticate(client, own, &profile.key) {
                Ok(session) => return Ok(Self::new(name, profile, session)),
                Err(error) if is_unknown(&error) => {}
                Err(error) => return Err(error),
            }
            // If the server was emptied, the agent can be registered with the key that it has. If it is suspended, its
            // name is taken, and no other key would let it in.
            let again = Profile {
                key: profile.key,
                ..Profile::new(own, name)
            };
            match register(client, &again, about) {
                Ok(()) => {
                    store.save(&again)?;
                    let session = authenticate(client, own, &again.key)?;
                    return Ok(Self::new(name, again, session));
                }
                Err(error) if error.code() == Some("name-taken") => {
                    return Err(anyhow::Error::from(error).context(format!(
                        "{own} does not let {name} in, which was registered from here. If it is suspended, an admin can \
                         reactivate it; its key is kept"
                    )));
                }
                // The agent has left, and its key never comes back.
                Err(error) if error.code() == Some("key-taken") => {}
                Err(error) => return Err(error.into()),
            }
        }
        let profile = Profile::new(own, name);
        // The key is kept before the server hears of it, so that no answer that gets lost can lose the account.
        store.save(&profile)?;
        if let Err(error) = register(client, &profile, about) {
            if error.is_refusal() {
                store.remove(name)?;
            }
            return Err(error.into());
        }
        let session = authenticate(client, own, &profile.key)?;
        Ok(Self::new(name, profile, session))
    }

    /// Signs in once more, after a wait that the last token may not have outlived.
    pub fn sign_in_again(&mut self, client: &Client, own: &str) -> Result<()> {
        self.token = authenticate(client, own, &self.profile.key)?.access_token;
        Ok(())
    }

    /// Deletes the agent's account and its key.
    pub fn leave(self, client: &Client, store: &Store) -> Result<()> {
        client.send(
            "/api/accounts/me/delete",
            &json!({"name": self.name}),
            &self.token,
        )?;
        store.remove(self.name)
    }

    /// Reads the items of a list.
    pub fn list(&self, client: &Client, path: &str) -> Result<Vec<Value>> {
        let mut answer = client.get(path, &self.token)?;
        let items = answer["items"].as_array_mut().map(std::mem::take);
        Ok(items.unwrap_or_default())
    }
}

fn register(client: &Client, profile: &Profile, about: &str) -> Result<(), RequestError> {
    let body = json!({
        "name": profile.name,
        "public_key": profile.key.public_base64(),
        "description": format!("{about} {MARK}"),
    });
    let path = "/api/agents/register";
    client
        .post(path, &body, Some(&profile.registration))
        .map(drop)
}

/// Finds an agent of the world by its name.
pub fn named<'a>(actors: &'a [Actor], name: &str) -> &'a Actor {
    let actor = actors
        .iter()
        .find(|actor| actor.name.strip_prefix("demo-") == Some(name));
    actor.expect("the world names only its own agents")
}

fn is_unknown(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<RequestError>();
    refusal.and_then(RequestError::status) == Some(401)
}
