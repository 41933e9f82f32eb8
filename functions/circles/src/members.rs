//! The members of circles: people, agents with programs of their own, and seats, which the platform thinks for.

use agent_parts::{Account, Budget, storable};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::circles::Circle;
use crate::outcome::Outcome;

/// A member of a circle.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CircleMember)]
pub struct Member {
    /// The member's account.
    account: Account,
    /// The member's role.
    role: Role,
    /// The member's place among the speakers: the smallest first.
    order: i32,
    /// The persona of a member that the platform thinks for; null for others.
    persona: Option<SeatPersona>,
    /// The time at which the account became a member.
    #[serde(with = "time::serde::rfc3339")]
    joined_at: OffsetDateTime,
}

/// The persona of an agent that the platform thinks for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct SeatPersona {
    /// The persona's id.
    id: Uuid,
    /// The persona's name.
    name: String,
    /// The version that the next turn has.
    version: i32,
    /// The id of the account that answers and pays for the agent.
    owner: Uuid,
    /// Whether the agent has an A2A card, and everybody who is signed in may talk with it.
    public: bool,
}

/// The role of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CircleRole)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Decides about the circle.
    Owner,
    /// Adds members and, if the platform thinks for it, names speakers and sums up.
    Moderator,
    /// Reads and speaks.
    Member,
    /// Reads without speaking.
    Observer,
}

/// A member to add: an account that exists, or a seat.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = NewCircleMember)]
#[serde(deny_unknown_fields)]
pub struct NewMember {
    /// The id or name of an account.
    #[garde(inner(length(min = 1, max = 60)))]
    account: Option<String>,
    /// The id or name of a persona, with `@` and a version to stay at that one. It makes an account that the platform thinks
    /// for, and that the caller owns and pays for.
    #[garde(inner(custom(persona_ref)))]
    #[schema(example = "researcher")]
    persona: Option<String>,
    /// The name of the seat's account; made of the persona's if absent.
    #[garde(inner(custom(principal_name)))]
    #[schema(pattern = "^[a-z0-9-]{3,40}$")]
    name: Option<String>,
    /// The most that the seat may spend.
    #[garde(inner(custom(storable)))]
    budget: Option<Budget>,
    /// Whether the seat has an A2A card, and everybody who is signed in may talk with it at the caller's cost.
    #[garde(skip)]
    public: Option<bool>,
    /// The member's role; `member` if absent.
    #[garde(skip)]
    role: Option<Role>,
    /// The member's place among the speakers; the last if absent.
    #[garde(inner(range(min = 0, max = 10_000)))]
    #[schema(minimum = 0, maximum = 10_000)]
    order: Option<i32>,
}

impl NewMember {
    /// Checks that it names one account or one persona.
    ///
    /// # Errors
    /// It names both or neither, or says of an account what only a seat has: 422.
    pub fn check(&self) -> Result<()> {
        if self.account.is_some() == self.persona.is_some() {
            return Err(Problem::invalid(
                "account",
                "is needed, or `persona`, and not both",
            ));
        }
        if self.account.is_some()
            && (self.name.is_some() || self.budget.is_some() || self.public.is_some())
        {
            return Err(Problem::invalid(
                "persona",
                "is needed with `name`, `budget` and `public`",
            ));
        }
        Ok(())
    }
}

/// The changes to a member. Absent properties stay as they are.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = CircleMemberChange)]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    /// The id or name of the member, which must be the one in the path.
    #[garde(inner(length(min = 1, max = 60)))]
    account: Option<String>,
    /// Whether the seat has an A2A card, and everybody who is signed in may talk with it; for the seat's owner to say.
    #[garde(skip)]
    public: Option<bool>,
    /// The id or name of the seat's persona, with `@` and a version to stay at that one; for the seat's owner to say. Of a
    /// stranger's persona without a version, the seat keeps the present one.
    #[garde(inner(custom(persona_ref)))]
    #[schema(example = "researcher@2")]
    persona: Option<String>,
    /// The member's role.
    #[garde(skip)]
    role: Option<Role>,
    /// The member's place among the speakers.
    #[garde(inner(range(min = 0, max = 10_000)))]
    #[schema(minimum = 0, maximum = 10_000)]
    order: Option<i32>,
}

#[derive(Debug, Deserialize)]
struct Put {
    is_new: bool,
    circle: Uuid,
    member: Member,
}

#[derive(Debug, Deserialize)]
struct Row {
    member: Member,
}

fn persona_ref(text: &str, _: &()) -> garde::Result {
    let (name, version) = text.split_once('@').unwrap_or((text, "1"));
    let is_version =
        (1..=6).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_digit());
    if name.is_empty() || name.len() > 60 || !is_version {
        return Err(garde::Error::new(
            "must be an id or a name, or `<name>@<version>`",
        ));
    }
    Ok(())
}

fn principal_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(3..=40).contains(&text.len()) || !text.bytes().all(allowed) || text.parse::<Uuid>().is_ok()
    {
        return Err(garde::Error::new(
            "must be 3 to 40 of a-z, 0-9 and `-`, not in the form of an id",
        ));
    }
    Ok(())
}

/// Joins a public circle.
#[utoipa::path(
    post, path = "/api/circles/{circle}/join", tag = "circles", operation_id = "join_circle",
    params(("circle" = String, Path, description = "The circle's id or name.")),
    responses((status = 200, body = Circle), (status = 404, description = "`not-found`")),
    security(("token" = ["chat:create"]))
)]
pub async fn join(db: Db, caller: Caller, Path(circle): Path<String>) -> Result<Json<Circle>> {
    let joined: Outcome<Circle> = db
        .one(
            "select join_circle($1, $2) as outcome",
            args![caller.id, circle],
        )
        .await?;
    joined.value().map(Json)
}

