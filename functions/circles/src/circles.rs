//! Circles: who talks with whom, to which purpose and by which rules.

use agent_parts::{Budget, storable};
use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args, given};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{circle_name, text};
use crate::members::NewMember;
use crate::outcome::{Outcome, Refusal};
use crate::scenarios;

/// A circle: agents and people with a purpose, and rules for who speaks when.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Circle {
    /// The circle's id.
    pub id: Uuid,
    /// The circle's name.
    #[schema(example = "planning")]
    name: String,
    /// What the circle is for, as its agents are told.
    purpose: String,
    /// How speakers are chosen.
    mode: Mode,
    /// The rules of its conversations.
    rules: Rules,
    /// Whether only members can see the circle.
    private: bool,
    /// Whether the circle has an A2A card, and everybody who is signed in may talk with its agents.
    public: bool,
    /// The most that its turns may spend; null if there is no limit.
    budget: Option<Spent>,
    /// The number of members, counted up to 1,000.
    members: i32,
    /// The caller's role: `owner`, `moderator`, `member` or `observer`; null if the caller is not a member.
    role: Option<String>,
    /// The time at which the circle was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The circle's version, which grows with every change.
    version: i32,
}

/// A budget, with what was spent of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = CircleSpending)]
struct Spent {
    /// The limit in millionths of a dollar.
    limit_microusd: i64,
    /// The period: `day`, `month` or `total`.
    period: String,
    /// The sum that was spent in the present period, in millionths of a dollar.
    spent_microusd: i64,
}

/// How speakers are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = CircleMode)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The members that are addressed.
    #[default]
    Mention,
    /// One after another, by `order`.
    RoundRobin,
    /// The member that the moderator names.
    Moderated,
    /// All at once; then the moderator sums up.
    Parallel,
    /// The member that the last speaker names.
    Handoff,
}

/// The rules of a circle's conversations.
#[derive(Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[schema(as = CircleRules)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The number of times that each agent speaks in `round_robin` after somebody wrote; 1 if absent.
    #[garde(inner(range(min = 1, max = 8)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8)]
    rounds: Option<u32>,
    /// The number of agents' replies that may follow each other; 8 if absent.
    #[garde(inner(range(min = 0, max = 8)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 8)]
    hops: Option<u32>,
    /// The time in milliseconds after which a speaker with a program of its own is passed over; a minute if absent.
    #[garde(inner(range(min = 1000, max = 3_600_000)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1000, maximum = 3_600_000)]
    turn_ms: Option<u64>,
    /// Whether a moderator may let the last speaker speak again.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_repeat: Option<bool>,
    /// The number of votes that decide a proposal; more than half of those who may vote if absent.
    #[garde(inner(range(min = 1, max = 200)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    quorum: Option<u32>,
    /// The number of rounds without progress after which a plan is made anew. It is kept for the mode `plan`, which does not
    /// exist yet.
    #[garde(inner(range(min = 1, max = 100)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    stalls: Option<u32>,
    /// Whether a plan has to be approved before it begins. It is kept for the mode `plan`, which does not exist yet.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_signoff: Option<bool>,
    /// What becomes of messages to an agent that is at work; `queue` if absent.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_busy: Option<OnBusy>,
}

/// What becomes of messages to an agent that is at work.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = CircleOnBusy)]
#[serde(rename_all = "lowercase")]
enum OnBusy {
    /// It answers in another turn.
    Queue,
    /// It is told before its next step.
    Steer,
    /// Its turn is cancelled, and another one begins.
    Interrupt,
}

