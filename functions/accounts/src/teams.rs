//! Teams: workspaces with members, agents and people alike.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use principal::{printable, valid_name};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::called;

/// A team that the caller is in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Team {
    id: Uuid,
    #[schema(example = "research")]
    name: String,
    description: String,
    /// The caller's role: `owner`, `member` or `viewer`.
    role: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A new team.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewTeam {
    /// 3 to 40 of a-z, 0-9 and `-`; not the form of an id.
    #[garde(custom(valid_name))]
    #[schema(example = "research", pattern = "^[a-z0-9-]{3,40}$")]
    name: String,
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// What an owner changes. What is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct TeamChange {
    #[garde(inner(length(chars, max = 1000), custom(printable)))]
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// An account in a team.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    account: Uuid,
    name: String,
    /// `agent` or `user`.
    kind: String,
    role: String,
    #[serde(with = "time::serde::rfc3339")]
    added_at: OffsetDateTime,
}

/// A member's role.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct MemberRole {
    /// `owner`, `member` or `viewer`.
    #[garde(custom(known_role))]
    #[schema(example = "member")]
    role: String,
}

fn known_role(role: &str, _: &()) -> garde::Result {
    if ["owner", "member", "viewer"].contains(&role) {
        return Ok(());
    }
    Err(garde::Error::new("must be `owner`, `member` or `viewer`"))
}

