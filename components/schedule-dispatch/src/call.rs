//! Sends the request of a firing. All attempts share one `Idempotency-Key`, and one that may have arrived is sent again
//! only if its method says that this does no harm.

use std::time::Duration;

use axum::body::Body;
use guest::{
    Acting, Db, Egress, Failure, FetchError, Forward, REFUSED, args, fetch_whole, limit_silence,
    required_variable,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Summary;

const ACTING: Acting = Acting("schedule-dispatch");
const EGRESS: Egress = Egress("schedule-dispatch");
/// The scopes that a call of the platform's own API may need.
const SCOPES: [&str; 8] = [
    "asset:generate",
    "chat:create",
    "kb:read",
    "kb:write",
    "llm:call",
    "pipelines:run",
    "skills:call",
    "social:write",
];
/// The longest time until an answer.
const WITHIN: Duration = Duration::from_secs(60);
/// The largest answer to a call of the platform's own API.
const MAX_ANSWER_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct Begun {
    begun: Option<Call>,
}

#[derive(Deserialize)]
struct Call {
    account: Uuid,
    action: Action,
    /// The scopes of the credential that said so, separated by spaces.
    scopes: String,
    /// Whether an earlier attempt may have sent it.
    was_sent: bool,
}

#[derive(Deserialize)]
struct Action {
    method: String,
    url: String,
    #[serde(default)]
    headers: Value,
    #[serde(default)]
    body: Value,
}

/// What became of a request.
enum Outcome {
    Answered(StatusCode),
    /// It did not leave.
    Unsent(String),
    /// It may have arrived.
    Unknown,
}

/// Sends the request of a firing.
///
/// # Errors
/// It did not leave, which is tried again, or its answer is an error.
pub async fn send(db: &Db, firing: Uuid) -> Result<Summary, Failure> {
    let begun: Begun = db
        .one("select begin_call($1) as begun", args![firing])
        .await?;
    let Some(call) = begun.begun else {
        return Ok(Summary::Called { status: None });
    };
    let is_harmless = ["GET", "HEAD", "PUT", "DELETE"].contains(&call.action.method.as_str());
    let unknown = || Failure::Final("Nobody knows whether the request arrived.".to_owned());
    if call.was_sent && !is_harmless {
        return Err(unknown());
    }
    let key = format!("firing-{firing}");
    let outcome = if call.action.url.starts_with('/') {
        own(&call, &key).await
    } else {
        elsewhere(&call, &key).await
    };
    match outcome {
        Outcome::Answered(status) if status.is_success() || status.is_redirection() => {
            Ok(Summary::Called {
                status: Some(status.as_u16()),
            })
        }
        Outcome::Answered(status) => {
            let message = format!("The answer has the status {}.", status.as_u16());
            let is_temporary = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            if is_temporary && is_harmless {
                return Err(Failure::Retry(message));
            }
            Err(Failure::Final(message))
        }
        Outcome::Unsent(why) => {
            db.execute("select unsend_call($1)", args![firing]).await?;
            Err(Failure::Retry(why))
        }
        Outcome::Unknown if is_harmless => Err(Failure::Retry("There was no answer.".to_owned())),
        Outcome::Unknown => Err(unknown()),
    }
}

fn request(call: &Call, key: &str, address: &str) -> Option<Request<Body>> {
    let body = &call.action.body;
    let has_body = !body.is_null();
    let mut request = Request::builder()
        .method(call.action.method.as_str())
        .uri(address);
    if has_body {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if !["GET", "HEAD"].contains(&call.action.method.as_str()) {
        request = request.header("idempotency-key", key);
    }
    let text = match body {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let body = if has_body {
        Body::from(text)
    } else {
        Body::empty()
    };
    request.body(body).ok()
}

/// Calls the platform's own API in the name of the schedule's owner.
async fn own(call: &Call, key: &str) -> Outcome {
    let unsent = |what: &str| Outcome::Unsent(what.to_owned());
    let Ok(url) = required_variable("internal_url").await else {
        return unsent("Not configured.");
    };
    let allowed = |scope: &&str| {
        let mut granted = call.scopes.split(' ');
        granted.any(|granted| granted == *scope || granted == "admin:all")
    };
    let scopes: Vec<&str> = SCOPES.into_iter().filter(allowed).collect();
    let Ok(token) = ACTING.authorization(&url, call.account, &scopes).await else {
        return unsent("The owner can't be acted for at the moment.");
    };
    let Some(mut request) = request(call, key, &format!("{url}{}", call.action.url)) else {
        return unsent("The path is malformed.");
    };
    request.headers_mut().insert(AUTHORIZATION, token);
    limit_silence(&mut request, WITHIN);
    match fetch_whole(request, MAX_ANSWER_BYTES).await {
        Ok(answer) => Outcome::Answered(answer.status()),
        Err(FetchError::TooLarge) => Outcome::Answered(StatusCode::OK),
        Err(FetchError::Failed(_)) => Outcome::Unknown,
    }
}

/// Sends a request to another host, through the way out.
async fn elsewhere(call: &Call, key: &str) -> Outcome {
    let unsent = |what: &str| Outcome::Unsent(what.to_owned());
    let Some(mut request) = request(call, key, "/") else {
        return unsent("The request is malformed.");
    };
    for (name, value) in call.action.headers.as_object().into_iter().flatten() {
        let name = name.parse::<HeaderName>().ok();
        let value = value
            .as_str()
            .and_then(|text| HeaderValue::from_str(text).ok());
        let (Some(name), Some(value)) = (name, value) else {
            return unsent("A header is malformed.");
        };
        if name != AUTHORIZATION && !name.as_str().starts_with("gather-") {
            request.headers_mut().insert(name, value);
        }
    }
    let forward = Forward {
        target: &call.action.url,
        account: Some(call.account),
        subjects: Vec::new(),
        secret: None,
        version: None,
        head_within: WITHIN,
        silence: WITHIN,
        whole: WITHIN,
    };
    let Ok(answer) = EGRESS.forward(forward, request).await else {
        return unsent("The way out can't be reached at the moment.");
    };
    let refused = answer
        .headers()
        .get(REFUSED)
        .and_then(|code| code.to_str().ok());
    match refused {
        Some("fetch-timeout" | "fetch-failed") => Outcome::Unknown,
        Some(code) => Outcome::Unsent(format!("The way out refused the request ({code}).")),
        None => Outcome::Answered(answer.status()),
    }
}
