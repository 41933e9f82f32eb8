//! Problems (RFC 9457), as the origin's are.

use serde_json::json;
use uuid::Uuid;
use worker::{Request, Response, ResponseBuilder, Result};

/// A refusal: status, code and detail.
pub struct Problem {
    status: u16,
    code: &'static str,
    detail: &'static str,
}

/// A token that is surely invalid.
pub const INVALID_TOKEN: Problem = Problem {
    status: 401,
    code: "unauthenticated",
    detail: "This needs `Authorization: Bearer` with a valid access token or API key.",
};
/// An account that has used up its limit.
pub const RATE_LIMITED: Problem = Problem {
    status: 429,
    code: "rate-limited",
    detail: "Too many requests of this account within a minute.",
};
/// The origin does not answer.
pub const ORIGIN_AWAY: Problem = Problem {
    status: 503,
    code: "origin-away",
    detail: "The server behind this edge does not answer. Try again in a moment.",
};
/// The content differs from the digest that names it.
pub const DIGEST_MISMATCH: Problem = Problem {
    status: 502,
    code: "digest-mismatch",
    detail: "The content that the server sent differs from the digest that names it.",
};
/// A push without a valid service token.
pub const UNAUTHENTICATED: Problem = Problem {
    status: 401,
    code: "unauthenticated",
    detail: "This needs a service token of the platform.",
};
/// An address of the edge's own that does not exist.
pub const NOT_FOUND: Problem = Problem {
    status: 404,
    code: "not-found",
    detail: "This path does not exist.",
};
/// A body that is not what it should be.
pub const MALFORMED: Problem = Problem {
    status: 400,
    code: "malformed-request",
    detail: "The body is not the JSON that is expected here.",
};

impl Problem {
    /// The answer, after which a client waits for `retry_after` seconds.
    pub fn retried(&self, request: &Request, retry_after: u64) -> Result<Response> {
        let response = self.answer(request)?;
        let seconds = retry_after.max(1).to_string();
        response.headers().set("retry-after", &seconds)?;
        Ok(response)
    }

    /// The answer.
    pub fn answer(&self, request: &Request) -> Result<Response> {
        let id = request_id(request);
        let body = json!({
            "type": format!("/problems/{}", self.code), "title": title(self.code), "status": self.status,
            "code": self.code, "detail": self.detail, "request_id": id,
        });
        let mut builder = ResponseBuilder::new()
            .with_status(self.status)
            .with_header("content-type", "application/problem+json")?
            .with_header("cache-control", "private, no-store")?
            .with_header("x-content-type-options", "nosniff")?
            .with_header("x-request-id", &id)?;
        if self.status == 401 {
            builder = builder.with_header("www-authenticate", "Bearer error=\"invalid_token\"")?;
        }
        Ok(builder.fixed(body.to_string().into_bytes()))
    }
}

/// The request's own id if it is well-formed, else a new one.
pub fn request_id(request: &Request) -> String {
    let given = request.headers().get("x-request-id").ok().flatten();
    let is_sane = |id: &String| {
        let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(is_sane)
    };
    given
        .filter(is_sane)
        .unwrap_or_else(|| Uuid::new_v4().to_string())
}

/// Turns a code into a title: `name-taken` becomes `Name taken`.
fn title(code: &str) -> String {
    let mut title = code.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}
