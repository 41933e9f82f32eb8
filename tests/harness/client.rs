//! The client of the tests: one account's token, and the one way to ask with it and to read what is answered.

use crate::Server;
use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// An account that is signed in.
pub struct Client {
    /// The account's id.
    pub id: Uuid,
    /// The access token.
    pub token: String,
}

impl Client {
    /// Makes a request with the account's token.
    ///
    /// # Panics
    /// The method is not one.
    pub fn request(&self, server: &Server, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().expect("a method");
        server
            .http
            .request(method, format!("{}{path}", server.url))
            .bearer_auth(&self.token)
    }

    /// Sends JSON, and reads the answer as [`read`] does.
    ///
    /// # Errors
    /// The connection fails, or the answer is not JSON.
    pub async fn send(
        &self,
        server: &Server,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<(u16, Value)> {
        read(self.request(server, method, path).json(body).send().await?).await
    }

    /// Requests a path with GET, and reads the answer as [`read`] does.
    ///
    /// # Errors
    /// The connection fails, or the answer is not JSON.
    pub async fn get(&self, server: &Server, path: &str) -> Result<(u16, Value)> {
        read(self.request(server, "GET", path).send().await?).await
    }
}

/// Reads an answer: its status, and its JSON, which is null where the answer is empty.
///
/// # Errors
/// The connection fails, or the answer is not JSON.
pub async fn read(response: Response) -> Result<(u16, Value)> {
    let status = response.status().as_u16();
    let bytes = response.bytes().await?;
    if bytes.is_empty() {
        return Ok((status, Value::Null));
    }
    let body = serde_json::from_slice(&bytes)
        .with_context(|| format!("{status}: {}", String::from_utf8_lossy(&bytes)))?;
    Ok((status, body))
}

/// The status and the code of an answer that is a problem.
#[must_use]
pub fn refusal((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["code"].as_str().unwrap_or_default())
}

/// Reads a problem: its status and its code.
///
/// # Errors
/// The answer is not a problem.
pub async fn code(response: Response) -> Result<(u16, String)> {
    let (status, body) = read(response).await?;
    let code = body["code"]
        .as_str()
        .with_context(|| format!("{status}: {body}"))?;
    Ok((status, code.to_owned()))
}

/// Asks until the status is the expected one, which a change of rights brings about within two seconds. Each instance
/// of a function learns of the change by itself.
///
/// # Errors
/// The status is another one after two seconds.
pub async fn until_status(expected: u16, mut ask: impl AsyncFnMut() -> Result<u16>) -> Result<()> {
    let began = Instant::now();
    loop {
        let is_over = began.elapsed() > Duration::from_secs(2);
        let status = ask().await?;
        if status == expected {
            return Ok(());
        }
        ensure!(!is_over, "{status} and not {expected} after two seconds");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
