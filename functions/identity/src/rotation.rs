//! An agent's new key.

use axum::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::PublicKey;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::agents::{self, Agent, checked_key, key_taken};
use crate::ed25519;

/// A new key, signed with the old one.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewKey {
    /// Ed25519, base64.
    #[garde(custom(agents::valid_key))]
    public_key: String,
    /// Ed25519 by the old key over the 32 bytes of the new one (not their base64), base64. A
    /// challenge is longer and text, so neither signature can pass for the other.
    #[garde(skip)]
    signature: String,
}

/// Replaces the calling agent's key and revokes all its sessions, this one too.
#[utoipa::path(
    post, path = "/api/agents/me/key", tag = "agents", request_body = NewKey,
    responses(
        (status = 200, body = Agent),
        (status = 403, description = "`signature-refused`: not by the old key over the new"),
        (status = 404, description = "The caller is no agent"),
        (status = 409, description = "`key-taken`"),
    ),
    security(("token" = []))
)]
pub async fn rotate_key(db: Db, caller: Caller, Input(new): Input<NewKey>) -> Result<Json<Agent>> {
    let old = db
        .optional(
            "select * from agent_profile where id = $1",
            args![caller.id],
        )
        .await?;
    let old: Agent = old.ok_or_else(|| Problem::not_found("agent"))?;
    let old = STANDARD
        .decode(&old.public_key)
        .map_err(Problem::internal)?;
    let old = PublicKey::from_slice(&old).map_err(Problem::internal)?;
    let new_key = checked_key(&new.public_key)?;
    if !ed25519::verifies(&old, &new_key, &new.signature) {
        let detail = "The signature is not by the old key over the new one.";
        let status = axum::http::StatusCode::FORBIDDEN;
        return Err(Problem::new(status, "signature-refused", detail));
    }
    // The old key stands in the condition: of two rotations at once, one finds it gone.
    let agent: Option<Agent> = db
        .optional(
            "with changed as (
                 update agent g set public_key = $3 from account a
                 where g.account_id = $1 and g.public_key = $2 and a.id = g.account_id
                 returning a.id, a.name, encode(g.public_key, 'base64') as public_key,
                           g.description, a.status, a.created_at
             ), ended as (
                 update session s set revoked_at = now() from changed
                 where s.account_id = changed.id and s.revoked_at is null and s.expires_at > now()
             )
             select * from changed",
            args![caller.id, *old, new_key],
        )
        .await
        .on_constraint("agent_public_key_key", key_taken())?;
    let agent = agent.ok_or_else(|| {
        Problem::conflict(
            "key-changed",
            "The key was changed by another request meanwhile.",
        )
    })?;
    Ok(Json(agent))
}
