//! The frames of a socket, as the origin's gateway has them.

use serde::Deserialize;
use serde_json::json;
use worker::js_sys::Math;

/// The least span of the random times after which clients reconnect.
const SOONEST_RETRY_MS: f64 = 500.0;
const SPREAD_MS: f64 = 4_500.0;

/// A frame of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FromClient {
    /// The next access token.
    Renew {
        /// The token.
        token: String,
    },
    /// The wish to read topics from a position on.
    Subscribe {
        /// The topics.
        topics: Vec<String>,
        /// The position.
        since: Option<String>,
    },
    /// Something that only the origin does.
    #[serde(other)]
    Other,
}

/// The socket is signed in. After a lost connection, its client comes back after a random time.
pub fn authenticated(account: &str) -> String {
    let retry_after_ms = (SOONEST_RETRY_MS + Math::random() * SPREAD_MS) as u64;
    json!({"type": "authenticated", "account": account, "retry_after_ms": retry_after_ms})
        .to_string()
}

/// Events come from a position on.
pub fn subscribed(topic: &str, position: &str) -> String {
    json!({"type": "subscribed", "topic": topic, "position": position}).to_string()
}

/// What happened since the client's position is not kept here.
pub fn gone(topic: &str, oldest: &str) -> String {
    json!({"type": "gone", "topic": topic, "oldest": oldest}).to_string()
}

/// The topic is not this socket's.
pub fn denied(topic: &str) -> String {
    json!({"type": "denied", "topic": topic}).to_string()
}

/// A frame is refused.
pub fn error(code: &str) -> String {
    json!({"type": "error", "code": code}).to_string()
}
