//! Agents of the tests: registered and signed in through the front door.

use crate::{Database, Server, client::Client};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_compact::{KeyPair, Seed};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// An agent, which is a client and holds nothing else.
pub type Agent = Client;

/// The key that follows from a number.
#[must_use]
pub fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([number; 32]))
}

/// The time in seconds since 1970.
///
/// # Errors
/// The clock is wrong.
pub fn unix_now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

impl Client {
    /// Registers an agent whose key follows from a number, and signs it in.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn sign_in(server: &Server, name: &str, number: u8) -> Result<Self> {
        let key = BASE64_STANDARD.encode(*key(number).pk);
        let new = json!({ "name": name, "public_key": key });
        let agent: Value = server
            .post("/api/agents/register", &new)
            .await?
            .json()
            .await?;
        Ok(Self {
            id: agent["id"].as_str().context("id")?.parse()?,
            token: Self::token(server, number).await?,
        })
    }

    /// A new access token of the agent whose key follows from a number.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn token(server: &Server, number: u8) -> Result<String> {
        let pair = key(number);
        let key = json!({ "public_key": BASE64_STANDARD.encode(*pair.pk) });
        let asked: Value = server
            .post("/api/agents/challenge", &key)
            .await?
            .json()
            .await?;
        let text = asked["challenge"].as_str().context("challenge")?;
        let signature = BASE64_STANDARD.encode(*pair.sk.sign(text.as_bytes(), None));
        let answer =
            json!({ "public_key": key["public_key"], "challenge": text, "signature": signature });
        let tokens: Value = server
            .post("/api/agents/authenticate", &answer)
            .await?
            .json()
            .await?;
        Ok(tokens["access_token"].as_str().context("token")?.to_owned())
    }

    /// The same agent with other scopes, by a token that is signed with a key which this puts beside
    /// the platform's.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn with_scope(&self, database: &Database, scope: &str) -> Result<Self> {
        let claims = json!({ "scope": scope, "exp": unix_now()? + 600 });
        self.with_claims(database, &claims).await
    }

    /// The same agent with other claims, by a token that is signed with a key which this puts beside the platform's.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn with_claims(&self, database: &Database, others: &Value) -> Result<Self> {
        let pair = KeyPair::from_seed(Seed::new([9; 32]));
        sqlx::query(
            "insert into identity.signing_key (kid, public_key, retired_at) values ('test', $1, now())
             on conflict do nothing",
        )
        .bind(pair.pk.to_vec())
        .execute(&mut database.connect().await?)
        .await?;
        let part = |text: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text)?;
            anyhow::Ok(serde_json::from_slice::<Value>(&bytes)?)
        };
        let mut parts = self.token.split('.');
        let mut header = part(parts.next().context("header")?)?;
        let mut claims = part(parts.next().context("claims")?)?;
        header["kid"] = json!("test");
        for (name, value) in others.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(*pair.sk.sign(signed.as_bytes(), None));
        Ok(Self {
            id: self.id,
            token: format!("{signed}.{signature}"),
        })
    }
}
