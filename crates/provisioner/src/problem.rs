//! Refusals and failures, as the calling component sees them (RFC 9457).

use axum::body::Body;
use axum::response::IntoResponse;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// A request that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code, such as `stale-generation`.
    pub code: &'static str,
    /// What happened, and what to do about it.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }

    pub(crate) fn unauthenticated() -> Self {
        let detail = "This needs a service token.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", detail)
    }

    pub(crate) fn not_found() -> Self {
        let detail = "There is no such instance.";
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn stale(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "stale-generation", detail)
    }

    pub(crate) fn state(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "instance-state", detail)
    }

    pub(crate) fn image_missing(image: &str) -> Self {
        let detail = format!(
            "The container runtime does not have the image {image}. Pull it on the provisioner's machine."
        );
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "image-missing", detail)
    }

    /// The instance was made, and its program could not be started.
    pub(crate) fn start_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "start-failed", detail)
    }

    /// The container runtime did not answer, or failed. What it has is unknown then, never taken for nothing.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "backend-unavailable", detail)
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
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
