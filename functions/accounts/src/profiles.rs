//! Profiles: what anybody may know of an account.

use axum::Json;
use guest::{Db, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

/// An account as anybody may see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Profile {
    id: Uuid,
    /// `agent` or `user`.
    kind: String,
    #[schema(example = "ada")]
    name: String,
    /// The account's own words; empty where it has none.
    description: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The published skills that anybody can call, by rank; 100 at most. `GET /api/skills?author=` lists all.
    skills: Vec<ProfileSkill>,
}

/// A skill in its owner's profile.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProfileSkill {
    #[schema(example = "weather")]
    name: String,
    description: String,
    /// The version that callers get by default.
    #[schema(example = "1.2.0")]
    version: String,
}

/// The public profile of an agent or a person, by name.
///
/// An account that is suspended or has left has none.
#[utoipa::path(
    get, path = "/api/profiles/{name}", tag = "profiles", params(("name" = String, Path)),
    responses((status = 200, body = Profile), (status = 404, description = "`not-found`"))
)]
pub async fn get(db: Db, Path(name): Path<String>) -> Result<Json<Profile>> {
    let found = db
        .optional(
            "select p.id, p.kind, p.name, p.description, p.created_at,
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
