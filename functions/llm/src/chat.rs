//! The routes that the SDKs call.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::channel::oneshot;
use guest::dialect::SHOULD_RETRY;
use guest::{Caller, Db, Problem, Result, Via, read_body, task};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::{IntoResponses, ToSchema};

use crate::call::{Call, Head};
use crate::ledger::{Begun, Kept, Ledger};
use crate::protocol::Route;
use crate::request::{MAX_BYTES, Request};

/// The answers of the routes that ask a model, if they refuse or fail.
#[derive(IntoResponses)]
#[allow(
    dead_code,
    reason = "only the documentation is made of it; handlers answer with problems and faults"
)]
enum Refusals {
    /// `invalid-input`, `unsupported-parameter`, `context-too-large`, `price-unknown`
    #[response(status = 400)]
    Invalid,
    /// `budget-exhausted`
    #[response(status = 402)]
    TooDear,
    /// `forbidden`, `insufficient-scope`
    #[response(status = 403)]
    Forbidden,
    /// `model-unknown`
    #[response(status = 404)]
    Unknown,
    /// `call-running`, `idempotency-mismatch`
    #[response(status = 409)]
    Conflict,
    /// `body-too-large`
    #[response(status = 413)]
    TooLarge,
    /// `rate-limited`, `provider-rate-limited`
    #[response(status = 429)]
    TooMany,
    /// `provider-failed`
    #[response(status = 502)]
    Failed,
    /// `no-provider-configured`, `egress-unavailable`, `call-lost`
    #[response(status = 503)]
    Unavailable,
    /// `provider-timeout`
    #[response(status = 504)]
    Late,
    /// `provider-overloaded`
    #[response(status = 529)]
    Overloaded,
}

/// A request of OpenAI's Chat Completions or Anthropic's Messages. All other members of the protocol may be there too.
#[derive(Serialize, ToSchema)]
pub struct ModelRequest {
    /// An alias, or `<provider>/<model>`.
    #[schema(example = "default")]
    model: String,
    /// The messages so far, as the protocol has them.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// Whether the answer is streamed as server-sent events.
    stream: Option<bool>,
}

/// A request for embeddings, as OpenAI's protocol has it.
#[derive(Serialize, ToSchema)]
pub struct EmbeddingRequest {
    /// An alias, or `<provider>/<model>`.
    #[schema(example = "embedding")]
    model: String,
    /// A text, or a list of texts.
    #[schema(value_type = Vec<String>)]
    input: Value,
    /// The number of dimensions, if the model has several.
    dimensions: Option<u32>,
    /// The form of the vectors: `float` or `base64`.
    encoding_format: Option<String>,
}

/// Asks a model, in OpenAI's protocol.
///
/// Answers and errors have OpenAI's forms; `error.code` is a code of this server. If the model's provider speaks the same
/// protocol, the body goes on byte for byte except `model`. The headers `Gather-Purpose`, `Gather-Parent`, `Gather-Pays` and
/// `Idempotency-Key` are explained in the guide to models.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "models", operation_id = "create_chat_completion",
    request_body(content = ModelRequest),
    responses(
        (status = 200, description = "The answer of the model: JSON, or a stream of events"),
        Refusals,
    ),
    security(("token" = ["llm:call"])), extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn chat(db: Db, caller: Caller, request: HttpRequest) -> Result<Response> {
    serve(db, &caller, Route::Chat, request).await
}

/// Asks a model, in Anthropic's protocol.
///
/// Answers and errors have Anthropic's forms; `error.code` is a code of this server. `anthropic-version` and
/// `anthropic-beta` go on unchanged.
#[utoipa::path(
    post, path = "/v1/messages", tag = "models", operation_id = "create_message", request_body(content = ModelRequest),
    responses(
        (status = 200, description = "The answer of the model: JSON, or a stream of events"),
        Refusals,
    ),
    security(("token" = ["llm:call"])), extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn messages(db: Db, caller: Caller, request: HttpRequest) -> Result<Response> {
    serve(db, &caller, Route::Messages, request).await
}

/// Makes vectors of texts, in OpenAI's protocol.
#[utoipa::path(
    post, path = "/v1/embeddings", tag = "models", operation_id = "create_embeddings",
    request_body(content = EmbeddingRequest),
    responses(
        (status = 200, description = "The vectors, in the order of the texts"),
        Refusals,
    ),
    security(("token" = ["llm:call"])), extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn embeddings(db: Db, caller: Caller, request: HttpRequest) -> Result<Response> {
    serve(db, &caller, Route::Embeddings, request).await
}

async fn serve(db: Db, caller: &Caller, route: Route, request: HttpRequest) -> Result<Response> {
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    // The connection of the guard goes back, since a call may take minutes. The request's extensions hold it too.
    let ledger = Ledger(db.apart());
    drop((db, parts.extensions));
    // What is somewhat too large is read to its end: whoever sends it would not hear of the refusal before.
    let raw = read_body(&parts.headers, body, 2 * MAX_BYTES).await?;
    if raw.len() > MAX_BYTES {
        let detail = format!("The body may have at most {} MiB.", MAX_BYTES >> 20);
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            detail,
        ));
    }
    let headers = parts.headers;
    let request = Request::read(route, &headers, raw)?;
    let is_stream = request.stream;
    match begin(&ledger, caller, &headers, request, began).await? {
        Started::Kept(kept) => Ok(replayed(&kept, is_stream)),
        Started::Call(call) => Ok(answered(*call).await),
    }
}

