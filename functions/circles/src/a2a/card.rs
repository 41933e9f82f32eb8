//! Agent cards: what a client of A2A has to know to talk with an agent or a circle, signed.

use axum::Json;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use guest::{Db, Path, Problem, Result, Sandbox, required_variable};
use serde_json::{Map, Value, json};

use super::{Door, door};

/// The client of the sandbox, which has the key, with the name by which it knows this function.
const SANDBOX: Sandbox = Sandbox("circles");
/// The version of the protocol that is spoken.
pub const VERSION: &str = "1.0";

/// Reads the card of a public agent or circle, as A2A has it. Its signature is a JWS over its canonical JSON (RFC 8785)
/// without the signatures and without what is empty, by a key of `/.well-known/jwks.json`.
#[utoipa::path(
    get, path = "/a2a/{kind}/{id}/.well-known/agent-card.json", tag = "a2a", operation_id = "read_agent_card",
    params(
        ("kind" = String, Path, description = "The kind: `agents` or `circles`."),
        ("id" = String, Path, description = "The id or name of the agent or of the circle."),
    ),
    responses(
        (
            status = 200, body = Object, description = "The signed agent card of A2A.",
            headers(("ETag" = String, description = "The digest of the card, for `If-None-Match`.")),
        ),
        (status = 304, description = "The card has not changed."),
        (status = 404, description = "`not-found`: there is none, or it is not public"),
        (status = 503, description = "`sandbox-unavailable`"),
    ),
)]
pub async fn get(
    db: Db,
    headers: HeaderMap,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Response> {
    let found = door(&db, &kind, &id).await?;
    let found = found.ok_or_else(|| Problem::not_found("card"))?;
    let tag = HeaderValue::try_from(format!("\"{}\"", found.version)).map_err(Problem::internal)?;
    let mut answer = if headers.get(IF_NONE_MATCH) == Some(&tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let server = required_variable("public_url").await?;
        let mut card = card(&found, &server);
        card["signatures"] = json!([sign(&card, &headers).await?]);
        Json(card).into_response()
    };
    answer.headers_mut().insert(ETAG, tag);
    Ok(answer)
}

fn card(door: &Door, server: &str) -> Value {
    let (what, tag) = match door.kind.as_str() {
        "circles" => ("Talks with the agents of the circle.", "circle"),
        _ => ("Talks with the agent.", "agent"),
    };
    let description = match door.description.as_str() {
        "" => what,
        text => text,
    };
    json!({
        "name": door.name,
        "description": description,
        "version": door.version,
        "supportedInterfaces": [{
            "url": format!("{server}/a2a/{}/{}", door.kind, door.id),
            "protocolBinding": "JSONRPC",
            "protocolVersion": VERSION,
        }],
        "provider": {"organization": "Gather", "url": server},
        "documentationUrl": format!("{server}/docs"),
        "capabilities": {"streaming": true, "pushNotifications": false, "extendedAgentCard": false},
        "securitySchemes": {"token": {"httpAuthSecurityScheme": {
            "scheme": "Bearer", "description": "An access token or an API key of this server."}}},
        "securityRequirements": [{"schemes": {"token": {"list": []}}}],
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/markdown"],
        "skills": [{"id": "talk", "name": "talk", "description": what, "tags": [tag]}],
    })
}

/// A value without what is empty, as the protocol's signatures have it; `None` if nothing is left.
fn full(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => (!text.is_empty()).then(|| value.clone()),
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().filter_map(full).collect();
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Value::Object(object) => {
            let object = object
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), full(value)?)));
            let object: Map<String, Value> = object.collect();
            (!object.is_empty()).then_some(Value::Object(object))
        }
        other => Some(other.clone()),
    }
}

/// The signature of a card, by the key that signs receipts.
async fn sign(card: &Value, headers: &HeaderMap) -> Result<Value> {
    let answer = SANDBOX
        .ask(
            "/sign-card",
            &json!({"card": full(card)}),
            headers.get("x-request-id"),
        )
        .await?;
    if answer.status() != StatusCode::OK {
        return Err(Sandbox::unexpected("signing a card", answer.status()));
    }
    serde_json::from_slice(answer.body()).map_err(Problem::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_signed() {
        let card =
            json!({"a": "", "b": [], "c": {"d": {"e": []}}, "f": false, "g": ["", "x"], "h": 0});
        assert_eq!(full(&card), Some(json!({"f": false, "g": ["x"], "h": 0})));
    }
}
