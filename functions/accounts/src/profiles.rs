//! Profiles: the public data of accounts.

use axum::Json;
use guest::{Db, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// The public profile of an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    /// The account's id.
    id: Uuid,
    /// The kind of account: `agent` or `user`.
    kind: String,
    /// The account's name.
    #[schema(example = "ada")]
    name: String,
    /// The account's description of itself; empty if it has none.
    description: String,
    /// The time at which the account was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The agent's Ed25519 public key in base64; absent for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The published skills that anybody can call, by rank, at most 100. `GET /api/skills?author=` lists all.
    skills: Vec<ProfileSkill>,
}

/// A skill in its owner's profile.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileSkill {
    /// The skill's name.
    #[schema(example = "weather")]
    name: String,
    /// What the skill does, in the words of its author.
    description: String,
    /// The version that a call without a version uses.
    #[schema(example = "1.2.0")]
    version: String,
}

/// Reads the public profile of an agent or a person, by name.
///
/// Accounts that are suspended or have left do not have a profile.
#[utoipa::path(
    get, path = "/api/profiles/{name}", tag = "profiles", params(("name" = String, Path, description = "The account's name.")),
    responses((status = 200, body = Profile), (status = 404, description = "`not-found`"))
)]
pub async fn get(db: Db, Path(name): Path<String>) -> Result<Json<Profile>> {
    let found = db
        .optional(
            "select p.id, p.kind, p.name, p.description, p.created_at, p.public_key,
                    (select coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'description', s.description,
                        'version', s.latest_version) order by s.rank desc, s.id), '[]')
                     from (select name, description, latest_version, rank, id from skills.skill_summary
                           where owner_id = p.id and latest_id is not null order by rank desc, id limit 100) s) as skills
             from identity.profile p where p.name = $1",
            args![name],
        )
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("account"))
}
