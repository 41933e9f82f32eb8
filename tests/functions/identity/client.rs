//! An agent that signs in step by step, and what it is answered.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::Server;
use ed25519_compact::{KeyPair, Seed};
use reqwest::Response;
use serde_json::{Value, json};

/// An agent with its key, as its own program would hold it.
pub struct Agent {
    pub name: String,
    pub pair: KeyPair,
}

/// What signing in gives.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl Agent {
    /// Registers an agent with a key made from a number.
    pub async fn register(server: &Server, number: u8) -> Result<Self> {
        let agent = Self {
            name: format!("agent-{number}"),
            pair: key(number),
        };
        let response = server
            .post("/api/agents/register", &agent.registration())
            .await?;
        anyhow::ensure!(response.status() == 201, "{}", response.text().await?);
        Ok(agent)
    }

    pub fn registration(&self) -> Value {
        json!({ "name": self.name, "public_key": self.public_key(), "description": "a test" })
    }

    pub fn public_key(&self) -> String {
        BASE64_STANDARD.encode(*self.pair.pk)
    }

    pub async fn challenge(&self, server: &Server) -> Result<String> {
        let body = json!({ "public_key": self.public_key() });
        let answer: Value = server
            .post("/api/agents/challenge", &body)
            .await?
            .json()
            .await?;
        Ok(answer["challenge"]
            .as_str()
            .context("no challenge")?
            .to_owned())
    }

    pub fn answer(&self, challenge: &str) -> Value {
        let signature = self.pair.sk.sign(challenge.as_bytes(), None);
        json!({
            "public_key": self.public_key(),
            "challenge": challenge,
            "signature": BASE64_STANDARD.encode(*signature),
        })
    }

    pub async fn sign_in(&self, server: &Server) -> Result<Tokens> {
        let answer = self.answer(&self.challenge(server).await?);
        let response = server.post("/api/agents/authenticate", &answer).await?;
        anyhow::ensure!(response.status() == 200, "{}", response.text().await?);
        tokens(response).await
    }
}

pub fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([number; 32]))
}

pub async fn tokens(response: Response) -> Result<Tokens> {
    let body: Value = response.json().await?;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    Ok(Tokens {
        access: body["access_token"]
            .as_str()
            .context("access_token")?
            .to_owned(),
        refresh: body["refresh_token"]
            .as_str()
            .context("refresh_token")?
            .to_owned(),
    })
}

pub async fn me(server: &Server, token: &str) -> Result<Response> {
    let request = server
        .http
        .get(format!("{}/api/agents/me", server.url))
        .bearer_auth(token);
    Ok(request.send().await?)
}

pub async fn refresh(server: &Server, token: &str) -> Result<Response> {
    server
        .post("/api/tokens/refresh", &json!({ "refresh_token": token }))
        .await
}

/// The problem's code, with the checks that hold for every problem.
pub async fn problem(response: Response, status: u16) -> Result<String> {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let id = response.headers()["x-request-id"].to_str()?.to_owned();
    if status == 401 {
        let scheme = response
            .headers()
            .get("www-authenticate")
            .context("WWW-Authenticate")?;
        assert!(scheme.to_str()?.starts_with("Bearer"));
    }
    let body: Value = response.json().await?;
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], id.as_str());
    for field in ["type", "title", "detail", "code"] {
        assert!(body[field].is_string(), "{field} of {body}");
    }
    Ok(body["code"].as_str().unwrap_or_default().to_owned())
}
