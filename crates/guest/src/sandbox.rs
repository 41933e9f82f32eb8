//! The sandbox: a service of the platform that stores and runs strangers' components. Functions reach it over HTTP at
//! the variable `sandbox_url`, with a short-lived token made from `sandbox_key`.

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;
use service_token::SANDBOX;

use crate::body::Watch;
use crate::{Problem, Result, fetch, fetch_whole, limit_silence, required_variable, service};

/// A trace that does not exist (W3C Trace Context, section 3.2.2.3).
const NO_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";
/// The longest silence of the sandbox. A skill's call takes at most 30 s, and a call during a review twice that.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(120);
/// The largest answer that is read into memory.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// A client of the sandbox for the component with this id, such as `skills`. The sandbox knows each component's key and
/// what it may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox(pub &'static str);

impl Sandbox {
    /// Sends JSON by POST to a path of the service, and returns the whole answer, whatever its status.
    ///
    /// # Errors
    /// 503 `sandbox-unavailable` if the sandbox can't be reached.
    pub async fn ask(
        self,
        path: &str,
        question: &impl Serialize,
        request_id: Option<&HeaderValue>,
    ) -> Result<Response<Bytes>> {
        let body = serde_json::to_vec(question).map_err(Problem::internal)?;
        let json = HeaderValue::from_static("application/json");
        let request = self
            .request(Method::POST, path, json, Body::from(body), request_id)
            .await?;
        fetch_whole(request, MAX_ANSWER_BYTES)
            .await
            .map_err(unavailable)
    }

    /// Passes a body on by POST as it arrives, and returns the whole answer.
    ///
    /// # Errors
    /// The errors of [`Sandbox::ask`], and a body that arrives incomplete.
    pub async fn pass_on(
        self,
        path: &str,
        kind: HeaderValue,
        body: Body,
        request_id: Option<&HeaderValue>,
    ) -> Result<Response<Bytes>> {
        let watch = Watch::default();
        let request = self
            .request(Method::POST, path, kind, watch.over(body), request_id)
            .await?;
        let answer = fetch_whole(request, MAX_ANSWER_BYTES).await;
        match watch.failure() {
            Some(problem) => Err(problem),
            None => answer.map_err(unavailable),
        }
    }

    /// Reads a path by GET, and returns the answer as it arrives.
    ///
    /// # Errors
    /// The errors of [`Sandbox::ask`].
    pub async fn get(self, path: &str) -> Result<Response<Body>> {
        let any = HeaderValue::from_static("application/octet-stream");
        let request = self
            .request(Method::GET, path, any, Body::empty(), None)
            .await?;
        fetch(request).await.map_err(unavailable)
    }

    async fn request(
        self,
        method: Method,
        path: &str,
        kind: HeaderValue,
        body: Body,
        request_id: Option<&HeaderValue>,
    ) -> Result<Request<Body>> {
        let url = required_variable("sandbox_url").await?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header(CONTENT_TYPE, kind)
            .header(
                AUTHORIZATION,
                service::token(self.0, SANDBOX, "sandbox_key").await?,
            );
        if let Some(id) = request_id {
            request = request.header("x-request-id", id);
        }
        // A host that exports traces puts the present one here; elsewhere the sandbox takes it for none.
        request = request.header("traceparent", NO_TRACE);
        let mut request = request.body(body).map_err(Problem::internal)?;
        limit_silence(&mut request, SILENCE);
        Ok(request)
    }
}

impl Sandbox {
    /// The problem for an unexpected answer of the sandbox: 503 if it is out of capacity, else a fault of the platform.
    pub fn unexpected(what: &str, status: StatusCode) -> Problem {
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return unavailable(format_args!("{what}: {status}"));
        }
        Problem::internal(format_args!("{what}: {status}"))
    }
}

fn unavailable(error: impl std::fmt::Display) -> Problem {
    crate::error!("sandbox unavailable", cause = error.to_string());
    Problem::unavailable(
        "sandbox-unavailable",
        "The sandbox can't be reached at the moment.",
        1,
    )
}
