//! The sandbox: a service of the platform that keeps strangers' components and runs them. Reached over
//! HTTP at the variable `sandbox_url`, with a token of a few minutes that is made from `sandbox_key`.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jwt_simple::prelude::{Claims, Duration, HS256Key, MACLike};
use serde::Serialize;

use crate::body::Watch;
use crate::{Problem, Result, fetch, fetch_whole, limit_silence, required_variable};

/// The audience of the tokens.
pub const AUDIENCE: &str = "gather-sandbox";
/// How long a token is good for.
const TOKEN_SECONDS: u64 = 300;
/// A token is not used in its last minute: clocks differ.
const RENEW_SECONDS: u64 = 60;
/// How long the sandbox may be silent: a skill's call takes 30 s at most, and one of the review's twice that.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(120);
/// The largest answer that is taken whole.
const MAX_ANSWER_BYTES: usize = 16 << 20;

thread_local! {
    static TOKEN: RefCell<Option<(HeaderValue, u64)>> = RefCell::default();
}

/// The sandbox, for the component of this id (`skills`): the sandbox knows each one's key and what it may
/// ask for.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox(pub &'static str);

impl Sandbox {
    /// POST of JSON to a path of the service; its answer whole, whatever the status.
    ///
    /// # Errors
    /// 503 `sandbox-unavailable` where it can't be reached.
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

    /// POST of a body that is passed on as it comes; the answer whole.
    ///
    /// # Errors
    /// As [`Sandbox::ask`]; the body did not come whole.
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

    /// GET of a path; the answer as it comes.
    ///
    /// # Errors
    /// As [`Sandbox::ask`].
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
            .header(AUTHORIZATION, self.token().await?);
        if let Some(id) = request_id {
            request = request.header("x-request-id", id);
        }
        let mut request = request.body(body).map_err(Problem::internal)?;
        limit_silence(&mut request, SILENCE);
        Ok(request)
    }

    async fn token(self) -> Result<HeaderValue> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let known = TOKEN.with_borrow(|known| known.clone().filter(|(_, until)| now < *until));
        if let Some((token, _)) = known {
            return Ok(token);
        }
        let key = HS256Key::from_bytes(required_variable("sandbox_key").await?.as_bytes())
            .with_key_id(self.0);
        let claims = Claims::create(Duration::from_secs(TOKEN_SECONDS))
            .with_issuer(self.0)
            .with_audience(AUDIENCE);
        let token = key.authenticate(claims).map_err(Problem::internal)?;
        let mut header =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
        header.set_sensitive(true);
        TOKEN.set(Some((header.clone(), now + TOKEN_SECONDS - RENEW_SECONDS)));
        Ok(header)
    }
}

impl Sandbox {
    /// The problem for an answer of the sandbox that was not expected, to something that it can always do: 503 where
    /// it says that it has no room, else a fault of ours.
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
