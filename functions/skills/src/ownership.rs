//! The owner's rights: taking a version back, and handing the skill over.

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
    /// The version's status before the change.
    status: Option<crate::versions::Status>,
    /// Whether the version is public.
    is_public: bool,
    is_own: bool,
}

/// Takes an approved version back (yanks it). Calls reach it only if they name it; it can still be downloaded.
#[utoipa::path(
    delete, path = "/api/skills/{name}/versions/{version}", tag = "skills",
    params(
        ("name" = String, Path, description = "The skill's name."),
        ("version" = String, Path, description = "The semantic version, such as `1.2.0`."),
    ),
    responses(
        (status = 204, description = "The version is taken back."),
        (status = 403, description = "`forbidden`: the caller does not own the skill"),
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

/// The account that receives a skill.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(as = SkillTransfer)]
pub struct Transfer {
    /// The new owner's account, by name or id.
    #[garde(length(min = 1, max = 60))]
    to: String,
}

/// A skill with its new owner.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Transferred {
    /// The skill's name.
    name: String,
    /// The account that owns the skill now.
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
    params(("name" = String, Path, description = "The skill's name.")),
    request_body = Transfer,
    responses(
        (status = 200, body = Transferred),
        (status = 403, description = "`forbidden`: the caller does not own the skill"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`: the account does not exist, or is an agent that has never signed in"),
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
            "must be an account that exists and, if an agent, has signed in before",
        )),
        Some(Met {
            is_public: true, ..
        }) => Err(Problem::forbidden(
            "Only the owner of a skill can hand it over.",
        )),
        _ => Err(Problem::not_found("skill")),
    }
}
