//! JSON-RPC 2.0 as MCP uses it: requests, and the answer to one among whatever else a server sends.

use axum::body::Body;
use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};
use sse::Events;

use crate::exchange::{Fault, Revision};

/// The id of every request: there is one at a time.
const ID: u64 = 1;
/// The largest answer that is read.
const MAX_BYTES: usize = 8 << 20;

/// The body of a request.
pub fn request(revision: Revision, method: &str, mut params: Map<String, Value>) -> Value {
    if revision == Revision::Modern {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": revision.name(),
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": client(),
        });
        params.insert("_meta".to_owned(), meta);
    }
    json!({"jsonrpc": "2.0", "id": ID, "method": method, "params": params})
}

/// What this client says about itself.
pub fn client() -> Value {
    json!({"name": "gather", "version": env!("CARGO_PKG_VERSION")})
}

/// Reads the answer to the request: the result, or the error of the method.
///
/// # Errors
/// There is no answer in what the server sent.
pub async fn result(answer: Response<Body>) -> Result<Result<Value, Value>, Fault> {
    let is_stream = answer
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/event-stream"));
    let mut body = answer.into_body();
    let (mut events, mut bytes, mut read) = (Events::default(), Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Fault::failed("The answer broke off."))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        read += piece.len();
        if read > MAX_BYTES {
            return Err(Fault::failed("The answer is larger than 8 MiB."));
        }
        if !is_stream {
            bytes.extend_from_slice(&piece);
            continue;
        }
        events.push(&piece);
        loop {
            match events.next_event() {
                Ok(Some(event)) => {
                    let message = event
                        .data
                        .and_then(|data| serde_json::from_slice(&data).ok());
                    if let Some(found) = message.and_then(own) {
                        return Ok(found);
                    }
                }
                Ok(None) => break,
                Err(_) => return Err(Fault::failed("An event of the answer is too large.")),
            }
        }
    }
    serde_json::from_slice(&bytes)
        .ok()
        .and_then(own)
        .ok_or_else(|| Fault::failed("The server's answer is none of the Model Context Protocol."))
}

/// The answer in a message, if it is one to the request.
fn own(mut message: Value) -> Option<Result<Value, Value>> {
    if !message["error"].is_null() && (message["id"] == ID || message["id"].is_null()) {
        return Some(Err(message["error"].take()));
    }
    (message["id"] == ID && message["result"].is_object()).then(|| Ok(message["result"].take()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_request_counts() {
        assert_eq!(
            own(json!({"id": 1, "result": {"a": 1}})),
            Some(Ok(json!({"a": 1})))
        );
        assert_eq!(
            own(json!({"id": 1, "error": {"code": 1}})),
            Some(Err(json!({"code": 1})))
        );
        // A request of the server, a notification, and an answer to something else.
        for other in [
            json!({"id": 1, "method": "elicitation/create", "params": {}}),
            json!({"method": "notifications/message"}),
            json!({"id": 2, "result": {}}),
        ] {
            assert_eq!(own(other.clone()), None, "{other}");
        }
    }
}
