//! The way out: `gather egress` puts the provider's key into a request that this function sends, and never shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use guest::{FetchError, Problem, Result, fetch, limit_silence, required_variable};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response};
use jwt_simple::prelude::{Claims, Duration as Lifetime, HS256Key, MACLike};
use uuid::Uuid;

use crate::fault::{self, Fault, Repeat};
use crate::ledger::Target;

/// The audience of the tokens.
const AUDIENCE: &str = "gather-egress";
/// The name of this component.
const COMPONENT: &str = "llm";
/// The lifetime of a token.
const TOKEN_SECONDS: u64 = 300;
/// Tells the answers of egress itself from those that it passes on.
const REFUSED: &str = "gather-egress";
/// The largest answer with an error that is read.
const MAX_ERROR_BYTES: usize = 1 << 20;
/// The time within which egress has to refuse, or to begin.
const SLACK: Duration = Duration::from_secs(5);

/// What an attempt sends to a provider.
pub struct Sent<'a> {
    pub method: Method,
    /// The exact address.
    pub address: String,
    pub secret: Option<Uuid>,
    /// The account on whose behalf it is sent.
    pub account: Uuid,
    /// The call and the number of the attempt, for the ledger.
    pub attempt: Option<String>,
    pub headers: &'a [(&'static str, String)],
    pub body: Bytes,
    /// The time until the answer begins, and the longest pause within it.
    pub total: Duration,
    pub idle: Duration,
}

/// Makes the request for egress.
///
/// # Errors
/// A variable is missing.
pub async fn request(sent: Sent<'_>) -> Result<Request<Body>> {
    let url = required_variable("egress_url").await?;
    let mut request = Request::builder()
        .method(sent.method)
        .uri(format!("{url}/forward"))
        .header(AUTHORIZATION, token(sent.account).await?)
        .header("gather-target", &sent.address)
        .header("gather-account", sent.account.to_string())
        .header("gather-timeout-ms", sent.total.as_millis().to_string())
        .header("gather-idle-ms", sent.idle.as_millis().to_string())
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(secret) = sent.secret {
        request = request.header("gather-secret", secret.to_string());
    }
    if let Some(attempt) = sent.attempt {
        request = request.header("gather-call", attempt);
    }
    for (name, value) in sent.headers {
        request = request.header(*name, value);
    }
    let mut request = request
        .body(Body::from(sent.body))
        .map_err(Problem::internal)?;
    limit_silence(&mut request, sent.total.max(sent.idle) + SLACK);
    Ok(request)
}

/// Sends a request, and waits for the head of a good answer.
///
/// # Errors
/// The provider or egress refuses or fails.
pub async fn send(request: Request<Body>) -> std::result::Result<Response<Body>, Fault> {
    let response = fetch(request).await.map_err(|error| unreachable(&error))?;
    let status = response.status();
    if let Some(code) = response.headers().get(REFUSED) {
        return Err(of_egress(code.to_str().unwrap_or_default()));
    }
    if status.is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body =
        http_body_util::BodyExt::collect(http_body_util::Limited::new(body, MAX_ERROR_BYTES)).await;
    let body = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    Err(fault::of_answer(status.as_u16(), &parts.headers, &body))
}

fn unreachable(error: &FetchError) -> Fault {
    guest::error!("egress unavailable", cause = error.to_string());
    let detail = "The way out to providers can't be reached at the moment.";
    Fault {
        retry_after_ms: Some(1000),
        ..Fault::new(503, "egress-unavailable", detail, Repeat::Anywhere)
    }
}

/// The fault for an answer of egress itself.
fn of_egress(code: &str) -> Fault {
    match code {
        "connect-failed" => Fault::new(
            502,
            "provider-failed",
            "The provider can't be reached.",
            Repeat::Anywhere,
        )
        .blamed("failed"),
        "fetch-timeout" => Fault::silent(),
        "secret-not-granted" | "secret-expired" => Fault::new(
            502,
            "provider-failed",
            "The key that is stored for the provider can't be used: it is deleted, expired or not granted.",
            Repeat::Elsewhere,
        ),
        "origin-refused" => Fault::new(
            502,
            "provider-failed",
            "The provider's address is private, or not the one that its key is stored for.",
            Repeat::Elsewhere,
        ),
        "egress-unavailable" => Fault {
            retry_after_ms: Some(1000),
            ..Fault::new(
                503,
                "egress-unavailable",
                "The way out to providers is overloaded.",
                Repeat::Anywhere,
            )
        },
        _ => Fault::broken("The connection to the provider broke before it answered."),
    }
}

async fn token(account: Uuid) -> Result<HeaderValue> {
    let key = HS256Key::from_bytes(required_variable("egress_key").await?.as_bytes())
        .with_key_id(COMPONENT);
    let claims = Claims::create(Lifetime::from_secs(TOKEN_SECONDS))
        .with_issuer(COMPONENT)
        .with_audience(AUDIENCE)
        .with_subject(account);
    let token = key.authenticate(claims).map_err(Problem::internal)?;
    let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(Problem::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

/// The address of a target's path.
pub fn address_of(target: &Target, path: &str) -> String {
    crate::protocol::address(&target.url, path)
}

/// The time since 1970 in seconds.
pub fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
