//! Requests of other systems to webhooks of pipelines. The bytes are verified by their signature before anything reads them,
//! and start one run, however often they come.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use guest::db::OnConstraint;
use guest::{Db, Path, Problem, Result, args, read_body, required_variable};
use pipeline::{Expression, Fault, Names, evaluate, fit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Secret, open_hook_token};

use crate::{pipelines, start};

/// The largest body.
const MAX_BYTES: usize = 1 << 20;
/// The header of GitHub's signature.
const HUB_SIGNATURE: &str = "x-hub-signature-256";

/// The result of a request to a webhook of a pipeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeliveryAccepted)]
pub struct Accepted {
    /// The run, also if the same delivery had started it before; null if the trigger's expression is false or fails.
    run: Option<Uuid>,
}

#[derive(Deserialize)]
struct Webhook {
    verify: Option<String>,
    condition: Option<String>,
    input: Value,
}

#[derive(Deserialize)]
struct Taken {
    run: Option<Uuid>,
}

/// The key of which addresses and secrets are made.
///
/// # Errors
/// It is missing or malformed.
pub async fn key() -> Result<[u8; 32]> {
    let key = required_variable("webhook_key").await?;
    guest::hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `webhook_key` must be 64 hex digits"))
}

/// Accepts a request to a webhook of a pipeline, and starts a run.
///
/// JSON or a form of 1 MiB at most. A trigger with `verify` believes what is signed according to Standard Webhooks, or by
/// GitHub (`X-Hub-Signature-256`). The same delivery again answers the same run: it is known by `webhook-id` or, from
/// GitHub, by its bytes.
#[utoipa::path(
    post, path = "/api/hooks/pipeline/{token}", tag = "pipelines", operation_id = "receive_delivery",
    params(("token" = String, Path, description = "The secret part of the webhook's address.")),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 202, body = Accepted),
        (status = 400, description = "`malformed-json`"),
        (status = 401, description = "`bad-signature`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`pipeline-paused`, `pipeline-archived`"),
        (status = 413, description = "`body-too-large`"),
        (status = 415, description = "`unsupported-media-type`"),
        (status = 422, description = "`invalid-input`"),
        (status = 429, description = "`too-many-runs`"),
    )
)]
pub async fn receive(
    db: Db,
    Path(token): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<Accepted>)> {
    let not_found = || Problem::not_found("webhook");
    let key = key().await?;
    let trigger = open_hook_token(&key, &token).ok_or_else(not_found)?;
    let webhook: Option<Webhook> = db
        .optional(
            "select verify, condition, input from find_webhook($1)",
            args![trigger],
        )
        .await?;
    let webhook = webhook.ok_or_else(not_found)?;
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, MAX_BYTES).await?;
    let secret = Secret::of_hook(&key, trigger);
    let delivery = believed(webhook.verify.as_deref(), &parts.headers, &secret, &body)?;
    let content = content(&parts.headers, &body)?;
    fit(&content).map_err(|fault| Problem::invalid("body", fault.detail))?;
    let event = json!({"data": {"body": content, "headers": shown(&parts.headers)}});
    let (status, reason, input) = match input(&webhook, event) {
        Ok(Some(input)) => ("started", None, Some(input)),
        Ok(None) => ("filtered", None, None),
        Err(fault) => ("failed", Some(fault.detail), None),
    };
    let taken: Taken = db
        .one(
            "select take_delivery($1, $2, $3, $4, $5) as run",
            args![trigger, delivery, status, reason, input],
        )
        .await
        .on_constraint("account_active", not_found())
        .on_constraint("pipeline_archived", pipelines::archived())
        .on_constraint("pipeline_paused", start::paused())
        .on_constraint("run_count", start::too_many())?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { run: taken.run })))
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "bad-signature",
        "The sender is not known: the signature is missing, wrong or too old.",
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Believes a request, and answers by what it is known if it comes again.
fn believed(
    verify: Option<&str>,
    headers: &HeaderMap,
    secret: &Secret,
    body: &[u8],
) -> Result<Option<String>> {
    let id = text(headers, webhook::ID).filter(|id| (1..=150).contains(&id.len()));
    match verify {
        None => Ok(id.map(str::to_owned)),
        Some("github") => {
            let tag = text(headers, HUB_SIGNATURE).and_then(|tag| tag.strip_prefix("sha256="));
            if !tag.is_some_and(|tag| secret.verifies_hex(tag, body)) {
                return Err(refused());
            }
            // The signature does not cover GitHub's id of the delivery.
            let kind = text(headers, "x-github-event").unwrap_or_default();
            let digest = Sha256::new()
                .chain_update(kind)
                .chain_update([0])
                .chain_update(body)
                .finalize();
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Some(format!("sha256:{hex}")))
        }
        Some(_) => {
            let id = id.ok_or_else(refused)?;
            let timestamp = text(headers, webhook::TIMESTAMP).unwrap_or_default();
            let signatures = text(headers, webhook::SIGNATURE).unwrap_or_default();
            let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
            if !secret.verifies(id, timestamp, signatures, body, now) {
                return Err(refused());
            }
            Ok(Some(id.to_owned()))
        }
    }
}

/// The content of a request: JSON, or the fields of a form.
fn content(headers: &HeaderMap, body: &[u8]) -> Result<Value> {
    let media = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    if media == "application/json"
        || (media.starts_with("application/") && media.ends_with("+json"))
    {
        return serde_json::from_slice(body).map_err(|error| {
            // Its text could quote the body.
            let (line, column) = (error.line(), error.column());
            Problem::new(
                StatusCode::BAD_REQUEST,
                "malformed-json",
                format!("The body is not JSON: line {line}, column {column}."),
            )
        });
    }
    if media == "application/x-www-form-urlencoded" {
        let fields = form_urlencoded::parse(body);
        let fields = fields.map(|(name, value)| (name.into_owned(), Value::from(value)));
        return Ok(Value::Object(fields.collect::<Map<_, _>>()));
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body must be JSON or a form, and its `Content-Type` must say so.",
    ))
}

/// The headers that expressions may read: all but those that prove who sent them.
fn shown(headers: &HeaderMap) -> Value {
    let is_proof = |name: &HeaderName| {
        [header::AUTHORIZATION, header::COOKIE].contains(name)
            || [HUB_SIGNATURE, "x-hub-signature", webhook::SIGNATURE].contains(&name.as_str())
    };
    let shown = headers.iter().filter(|(name, _)| !is_proof(name));
    shown
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

/// The input of the run; `None` if the request does not count.
fn input(webhook: &Webhook, event: Value) -> Result<Option<Value>, Fault> {
    let names = Names::from_iter([("event".to_owned(), event)]);
    if let Some(condition) = &webhook.condition
        && !Expression::parse(condition)
            .map_err(Fault::failed)?
            .decide(&names)?
    {
        return Ok(None);
    }
    let input = evaluate(&webhook.input, &names)?;
    fit(&input)?;
    Ok(Some(input))
}
