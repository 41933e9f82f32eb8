//! The host's own answers: RFC 9457 problems for requests that did not reach a function, or that broke one.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

/// Makes an answer of the host.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
    retry_after: Option<u32>,
}

const fn problem(
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
) -> Problem {
    Problem {
        status,
        code,
        title,
        detail,
        retry_after: None,
    }
}

/// The problem of a path that no route matches.
pub const NOT_FOUND: Problem = problem(
    StatusCode::NOT_FOUND,
    "not-found",
    "Not found",
    "Nothing answers at this path.",
);
/// The problem of a guest that trapped or gave no answer.
pub const INTERNAL: Problem = problem(
    StatusCode::INTERNAL_SERVER_ERROR,
    "internal",
    "Internal error",
    "Something went wrong on our side. Give the request id when you report it.",
);
/// The problem of a function that did not answer within its deadline.
pub const DEADLINE: Problem = problem(
    StatusCode::GATEWAY_TIMEOUT,
    "deadline-exceeded",
    "Deadline exceeded",
    "The request took longer than it may.",
);
/// The problem of a body that is larger than the component takes.
pub const BODY_TOO_LARGE: Problem = problem(
    StatusCode::PAYLOAD_TOO_LARGE,
    "body-too-large",
    "Body too large",
    "The request's body is larger than this endpoint takes.",
);
/// The problem of a client that stopped sending in the middle of the body.
pub const BODY_TIMEOUT: Problem = problem(
    StatusCode::REQUEST_TIMEOUT,
    "body-timeout",
    "Body not received",
    "The request's body did not arrive in time.",
);
/// The problem of a body that broke off, or whose framing is wrong.
pub const BODY_BROKEN: Problem = problem(
    StatusCode::BAD_REQUEST,
    "body-broken",
    "Body not received",
    "The request's body broke off.",
);
/// The problem of a request without an authority: HTTP/1.1 requires a Host header (RFC 9112, section 3.2).
pub const BAD_HOST: Problem = problem(
    StatusCode::BAD_REQUEST,
    "bad-host",
    "Bad Host header",
    "The request must carry exactly one valid Host header.",
);
/// The problem of bytes that are not an HTTP request.
pub const MALFORMED: Problem = problem(
    StatusCode::BAD_REQUEST,
    "malformed-request",
    "Malformed request",
    "This is not a valid HTTP request.",
);
/// The problem of a head with more bytes or lines than are read.
pub const HEAD_TOO_LARGE: Problem = problem(
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head-too-large",
    "Head too large",
    "The request's header fields are larger or more than this server reads.",
);
/// The problem of a request line with more bytes than are read.
pub const URI_TOO_LONG: Problem = problem(
    StatusCode::URI_TOO_LONG,
    "uri-too-long",
    "URI too long",
    "The request's path and query are longer than this server reads.",
);
/// The problem of a request that found no permit, and no free slot in the queue.
pub const BUSY: Problem = Problem {
    retry_after: Some(1),
    ..problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "Overloaded",
        "Too many requests at this moment. Try again in a second.",
    )
};
/// The problem of readiness while the host is about to stop.
pub const DRAINING: Problem = Problem {
    retry_after: Some(5),
    ..problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "draining",
        "Shutting down",
        "This server is shutting down and takes no new work.",
    )
};

/// The problem of a client that was refused too often.
pub fn rate_limited(seconds: u32) -> Problem {
    Problem {
        retry_after: Some(seconds),
        ..problem(
            StatusCode::TOO_MANY_REQUESTS,
            "rate-limited",
            "Rate limited",
            "Too many requests that had to be refused within a minute.",
        )
    }
}

impl Problem {
    /// Whether the fault is the client's.
    #[must_use]
    pub fn is_of_client(&self) -> bool {
        self.status.is_client_error()
    }

    /// Makes the answer, with the request's id.
    #[must_use]
    pub fn response(&self, request_id: &str) -> Response<Full<Bytes>> {
        let body = serde_json::json!({
            "type": format!("/problems/{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "private, no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
