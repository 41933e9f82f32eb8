//! What every answer has: its request id, problems in one form, security headers, CORS.

use axum::Router;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower_service::Service;
use uuid::Uuid;

use crate::{Problem, variable};
use axum::response::IntoResponse;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Answers a request as the served function does; native tests can call this.
pub async fn respond(mut router: Router, mut request: Request<Body>) -> Response<Body> {
    let id = request_id(request.headers_mut());
    let headers = request.headers();
    let private = !request.method().is_safe()
        || headers.contains_key(AUTHORIZATION)
        || headers.contains_key(COOKIE)
        || headers.contains_key(SIGNATURE_INPUT);
    let origin = match headers.get(ORIGIN) {
        Some(origin) => allowed(origin).await,
        None => None,
    };
    let preflight = origin.is_some()
        && request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        preflight_answer()
    } else {
        let Ok(response) = router.call(request).await;
        response
    };
    normalise_problem(&mut response, &id);

    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if private && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("origin"));
        let exposed =
            "location, x-request-id, retry-after, ratelimit, ratelimit-policy, www-authenticate";
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(exposed),
        );
    }
    headers.insert(REQUEST_ID, id);
    response
}

/// The host's or the client's id if it is sane, else one of ours, which handlers then see too.
fn request_id(headers: &mut HeaderMap) -> HeaderValue {
    let sane = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        let is_sane =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=MAX_REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(is_sane)
    };
    if let Some(id) = headers.get(&REQUEST_ID).filter(|id| sane(id)) {
        return id.clone();
    }
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    let id = HeaderValue::from_str(id).unwrap_or_else(|_| HeaderValue::from_static("none"));
    headers.insert(REQUEST_ID, id.clone());
    id
}

/// Problems get the request id; an error without any content, as the router answers unknown paths
/// and methods, becomes a problem.
fn normalise_problem(response: &mut Response<Body>, id: &HeaderValue) {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if response.headers().contains_key(CONTENT_TYPE) => return,
        None => Problem::of_status(status),
    };
    let body = problem.render(id.to_str().ok());
    let blank = problem.into_response();
    let headers = response.headers_mut();
    for (name, value) in blank.headers() {
        // A handler may have more to say about how to authenticate.
        if name != WWW_AUTHENTICATE || !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
}

/// The origin back, if the variable `cors_origins` (a list with commas, or `*`) allows it.
async fn allowed(origin: &HeaderValue) -> Option<HeaderValue> {
    let list = variable("cors_origins").await?;
    is_listed(&list, origin.to_str().ok()?).then(|| origin.clone())
}

fn is_listed(list: &str, origin: &str) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|listed| listed == "*" || listed == origin)
}

fn preflight_answer() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = "GET, POST, PUT, PATCH, DELETE";
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
    let allowed = "authorization, content-type, idempotency-key, x-request-id, traceparent, \
                   signature, signature-input, content-digest, mcp-protocol-version, mcp-method, mcp-name";
    headers.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(allowed),
    );
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use futures::executor::block_on;
    use http_body_util::BodyExt;

    fn call(
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Response<()>, serde_json::Value) {
        let router = Router::new()
            .route("/hello", get(async || "hello"))
            .route("/refused", get(async || Problem::not_found("thing")));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let (parts, body) = block_on(respond(router, request)).into_parts();
        let body = block_on(body.collect()).expect("a body").to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(length) = parts.headers.get(CONTENT_LENGTH) {
            assert_eq!(length, &body.len().to_string());
        }
        (Response::from_parts(parts, ()), json)
    }

    #[test]
    fn a_sane_request_id_comes_back() {
        let (response, _) = call("GET", "/hello", &[("x-request-id", "abc-1")]);
        assert_eq!(response.headers()["x-request-id"], "abc-1");
        let (response, _) = call("GET", "/hello", &[("x-request-id", "a b")]);
        assert_ne!(response.headers()["x-request-id"], "a b");
    }

    #[test]
    fn unknown_paths_and_methods_are_problems() {
        let (response, json) = call("GET", "/nothing", &[("x-request-id", "r")]);
        assert_eq!(
            (response.status().as_u16(), &json["code"]),
            (404, &"not-found".into())
        );
        assert_eq!(json["request_id"], "r");
        let (response, json) = call("POST", "/hello", &[]);
        assert_eq!(json["code"], "method-not-allowed");
        assert_eq!(response.headers()["allow"], "GET,HEAD");
    }

    #[test]
    fn problems_carry_the_request_id() {
        let (response, json) = call("GET", "/refused", &[("x-request-id", "r")]);
        assert_eq!(json["request_id"], "r");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn answers_to_a_caller_are_not_stored() {
        let (response, _) = call("GET", "/hello", &[("authorization", "Bearer x")]);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let (response, _) = call("GET", "/hello", &[("origin", "https://a.example")]);
        assert!(!response.headers().contains_key(CACHE_CONTROL));
        assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn origins_are_compared_whole() {
        assert!(is_listed(
            "https://a.example, https://b.example",
            "https://b.example"
        ));
        assert!(!is_listed("https://a.example", "https://a.example.evil"));
        assert!(is_listed("*", "https://any.example"));
    }
}
