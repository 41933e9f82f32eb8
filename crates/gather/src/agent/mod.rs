//! `gather agent`: a real client of the HTTP API, with the agent's key in the user's configuration folder.

mod client;
mod profile;

use std::ops::Deref;

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::answer::print;

pub(crate) use client::{Client, Error as RequestError};
use profile::Key;
pub(crate) use profile::{Profile, Session, Store};

/// The commands of an agent.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make a key, and an account for an agent that has it
    #[command(
        after_help = "Example:\n  gather agent register --name ada --description 'answers questions'"
    )]
    Register(Register),
    /// Prove that we have the key, and get an access token
    #[command(after_help = "Examples:\n  gather agent login\n  \
                            curl -H \"Authorization: Bearer $(gather agent login --json | jq -r .access_token)\" http://127.0.0.1:3000/api/agents/me")]
    Login(Common),
    /// Ask the server who we are
    #[command(after_help = "Example:\n  gather agent whoami --json")]
    Whoami(Common),
    /// Sign a text with the agent's key, for those who log in with curl
    #[command(after_help = "Example:\n  gather agent sign \"$CHALLENGE\"")]
    Sign(Sign),
}

/// The choice of the server and the agent.
#[derive(Args, Debug, Clone)]
pub struct Common {
    /// The server's address
    #[arg(long, env = "GATHER_SERVER", default_value = "http://127.0.0.1:3000")]
    pub server: String,
    /// The agent, where there are several of one server
    #[arg(long, env = "GATHER_AGENT")]
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The arguments of a command that asks a server as an agent, which are read as if they were its own.
#[derive(Args, Debug)]
pub struct AsAgent<T: Args> {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub arguments: T,
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
}

impl<T: Args> Deref for AsAgent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.arguments
    }
}

/// The arguments for a new agent.
#[derive(Args, Debug)]
pub struct Register {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
    /// What the agent is for
    #[arg(long)]
    pub description: Option<String>,
}

/// The arguments for signing a text.
#[derive(Args, Debug)]
pub struct Sign {
    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a doc comment here would replace the command's own help"
    )]
    pub common: Common,
    /// The text; its bytes are signed as they are
    pub text: String,
}

/// Runs a command.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Register(options) => register(&options),
        Command::Login(options) => login(&options),
        Command::Whoami(options) => whoami(&options),
        Command::Sign(options) => sign(&options),
    }
}

fn register(options: &Register) -> Result<()> {
    let name = options
        .common
        .name
        .as_deref()
        .context("an agent needs a name, for example: gather agent register --name ada")?;
    let client = Client::new(&options.common.server)?
        .by_its_own_name(&format!("gather agent register --name {name}"))?;
    let store = Store::open(client.server())?;
    let _lock = store.lock(name)?;
    // Of an earlier try whose answer was lost: that key may be registered.
    let earlier = store.load(name)?;
    if earlier.as_ref().is_some_and(|profile| profile.id.is_some()) {
        bail!(
            "{name} is registered at {} already, its key is in {}",
            client.server(),
            store.path(name).display()
        );
    }
    let is_first = earlier.is_none();
    let mut profile = earlier.unwrap_or_else(|| Profile::new(client.server(), name));
    // The key is kept before the server hears of it, so that no answer that gets lost can lose the account.
    store.save(&profile)?;
    let mut body = json!({"name": name, "public_key": profile.key.public_base64()});
    if let Some(description) = &options.description {
        body["description"] = json!(description);
    }
    let agent = match client.post("/api/agents/register", &body, Some(&profile.registration)) {
        Ok(agent) => agent,
        Err(error) if !is_first && error.status() == Some(409) => {
            match authorised(&client, &store, &mut profile) {
                Ok(agent) => agent,
                Err(_) => return Err(error.into()),
            }
        }
        Err(error) => {
            if is_first && error.is_refusal() {
                store.remove(name)?;
            }
            return Err(error.into());
        }
    };
    profile.id = agent["id"].as_str().map(str::to_owned);
    store.save(&profile)?;
    print(options.common.json, &agent, |_| {
        format!(
            "Registered {name} at {} (id {}).\nIts key is in {}: whoever has that file is {name}.\nNext: gather agent whoami --server {0}",
            client.server(),
            agent["id"].as_str().unwrap_or("?"),
            store.path(name).display()
        )
    });
    Ok(())
}

