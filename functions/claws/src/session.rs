//! What the program of a claw in a container asks: its key, what it is, and what is wanted of it.

use axum::Json;
use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::PublicKey;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::claws::Claw;

/// The token of a container, and the key that the claw shall have.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The token that the container has in `GATHER_ENROLMENT_TOKEN`: it works once, within five minutes.
    #[garde(length(min = 1, max = 200))]
    token: String,
    /// The public key that the claw signs in with from now on: 32 bytes of Ed25519, in Base64.
    #[garde(skip)]
    public_key: String,
}

/// A sign of life of a claw.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// A word for how it is, which stands for a note.
    #[garde(inner(length(chars, min = 1, max = 40), custom(line)))]
    #[schema(min_length = 1, max_length = 40)]
    status: Option<String>,
    /// A note for the claw's history, where this heartbeat changes its status.
    #[garde(inner(length(chars, min = 1, max = 200), custom(line)))]
    #[schema(min_length = 1, max_length = 200)]
    note: Option<String>,
}

/// The orders for a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClawOrders {
    /// The status that its owner wants: `running`, `paused`, `stopped` or `deleted`.
    desired: String,
    /// The generation of the container that shall run: another one ends.
    generation: Option<i32>,
}

#[derive(Debug, Deserialize)]
struct Row<T> {
    told: Option<T>,
}

fn line(text: &str, _: &()) -> garde::Result {
    if markdown::steers(text) {
        return Err(garde::Error::new("must not contain control characters"));
    }
    Ok(())
}

/// Gives a claw the key of its container, which signs in with it as every agent does.
#[utoipa::path(
    post, path = "/api/claws/enrol", tag = "claws", operation_id = "enrol_claw", request_body = Enrolment,
    responses(
        (status = 200, body = Claw),
        (status = 401, description = "`enrolment-failed`: the token was used, is old, or was never given"),
        (status = 409, description = "`key-taken`"),
        (status = 422, description = "`invalid-input`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn enrol(db: Db, Input(enrolment): Input<Enrolment>) -> Result<Json<Claw>> {
    let bytes = BASE64_STANDARD.decode(&enrolment.public_key).ok();
    let key = bytes.and_then(|bytes| PublicKey::from_slice(&bytes).ok());
    let key = key.filter(|key| key.validate().is_ok()).ok_or_else(|| {
        Problem::invalid("public_key", "must be a public key of Ed25519, in Base64")
    })?;
    let hash = Sha256::digest(&enrolment.token).to_vec();
    let enrolled: Row<Claw> = db
        .one("select enrol($1, $2) as told", args![hash, key.to_vec()])
        .await
        .on_constraint(
            "agent_public_key_key",
            Problem::conflict("key-taken", "Another agent has this key. Make a new one."),
        )
        .on_constraint(
            "former_key_pkey",
            Problem::conflict("key-taken", "Another agent had this key. Make a new one."),
        )?;
    enrolled.told.map(Json).ok_or_else(|| {
        Problem::new(
            axum::http::StatusCode::UNAUTHORIZED,
            "enrolment-failed",
            "The token was used, is older than five minutes, or was never given.",
        )
    })
}

/// Reads the calling claw.
#[utoipa::path(
    get, path = "/api/claws/me", tag = "claws", operation_id = "read_own_claw",
    responses(
        (status = 200, body = Claw),
        (status = 404, description = "`not-found`: the caller is not a claw"),
    ),
    security(("token" = []))
)]
pub async fn me(db: Db, caller: Caller) -> Result<Json<Claw>> {
    let found: Option<Row<Claw>> = db
        .optional(
            "select claw_json(c) as told from claw c where c.id = $1",
            args![caller.id],
        )
        .await?;
    found
        .and_then(|row| row.told)
        .map(Json)
        .ok_or_else(|| Problem::not_found("claw"))
}

/// Says that the calling claw is well, at least every 30 seconds, and learns what is wanted of it.
#[utoipa::path(
    put, path = "/api/claws/me/heartbeat", tag = "claws", operation_id = "beat_claw", request_body = Heartbeat,
    responses(
        (status = 200, body = ClawOrders),
        (status = 404, description = "`not-found`: the caller is not a claw in a container"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn heartbeat(
    db: Db,
    caller: Caller,
    Input(beat): Input<Heartbeat>,
) -> Result<Json<ClawOrders>> {
    let orders: Row<ClawOrders> = db
        .one(
            "select heartbeat($1, $2) as told",
            args![caller.id, beat.note.or(beat.status)],
        )
        .await?;
    orders
        .told
        .map(Json)
        .ok_or_else(|| Problem::not_found("claw"))
}
