//! Requests that leave the database. All attempts of a step share one `Idempotency-Key`.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use guest::{
    Acting, Egress, FetchError, Forward, Problem, REFUSED, fetch_whole, limit_silence, read_body,
    required_variable, retry_after,
};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use pipeline::{Do, MAX_VALUE_BYTES, Work, origin};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error;
use crate::work::method;

/// The exchange of tokens, and the way out, with the name by which they know this component.
const ACTING: Acting = Acting("pipeline-run");
const EGRESS: Egress = Egress("pipeline-run");
/// The longest time until an answer, unless the definition says a shorter one.
const WITHIN: Duration = Duration::from_secs(120);
/// The longest pause that an answer may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A request of a step.
pub struct Call {
    what: Do,
    input: Value,
    account: Uuid,
    origins: Vec<String>,
    scopes: Vec<String>,
    key: String,
    within: Duration,
}

/// The answer to a request.
pub enum Answer {
    /// The output of the step.
    Output(Value),
    /// The output of the step, with the fuel that its skill has used, and the signed statement about the call.
    OfSkill {
        output: Value,
        fuel: u64,
        receipt: Value,
    },
    /// The step failed, or its attempt.
    Failure {
        error: Value,
        /// Whether another attempt may succeed.
        retry: bool,
        /// The pause that the answer asks for.
        after_ms: u64,
    },
    /// A part of the platform can't be reached or is busy, which is not the step's fault.
    Away {
        error: Value,
        /// The pause that the answer asks for.
        after_ms: u64,
        /// Whether nothing was begun.
        is_unsent: bool,
    },
    /// The request may have arrived, or not.
    Unknown,
}

impl Answer {
    /// What the answer tells about the request.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Output(_) | Self::OfSkill { .. } => "succeeded",
            Self::Failure { .. } => "failed",
            Self::Unknown | Self::Away { .. } => "unknown",
        }
    }
}

impl Call {
    /// The request of a step of a run.
    pub fn new(engine: &Engine, path: &str) -> Self {
        let node = engine.node(path);
        let what = node.map(|node| match &node.work {
            Work::Action(action) => action.what,
            Work::Compute(_) => Do::Skill,
            _ => Do::Api,
        });
        let input = engine.steps.get(path).map(|step| step.input.clone());
        let mut call = Self::of(
            engine,
            path,
            what.unwrap_or(Do::Api),
            input.unwrap_or_default(),
        );
        if node.is_some_and(|node| matches!(node.work, Work::Compute(_))) {
            // What only computes does nothing in the name of the account, so the definition need not ask for it.
            call.scopes = vec!["skills:call".to_owned()];
        }
        call
    }

    /// A request with this input for a step of a run.
    pub fn of(engine: &Engine, path: &str, what: Do, input: Value) -> Self {
        let timeout = engine.node(path).and_then(|node| node.common.timeout_ms);
        let permissions = &engine.root.definition.permissions;
        Self {
            what,
            input,
            account: engine.account,
            origins: permissions.http.clone(),
            scopes: permissions.scopes.clone(),
            key: format!("run-{}-{path}", engine.run),
            within: timeout.map_or(WITHIN, |ms| Duration::from_millis(ms).min(WITHIN)),
        }
    }
}

fn failure(code: &str, detail: impl std::fmt::Display) -> Answer {
    Answer::Failure {
        error: error(code, detail),
        retry: false,
        after_ms: 0,
    }
}

fn again(code: &str, detail: impl std::fmt::Display) -> Answer {
    Answer::Failure {
        error: error(code, detail),
        retry: true,
        after_ms: 0,
    }
}

fn away(detail: impl std::fmt::Display) -> Answer {
    Answer::Away {
        error: error("http-refused", detail),
        after_ms: 0,
        is_unsent: true,
    }
}

/// Sends a request, and reads its answer.
pub async fn send(call: Call) -> Answer {
    let sent = match call.what {
        Do::Http => http(&call).await,
        Do::Api => {
            let path = call.input["path"].as_str().unwrap_or_default();
            api(&call, method(&call.input), path, call.input.get("body")).await
        }
        Do::Message => message(&call).await,
        Do::Skill => skill(&call).await,
        Do::Notify | Do::Event => Err(failure("http-refused", "It is not a request.")),
    };
    sent.unwrap_or_else(|answer| answer)
}

