//! The headers that the host reads and adds: a request's id, its origin, and Spin's own headers for a component.

use crate::{
    function::Function,
    problem::{self, Problem},
    route::{Match, Route},
};
use http::{HeaderMap, HeaderName, HeaderValue, header, uri};
use uuid::Uuid;

/// The header with the request's id, for logs, problems and support.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the address of the client's connection, as in Spin.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");
/// The header in which a function names the caller for the log. The host removes it from the answer.
pub const CALLER: HeaderName = HeaderName::from_static("gather-caller");
const MAX_REQUEST_ID: usize = 128;

/// The parts that the host adds to a request before a guest sees it.
pub struct Added {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The absolute URI, if the guest may ask for it.
    absolute: Option<http::Uri>,
}

/// Makes Spin's headers and the absolute URI.
///
/// # Errors
/// The request names no host, or several.
pub fn added(
    route: &Route,
    found: &Match<'_>,
    peer: HeaderValue,
    id: HeaderValue,
    headers: &HeaderMap,
    uri: &http::Uri,
    function: &Function,
) -> Result<Added, Problem> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut hosts = headers.get_all(header::HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => {
                    uri::Authority::try_from(host.as_bytes()).map_err(|_| problem::BAD_HOST)?
                }
                _ => return Err(problem::BAD_HOST),
            }
        }
    };
    let mut headers = vec![(CLIENT_ADDRESS, peer), (REQUEST_ID, id)];
    let mut absolute = None;
    if !function.takes_whole_requests() {
        let path_and_query = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
        let full_url = format!("http://{authority}{path_and_query}");
        for (name, value) in [
            ("spin-path-info", found.rest),
            ("spin-full-url", &full_url),
            ("spin-matched-route", route.pattern()),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", route.pattern()),
            ("spin-component-route", route.prefix()),
        ] {
            let value = HeaderValue::try_from(value).map_err(|_| problem::BAD_HOST)?;
            headers.push((HeaderName::from_static(name), value));
        }
        absolute = Some(full_url.parse().map_err(|_| problem::BAD_HOST)?);
    }
    for (name, value) in &found.params {
        let name = HeaderName::try_from(format!("spin-path-match-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.push((name, value));
        } else {
            tracing::warn!(component = function.id, "a path parameter fits no header");
        }
    }
    Ok(Added { headers, absolute })
}

impl Added {
    /// Adds these parts to the request.
    pub fn apply(self, parts: &mut http::request::Parts) {
        // A client must not be able to say what only the host knows.
        let forged: Vec<_> = parts
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("spin-"))
            .cloned()
            .collect();
        for name in forged {
            parts.headers.remove(name);
        }
        for (name, value) in self.headers {
            parts.headers.insert(name, value);
        }
        if let Some(absolute) = self.absolute {
            parts.uri = absolute;
        }
    }
}

/// The client's own id if it is short and printable, and a new one otherwise.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_sane)
    };
    // Copied: the client's is a part of all that it sent, which would be kept as long as the answer takes.
    let given = headers.get(REQUEST_ID).filter(sane);
    if let Some(id) = given.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
        return id;
    }
    new_request_id()
}

/// A new id. Ids sort by time.
pub fn new_request_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(id).expect("hexadecimal digits and hyphens")
}

/// A request's id, which is printable.
pub fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The client's `traceparent`, if it is text.
pub fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get(trace::TRACEPARENT)?.to_str().ok()
}

/// The trace that a W3C `traceparent` names (Trace Context, section 3.2).
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parent = traceparent(headers)?;
    let mut fields = parent.split('-');
    let (_version, trace) = (fields.next()?, fields.next()?);
    (trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit())).then_some(trace)
}
