//! What the owner of a skill can do: take a version back, hand the skill over.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::catalogue::Account;

#[derive(Debug, Deserialize)]
struct Yanked {
    /// The version's status before.
    status: Option<crate::versions::Status>,
    /// The skill is there, and public.
    is_public: bool,
    is_own: bool,
}

/// Takes an approved version back (yanks it): nobody gets it who does not name it. It stays downloadable.
#[utoipa::path(
    delete, path = "/api/skills/{name}/versions/{version}", tag = "skills",
    params(("name" = String, Path, description = "Name"), ("version" = String, Path, description = "Semantic version")),
    responses(
        (status = 204, description = "Taken back, now or before"),
        (status = 403, description = "`forbidden`: only its owner can"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`version-not-approved`"),
    ),
    security(("token" = ["skills:publish"]))
)]
pub async fn yank(
    db: Db,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode> {
    let met: Option<Yanked> = db
        .optional(
            "select v.status, v.status in ('approved', 'yanked') as is_public, s.owner_id = $3 or $4 as is_own,
                    case when (s.owner_id = $3 or $4) and v.status = 'approved' then yank(v.id)::text end as done
             from skill s join version v on v.skill_id = s.id
             where s.name = $1 and v.version = $2",
            args![name, version, caller.id, caller.allows(guest::ALL)],
        )
        .await?;
    use crate::versions::Status;
    match met {
        Some(Yanked {
            is_own: true,
            status: Some(Status::Approved | Status::Yanked),
            ..
        }) => Ok(StatusCode::NO_CONTENT),
        Some(Yanked { is_own: true, .. }) => Err(Problem::conflict(
            "version-not-approved",
            "Only an approved version can be taken back.",
        )),
        Some(Yanked {
            is_public: true, ..
        }) => Err(Problem::forbidden(
            "Only the owner of a skill can take a version back.",
        )),
        _ => Err(Problem::not_found("version")),
    }
}

/// To whom.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = SkillTransfer)]
pub struct Transfer {
    /// An account's name or id.
    #[garde(length(min = 1, max = 60))]
    to: String,
}

/// Whose a skill is now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Transferred {
    name: String,
    owner: Account,
}

#[derive(Debug, Deserialize)]
struct Met {
    is_public: bool,
    is_own: bool,
    transferred: Option<Transferred>,
}

/// Hands a skill over to another account.
#[utoipa::path(
    post, path = "/api/skills/{name}/transfer", tag = "skills",
    params(("name" = String, Path, description = "Name")),
    request_body = Transfer,
    responses(
        (status = 200, body = Transferred),
        (status = 403, description = "`forbidden`: only its owner can"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`: there is no such account, or it never signed in"),
    ),
    security(("token" = ["skills:publish"]))
)]
pub async fn transfer(
    db: Db,
    caller: Caller,
    Path(name): Path<String>,
    Input(to): Input<Transfer>,
) -> Result<Json<Transferred>> {
    let id = to.to.parse::<Uuid>().ok();
    let met: Option<Met> = db
        .optional(
            "with target as (
                 select s.id, s.latest_id is not null as is_public, s.owner_id = $2 or $3 as is_own
                 from skill s where s.name = $1
             ), heir as (
                 select o.id, o.name from identity.account_name o
                 where (o.name = $4 or o.id = $5::uuid) and o.status = 'active'
                 and (o.has_signed_in or o.kind <> 'agent')
             ), changed as (
                 update skill s set owner_id = h.id from target t, heir h where s.id = t.id and t.is_own
                 returning s.id, s.name, h.id as heir_id, h.name as heir
             ), unrated as (
                 delete from rating r using changed c where r.skill_id = c.id and r.account_id = c.heir_id
             )
             select t.is_public, t.is_own, (
                 select jsonb_build_object('name', c.name, 'owner', jsonb_build_object('id', c.heir_id, 'name', c.heir))
                 from changed c
             ) as transferred
             from target t",
            args![name, caller.id, caller.allows(guest::ALL), to.to, id],
        )
        .await?;
    match met {
        Some(Met {
            transferred: Some(transferred),
            ..
        }) => Ok(Json(transferred)),
        Some(Met { is_own: true, .. }) => Err(Problem::invalid(
            "to",
            "is no account, or an agent that has never signed in",
        )),
        Some(Met {
            is_public: true, ..
        }) => Err(Problem::forbidden(
            "Only the owner of a skill can hand it over.",
        )),
        _ => Err(Problem::not_found("skill")),
    }
}