async fn skill(call: &Call) -> Result<Answer, Answer> {
    let input = &call.input;
    let name = input["skill"].as_str().unwrap_or_default();
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        return Err(failure(
            "skill-unknown",
            "`skill` must be the name of a skill.",
        ));
    }
    let mut body = json!({"tool": input["tool"], "arguments": input.get("arguments").cloned().unwrap_or_else(|| json!({}))});
    if let Some(version) = input.get("version") {
        body["version"] = version.clone();
    }
    let path = format!("/api/skills/{name}/invoke");
    Ok(match api(call, "POST", &path, Some(&body)).await? {
        Answer::Output(mut answer) => Answer::OfSkill {
            fuel: answer["body"]["usage"]["fuel"].as_u64().unwrap_or_default(),
            output: answer["body"]["result"].take(),
            receipt: answer["body"]["receipt"].take(),
        },
        Answer::Failure {
            error, after_ms, ..
        } if error["problem"] == "sandbox-busy" || error["problem"] == "sandbox-unavailable" => {
            // The connection to the sandbox may have broken off while the skill worked.
            Answer::Away {
                is_unsent: error["problem"] == "sandbox-busy",
                error,
                after_ms,
            }
        }
        other => other,
    })
}

/// Writes a message to a channel. The step's own name for it makes a repetition harmless.
async fn message(call: &Call) -> Result<Answer, Answer> {
    let channel = call.input["channel"].as_str().unwrap_or_default();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if channel.is_empty() || !channel.bytes().all(is_name) {
        return Err(failure(
            "http-refused",
            "`channel` must be the id or the name of a channel.",
        ));
    }
    let name = hex::encode(Sha256::digest(&call.key));
    let body = json!({"body": call.input["body"], "client_id": name});
    let path = format!("/api/channels/{channel}/messages");
    Ok(match api(call, "POST", &path, Some(&body)).await? {
        Answer::Output(mut answer) => Answer::Output(answer["body"].take()),
        other => other,
    })
}

/// Calls the platform's own API in the name of the account.
async fn api(
    call: &Call,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Answer> {
    if !path.starts_with("/api/") || path.contains("..") || path.contains("//") {
        return Err(failure("http-refused", "`path` must begin with `/api/`."));
    }
    let gone = |problem: Problem| match problem.status() {
        StatusCode::FORBIDDEN => failure("permission-denied", problem.detail()),
        status if status.is_server_error() => away("The platform can't be reached at the moment."),
        _ => again(
            "http-refused",
            "The platform can't be reached at the moment.",
        ),
    };
    let url = required_variable("internal_url").await.map_err(gone)?;
    let scopes: Vec<&str> = call.scopes.iter().map(String::as_str).collect();
    let token = ACTING
        .authorization(&url, call.account, &scopes)
        .await
        .map_err(gone)?;
    let headers = headers(&call.input)?;
    let bytes = body.filter(|body| !body.is_null()).map(Value::to_string);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{url}{path}"));
    if bytes.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    if method == "POST" {
        request = request.header("idempotency-key", &call.key);
    }
    let request = request
        .header(AUTHORIZATION, token)
        .body(bytes.map_or_else(Body::empty, Body::from));
    let mut request =
        request.map_err(|_| failure("http-refused", "The method or the path is malformed."))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value);
    }
    limit_silence(&mut request, call.within);
    let answer = fetch_whole(request, MAX_VALUE_BYTES)
        .await
        .map_err(|error| match error {
            FetchError::TooLarge => failure("output-too-large", "The answer has more than 1 MiB."),
            FetchError::Failed(_) => Answer::Unknown,
        })?;
    let (parts, body) = answer.into_parts();
    Ok(read(parts.status, &parts.headers, &body))
}

/// Sends a request to another host, through the way out.
async fn http(call: &Call) -> Result<Answer, Answer> {
    let input = &call.input;
    let url = input["url"].as_str().unwrap_or_default();
    if !origin(url).is_some_and(|origin| call.origins.contains(&origin)) {
        return Err(failure(
            "permission-denied",
            "The address is not at an origin of `permissions.http`.",
        ));
    }
    let secret = match input.get("secret").filter(|secret| !secret.is_null()) {
        None => None,
        Some(secret) => {
            let id = secret.as_str().and_then(|text| text.parse().ok());
            Some(id.ok_or_else(|| failure("http-refused", "`secret` must be the id of a secret."))?)
        }
    };
    let forward = Forward {
        target: url,
        account: Some(call.account),
        subjects: Vec::new(),
        secret,
        version: None,
        head_within: call.within,
        silence: call.within,
        whole: call.within,
    };
    let answer = EGRESS.forward(forward, request(call)?).await;
    // The way out itself can't be reached, so nothing was sent.
    let answer = answer.map_err(|_| away("The way out can't be reached at the moment."))?;
    let (parts, body) = answer.into_parts();
    let refused = parts
        .headers
        .get(REFUSED)
        .and_then(|code| code.to_str().ok());
    match refused {
        Some("fetch-timeout" | "fetch-failed") => return Err(Answer::Unknown),
        Some(code @ "connect-failed") => return Err(again("http-refused", code)),
        Some(code @ "egress-unavailable") => return Err(away(code)),
        Some(code) => return Err(failure("http-refused", code)),
        None => {}
    }
    let body = read_body(&parts.headers, body, MAX_VALUE_BYTES)
        .await
        .map_err(|problem| match problem.code() {
            "body-too-large" => failure("output-too-large", "The answer has more than 1 MiB."),
            _ => Answer::Unknown,
        })?;
    Ok(read(parts.status, &parts.headers, &body))
}

