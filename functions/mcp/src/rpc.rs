//! JSON-RPC 2.0 as MCP uses it, and the MCP revision of each request.

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use strict_json::Refusal;

/// The revision without sessions and handshake, whose requests state it in `_meta`.
pub const MODERN: &str = "2026-07-28";
/// The newest revision with `initialize`.
pub const LEGACY: &str = "2025-11-25";
/// All revisions with `initialize` that are understood; they do not differ in anything that is offered here.
const LEGACIES: [&str; 3] = [LEGACY, "2025-06-18", "2025-03-26"];
/// The revisions that a client can ask for.
pub const SUPPORTED: [&str; 2] = [MODERN, LEGACY];

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// The revision whose rules a request follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// 2026-07-28.
    Modern,
    /// 2025-11-25 and earlier.
    Legacy,
}

/// A request that expects an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The request's id, a string or a number.
    pub id: Value,
    /// The method that is called.
    pub method: String,
    /// The parameters of the method.
    pub params: Map<String, Value>,
}

/// A message that a client sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A request, which expects an answer.
    Request(Request),
    /// A notification or a client's answer, which expects no answer.
    Note,
}

/// A JSON-RPC error, with the HTTP status that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// The error code of JSON-RPC.
    pub code: i32,
    /// The message for people.
    pub message: String,
    /// Further details.
    pub data: Option<Value>,
}

impl Error {
    /// An error with the HTTP status 400.
    pub fn bad(code: i32, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The error -32602, invalid parameters.
    pub fn invalid_params(revision: Revision, message: impl Into<String>) -> Self {
        let status = match revision {
            Revision::Modern => StatusCode::BAD_REQUEST,
            Revision::Legacy => StatusCode::OK,
        };
        Self {
            status,
            ..Self::bad(-32602, message)
        }
    }

    /// The error -32601, unknown method.
    pub fn unknown_method(revision: Revision, method: &str) -> Self {
        let status = match revision {
            Revision::Modern => StatusCode::NOT_FOUND,
            Revision::Legacy => StatusCode::OK,
        };
        let method: String = method.chars().take(100).collect();
        Self {
            status,
            ..Self::bad(-32601, format!("There is no method {method}."))
        }
    }

    /// The error as it is sent.
    pub fn render(&self, id: &Value) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(data) = &self.data {
            error["data"] = data.clone();
        }
        json!({"jsonrpc": "2.0", "id": id, "error": error})
    }
}

/// Reads a body.
///
/// # Errors
/// The body is not a valid message; the error comes with the request's id, or null where it has none.
pub fn read(body: &[u8]) -> Result<Message, (Value, Error)> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        (
            Value::Null,
            Error::bad(-32700, format!("The body is not JSON: {error}.")),
        )
    })?;
    // Two readers of a repeated member may each keep another value, and receipts are signed over the value that one of
    // them kept.
    if let Err(Refusal::Invalid { path, detail }) = strict_json::refuse_repeated(body) {
        return Err((
            Value::Null,
            Error::bad(-32600, format!("`{path}` {detail}.")),
        ));
    }
    let Value::Object(mut object) = value else {
        let what = "The body must be one JSON-RPC message; batches are not accepted.";
        return Err((Value::Null, Error::bad(-32600, what)));
    };
    let id = object.remove("id");
    let shown = id
        .clone()
        .filter(|id| id.is_string() || id.is_number())
        .unwrap_or_default();
    let invalid = |what: &str| (shown.clone(), Error::bad(-32600, what));
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(invalid("`jsonrpc` must be \"2.0\"."));
    }
    let method = match object.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Err(invalid("`method` must be a string.")),
        None if object.contains_key("result") || object.contains_key("error") => {
            return Ok(Message::Note);
        }
        None => return Err(invalid("`method` is missing.")),
    };
    let params = match object.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err((shown, Error::bad(-32602, "`params` must be an object."))),
    };
    match id {
        None => Ok(Message::Note),
        Some(id) if id.is_string() || id.is_number() => {
            Ok(Message::Request(Request { id, method, params }))
        }
        Some(_) => Err(invalid("`id` must be a string or a number.")),
    }
}

/// The revision of a request, by its `_meta` and the header.
pub fn revision(headers: &HeaderMap, request: &Request) -> Result<Revision, Error> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let named = header("mcp-protocol-version");
    let meta = request.params.get("_meta");
    let Some(version) = meta.and_then(|meta| meta.get(VERSION_KEY)) else {
        return match named {
            Some(MODERN) => Err(Error::bad(
                -32602,
                format!("`_meta` must have `{VERSION_KEY}`."),
            )),
            None => Ok(Revision::Legacy),
            Some(named) if LEGACIES.contains(&named) => Ok(Revision::Legacy),
            Some(named) => Err(unsupported(named)),
        };
    };
    let version = version.as_str().unwrap_or_default();
    if named != Some(version) {
        return Err(Error::bad(
            -32020,
            format!(
                "The header MCP-Protocol-Version must be there, and the same as `{VERSION_KEY}`."
            ),
        ));
    }
    if version != MODERN {
        return Err(unsupported(version));
    }
    if !meta
        .and_then(|meta| meta.get(CAPABILITIES_KEY))
        .is_some_and(Value::is_object)
    {
        return Err(Error::bad(
            -32602,
            format!("`_meta` must have `{CAPABILITIES_KEY}`."),
        ));
    }
    let name = request.params.get("name").and_then(Value::as_str);
    if header("mcp-method") != Some(&request.method)
        || request.method == "tools/call" && name.is_some() && header("mcp-name") != name
    {
        return Err(Error::bad(
            -32020,
            "The header Mcp-Method must be the body's `method`, and for `tools/call` Mcp-Name the `name` of the tool.",
        ));
    }
    Ok(Revision::Modern)
}

