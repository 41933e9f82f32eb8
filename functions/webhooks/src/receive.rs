//! What comes in by hooks. The bytes are believed by their signature before anything reads them, and become one event,
//! however often they come.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use guest::{Db, Path, Problem, Result, args, read_body};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Secret, open_hook_token};

use crate::github::{self, MAX_PAYLOAD_BYTES, Shaped};
use crate::hooks::Source;

/// The largest body from GitHub.
pub const MAX_GITHUB_BYTES: usize = 25_000_000;
/// The largest body from anybody else.
const MAX_GENERIC_BYTES: usize = 1 << 20;

/// The result of a request to a hook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Received {
    /// The event's id; null if the same delivery was accepted before.
    event: Option<Uuid>,
}

#[derive(Deserialize)]
struct Known {
    known: bool,
}

/// A delivery that is believed.
struct Delivery {
    /// What it is told from others by.
    ids: Vec<String>,
    kind: String,
    data: Value,
}

/// Accepts a request to a hook, and makes it an event on the topic `hook:<id>`.
///
/// `github`: signed by GitHub (`X-Hub-Signature-256`), JSON or a form, at most 25 MB. The event's type is `github.` with
/// the kind, such as `github.pull-request`; its data is `{hook, kind, delivery, size_bytes, cut, payload}`, where `cut`
/// says that parts were left out to make it fit. `generic`: with the secret in `X-Hook-Secret`, or signed according to
/// Standard Webhooks, at most 1 MiB; the event's type is `hook.received`. Repeated deliveries are one event, identified
/// by `X-GitHub-Delivery`, `webhook-id`, or `X-Hook-Delivery` if present.
#[utoipa::path(
    post, path = "/api/hooks/{source}/{token}", tag = "hooks", operation_id = "receive",
    params(
        ("source" = Source, Path, description = "The kind of sender"),
        ("token" = String, Path, description = "The secret part of the hook's address"),
    ),
    request_body(content = Object, content_type = "application/json"),
    responses(
        (status = 202, body = Received),
        (status = 400, description = "`malformed-json`"),
        (status = 401, description = "`hook-refused`"),
        (status = 404, description = "`not-found`"),
        (status = 413, description = "`body-too-large`"),
        (status = 415, description = "`unsupported-media-type`"),
        (status = 422, description = "`invalid-input`"),
    )
)]
pub async fn receive(
    db: Db,
    Path((source, token)): Path<(String, String)>,
    request: Request,
) -> Result<(StatusCode, Json<Received>)> {
    let not_found = || Problem::not_found("hook");
    let source = Source::named(&source).ok_or_else(not_found)?;
    let key = crate::key().await?;
    let hook = open_hook_token(&key, &token).ok_or_else(not_found)?;
    let found: Known = db
        .one(
            "select webhooks.has_hook($1, $2) as known",
            args![hook, source.name()],
        )
        .await?;
    if !found.known {
        return Err(not_found());
    }
    let secret = Secret::of_hook(&key, hook);
    let (parts, body) = request.into_parts();
    let delivery = match source {
        Source::Github => {
            let body = read_body(&parts.headers, body, MAX_GITHUB_BYTES).await?;
            of_github(&parts.headers, &secret, &body)?
        }
        Source::Generic => {
            let body = read_body(&parts.headers, body, MAX_GENERIC_BYTES).await?;
            of_anybody(&parts.headers, &secret, &body)?
        }
    };
    let mut data = delivery.data;
    data["hook"] = json!(hook);
    without_zeros(&mut data);
    let received: Received = db
        .one(
            "select webhooks.receive($1, $2, $3, $4) as event",
            args![hook, delivery.ids, delivery.kind, data],
        )
        .await?;
    Ok((StatusCode::ACCEPTED, Json(received)))
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "hook-refused",
        "The sender is not known: the signature or the secret is missing, wrong or too old.",
    )
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A header that has to be there, of a sane length.
fn needed<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str> {
    text(headers, name)
        .filter(|text| (1..=150).contains(&text.len()))
        .ok_or_else(|| Problem::invalid(name, "must be a header of 1 to 150 characters"))
}

fn media_type(headers: &HeaderMap) -> String {
    let whole = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = whole.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn malformed(error: &serde_json::Error) -> Problem {
    // Its text could quote the body.
    let (line, column) = (error.line(), error.column());
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-json",
        format!("The body is not JSON of this kind: line {line}, column {column}."),
    )
}

fn unsupported() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body must be JSON, a form or plain text, and its `Content-Type` must say so.",
    )
}

