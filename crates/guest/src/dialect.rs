//! Errors below `/v1`, in the forms that the SDKs of OpenAI and Anthropic read. Elsewhere errors are problems.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::Problem;

/// The header with the request id, as Anthropic's SDK reads it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// Tells the SDKs whether to send a request again.
pub const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The protocol that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

impl Dialect {
    /// The protocol of a path; `None` for paths that answer problems.
    pub fn of(path: &str, headers: &HeaderMap) -> Option<Self> {
        let rest = path.strip_prefix("/v1/")?;
        let is_anthropic = rest == "messages"
            || rest.starts_with("messages/")
            || headers.contains_key("anthropic-version");
        Some(if is_anthropic {
            Self::Anthropic
        } else {
            Self::OpenAi
        })
    }

    /// The body of an answer that tells an error.
    pub fn render(self, problem: &Problem, request_id: Option<&str>) -> Vec<u8> {
        let mut detail = problem.detail().to_owned();
        for error in problem.errors() {
            detail = format!("{detail} `{}` {}.", error.field, error.detail);
        }
        let status = problem.status();
        let mut error = self.error(status, code(problem.code()), &detail);
        if self == Self::Anthropic {
            error["request_id"] = json!(request_id);
        }
        error.to_string().into_bytes()
    }

    /// An error as the protocol writes it, in an answer or in an event of a stream.
    pub fn error(self, status: StatusCode, code: &str, detail: &str) -> Value {
        match self {
            Self::OpenAi => json!({"error": {
                "message": detail, "type": openai_type(status), "param": null, "code": code,
            }}),
            Self::Anthropic => json!({"type": "error", "error": {
                "type": anthropic_type(status), "message": detail, "code": code,
            }}),
        }
    }
}

/// The code as these paths name it.
fn code(code: &str) -> &str {
    match code {
        "forbidden" => "insufficient-scope",
        "malformed-json" => "invalid-input",
        other => other,
    }
}

/// Whether sending the request again can help, and pays nothing twice: only where it was certainly not taken.
pub(crate) fn should_retry(problem: &Problem) -> HeaderValue {
    let retry = match problem.code() {
        "call-running" => true,
        "no-provider-configured" => false,
        _ => matches!(problem.status().as_u16(), 429 | 503 | 529),
    };
    HeaderValue::from_static(if retry { "true" } else { "false" })
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(path: &str, problem: &Problem) -> Value {
        let dialect = Dialect::of(path, &HeaderMap::new()).expect("a path of the SDKs");
        serde_json::from_slice(&dialect.render(problem, Some("r-1"))).expect("JSON")
    }

    #[test]
    fn errors_have_the_form_of_the_protocol() {
        let problem = Problem::new(StatusCode::PAYMENT_REQUIRED, "budget-exhausted", "Spent.");
        let openai = rendered("/v1/chat/completions", &problem);
        assert_eq!(
            openai,
            json!({"error": {"message": "Spent.", "type": "insufficient_quota", "param": null, "code": "budget-exhausted"}})
        );
        let anthropic = rendered("/v1/messages", &problem);
        assert_eq!(
            anthropic,
            json!({"type": "error", "request_id": "r-1",
                "error": {"type": "billing_error", "message": "Spent.", "code": "budget-exhausted"}})
        );
        assert_eq!(Dialect::of("/api/llm/calls", &HeaderMap::new()), None);
    }

    #[test]
    fn a_missing_scope_and_fields_are_named() {
        let scope = rendered("/v1/models", &Problem::insufficient_scope("llm:call"));
        assert_eq!(scope["error"]["code"], "insufficient-scope");
        let field = rendered("/v1/messages", &Problem::invalid("model", "is missing"));
        let message = field["error"]["message"].as_str().expect("a message");
        assert!(message.ends_with("`model` is missing."), "{message}");
    }
}