fn unsupported(version: &str) -> Error {
    let version: String = version.chars().take(50).collect();
    Error {
        data: Some(json!({"supported": SUPPORTED, "requested": version})),
        ..Error::bad(
            -32022,
            format!("The protocol version {version} is not supported."),
        )
    }
}

/// The version that `initialize` answers: the one that the client asked for if it is known, else the newest.
pub fn negotiated(params: &Map<String, Value>) -> &'static str {
    let asked = params.get("protocolVersion").and_then(Value::as_str);
    LEGACIES
        .into_iter()
        .find(|known| asked == Some(known))
        .unwrap_or(LEGACY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(params: Value) -> Request {
        let params = params.as_object().cloned().unwrap_or_default();
        Request {
            id: json!(1),
            method: "tools/list".into(),
            params,
        }
    }

    fn of(version: Option<&'static str>, params: Value) -> Result<Revision, i32> {
        let mut headers = HeaderMap::new();
        headers.extend(
            version
                .map(|version| {
                    (
                        "mcp-protocol-version".parse().expect("a name"),
                        version.parse().expect("a value"),
                    )
                })
                .map(
                    |(name, value): (axum::http::HeaderName, axum::http::HeaderValue)| {
                        (name, value)
                    },
                ),
        );
        let method = axum::http::HeaderValue::from_static("tools/list");
        headers.insert("mcp-method", method);
        revision(&headers, &ask(params)).map_err(|error| error.code)
    }

    #[test]
    fn the_headers_repeat_what_the_body_says() {
        let meta = json!({VERSION_KEY: MODERN, CAPABILITIES_KEY: {}});
        let mut request = ask(json!({"_meta": meta, "name": "adder__add"}));
        request.method = "tools/call".into();
        let with = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("mcp-protocol-version", MODERN)].iter().chain(lines) {
                headers.insert(*name, axum::http::HeaderValue::from_static(value));
            }
            revision(&headers, &request).map_err(|error| error.code)
        };
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "adder__add"));
        assert_eq!(with(&[method, name]), Ok(Revision::Modern));
        for lines in [
            vec![],
            vec![method],
            vec![name],
            vec![method, ("mcp-name", "adder__other")],
            vec![("mcp-method", "TOOLS/CALL"), name],
        ] {
            assert_eq!(with(&lines), Err(-32020), "{lines:?}");
        }
    }

    #[test]
    fn the_revision_follows_from_meta_and_header() {
        let meta = json!({"_meta": {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}});
        assert_eq!(of(Some(MODERN), meta.clone()), Ok(Revision::Modern));
        assert_eq!(of(Some(LEGACY), json!({})), Ok(Revision::Legacy));
        assert_eq!(of(None, json!({})), Ok(Revision::Legacy));
        assert_eq!(of(None, meta.clone()), Err(-32020));
        assert_eq!(of(Some(LEGACY), meta), Err(-32020));
        assert_eq!(of(Some(MODERN), json!({})), Err(-32602));
        assert_eq!(
            of(Some(MODERN), json!({"_meta": {VERSION_KEY: MODERN}})),
            Err(-32602)
        );
        assert_eq!(
            of(
                Some("v9"),
                json!({"_meta": {VERSION_KEY: "v9", CAPABILITIES_KEY: {}}})
            ),
            Err(-32022)
        );
        assert_eq!(of(Some("v9"), json!({})), Err(-32022));
    }

    #[test]
    fn what_is_no_message_is_told_so() {
        let code = |body: &str| {
            read(body.as_bytes())
                .err()
                .map(|(id, error)| (id, error.code))
        };
        assert_eq!(code("{"), Some((Value::Null, -32700)));
        assert_eq!(code("[]"), Some((Value::Null, -32600)));
        assert_eq!(
            code(r#"{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {"a": 1, "a": 1}}"#),
            Some((Value::Null, -32600))
        );
        assert_eq!(
            code(r#"{"jsonrpc": "1.0", "id": 7, "method": "ping"}"#),
            Some((json!(7), -32600))
        );
        assert_eq!(
            code(r#"{"jsonrpc": "2.0", "id": null, "method": "ping"}"#),
            Some((Value::Null, -32600))
        );
        assert_eq!(
            code(r#"{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []}"#),
            Some((json!(7), -32602))
        );
        assert_eq!(
            read(br#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#),
            Ok(Message::Note)
        );
    }

    #[test]
    fn initialize_answers_what_was_asked_for_if_it_can() {
        let asked = |version: &str| {
            negotiated(
                json!({"protocolVersion": version})
                    .as_object()
                    .expect("an object"),
            )
        };
        assert_eq!(asked("2025-06-18"), "2025-06-18");
        assert_eq!(asked("1999-01-01"), LEGACY);
    }

    proptest! {
        #[test]
        fn any_body_is_a_message_or_an_error(body: Vec<u8>, text in ".*") {
            drop(read(&body));
            drop(read(format!("{{\"jsonrpc\":\"2.0\",\"id\":{text:?},\"method\":{text:?}}}").as_bytes()));
        }
    }
}
