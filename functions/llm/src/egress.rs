//! The way out: `gather egress` puts the provider's key into a request that this function sends, and never shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use guest::{Egress, Forward, REFUSED};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Collected, Limited};
use uuid::Uuid;

use crate::fault::{self, Fault, Repeat};
use crate::ledger::Target;

/// The client of the way out, with the name by which it knows this function.
const EGRESS: Egress = Egress("llm");
/// Names the call to the way out, which tells the ledger if whoever asked leaves.
const CALL: &str = "gather-call";
/// Names the header for the key, since a provider with both protocols has one key for both.
const KEY_HEADER: &str = "gather-secret-header";
/// Tells the way out that a provider comes from the environment, which may be where nobody else reaches.
const PROVIDER: &str = "gather-provider";
/// The largest answer with an error that is read.
const MAX_ERROR_BYTES: usize = 1 << 20;

/// What an attempt sends to a provider.
pub struct Sent {
    pub method: Method,
    /// The exact address.
    pub address: String,
    pub secret: Option<Uuid>,
    /// Whether the provider comes from the environment.
    pub environment: bool,
    /// The header in which the provider's protocol has the key.
    pub key_header: &'static str,
    /// The account on whose behalf it is sent.
    pub account: Uuid,
    /// The call and the number of the attempt, for the ledger.
    pub attempt: Option<String>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// The longest time until the answer begins.
    pub total: Duration,
    /// The longest pause within the answer.
    pub idle: Duration,
    /// The longest time of the whole answer.
    pub whole: Duration,
}

/// Sends a request, and waits for the head of a good answer.
///
/// # Errors
/// The provider or egress refuses or fails.
pub async fn send(sent: Sent) -> Result<Response<Body>, Fault> {
    let mut request = Request::new(Body::from(sent.body));
    *request.method_mut() = sent.method;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(KEY_HEADER, HeaderValue::from_static(sent.key_header));
    if sent.environment {
        headers.insert(PROVIDER, HeaderValue::from_static("environment"));
    }
    for (name, value) in sent
        .headers
        .into_iter()
        .chain(sent.attempt.map(|attempt| (CALL, attempt)))
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let forward = Forward {
        target: &sent.address,
        account: Some(sent.account),
        subjects: Vec::new(),
        secret: sent.secret,
        version: None,
        head_within: sent.total,
        silence: sent.idle,
        whole: sent.whole,
    };
    let response = EGRESS
        .forward(forward, request)
        .await
        .map_err(|problem| Fault {
            retry_after_ms: Some(500),
            ..Fault::new(
                503,
                "egress-unavailable",
                problem.detail(),
                Repeat::Anywhere,
            )
        })?;
    if let Some(code) = response.headers().get(REFUSED) {
        return Err(of_egress(code.to_str().unwrap_or_default()));
    }
    if response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ERROR_BYTES).collect().await;
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    Err(fault::of_answer(
        parts.status.as_u16(),
        &parts.headers,
        &body,
    ))
}

/// The fault for an answer of egress itself.
fn of_egress(code: &str) -> Fault {
    match code {
        "connect-failed" => Fault::new(
            502,
            "provider-failed",
            "The provider can't be reached.",
            Repeat::Anywhere,
        )
        .blamed("failed"),
        "fetch-timeout" => Fault::silent(),
        "secret-not-granted" | "secret-expired" | "not-found" => Fault::new(
            502,
            "provider-failed",
            "The key that is stored for the provider can't be used: it is deleted, expired or not granted.",
            Repeat::Elsewhere,
        ),
        "origin-refused" => Fault::new(
            502,
            "provider-failed",
            "The provider's address is private, or not the one that its key is stored for.",
            Repeat::Elsewhere,
        ),
        "egress-unavailable" => Fault {
            retry_after_ms: Some(500),
            ..Fault::new(
                503,
                "egress-unavailable",
                "The way out to providers is overloaded.",
                Repeat::Anywhere,
            )
        },
        _ => Fault::broken("The connection to the provider broke before it answered."),
    }
}

/// The address of a target's path.
pub fn address_of(target: &Target, path: &str) -> String {
    crate::protocol::address(&target.url, path)
}

/// The time since 1970 in seconds.
pub fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