/// Makes a team, which the caller owns.
#[utoipa::path(
    post, path = "/api/teams", tag = "teams", request_body = NewTeam,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    responses(
        (status = 201, body = Team, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
    ),
    security(("token" = ["teams:create"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    client: Client,
    Input(new): Input<NewTeam>,
) -> Result<Created<Team>> {
    let team: Team = db
        .one(
            "select t.id, t.name, t.description, 'owner' as role, t.created_at
             from identity.create_team($1, $2, $3, $4) t",
            args![
                caller.id,
                new.name,
                new.description.unwrap_or_default(),
                json!(client)
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "team_name_key",
            Problem::conflict("name-taken", "Another team has this name."),
        )?;
    Ok(Created::at(format!("/api/teams/{}", team.id), team))
}

/// Lists the caller's teams, the newest first.
#[utoipa::path(
    get, path = "/api/teams", tag = "teams", params(guest::PageParams),
    responses((status = 200, body = Items<Team>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Team>>> {
    let teams: Vec<Team> = db
        .many(
            "select t.id, t.name, t.description, m.role, t.created_at
             from identity.team_member m join identity.team t on t.id = m.team_id
             where m.account_id = $1 and ($2::uuid is null or m.team_id < $2)
             order by m.team_id desc limit $3",
            args![caller.id, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(teams, |team| team.id)))
}

/// One of the caller's teams.
#[utoipa::path(
    get, path = "/api/teams/{team}", tag = "teams", params(("team" = Uuid, Path)),
    responses((status = 200, body = Team), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(team): Path<Uuid>) -> Result<Json<Team>> {
    let found = db
        .optional(
            "select t.id, t.name, t.description, m.role, t.created_at
             from identity.team_member m join identity.team t on t.id = m.team_id
             where m.account_id = $1 and m.team_id = $2",
            args![caller.id, team],
        )
        .await?;
    found.map(Json).ok_or_else(not_found)
}

/// Changes a team that the caller owns.
#[utoipa::path(
    patch, path = "/api/teams/{team}", tag = "teams", request_body = TeamChange,
    params(("team" = Uuid, Path)),
    responses(
        (status = 200, body = Team),
        (status = 403, description = "`forbidden`: not an owner"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["teams:create"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(team): Path<Uuid>,
    Input(change): Input<TeamChange>,
) -> Result<Json<Team>> {
    let changed = db
        .one(
            "select t.id, t.name, t.description, 'owner' as role, t.created_at
             from identity.change_team($1, $2, $3, $4) t",
            args![team, change.description, caller.id, is_admin(&caller)],
        )
        .await
        .on_constraint(UNKNOWN, not_found())
        .on_constraint(NOT_OWNED, not_owner())?;
    Ok(Json(changed))
}

/// Deletes a team that the caller owns.
#[utoipa::path(
    delete, path = "/api/teams/{team}", tag = "teams", params(("team" = Uuid, Path)),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`forbidden`: not an owner"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["teams:create"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path(team): Path<Uuid>,
) -> Result<StatusCode> {
    db.execute(
        "select identity.delete_team($1, $2, $3, $4)",
        args![team, caller.id, is_admin(&caller), json!(client)],
    )
    .await
    .on_constraint(UNKNOWN, not_found())
    .on_constraint(NOT_OWNED, not_owner())?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a team's members in the order of their ids.
#[utoipa::path(
    get, path = "/api/teams/{team}/members", tag = "teams",
    params(("team" = Uuid, Path), guest::PageParams),
    responses(
        (status = 200, body = Items<Member>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn members(
    db: Db,
    caller: Caller,
    Path(team): Path<Uuid>,
    page: Page<Uuid>,
) -> Result<Json<Items<Member>>> {
    let members: Vec<Member> = db
        .many(
            "select m.account_id as account, a.name, a.kind, m.role, m.added_at
             from identity.team_member m join identity.account a on a.id = m.account_id
             where m.team_id = $1 and ($3::uuid is null or m.account_id > $3)
               and exists (select from identity.team_member own where own.team_id = $1 and own.account_id = $2)
             order by m.account_id limit $4",
            args![team, caller.id, page.after, page.fetch()],
        )
        .await?;
    // Who is in the team is among its members.
    if members.is_empty() && page.after.is_none() {
        return Err(not_found());
    }
    Ok(Json(page.answer(members, |member| member.account)))
}

/// Adds an account to a team, or changes its role.
#[utoipa::path(
    put, path = "/api/teams/{team}/members/{account}", tag = "teams", request_body = MemberRole,
    params(("team" = Uuid, Path), ("account" = String, Path, description = "Id or name")),
    responses(
        (status = 204, description = "Done"),
        (status = 403, description = "`forbidden`: not an owner"),
        (status = 404, description = "`not-found`: the team or the account"),
        (status = 409, description = "`last-owner`"),
    ),
    security(("token" = ["teams:create"]))
)]
pub async fn put_member(
    db: Db,
    caller: Caller,
    client: Client,
    Path((team, account)): Path<(Uuid, String)>,
    Input(wanted): Input<MemberRole>,
) -> Result<StatusCode> {
    let account = called(account);
    set_member(&db, team, account, Some(wanted.role), &caller, &client).await
}

/// Takes an account out of a team. Everybody can leave by themselves.
#[utoipa::path(
    delete, path = "/api/teams/{team}/members/{account}", tag = "teams",
    params(("team" = Uuid, Path), ("account" = Uuid, Path)),
    responses(
        (status = 204, description = "Done"),
        (status = 403, description = "`forbidden`: not an owner"),
        (status = 404, description = "`not-found`: the team, or no member of it"),
        (status = 409, description = "`last-owner`"),
    ),
    security(("token" = ["account:manage"]))
)]
pub async fn remove_member(
    db: Db,
    caller: Caller,
    client: Client,
    Path((team, account)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode> {
    set_member(&db, team, account.to_string(), None, &caller, &client).await
}

async fn set_member(
    db: &Db,
    team: Uuid,
    account: String,
    role: Option<String>,
    caller: &Caller,
    client: &Client,
) -> Result<StatusCode> {
    #[derive(Deserialize)]
    struct Row {
        done: bool,
    }
    let row: Row = db
        .one(
            "select identity.set_member($1, $2, $3, $4, $5, $6) as done",
            args![
                team,
                account,
                role,
                caller.id,
                is_admin(caller),
                json!(client)
            ],
        )
        .await
        .on_constraint(UNKNOWN, not_found())
        .on_constraint(NOT_OWNED, not_owner())
        .on_constraint(
            "team_last_owner",
            Problem::conflict(
                "last-owner",
                "A team needs an owner. Make another one first, or delete it.",
            ),
        )?;
    if row.done {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("account"))
    }
}

/// What `identity.lock_team` refuses with.
const UNKNOWN: &str = "team_unknown";
const NOT_OWNED: &str = "team_not_owned";

fn is_admin(caller: &Caller) -> bool {
    caller.allows(guest::ALL)
}

fn not_owner() -> Problem {
    Problem::forbidden("Only owners of the team may do this.")
}

fn not_found() -> Problem {
    Problem::not_found("team")
}
