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

/// The messages of what a server answers: one, or a stream of them.
pub struct Messages {
    body: Body,
    is_stream: bool,
    events: Events,
    bytes: Vec<u8>,
    read: usize,
    is_over: bool,
}

impl Messages {
    /// The messages of an answer.
    pub fn of(answer: Response<Body>) -> Self {
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok());
        Self {
            is_stream: kind.is_some_and(|kind| kind.starts_with("text/event-stream")),
            body: answer.into_body(),
            events: Events::default(),
            bytes: Vec::new(),
            read: 0,
            is_over: false,
        }
    }

    /// Reads the next message, and passes over whatever else was sent. `None`: there are no more.
    ///
    /// # Errors
    /// The answer broke off, or is too large.
    pub async fn next(&mut self) -> Result<Option<Value>, Fault> {
        loop {
            match self.events.next_event() {
                Ok(Some(event)) => {
                    let data = event.data.unwrap_or_default();
                    if let Ok(message) = serde_json::from_slice(&data) {
                        return Ok(Some(message));
                    }
                    continue;
                }
                Ok(None) => {}
                Err(_) => return Err(Fault::failed("An event of the answer is too large.")),
            }
            if self.is_over {
                return Ok(None);
            }
            let Some(frame) = self.body.frame().await else {
                self.is_over = true;
                return Ok(serde_json::from_slice(&self.bytes).ok());
            };
            let frame = frame.map_err(|_| Fault::failed("The answer broke off."))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            self.read += piece.len();
            if self.read > MAX_BYTES {
                return Err(Fault::failed("The answer is larger than 8 MiB."));
            }
            if self.is_stream {
                self.events.push(&piece);
            } else {
                self.bytes.extend_from_slice(&piece);
            }
        }
    }
}

/// What a request of the server is answered, if the message is one: it is told that it lives, and everything else is
/// declined, since nobody is there who could give it.
pub fn declined(message: &Value) -> Option<Value> {
    let (method, id) = (message["method"].as_str()?, &message["id"]);
    if id.is_null() {
        return None;
    }
    Some(match method {
        "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
        "elicitation/create" => {
            json!({"jsonrpc": "2.0", "id": id, "result": {"action": "decline"}})
        }
        _ => {
            let error = json!({"code": -32601, "message": "This client has nothing to offer."});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    })
}

/// The answer in a message, if it is one to the request: the result, or the error of the method.
pub fn own(mut message: Value) -> Option<Result<Value, Value>> {
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

    #[test]
    fn what_a_server_asks_for_is_declined() {
        let answer = |method: &str| declined(&json!({"id": "a", "method": method}));
        let pong = json!({"jsonrpc": "2.0", "id": "a", "result": {}});
        assert_eq!(answer("ping"), Some(pong));
        let input = answer("elicitation/create").unwrap_or_default();
        assert_eq!(input["result"]["action"], "decline");
        let model = answer("sampling/createMessage").unwrap_or_default();
        assert_eq!(model["error"]["code"], -32601);
        for other in [
            json!({"method": "notifications/message"}),
            json!({"id": 1, "result": {}}),
        ] {
            assert_eq!(declined(&other), None, "{other}");
        }
    }
}
