//! Errors as clients see them (RFC 9457). The functions pass them on as they are.

use crate::{
    call::{Fault, Usage},
    compile::CompileError,
    grant::UsedPermissions,
    runner::LoadError,
    storage::StorageError,
};
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::Value;
use skill::{FieldError, Refusal, statement::Envelope};

/// A problem.
#[derive(Debug, Serialize)]
pub struct Problem {
    status: u16,
    /// The details of the problem, for the client.
    pub detail: String,
    code: &'static str,
    /// The id of the request in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// The skill's own error, if the call ended with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<Value>>,
    /// The receipt of a call that ended with the skill's own error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<Envelope>>,
    /// The output and use of the call, if that was requested as evidence.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<CallEvidence>>,
}

/// The output of a call and its use of resources.
#[derive(Debug, Serialize)]
pub struct CallEvidence {
    /// The output on stdout and stderr.
    pub log: String,
    /// The use made of the grants.
    pub used: UsedPermissions,
    /// The resources that the call used.
    pub usage: Usage,
}

impl Problem {
    /// Makes a problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            detail: detail.into(),
            code,
            request_id: None,
            errors: Vec::new(),
            error: None,
            receipt: None,
            evidence: None,
        }
    }

    /// Makes a 422 with the wrong fields.
    pub fn invalid(code: &'static str, errors: Vec<FieldError>) -> Self {
        let detail = "Some of the input can't be accepted; `errors` says what.";
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
        }
    }

    /// Makes a 500, which tells the client nothing of the cause, and logs the cause.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "the sandbox failed");
        let detail = "Something went wrong on our side. The request id finds it in our logs.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Makes a 503.
    pub fn busy() -> Self {
        let detail = "Too many calls or uploads at this moment. Send this one again after `Retry-After` seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "sandbox-busy", detail)
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => {
                tracing::warn!(cause = %error, "the sandbox is busy");
                Self::busy()
            }
            StorageError::Unavailable(cause) => {
                tracing::error!(cause, "the sandbox can't reach its storage");
                let detail = "The sandbox can't reach what it stores at the moment. Send the request again after `Retry-After` seconds.";
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "sandbox-unavailable",
                    detail,
                )
            }
            StorageError::Failed(cause) => Self::internal(&cause),
        }
    }
}

impl From<CompileError> for Problem {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Refused(why) => LoadError::Unusable(why).into(),
            CompileError::Busy => Self::busy(),
            CompileError::Failed(cause) => Self::internal(&cause),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut title = self.code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let mut body = serde_json::to_value(&self).unwrap_or_default();
        body["type"] = format!("/problems/{}", self.code).into();
        body["title"] = title.into();
        let body = body.to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if self.status == 503 {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl Fault {
    /// The problem's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTool(_) => "unknown-tool",
            Self::InvalidArguments(_) => "invalid-arguments",
            Self::Denied(_) => "permission-denied",
            Self::Trapped(_) => "skill-trapped",
            Self::Deadline => "skill-deadline",
            Self::Fuel => "skill-fuel",
            Self::Memory => "skill-memory",
            Self::Output(_) => "skill-output",
            Self::Busy => "sandbox-busy",
            Self::Internal(_) => "internal",
        }
    }

    /// The detail of the problem, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::UnknownTool(names) => format!("The skill has no such tool; it has: {names}."),
            Self::InvalidArguments(_) => {
                "The arguments do not fit the tool; `errors` says what.".to_owned()
            }
            Self::Denied(what) => format!("The skill reached for {what}."),
            Self::Trapped(what) => format!("The skill broke off: {what}"),
            Self::Deadline => "The skill did not answer within its time.".to_owned(),
            Self::Fuel => "The skill used up its fuel.".to_owned(),
            Self::Memory => "The skill needs more memory than it may have.".to_owned(),
            Self::Output(what) => format!("The skill gave out too much: {what}"),
            Self::Busy => "The sandbox has no room for this call at this moment.".to_owned(),
            Self::Internal(_) => "The sandbox failed.".to_owned(),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = match &fault {
            Fault::InvalidArguments(errors) => return Self::invalid(fault.code(), errors.clone()),
            Fault::Internal(cause) => return Self::internal(cause),
            Fault::Busy => return Self::busy(),
            Fault::UnknownTool(_) => StatusCode::NOT_FOUND,
            Fault::Denied(_) => StatusCode::FORBIDDEN,
            Fault::Trapped(_) => StatusCode::BAD_GATEWAY,
            Fault::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Fault::Fuel => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::Memory | Fault::Output(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        Self::new(status, fault.code(), fault.detail())
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such component.",
            ),
            LoadError::Unusable(why) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "skill-unusable",
                format!("The skill can't be loaded: {why}"),
            ),
            LoadError::Busy => Self::busy(),
            LoadError::Storage(error) => error.into(),
            LoadError::Failed(cause) => Self::internal(&cause),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::NotAComponent(_) => "not-a-component",
            Refusal::ImportRefused(_) => "import-refused",
            Refusal::NothingCallable(_) => "nothing-callable",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, refusal.to_string())
    }
}