/// Leaves a circle.
#[utoipa::path(
    post, path = "/api/circles/{circle}/leave", tag = "circles", operation_id = "leave_circle",
    params(("circle" = String, Path, description = "The circle's id or name.")),
    responses(
        (status = 204, description = "The caller is not a member any more."),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`last-owner`"),
        (status = 422, description = "`mode-needs-moderator`"),
    ),
    security(("token" = ["chat:create"]))
)]
pub async fn leave(db: Db, caller: Caller, Path(circle): Path<String>) -> Result<StatusCode> {
    take_out(&db, &caller, circle, caller.id.to_string()).await
}

/// Lists the members of a circle, by their places.
#[utoipa::path(
    get, path = "/api/circles/{circle}/members", tag = "circles", operation_id = "list_circle_members",
    params(("circle" = String, Path, description = "The circle's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Member>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(circle): Path<String>,
    page: Page<(i32, Uuid)>,
) -> Result<Json<Items<Member>>> {
    #[derive(Deserialize)]
    struct Found {
        id: Option<Uuid>,
    }
    let found: Found = db
        .one("select find_circle($1, $2) as id", args![caller.id, circle])
        .await?;
    let id = found.id.ok_or_else(|| Problem::not_found("circle"))?;
    let (place, account) = page.after.unzip();
    let rows: Vec<Row> = db
        .many(
            "select member_json(m) as member from member m
             where m.circle_id = $1 and ($2::integer is null or (m.place, m.account_id) > ($2, $3::uuid))
             order by m.place, m.account_id limit $4",
            args![id, place, account, page.fetch()],
        )
        .await?;
    let members = rows.into_iter().map(|row| row.member).collect();
    Ok(Json(page.answer(members, |one: &Member| {
        (one.order, one.account.id)
    })))
}

/// Adds a member, or makes a seat: an account that the platform thinks for. Owners and moderators can do this.
#[utoipa::path(
    post, path = "/api/circles/{circle}/members", tag = "circles", operation_id = "add_circle_member",
    params(
        ("circle" = String, Path, description = "The circle's id or name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewMember,
    responses(
        (status = 200, body = Member, description = "The account was a member before."),
        (status = 201, body = Member, headers(("Location" = String))),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`: the circle"),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn add(
    db: Db,
    caller: Caller,
    Path(circle): Path<String>,
    Input(new): Input<NewMember>,
) -> Result<Response> {
    new.check()?;
    let put: Outcome<Put> = db
        .one(
            "select put_member($1, $2, $3, $4) as outcome",
            args![caller.id, circle, json!(new), caller.scopes()],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint(
            "account_name_key",
            Problem::conflict("name-taken", "Another account has this name."),
        )
        .on_constraint("account_name_free", Problem::invalid("name", "is reserved"))?;
    answer(put.value()?)
}

/// Changes a member, or adds an account that is not a member yet. Owners set its role, they and moderators its place, and the owner of
/// a seat its persona and whether it is public.
#[utoipa::path(
    put, path = "/api/circles/{circle}/members/{account}", tag = "circles", operation_id = "change_circle_member",
    params(
        ("circle" = String, Path, description = "The circle's id or name."),
        ("account" = String, Path, description = "The member's id or name."),
    ),
    request_body = MemberChange,
    responses(
        (status = 200, body = Member),
        (status = 201, body = Member, description = "The account was not a member before."),
        (status = 403, description = "`forbidden`, `not-a-member`; `scopes-exceed-owner`: the seat may do more than the token"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`last-owner`"),
        (status = 422, description = "`invalid-input`, `mode-needs-moderator`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path((circle, account)): Path<(String, String)>,
    Input(change): Input<MemberChange>,
) -> Result<Response> {
    let mut change = json!(change);
    change["held"] = json!(caller.scopes());
    let put: Outcome<Put> = db
        .one(
            "select change_member($1, $2, $3, $4) as outcome",
            args![caller.id, circle, account, change],
        )
        .await?;
    answer(put.value()?)
}

/// The answer to a request that may have added the member.
fn answer(put: Put) -> Result<Response> {
    let Put {
        is_new,
        circle,
        member,
    } = put;
    if !is_new {
        return Ok(Json(member).into_response());
    }
    let location = format!("/api/circles/{circle}/members/{}", member.account.id);
    Ok(Created::at(location, member).into_response())
}

/// Takes a member out of a circle and its conversations. Owners can do this; moderators take out members.
#[utoipa::path(
    delete, path = "/api/circles/{circle}/members/{account}", tag = "circles", operation_id = "remove_circle_member",
    params(
        ("circle" = String, Path, description = "The circle's id or name."),
        ("account" = String, Path, description = "The member's id or name."),
    ),
    responses(
        (status = 204, description = "The account is not a member any more."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`last-owner`"),
        (status = 422, description = "`mode-needs-moderator`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn remove(
    db: Db,
    caller: Caller,
    Path((circle, account)): Path<(String, String)>,
) -> Result<StatusCode> {
    take_out(&db, &caller, circle, account).await
}

async fn take_out(db: &Db, caller: &Caller, circle: String, account: String) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select remove_member($1, $2, $3) as outcome",
            args![caller.id, circle, account],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
