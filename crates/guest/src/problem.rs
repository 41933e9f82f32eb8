//! Errors as clients see them: RFC 9457 `application/problem+json`.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of a handler.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// An error to show to the client. The log gets another message.
///
/// It is boxed so that a `Result` stays as small as its success value.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    more: Vec<(&'static str, serde_json::Value)>,
    /// The value of `WWW-Authenticate`.
    challenge: Option<Cow<'static, str>>,
}

/// A field of the input that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field: a path such as `name` or `items[0].title`; `body` or `query` for the whole input.
    pub field: String,
    /// The reason why the field was refused.
    pub detail: String,
}

/// A problem (RFC 9457), as every error of every endpoint returns it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Rendered<'a> {
    /// The URL of the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem, in words.
    title: String,
    /// The HTTP status code.
    status: u16,
    /// The details of this occurrence, for people.
    detail: &'a str,
    /// The stable kebab-case code of the problem, for programs to match on.
    code: &'a str,
    /// The id by which the logs name the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// The refused fields, if `code` is `invalid-input`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldError],
    /// Further members that this kind of problem has.
    #[serde(flatten)]
    #[schema(ignore)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// Makes a problem of any kind. `code` is a stable kebab-case word.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            more: Vec::new(),
            challenge: (status == StatusCode::UNAUTHORIZED).then_some(Cow::Borrowed("Bearer")),
        }))
    }

    /// Adds an extension member (RFC 9457, section 3.2).
    #[must_use]
    pub fn with(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.0.more.push((name, value));
        self
    }

    /// 404 `not-found`: the resource does not exist, or the caller may not see it.
    pub fn not_found(what: &str) -> Self {
        let detail = format!("There is no such {what}, or you may not see it.");
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 409 with its own code.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 401 `unauthenticated`: always the same, whatever was wrong with the credentials.
    pub fn unauthenticated() -> Self {
        let detail = "This needs `Authorization: Bearer` with a valid access token or API key.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    /// 401 `unauthenticated` for an invalid bearer token (RFC 6750, section 3.1).
    pub fn invalid_token() -> Self {
        Self::unauthenticated().challenge("Bearer error=\"invalid_token\"")
    }

    /// 403 `forbidden` for a caller without the necessary scope (RFC 6750, section 3.1).
    pub fn insufficient_scope(scope: &str) -> Self {
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        Self::forbidden(format!("This needs the scope `{scope}`.")).challenge(challenge)
    }

    /// 403 `forbidden`: the caller is known, but may not do this.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 422 `invalid-input` for one field.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.into(),
            detail: detail.into(),
        }])
    }

    /// 422 `invalid-input` for several fields.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = "Some of the input was refused; `errors` names the fields and the reasons.";
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-input", detail);
        problem.0.errors = errors;
        problem
    }

    /// 500 `internal`: logs `cause` and does not show it to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        crate::error!("internal error", cause = cause.to_string());
        Self::blank_internal()
    }

    fn blank_internal() -> Self {
        let detail = "The server failed. The request id identifies the failure in its logs.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
        seconds: u32,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(seconds)
    }

    /// Sets `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Sets `WWW-Authenticate`.
    #[must_use]
    fn challenge(mut self, challenge: impl Into<Cow<'static, str>>) -> Self {
        self.0.challenge = Some(challenge.into());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code that clients match on.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The details of what went wrong, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The refused fields.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The problem for an answer with a status and nothing else, as the router gives for unknown paths.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "not-found", "There is nothing here."),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                status,
                "method-not-allowed",
                "This path does not have this method; `Allow` lists the methods that it has.",
            ),
            StatusCode::INTERNAL_SERVER_ERROR => Self::blank_internal(),
            other => Self::new(other, "error", other.canonical_reason().unwrap_or("Error")),
        }
    }

    /// Renders the problem as JSON, with the id of the request if it is known.
    pub(crate) fn render(&self, request_id: Option<&str>) -> Vec<u8> {
        let Parts {
            status,
            code,
            detail,
            errors,
            more,
            ..
        } = &*self.0;
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let rendered = Rendered {
            kind: format!("/problems/{code}"),
            title: title(code),
            status: status.as_u16(),
            detail,
            code,
            request_id,
            errors,
            more: more.collect(),
        };
        serde_json::to_vec(&rendered).unwrap_or_default()
    }
}

/// Turns a code into a title: `name-taken` becomes `Name taken`.
fn title(code: &str) -> String {
    let mut title = code.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

impl IntoResponse for Problem {
    /// The answer without a request id; [`crate::respond`] renders it again with one.
    fn into_response(self) -> Response {
        let body = self.render(None);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let challenge = self.0.challenge.as_deref();
        if let Some(challenge) = challenge.and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.body_mut() = Body::from(body);
        response.extensions_mut().insert(self);
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.code,
            self.0.detail
        )
    }
}

impl std::error::Error for Problem {}

impl From<garde::Report> for Problem {
    fn from(report: garde::Report) -> Self {
        let errors = report.iter().map(|(path, error)| FieldError {
            field: path.to_string(),
            detail: error.message().to_owned(),
        });
        Self::invalid_fields(errors.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_as_rfc_9457() {
        let problem = Problem::conflict("name-taken", "Another agent has that name.");
        let json: serde_json::Value =
            serde_json::from_slice(&problem.render(Some("r-1"))).expect("JSON");
        let expected = serde_json::json!({
            "type": "/problems/name-taken", "title": "Name taken", "status": 409,
            "detail": "Another agent has that name.", "code": "name-taken", "request_id": "r-1",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn unauthenticated_names_the_scheme() {
        let challenge =
            |problem: Problem| problem.into_response().headers()[WWW_AUTHENTICATE].clone();
        assert_eq!(challenge(Problem::unauthenticated()), "Bearer");
        assert_eq!(
            challenge(Problem::invalid_token()),
            "Bearer error=\"invalid_token\""
        );
        assert_eq!(
            challenge(Problem::insufficient_scope("kb:write")),
            "Bearer error=\"insufficient_scope\", scope=\"kb:write\""
        );
        let other = Problem::forbidden("No.").into_response();
        assert!(!other.headers().contains_key(WWW_AUTHENTICATE));
    }
}