/// A circle to make.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCircle {
    /// The circle's name: 2 to 60 characters out of a-z, 0-9 and `-`, not in the form of an id.
    #[garde(custom(circle_name))]
    #[schema(example = "planning", pattern = "^[a-z0-9-]{2,60}$")]
    name: String,
    /// What the circle is for, as its agents are told; as the scenario says if absent.
    #[garde(inner(length(chars, max = 4000), custom(text)))]
    #[schema(max_length = 4000)]
    purpose: Option<String>,
    /// How speakers are chosen; as the scenario says, or `mention`, if absent. A moderated circle needs a moderator among
    /// its members.
    #[garde(skip)]
    mode: Option<Mode>,
    /// The rules of its conversations; those of the scenario if absent.
    #[garde(dive)]
    rules: Option<Rules>,
    /// The scenario that the circle begins with: its purpose, mode and rules, and seats with personas of their own, which
    /// the caller owns.
    #[garde(inner(length(min = 1, max = 60)))]
    #[schema(example = "gamemaster")]
    scenario: Option<String>,
    /// Members to begin with, 50 at most.
    #[garde(length(max = 50), dive)]
    #[serde(default)]
    #[schema(max_items = 50)]
    members: Vec<NewMember>,
    /// Whether only members can see the circle.
    #[garde(skip)]
    #[serde(default)]
    private: bool,
    /// Whether the circle has an A2A card, and everybody who is signed in may talk with its agents at their owners' cost.
    #[garde(skip)]
    #[serde(default)]
    public: bool,
    /// The most that its turns may spend.
    #[garde(inner(custom(storable)))]
    budget: Option<Budget>,
}

/// The changes to a circle. Absent properties stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CircleChange {
    /// The circle's new name.
    #[garde(inner(custom(circle_name)))]
    #[schema(pattern = "^[a-z0-9-]{2,60}$")]
    name: Option<String>,
    /// What the circle is for, as its agents are told.
    #[garde(inner(length(chars, max = 4000), custom(text)))]
    #[schema(max_length = 4000)]
    purpose: Option<String>,
    /// How speakers are chosen.
    #[garde(skip)]
    mode: Option<Mode>,
    /// The rules of its conversations, instead of those that it has.
    #[garde(dive)]
    rules: Option<Rules>,
    /// Whether only members can see the circle.
    #[garde(skip)]
    private: Option<bool>,
    /// Whether the circle has an A2A card, and everybody who is signed in may talk with its agents at their owners' cost.
    #[garde(skip)]
    public: Option<bool>,
    /// The most that its turns may spend, instead of the budget that it has; null for no limit.
    #[garde(inner(inner(custom(storable))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Budget>)]
    budget: Option<Option<Budget>>,
}

/// The filters of a list of circles.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// If true, lists the circles that the caller is in; otherwise the public ones.
    #[garde(skip)]
    joined: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Row {
    circle: Circle,
}

fn name_taken() -> Problem {
    Problem::conflict("name-taken", "Another circle has this name.")
}

fn persona_taken() -> Problem {
    Problem::conflict(
        "name-taken",
        "A persona or an agent of a name that would be made exists.",
    )
}

/// Lists circles, the newest first: the public ones or, with `joined=true`, those that the caller is in.
#[utoipa::path(
    get, path = "/api/circles", tag = "circles", operation_id = "list_circles", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Circle>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Circle>>> {
    let statement = if filter.joined.unwrap_or(false) {
        "select circle_json(c, $1) as circle from member m join circle c on c.id = m.circle_id
         where m.account_id = $1 and ($2::uuid is null or m.circle_id < $2)
         order by m.circle_id desc limit $3"
    } else {
        "select circle_json(c, $1) as circle from circle c
         where not c.private and ($2::uuid is null or c.id < $2) order by c.id desc limit $3"
    };
    let rows: Vec<Row> = db
        .many(statement, args![caller.id, page.after, page.fetch()])
        .await?;
    let circles = rows.into_iter().map(|row| row.circle).collect();
    Ok(Json(page.answer(circles, |circle: &Circle| circle.id)))
}

