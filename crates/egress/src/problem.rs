//! Refusals, as the calling functions see them (RFC 9457).

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// The header that only the way out sets, with the code of its refusal: so nobody takes the answer of a stranger for one.
pub const REFUSED: HeaderName = HeaderName::from_static("gather-egress");

/// The codes of refusals, which the metrics show from the start.
pub const CODES: [&str; 10] = [
    "connect-failed",
    "egress-unavailable",
    "fetch-failed",
    "fetch-timeout",
    "invalid-input",
    "not-found",
    "origin-refused",
    "secret-expired",
    "secret-not-granted",
    "unauthenticated",
];

/// A request that was not sent, or has no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }

    pub fn unauthenticated() -> Self {
        let detail = "This needs a service token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", detail)
    }

    pub fn origin_refused(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "origin-refused", detail)
    }

    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "fetch-failed", detail)
    }

    /// Nothing of the request was sent, so it can be sent again without harm.
    pub fn unconnected(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "connect-failed", detail)
    }

    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "fetch-timeout", detail)
    }

    pub fn unavailable() -> Self {
        let detail = "The vault can't be reached at the moment. Send the request again after `Retry-After` seconds.";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "egress-unavailable",
            detail,
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut title = self.code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let body = json!({
            "type": format!("/problems/{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(REFUSED, HeaderValue::from_static(self.code));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
