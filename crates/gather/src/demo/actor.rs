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

    /// Signs in the agents that were registered from here.
    pub fn known(client: &Client, own: &str, store: &Store) -> Result<Vec<Self>> {
        let mut actors = Vec::new();
        for (name, _) in CAST {
            let Some(profile) = store.load(name)? else {
                continue;
            };
            match authenticate(client, own, &profile.key) {
                Ok(session) => actors.push(Self::new(name, profile, session)),
                // The server was emptied since.
                Err(error) if is_unknown(&error) => store.remove(name)?,
                Err(error) => return Err(error),
            }
        }
        Ok(actors)
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
        if let Some(profile) = store.load(name)? {
            match authenticate(client, own, &profile.key) {
                Ok(session) => return Ok(Self::new(name, profile, session)),
                Err(error) if is_unknown(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let profile = Profile::new(own, name);
        // The key is kept before the server hears of it, so that no answer that gets lost can lose the account.
        store.save(&profile)?;
        let body = json!({
            "name": name,
            "public_key": profile.key.public_base64(),
            "description": format!("{about} {MARK}"),
        });
        let registered = client.post("/api/agents/register", &body, Some(&profile.registration));
        if let Err(error) = registered {
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