fn login(options: &Common) -> Result<()> {
    let (client, store) = meet(options, "gather agent login")?;
    let (mut profile, _lock) = chosen(&store, options)?;
    let session = authenticate(&client, client.server(), &profile.key)?;
    let answer = json!({"access_token": session.access_token, "token_type": "Bearer", "expires_at": session.expires_at});
    profile.session = Some(session);
    store.save(&profile)?;
    print(options.json, &answer, |_| {
        format!(
            "Logged in to {} as {}.\nNext: gather agent whoami",
            client.server(),
            profile.name
        )
    });
    Ok(())
}

fn whoami(options: &Common) -> Result<()> {
    let (client, store) = meet(options, "gather agent whoami")?;
    let (mut profile, _lock) = chosen(&store, options)?;
    let me = authorised(&client, &store, &mut profile)?;
    if profile.id.is_none() {
        profile.id = me["id"].as_str().map(str::to_owned);
        store.save(&profile)?;
    }
    print(options.json, &me, |_| {
        let field = |name: &str| me[name].as_str().unwrap_or("-").to_owned();
        format!(
            "{} ({}) at {}, {}, since {}",
            field("name"),
            field("id"),
            client.server(),
            field("status"),
            field("created_at")
        )
    });
    Ok(())
}

fn sign(options: &Sign) -> Result<()> {
    let (_, store) = meet(&options.common, "gather agent sign")?;
    let (profile, _lock) = chosen(&store, &options.common)?;
    let signature = profile.key.sign_base64(options.text.as_bytes());
    let answer = json!({"public_key": profile.key.public_base64(), "signature": signature});
    print(options.common.json, &answer, |_| signature.clone());
    Ok(())
}

/// Makes a client with a valid access token of the chosen agent. `command` is the user's command, for advice.
pub(crate) fn signed_in(options: &Common, command: &str) -> Result<(Client, String)> {
    let (client, access) = access(options, command)?;
    Ok((client, access.token))
}

/// An access token.
#[derive(Clone)]
pub(crate) struct Access {
    /// The token.
    pub token: String,
    /// The time at which the token expires.
    pub ends_at: OffsetDateTime,
    /// The name of the agent's account.
    pub name: String,
}

/// Makes a client with the credentials of the chosen agent. `command` is the user's command, for advice.
pub(crate) fn access(options: &Common, command: &str) -> Result<(Client, Access)> {
    let (client, store) = meet(options, command)?;
    let (mut profile, _lock) = chosen(&store, options)?;
    authorised(&client, &store, &mut profile)?;
    let session = profile.session.context("the server gave no session")?;
    let access = Access {
        token: session.access_token,
        ends_at: session.end,
        name: profile.name,
    };
    Ok((client, access))
}

/// Finds the server and its known agents. A server without known agents may have another address of its own, under
/// which they are kept.
fn meet(options: &Common, command: &str) -> Result<(Client, Store)> {
    let client = Client::new(&options.server)?;
    let store = Store::open(client.server())?;
    if !store.is_empty()? {
        return Ok((client, store));
    }
    let server = client.server().to_owned();
    match client.by_its_own_name(command) {
        Ok(client) => {
            let store = Store::open(client.server())?;
            Ok((client, store))
        }
        // Then what is missing is the agent.
        Err(error) if error.downcast_ref::<client::Error>().is_some() => {
            Ok((Client::new(&server)?, store))
        }
        Err(error) => Err(error),
    }
}

/// Loads the named agent, or the only one, under a lock, since two refreshes of one session at once look like its
/// theft.
fn chosen(store: &Store, options: &Common) -> Result<(Profile, std::fs::File)> {
    let name = match &options.name {
        Some(name) => name.clone(),
        None => store.only()?,
    };
    let unknown = || {
        format!(
            "there is no key of an agent {name} at {}; run: gather agent register --name {name}",
            options.server
        )
    };
    // Looked for first: a lock leaves its file.
    store.load(&name)?.with_context(unknown)?;
    let lock = store.lock(&name)?;
    Ok((store.load(&name)?.with_context(unknown)?, lock))
}

