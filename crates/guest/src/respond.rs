//! The parts that every answer has: request id, problems in one form, security headers and CORS.

use axum::Router;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN,
    STRICT_TRANSPORT_SECURITY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use tower_service::Service;
use uuid::Uuid;

use crate::conditional::Conditions;
use crate::dialect::{self, Dialect};
use crate::public::publish;
use crate::{Problem, variable};
use axum::response::IntoResponse;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
const ONLY_HTTPS: HeaderValue = HeaderValue::from_static("max-age=31536000");
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The `Cache-Control` of an answer that depends on the caller: shared caches must not keep it, nor may the client's
/// own.
pub(crate) const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Answers a request as the served function does. Native tests can call this.
pub async fn respond(mut router: Router, mut request: Request<Body>) -> Response<Body> {
    let id = request_id(request.headers_mut());
    let headers = request.headers();
    let private = !request.method().is_safe()
        || headers.contains_key(AUTHORIZATION)
        || headers.contains_key("x-api-key")
        || headers.contains_key(COOKIE)
        || headers.contains_key(SIGNATURE_INPUT);
    let is_head = request.method() == Method::HEAD;
    let is_public = !private && (is_head || request.method() == Method::GET);
    let dialect = Dialect::of(request.uri().path(), headers);
    let conditions = Conditions::of(request.method(), headers);
    let origins = variable("cors_origins").await;
    let origin = allowed(headers, origins.as_deref());
    let preflight = origin.is_some()
        && request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if is_public && is_head {
        // The tag is made of the body, which the router leaves out for HEAD.
        *request.method_mut() = Method::GET;
    }
    let mut response = if preflight {
        preflight_answer()
    } else {
        let Ok(mut response) = router.call(request).await;
        if is_public {
            response = publish(response).await;
        }
        conditions.apply(response)
    };
    normalise_problem(&mut response, &id, dialect);

    let failed = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if failed || private && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, PRIVATE);
    }
    if is_https().await {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_HTTPS);
    }
    if origins.is_some() {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        share(headers, origin);
    }
    if dialect.is_some() {
        headers.insert(dialect::REQUEST_ID, id.clone());
    }
    headers.insert(REQUEST_ID, id);
    if is_head {
        drop_body(&mut response);
    }
    response
}

/// Turns an answer to GET into one to HEAD: without its body, but with the body's length if it is known.
fn drop_body(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut());
    let status = response.status();
    if let Some(length) = body.size_hint().exact()
        // axum has already removed the body from answers of its routes, after it set the length.
        && length > 0
        && status != StatusCode::NOT_MODIFIED
    {
        let length = HeaderValue::from(length);
        response
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert(length);
    }
}

/// Whether clients reach this server by HTTPS, according to its public URL.
async fn is_https() -> bool {
    let url = variable("public_url").await;
    url.is_some_and(|url| url.starts_with("https://"))
}

/// The id from the host or the client if it is well-formed, else a new one, which handlers then see too.
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

/// Adds the request id to a problem, and turns an error without content, as the router answers unknown paths and
/// methods, into a problem.
fn normalise_problem(response: &mut Response<Body>, id: &HeaderValue, dialect: Option<Dialect>) {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if response.headers().contains_key(CONTENT_TYPE) => return,
        None => Problem::of_status(status),
    };
    let body = match dialect {
        Some(dialect) => dialect.render(&problem, id.to_str().ok()),
        None => problem.render(id.to_str().ok()),
    };
    let should_retry = dialect::should_retry(&problem);
    let blank = problem.into_response();
    let headers = response.headers_mut();
    for (name, value) in blank.headers() {
        // A handler may state more about how to authenticate.
        if name != WWW_AUTHENTICATE || !headers.contains_key(WWW_AUTHENTICATE) {
            headers.insert(name, value.clone());
        }
    }
    if dialect.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.entry(dialect::SHOULD_RETRY).or_insert(should_retry);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
}

/// The request's origin, if the variable `cors_origins` allows it.
fn allowed(headers: &HeaderMap, origins: Option<&str>) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    is_listed(origins?, origin.to_str().ok()?).then(|| origin.clone())
}

/// Lets the pages of an origin read the answer.
fn share(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = "etag, location, x-request-id, retry-after, ratelimit, ratelimit-policy, \
                   www-authenticate";
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(exposed),
    );
}

/// Whether a comma-separated list, or `*`, contains an origin.
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
    let allowed = "authorization, content-type, idempotency-key, if-match, if-none-match, x-request-id, traceparent, \
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
        if let Some(length) = parts.headers.get(CONTENT_LENGTH)
            && method != "HEAD"
        {
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
        assert_eq!(response.headers()[CACHE_CONTROL], "private, no-store");
        let (response, _) = call("GET", "/nothing", &[]);
        assert_eq!(response.headers()[CACHE_CONTROL], "private, no-store");
        let (response, _) = call("GET", "/hello", &[("origin", "https://a.example")]);
        assert_eq!(response.headers()[CACHE_CONTROL], "public, s-maxage=1");
        assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn answers_to_everybody_have_a_tag_that_a_client_can_name() {
        let (response, _) = call("GET", "/hello", &[]);
        let tag = response.headers()["etag"]
            .to_str()
            .expect("a tag")
            .to_owned();
        assert_eq!(response.headers()["vary"], "authorization, cookie");
        let (known, _) = call("GET", "/hello", &[("if-none-match", &tag)]);
        assert_eq!(known.status(), 304);
        assert_eq!(known.headers()["etag"], tag);
        let (personal, _) = call("GET", "/hello", &[("cookie", "a=b")]);
        assert!(!personal.headers().contains_key("etag"));
    }

    #[test]
    fn head_is_get_without_its_body() {
        for path in ["/hello", "/refused", "/nothing"] {
            let same = [("x-request-id", "r")];
            let ((get, _), (head, body)) = (call("GET", path, &same), call("HEAD", path, &same));
            assert_eq!(get.status(), head.status(), "{path}");
            assert_eq!(get.headers(), head.headers(), "{path}");
            assert_eq!(body, serde_json::Value::Null, "{path}");
        }
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