fn request(call: &Call) -> Result<Request<Body>, Answer> {
    let malformed = || failure("http-refused", "The method or a header is malformed.");
    let input = &call.input;
    let mut request = Request::builder().method(method(input)).uri("/");
    let body = match input.get("body").filter(|body| !body.is_null()) {
        None => Body::empty(),
        Some(Value::String(text)) => Body::from(text.clone()),
        Some(json) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Body::from(json.to_string())
        }
    };
    let mut request = request.body(body).map_err(|_| malformed())?;
    for (name, value) in headers(input)? {
        request.headers_mut().insert(name, value);
    }
    if request.method() != http::Method::GET {
        let key = HeaderValue::from_str(&call.key).map_err(|_| malformed())?;
        request.headers_mut().insert("idempotency-key", key);
    }
    Ok(request)
}

/// The headers that a step says. It says neither who it is nor what the way out is told.
fn headers(input: &Value) -> Result<Vec<(HeaderName, HeaderValue)>, Answer> {
    let malformed = || {
        failure(
            "http-refused",
            "A header is malformed, or not the step's to say.",
        )
    };
    let own = [&AUTHORIZATION, &HeaderName::from_static("idempotency-key")];
    let headers = input["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| {
        let name: HeaderName = name.parse().map_err(|_| malformed())?;
        let is_own = name.as_str().starts_with("gather-") || own.contains(&&name);
        let value = value.as_str().filter(|_| !is_own).ok_or_else(malformed)?;
        Ok((name, HeaderValue::from_str(value).map_err(|_| malformed())?))
    });
    headers.collect()
}

/// The milliseconds until another attempt that an answer asks for; 0 if it asks for none.
fn pause_ms(headers: &HeaderMap, now: SystemTime) -> u64 {
    let pause = retry_after(headers, now).unwrap_or_default();
    pause.min(LONGEST_PAUSE).as_millis() as u64
}

/// The answer of a server: its output, or the failure that its status means.
fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text(&CONTENT_TYPE).is_some_and(|kind| kind.contains("json"));
    let body = match is_json.then(|| serde_json::from_slice(body).ok()).flatten() {
        Some(json) => json,
        None => Value::String(String::from_utf8_lossy(body).into_owned()),
    };
    if status.is_client_error() || status.is_server_error() {
        let code = body["code"]
            .as_str()
            .filter(|code| code.starts_with("skill-") || *code == "permission-denied");
        let mut error = error(
            code.unwrap_or("http-status"),
            format_args!(
                "The answer has the status {}. {}",
                status.as_u16(),
                body["detail"].as_str().unwrap_or_default()
            ),
        );
        error["status"] = json!(status.as_u16());
        if let Some(problem) = body["code"].as_str() {
            let is_code = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if problem.len() <= 100 && problem.bytes().all(is_code) {
                error["problem"] = json!(problem);
            }
        }
        let retry = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
        return Answer::Failure {
            error,
            retry,
            after_ms: pause_ms(headers, SystemTime::now()),
        };
    }
    let mut shown = Map::new();
    for (name, value) in headers {
        if let Ok(value) = value.to_str() {
            shown.insert(name.as_str().to_owned(), json!(value));
        }
    }
    Answer::Output(json!({"status": status.as_u16(), "headers": shown, "body": body}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::RETRY_AFTER;

    #[test]
    fn a_pause_is_an_hour_at_most() {
        for (after, pause) in [
            ("3", 3_000),
            ("soon", 0),
            ("18446744073709551615", 3_600_000),
            ("Sun, 07 Nov 2094 08:49:37 GMT", 3_600_000),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(after))]);
            assert_eq!(pause_ms(&headers, SystemTime::now()), pause, "{after}");
        }
    }
}
