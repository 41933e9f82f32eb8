//! The receipt of hooks. The bytes are verified by their signature before anything reads them, and become one event,
//! however often they come.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use guest::{Db, Path, Problem, Result, args, read_body};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;
use webhook::{Secret, open_hook_token};

use crate::github::{self, MAX_PAYLOAD_BYTES, Shaped};

/// The header in which a sender may show the secret itself.
const SECRET: &str = "x-hook-secret";

/// The result of a request to a hook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Received {
    /// The event's id; null if the same delivery was accepted before.
    event: Option<Uuid>,
}

/// The kind of sender of a hook, as `webhooks.source` has it.
#[derive(Debug, Deserialize)]
struct Source {
    name: String,
    verification: Verification,
    signature_header: Option<String>,
    signature_prefix: String,
    signature_encoding: Encoding,
    delivery_header: Option<String>,
    max_bytes: usize,
    names_events: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verification {
    Hmac,
    Generic,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Hex,
    Base64,
}

/// The content of a request that is believed.
struct Delivery {
    /// The keys by which a delivery is distinguished from others.
    ids: Vec<String>,
    /// The event's type; `None` if the source's function names it.
    kind: Option<String>,
    data: Value,
    /// The content, if `data` has a part of it only.
    whole: Option<Value>,
}

/// Accepts a request to a hook, and makes it an event on the topic `hook:<id>`.
///
/// `github`: signed by GitHub (`X-Hub-Signature-256`), JSON or a form, at most 25 MB. The event's type is `github.` with
/// the kind, such as `github.pull-request`; its data is `{hook, kind, delivery, size_bytes, cut, payload}`, where `cut`
/// says that parts were left out to make it fit. `generic`: with the secret in `X-Hook-Secret`, or signed according to
/// Standard Webhooks, at most 1 MiB; the event's type is `hook.received`. Repeated deliveries are one event, identified
/// by `X-GitHub-Delivery`, `webhook-id`, or `X-Hook-Delivery` if present. Sources that this server's functions have added
/// say themselves how they sign; the types of their events begin with `hook.` and the source's name.
#[utoipa::path(
    post, path = "/api/hooks/{source}/{token}", tag = "hooks", operation_id = "receive",
    params(
        ("source" = String, Path, description = "The kind of sender, such as `github`"),
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
    let key = crate::key().await?;
    let hook = open_hook_token(&key, &token).ok_or_else(not_found)?;
    let source: Option<Source> = db
        .optional(
            "select name, verification, signature_header, signature_prefix, signature_encoding, delivery_header, max_bytes,
                function is not null as names_events
             from webhooks.find_hook($1, $2)",
            args![hook, source],
        )
        .await?;
    let source = source.ok_or_else(not_found)?;
    let secret = Secret::of_hook(&key, hook);
    let (parts, body) = request.into_parts();
    let body = read_body(&parts.headers, body, source.max_bytes).await?;
    let Delivery {
        ids,
        kind,
        mut data,
        mut whole,
    } = source.delivery(&parts.headers, &secret, &body)?;
    data["hook"] = json!(hook);
    without_zeros(&mut data);
    if let Some(whole) = &mut whole {
        without_zeros(whole);
    }
    let headers = source.names_events.then(|| source.shown(&parts.headers));
    let received: Received = db
        .one(
            "select webhooks.receive($1, $2, $3, $4, $5, $6) as event",
            args![hook, ids, kind, data, headers, whole],
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

impl Source {
    /// Believes a request, and reads its content.
    fn delivery(&self, headers: &HeaderMap, secret: &Secret, body: &[u8]) -> Result<Delivery> {
        if self.verification == Verification::Generic {
            let id = self.believed(headers, secret, body)?;
            return self.with_content(headers, body, vec![id]);
        }
        let header = self.signature_header.as_deref().unwrap_or_default();
        let tag = text(headers, header).and_then(|tag| tag.strip_prefix(&self.signature_prefix));
        let is_signed = tag.is_some_and(|tag| match self.signature_encoding {
            Encoding::Hex => secret.verifies_hex(tag, body),
            Encoding::Base64 => secret.verifies_base64(tag, body),
        });
        if !is_signed {
            return Err(refused());
        }
        let delivery = match &self.delivery_header {
            Some(name) => Some(needed(headers, name)?.to_owned()),
            None => None,
        };
        if self.name == "github" {
            return of_github(headers, delivery.unwrap_or_default(), body);
        }
        // The signature does not cover the id, so a repetition under another one is told by what was signed.
        let ids = delivery.into_iter().chain([digest(&[body])]);
        self.with_content(headers, body, ids.collect())
    }

    /// The id of a request with the secret, or signed according to Standard Webhooks.
    fn believed(&self, headers: &HeaderMap, secret: &Secret, body: &[u8]) -> Result<String> {
        if let Some(id) = text(headers, webhook::ID) {
            let timestamp = text(headers, webhook::TIMESTAMP).unwrap_or_default();
            let signatures = text(headers, webhook::SIGNATURE).unwrap_or_default();
            let now = u64::try_from(OffsetDateTime::now_utc().unix_timestamp()).unwrap_or_default();
            if !secret.verifies(id, timestamp, signatures, body, now) {
                return Err(refused());
            }
            return needed(headers, webhook::ID).map(str::to_owned);
        }
        if !text(headers, SECRET).is_some_and(|text| secret.is(text)) {
            return Err(refused());
        }
        match &self.delivery_header {
            Some(name) if headers.contains_key(name) => needed(headers, name).map(str::to_owned),
            _ => Ok(Uuid::now_v7().to_string()),
        }
    }

    /// The content of any sender: JSON, a form or text, cut to fit an event.
    fn with_content(&self, headers: &HeaderMap, body: &[u8], ids: Vec<String>) -> Result<Delivery> {
        let media = media_type(headers);
        let text = String::from_utf8_lossy(body);
        let is_json = media == "application/json"
            || (media.starts_with("application/") && media.ends_with("+json"));
        let payload: Value = if is_json {
            serde_json::from_str(&text).map_err(|error| malformed(&error))?
        } else if media.starts_with("text/") || media == "application/x-www-form-urlencoded" {
            Value::String(text.clone().into_owned())
        } else {
            return Err(unsupported());
        };
        let cut = payload.to_string().len() > MAX_PAYLOAD_BYTES;
        let (payload, whole) = if cut {
            // Whole characters of its beginning, few enough for any of them to be written with an escape.
            let head = text.chars().take(MAX_PAYLOAD_BYTES / 6).collect();
            (Value::String(head), self.names_events.then_some(payload))
        } else {
            (payload, None)
        };
        Ok(Delivery {
            data: json!({
                "content_type": media, "delivery": ids[0], "size_bytes": body.len(), "cut": cut, "payload": payload,
            }),
            ids,
            kind: (self.name == "generic").then(|| "hook.received".to_owned()),
            whole,
        })
    }

    /// The headers that the source's function is shown: all but those that prove who sent them.
    fn shown(&self, headers: &HeaderMap) -> Value {
        let is_proof = |name: &HeaderName| {
            [header::AUTHORIZATION, header::COOKIE].contains(name)
                || [SECRET, webhook::SIGNATURE].contains(&name.as_str())
                || self.signature_header.as_deref() == Some(name.as_str())
        };
        let shown = headers.iter().filter(|(name, _)| !is_proof(name));
        shown
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect()
    }
}

fn of_github(headers: &HeaderMap, delivery: String, body: &[u8]) -> Result<Delivery> {
    let kind = needed(headers, "x-github-event")?;
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
        data: json!({
            "kind": kind, "delivery": delivery, "size_bytes": whole.len(), "cut": cut, "payload": payload,
        }),
        // The signature does not cover the id, so a repetition under another one is told by what was signed.
        ids: vec![delivery, digest(&[kind.as_bytes(), body])],
        kind: Some(github::event_type(kind)),
        whole: None,
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

    fn source(names_events: bool) -> Source {
        Source {
            name: "shop".to_owned(),
            verification: Verification::Generic,
            signature_header: Some("x-shop-tag".to_owned()),
            signature_prefix: String::new(),
            signature_encoding: Encoding::Hex,
            delivery_header: None,
            max_bytes: 1,
            names_events,
        }
    }

    #[test]
    fn what_is_cut_still_fits() {
        let secret = Secret::of_hook(&[1; 32], Uuid::nil());
        let mut headers = HeaderMap::new();
        headers.insert(SECRET, secret.text().parse().unwrap());
        headers.insert("content-type", "text/plain".parse().unwrap());
        let body = "\u{1}".repeat(MAX_PAYLOAD_BYTES);
        for names_events in [true, false] {
            let delivery = source(names_events).delivery(&headers, &secret, body.as_bytes());
            let Ok(delivery) = delivery else {
                panic!("refused")
            };
            assert_eq!(delivery.data["cut"], true);
            assert!(delivery.data["payload"].to_string().len() <= MAX_PAYLOAD_BYTES + 2);
            let whole = delivery.whole.map(|whole| whole.as_str().map(str::len));
            assert_eq!(whole, names_events.then_some(Some(MAX_PAYLOAD_BYTES)));
        }
    }

    #[test]
    fn proofs_are_not_shown() {
        let mut headers = HeaderMap::new();
        for name in [
            SECRET,
            webhook::SIGNATURE,
            "x-shop-tag",
            "authorization",
            "cookie",
            "x-kind",
        ] {
            headers.insert(name, "x".parse().unwrap());
        }
        assert_eq!(source(true).shown(&headers), json!({ "x-kind": "x" }));
    }
}