fn of_github(headers: &HeaderMap, secret: &Secret, body: &[u8]) -> Result<Delivery> {
    let tag = text(headers, "x-hub-signature-256").and_then(|tag| tag.strip_prefix("sha256="));
    if !tag.is_some_and(|tag| secret.verifies_hex(tag, body)) {
        return Err(refused());
    }
    let kind = needed(headers, "x-github-event")?;
    let delivery = needed(headers, "x-github-delivery")?;
    let whole = match media_type(headers).as_str() {
        "application/json" => String::from_utf8_lossy(body),
        "application/x-www-form-urlencoded" => {
            let mut pairs = form_urlencoded::parse(body);
            let payload = pairs.find(|(name, _)| name == "payload");
            payload
                .map(|(_, payload)| payload)
                .ok_or_else(|| Problem::invalid("payload", "is missing"))?
        }
        _ => return Err(unsupported()),
    };
    let Shaped { payload, cut } = github::shape(kind, &whole).map_err(|error| malformed(&error))?;
    Ok(Delivery {
        // The signature does not cover the id, so a repetition under another one is told by what was signed.
        ids: vec![delivery.to_owned(), digest(&[kind.as_bytes(), body])],
        kind: github::event_type(kind),
        data: json!({
            "kind": kind, "delivery": delivery, "size_bytes": whole.len(), "cut": cut, "payload": payload,
        }),
    })
}

fn of_anybody(headers: &HeaderMap, secret: &Secret, body: &[u8]) -> Result<Delivery> {
    let id = match text(headers, webhook::ID) {
        Some(id) => {
            let timestamp = text(headers, webhook::TIMESTAMP).unwrap_or_default();
            let signatures = text(headers, webhook::SIGNATURE).unwrap_or_default();
            let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
            if !secret.verifies(id, timestamp, signatures, body, now) {
                return Err(refused());
            }
            needed(headers, webhook::ID)?.to_owned()
        }
        None => {
            if !text(headers, "x-hook-secret").is_some_and(|text| secret.is(text)) {
                return Err(refused());
            }
            if headers.contains_key("x-hook-delivery") {
                needed(headers, "x-hook-delivery")?.to_owned()
            } else {
                Uuid::now_v7().to_string()
            }
        }
    };
    let kind = media_type(headers);
    let whole = String::from_utf8_lossy(body);
    let is_json =
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let payload: Value = if is_json {
        serde_json::from_str(&whole).map_err(|error| malformed(&error))?
    } else if kind.starts_with("text/") || kind == "application/x-www-form-urlencoded" {
        Value::String(whole.clone().into_owned())
    } else {
        return Err(unsupported());
    };
    let cut = payload.to_string().len() > MAX_PAYLOAD_BYTES;
    let payload = if cut {
        // Whole characters of its beginning, few enough for any of them to be written with an escape.
        Value::String(whole.chars().take(MAX_PAYLOAD_BYTES / 6).collect())
    } else {
        payload
    };
    Ok(Delivery {
        ids: vec![id.clone()],
        kind: "hook.received".to_owned(),
        data: json!({
            "content_type": kind, "delivery": id, "size_bytes": body.len(), "cut": cut, "payload": payload,
        }),
    })
}

fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    digest.iter().fold(String::from("sha256:"), |text, byte| {
        text + &format!("{byte:02x}")
    })
}

/// PostgreSQL's texts have no zero character.
fn without_zeros(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Array(values) => values.iter_mut().for_each(without_zeros),
        Value::Object(members) => {
            let keys: Vec<_> = members
                .keys()
                .filter(|key| key.contains('\0'))
                .cloned()
                .collect();
            for key in keys {
                if let Some(value) = members.remove(&key) {
                    members.insert(key.replace('\0', ""), value);
                }
            }
            members.values_mut().for_each(without_zeros);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_go_from_texts_and_names() {
        let mut value = json!({ "a\0b": ["x\0", { "c": "\0" }], "n": 0 });
        without_zeros(&mut value);
        assert_eq!(value, json!({ "ab": ["x", { "c": "" }], "n": 0 }));
    }

    #[test]
    fn what_is_cut_still_fits() {
        let secret = Secret::of_hook(&[1; 32], Uuid::nil());
        let mut headers = HeaderMap::new();
        headers.insert("x-hook-secret", secret.text().parse().unwrap());
        headers.insert("content-type", "text/plain".parse().unwrap());
        let body = "\u{1}".repeat(MAX_PAYLOAD_BYTES);
        let Ok(delivery) = of_anybody(&headers, &secret, body.as_bytes()) else {
            panic!("refused")
        };
        assert_eq!(delivery.data["cut"], true);
        assert!(delivery.data["payload"].to_string().len() <= MAX_PAYLOAD_BYTES + 2);
    }
}
