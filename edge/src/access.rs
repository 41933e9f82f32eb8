//! The question to the origin whether an account may read a topic.

use serde::{Deserialize, Serialize};
use worker::{Env, Headers, Method, Request, RequestInit, Response, Result};

use crate::origin;

/// The number of accounts to leave out, above which the origin holds the socket.
const MAX_WITHOUT: usize = 200;
/// The time that the origin has to answer.
const PATIENCE_MS: u64 = 10_000;

/// The right to read a topic, as the origin says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    /// The accounts of whose events the reader is told nothing.
    #[serde(default)]
    pub without: Vec<String>,
}

impl Access {
    /// Whether the origin holds the sockets of such a reader.
    pub fn is_for_the_origin(&self) -> bool {
        self.without.len() > MAX_WITHOUT
    }
}

/// Asks with the credential that is among the headers. The inner error is the origin's refusal.
pub async fn ask(
    env: &Env,
    topic: &str,
    headers: Headers,
) -> Result<std::result::Result<Access, Response>> {
    let topic: String = url::form_urlencoded::byte_serialize(topic.as_bytes()).collect();
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    let address = format!("{}/api/events/access?topic={topic}", origin::url(env)?);
    let question = Request::new_with_init(&address, &init)?;
    let mut answer = origin::send_within(question, PATIENCE_MS).await?;
    match answer.status_code() {
        200 => Ok(Ok(answer.json().await?)),
        _ => Ok(Err(answer)),
    }
}