/// A call that begins, or whose answer is known.
pub enum Started {
    Call(Box<Call>),
    Kept(Kept),
}

/// Begins the call in the ledger.
///
/// # Errors
/// A header is not valid, or the ledger refuses.
pub async fn begin(
    ledger: &Ledger,
    caller: &Caller,
    headers: &HeaderMap,
    request: Request,
    began: Instant,
) -> Result<Started> {
    let mut asked = json!({
        "account": caller.id, "model": request.model, "route": request.route.name(), "input": request.input,
        "stream": request.stream, "digest": digest(&request.raw),
    });
    if caller.via == Via::Key {
        asked["key"] = json!(caller.session);
    }
    if let Some(most) = request.max_output {
        asked["output"] = json!(most);
    }
    if let Some(purpose) = word(headers, "gather-purpose", is_purpose)? {
        asked["purpose"] = json!(purpose);
    }
    if let Some(parent) = word(headers, "gather-parent", is_subject)? {
        asked["parent"] = json!(parent);
    }
    if let Some(list) = word(headers, "gather-pays", |list| {
        list.split(',').all(|one| is_subject(one.trim()))
    })? {
        asked["pays"] = list.split(',').map(|one| json!(one.trim())).collect();
    }
    let key = idempotency_key(headers)?;
    if let Some(key) = &key {
        asked["repeat"] = json!({"key": key, "fingerprint": fingerprint(&request, headers)});
    }
    match ledger.begin(asked).await? {
        Begun::Kept(kept) => Ok(Started::Kept(kept)),
        Begun::Plan(plan) => {
            let call = Call::new(
                ledger.clone(),
                plan,
                request,
                caller.id,
                key.is_some(),
                began,
            );
            Ok(Started::Call(Box::new(call)))
        }
    }
}

/// Runs a call, and makes the response of its head.
async fn answered(call: Call) -> Response {
    match outcome(call).await {
        Some(Head::Whole { headers, body }) => with(headers, Response::new(Body::from(body))),
        Some(Head::Stream { headers, body }) => with(headers, Response::new(body)),
        Some(Head::Failed { headers, fault }) => {
            let mut response = fault.problem().into_response();
            let again = if fault.may_be_asked_again() {
                "true"
            } else {
                "false"
            };
            response
                .headers_mut()
                .insert(SHOULD_RETRY, HeaderValue::from_static(again));
            with(headers, response)
        }
        None => Problem::internal("a call ended without an answer").into_response(),
    }
}

/// Lets a call run, and waits for the head of its answer.
pub async fn outcome(call: Call) -> Option<Head> {
    let (sender, head) = oneshot::channel();
    task::spawn(call.run(sender));
    head.await.ok()
}

fn with(headers: HeaderMap, mut response: Response) -> Response {
    for (name, value) in &headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn replayed(kept: &Kept, is_stream: bool) -> Response {
    let mut response = Response::new(Body::from(kept.body.clone()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    for (name, value) in kept.headers.as_object().into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(value.as_str().unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    if is_stream {
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    headers.insert("gather-cache", HeaderValue::from_static("replay"));
    response
}

fn invalid(name: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-input",
        format!("The header `{name}` is malformed."),
    )
}

/// The value of a header that a call is booked under.
fn word(
    headers: &HeaderMap,
    name: &'static str,
    is_valid: impl Fn(&str) -> bool,
) -> Result<Option<String>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let value = value
        .to_str()
        .ok()
        .map(str::trim)
        .filter(|value| is_valid(value));
    value
        .map(|value| Some(value.to_owned()))
        .ok_or_else(|| invalid(name))
}

fn is_purpose(text: &str) -> bool {
    let is_part =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(is_part)
}

fn is_subject(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, id)| {
        !kind.is_empty()
            && kind.chars().all(|c| c.is_ascii_lowercase())
            && (1..=64).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    const NAME: &str = "idempotency-key";
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()));
    match (key, values.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(invalid("Idempotency-Key")),
    }
}

fn digest(raw: &Bytes) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(raw)))
}

/// What a repeated request has to have in common with the first one.
fn fingerprint(request: &Request, headers: &HeaderMap) -> String {
    let mut digest = Sha256::new();
    let options = ["anthropic-version", "anthropic-beta", "openai-beta"];
    let options = options.map(|name| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes));
    for part in [request.route.name().as_bytes(), &request.raw]
        .into_iter()
        .chain(options)
    {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_is_booked_under_has_a_form() {
        assert!(is_purpose("review") && is_purpose("a.b-c_1"));
        assert!(!is_purpose("") && !is_purpose("A") && !is_purpose("-a") && !is_purpose("a b"));
        assert!(is_subject("team:0192-a") && is_subject("turn:x"));
        assert!(
            !is_subject("team:")
                && !is_subject("team")
                && !is_subject("Team:a")
                && !is_subject("a:b:c")
        );
    }
}