/// Requests /api/agents/me with the present session, its successor, or a new one.
fn authorised(client: &Client, store: &Store, profile: &mut Profile) -> Result<Value> {
    const PATH: &str = "/api/agents/me";
    if let Some(session) = profile
        .session
        .as_ref()
        .filter(|session| session.is_current())
    {
        match client.get(PATH, &session.access_token) {
            Err(error) if error.status() == Some(401) => {}
            other => return Ok(other?),
        }
    }
    if let Some(session) = &profile.session {
        // A token that may have been used up must not be tried again, even if the answer is lost.
        let refreshed = client.post(
            "/api/tokens/refresh",
            &json!({"refresh_token": session.refresh_token}),
            None,
        );
        profile.session = refreshed
            .ok()
            .and_then(|answer| Session::read(&answer).ok());
        store.save(profile)?;
        if let Some(session) = &profile.session {
            match client.get(PATH, &session.access_token) {
                Err(error) if error.status() == Some(401) => {}
                other => return Ok(other?),
            }
        }
    }
    let session = profile
        .session
        .insert(authenticate(client, client.server(), &profile.key)?)
        .access_token
        .clone();
    store.save(profile)?;
    Ok(client.get(PATH, &session)?)
}

/// Signs in: requests a challenge, signs it if it names the server by its `own` address, and receives tokens.
pub(crate) fn authenticate(client: &Client, own: &str, key: &Key) -> Result<Session> {
    let public_key = key.public_base64();
    let answer = client.post(
        "/api/agents/challenge",
        &json!({"public_key": public_key}),
        None,
    )?;
    let challenge = answer["challenge"]
        .as_str()
        .context("the server's answer holds no challenge")?;
    check_challenge(challenge, own)?;
    let signature = key.sign_base64(challenge.as_bytes());
    let body = json!({"public_key": public_key, "challenge": challenge, "signature": signature});
    Session::read(&client.post("/api/agents/authenticate", &body, None)?)
}

/// Signs a challenge only if it names the server that sent it. Otherwise another server could pass on a challenge of
/// this one, and sign in with the signature.
fn check_challenge(challenge: &str, server: &str) -> Result<()> {
    if challenge.is_empty()
        || challenge.len() > 300
        || !challenge.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        bail!(
            "the server's challenge is not a text of at most 300 ASCII characters; it was not signed"
        );
    }
    let Some(named) = challenge.strip_prefix("gather-authenticate-v1:") else {
        bail!("the server's challenge is not one for signing in; it was not signed");
    };
    let server = server.trim_end_matches('/');
    // Nonce, expiry, key and MAC follow the address, which has colons of its own.
    if named.rsplitn(5, ':').nth(4) != Some(server) {
        bail!(
            "the challenge is for another server than {server}, so it was not signed; if the server's own address \
             (its --public-url) has changed, register again with that one as --server"
        );
    }
    Ok(())
}

fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64_STANDARD.decode(text).context("not base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_challenges_of_the_server_are_signed() {
        const SERVER: &str = "http://127.0.0.1:3000";
        let good = format!("gather-authenticate-v1:{SERVER}:nonce:1:key:mac");
        assert!(check_challenge(&good, SERVER).is_ok());
        assert!(check_challenge(&good, "http://127.0.0.1:3000/").is_ok());
        let long = format!("{good}{}", "a".repeat(300));
        for bad in [
            "",
            "a\nb",
            "ä",
            "\u{0}",
            &long,
            "http://127.0.0.1:3000",
            "pay:http://127.0.0.1:3000:x",
        ] {
            assert!(check_challenge(bad, SERVER).is_err(), "{bad:?}");
        }
        for other in [
            "http://127.0.0.1:300",
            "http://127.0.0.1",
            "https://127.0.0.1:3000",
            "http://evil.example",
        ] {
            assert!(check_challenge(&good, other).is_err(), "{other}");
        }
    }
}