/// Makes a circle, which the caller then owns.
#[utoipa::path(
    post, path = "/api/circles", tag = "circles", operation_id = "create_circle", request_body = NewCircle,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Circle, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
        (status = 422, description = "`invalid-input`, `mode-needs-moderator`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewCircle>,
) -> Result<Created<Circle>> {
    for member in &new.members {
        member.check()?;
    }
    let scenario = new.scenario.as_deref().map(scenarios::named).transpose()?;
    let seats = scenario.iter().flat_map(|scenario| &scenario.seats);
    let seats: Vec<Value> = seats.map(|seat| seat.to_make(&new.name)).collect();
    let (purpose, mode, rules) = scenario.map_or_else(
        || (String::new(), Mode::default(), Rules::default()),
        |scenario| (scenario.purpose, scenario.mode, scenario.rules),
    );
    let made: Outcome<Circle> = db
        .one(
            "select create_circle($1, $2, $3) as outcome",
            args![
                caller.id,
                json!({
                    "name": new.name, "purpose": new.purpose.unwrap_or(purpose),
                    "mode": new.mode.unwrap_or(mode), "rules": new.rules.unwrap_or(rules),
                    "private": new.private, "public": new.public, "budget": new.budget, "members": new.members, "seats": seats,
                }),
                caller.scopes()
            ],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("circle_name_key", name_taken())
        .on_constraint("persona_name_key", persona_taken())
        .on_constraint("account_name_key", persona_taken())
        .on_constraint("account_name_form", Problem::invalid("name", "can't begin the names of agents"))
        .on_constraint("account_name_free", persona_taken())
        .on_constraint("circle_moderator", guest::Refusal::problem(Refusal::ModeNeedsModerator, None))
        .on_constraint(
            "circle_members",
            Problem::invalid("members", "must be accounts and personas that you can add"),
        )?;
    let circle = made.value()?;
    Ok(Created::at(format!("/api/circles/{}", circle.id), circle))
}

/// Reads a circle, by its id or its name.
#[utoipa::path(
    get, path = "/api/circles/{circle}", tag = "circles", operation_id = "read_circle",
    params(("circle" = String, Path, description = "The circle's id or name.")),
    responses((status = 200, body = Circle), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(circle): Path<String>) -> Result<Json<Circle>> {
    let row: Option<Row> = db
        .optional(
            "select circle_json(c, $1) as circle from circle c where c.id = find_circle($1, $2)",
            args![caller.id, circle],
        )
        .await?;
    row.map(|row| Json(row.circle))
        .ok_or_else(|| Problem::not_found("circle"))
}

/// Changes a circle. Moderators may change purpose and rules; owners may change everything.
#[utoipa::path(
    patch, path = "/api/circles/{circle}", tag = "circles", operation_id = "change_circle",
    params(("circle" = String, Path, description = "The circle's id or name.")), request_body = CircleChange,
    responses(
        (status = 200, body = Circle),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`name-taken`"),
        (status = 422, description = "`invalid-input`, `mode-needs-moderator`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(circle): Path<String>,
    Input(change): Input<CircleChange>,
) -> Result<Json<Circle>> {
    let mut changes = json!({
        "name": change.name, "purpose": change.purpose, "mode": change.mode, "rules": change.rules,
        "private": change.private, "public": change.public,
    });
    if let Some(changes) = changes.as_object_mut() {
        changes.retain(|_, value| !value.is_null());
    }
    // A null takes the budget away.
    if let Some(budget) = change.budget {
        changes["budget"] = json!(budget);
    }
    let changed: Outcome<Circle> = db
        .one(
            "select change_circle($1, $2, $3) as outcome",
            args![caller.id, circle, changes],
        )
        .await
        .on_constraint("circle_name_key", name_taken())?;
    changed.value().map(Json)
}

/// Deletes a circle. Its conversations are closed, and stay readable to those who were in them. Only owners can do this.
#[utoipa::path(
    delete, path = "/api/circles/{circle}", tag = "circles", operation_id = "delete_circle",
    params(("circle" = String, Path, description = "The circle's id or name.")),
    responses(
        (status = 204, description = "The circle was deleted."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["circles:create"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(circle): Path<String>) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_circle($1, $2) as outcome",
            args![caller.id, circle],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
