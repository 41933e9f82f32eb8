//! An agent's keys: the current one, and the earlier ones.

use axum::Json;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_compact::PublicKey;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Db, Input, Items, Moment, Page, Problem, Result, args};
use principal::Agent;
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::agents::{self, checked_key, key_taken};
use crate::ed25519;

/// A new key, signed with the old one.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewKey {
    /// The new public key: Ed25519, encoded as base64, never used by any agent.
    #[garde(custom(agents::valid_key))]
    public_key: String,
    /// The Ed25519 signature by the old key over the 32 bytes of the new one (not their base64), encoded as base64.
    /// Challenges are longer and text, so neither signature can pass for the other.
    #[garde(skip)]
    signature: String,
}

/// Replaces the calling agent's key and revokes all its sessions, including this one.
#[utoipa::path(
    post, path = "/api/agents/me/key", tag = "agents", request_body = NewKey,
    responses(
        (status = 200, body = Agent),
        (status = 403, description = "`signature-refused`: the signature is not by the old key over the new one"),
        (status = 404, description = "`not-found`: the caller is not an agent"),
        (status = 409, description = "`key-taken`"),
    ),
    security(("token" = ["account:manage"])), extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn rotate_key(
    db: Db,
    caller: Caller,
    client: Client,
    Input(new): Input<NewKey>,
) -> Result<Json<Agent>> {
    let old = db
        .optional(
            "select * from agent_profile where id = $1",
            args![caller.id],
        )
        .await?;
    let old: Agent = old.ok_or_else(|| Problem::not_found("agent"))?;
    let old = old.public_key.ok_or_else(|| Problem::not_found("key"))?;
    let old = STANDARD.decode(old).map_err(Problem::internal)?;
    let old = PublicKey::from_slice(&old).map_err(Problem::internal)?;
    let new_key = checked_key(&new.public_key)?;
    if !ed25519::verifies(&old, &new_key, &new.signature) {
        let detail = "The signature is not by the old key over the new one.";
        let status = axum::http::StatusCode::FORBIDDEN;
        return Err(Problem::new(status, "signature-refused", detail));
    }
    let agent: Option<Agent> = db
        .optional(
            "select p.* from identity.rotate_agent_key($1, $2, $3, $4) p",
            args![caller.id, *old, new_key, json!(client)],
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

/// A current or earlier key of an agent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentKey {
    /// The public key: Ed25519, encoded as base64.
    public_key: String,
    /// The time at which the agent got the key.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time at which the key was replaced; null for the current key.
    #[serde(with = "time::serde::rfc3339::option")]
    retired_at: Option<OffsetDateTime>,
}

/// Lists the calling agent's keys: the current one, then the earlier ones, the newest first.
#[utoipa::path(
    get, path = "/api/agents/me/keys", tag = "agents", params(guest::PageParams),
    responses((status = 200, body = Items<AgentKey>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn keys(db: Db, caller: Caller, page: Page<Moment>) -> Result<Json<Items<AgentKey>>> {
    let keys: Vec<AgentKey> = db
        .many(
            "select * from (
                 select encode(public_key, 'base64') as public_key, key_since as created_at,
                        null::timestamptz as retired_at
                 from agent where account_id = $1 and public_key is not null and $2::text is null
                 union all
                 select encode(public_key, 'base64'), created_at, retired_at
                 from former_key where account_id = $1
                 and ($2::text is null or created_at < $2::text::timestamptz)
             ) k order by created_at desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(keys, |key| Moment(key.created_at))))
}
