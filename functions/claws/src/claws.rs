//! Claws as their owners see and change them.

use std::collections::BTreeMap;

use agent_parts::{Account, Budget, storable};
use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Items, Moment, Page, Path, Problem, Query, Result, args, given};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::create::{Accepted, Answer, refusals};
use crate::input::{
    Expiry, OnBusy, Trigger, check_env, check_secrets, check_triggers, persona_ref, reference,
};
use crate::outcome::Outcome;
use crate::secrets::may_grant;
use crate::times::schedules;

/// The scope for others' claws.
pub const MANAGE: &str = "claws:manage";

/// A claw: an agent that is made for its owner, and what has become of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Claw {
    /// The claw's id, which is its account's.
    pub id: Uuid,
    /// The claw's name.
    name: String,
    /// The account that the claw is.
    account: Account,
    /// The account that answers and pays for it.
    owner: Account,
    /// The persona that it thinks with.
    persona: ClawPersona,
    /// The name of the template that it was made of.
    template: String,
    /// The kind of place where it runs: `wasm` needs no container.
    backend: String,
    /// The status that its owner wants: `running`, `paused`, `stopped` or `deleted`.
    desired: String,
    /// The status that it has.
    status: Status,
    /// The reason why it failed, or was paused or stopped without being asked; null if there is none to tell.
    reason: Option<String>,
    /// The number of what its owner wanted last; work for an older one does nothing any more.
    generation: i32,
    /// The part of it that survived when it last began to run: `kept` (all), `disk` (what is stored) or `fresh` (nothing); null: it has not.
    resumed: Option<String>,
    /// The public key of its account, in Base64; null if it has none yet.
    public_key: Option<String>,
    /// The channels that it is in.
    channels: Vec<ClawChannel>,
    /// The triggers that wake it.
    triggers: Vec<Trigger>,
    /// Its secrets by name: `vault:<name>`.
    secrets: BTreeMap<String, String>,
    /// Its variables by name.
    env: BTreeMap<String, String>,
    /// Of its owner's scopes, those that it has; null: all.
    scopes: Option<Vec<String>>,
    /// The accounts that decide about its calls of tools; null: its owner.
    approvers: Option<Vec<Account>>,
    /// Whether it has an A2A card, and everybody who is signed in may talk with it.
    public: bool,
    /// The way in which it takes what is written while it thinks.
    on_busy: OnBusy,
    /// The most that it may spend; null: its owner's limits alone count.
    budget: Option<Budget>,
    /// The time at which it expires; null: it does not.
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// The end that it comes to when it expires.
    on_expiry: Expiry,
    /// After how many milliseconds with nothing to do it is paused, until it is spoken to; null: it is not.
    idle_ms: Option<i64>,
    /// The time at which it last was heard of, or began a turn; null: it has not.
    #[serde(with = "time::serde::rfc3339::option")]
    last_seen_at: Option<OffsetDateTime>,
    /// The time at which it was made.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The status of a claw.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = ClawStatus)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for a worker.
    Requested,
    /// It is being made.
    Provisioning,
    /// It thinks, or waits to be spoken to.
    Running,
    /// It keeps what it knows, and its turns wait.
    Paused,
    /// It has not been heard of in time.
    Unhealthy,
    /// It begins no turns.
    Stopped,
    /// It could not run; `reason` says why.
    Failed,
    /// It will be gone in a moment.
    Deleting,
}

impl Status {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// The persona of a claw.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct ClawPersona {
    /// The persona's id.
    id: Uuid,
    /// The persona's name.
    name: String,
    /// The version that the next turn has.
    version: i32,
}

/// A channel that a claw is in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct ClawChannel {
    /// The channel's id.
    id: Uuid,
    /// The channel's name.
    name: String,
}

/// The changes to a claw. Absent properties stay as they are; what its turns draw on changes with the next of them.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClawChange {
    /// The id or name of a persona, with `@` and a version to stay at that one.
    #[garde(inner(custom(persona_ref)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    persona: Option<String>,
    /// The ids or names of the channels that it shall be in; it leaves all others.
    #[garde(inner(length(max = 50), inner(custom(reference))))]
    #[schema(max_items = 50)]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Vec<String>>,
    /// All that shall wake it.
    #[garde(inner(custom(check_triggers)))]
    #[schema(max_items = 20)]
    #[serde(skip_serializing_if = "Option::is_none")]
    triggers: Option<Vec<Trigger>>,
    /// All its secrets by name: `vault:<name>`.
    #[garde(inner(custom(check_secrets)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<BTreeMap<String, String>>,
    /// All its variables by name.
    #[garde(inner(custom(check_env)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<BTreeMap<String, String>>,
    /// Of its owner's scopes, those that it shall have; null for all that the caller's token has.
    #[garde(inner(inner(length(max = 40), inner(custom(reference)))))]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Vec<String>>, max_items = 40)]
    scopes: Option<Option<Vec<String>>>,
    /// The ids or names of the accounts that decide about its calls of tools: its owner, that one's owner and agents, and
    /// members of that one's teams; null for its owner.
    #[garde(inner(inner(length(min = 1, max = 20), inner(custom(reference)))))]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 20)]
    approvers: Option<Option<Vec<String>>>,
    /// Whether it has an A2A card, and everybody who is signed in may talk with it at its owner's cost.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<bool>,
    /// The way in which it shall take what is written while it thinks.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_busy: Option<OnBusy>,
    /// The most that it may spend from now on; null for its owner's limits alone.
    #[garde(inner(inner(custom(storable))))]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<Budget>)]
    budget: Option<Option<Budget>>,
    /// The time at which it shall expire; null: it shall not.
    #[garde(skip)]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<Moment>>,
    /// The end that it shall come to when it expires.
    #[garde(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    on_expiry: Option<Expiry>,
    /// After how many milliseconds with nothing to do it shall be paused; null: it shall not.
    #[garde(inner(inner(range(min = 1_000, max = 31_536_000_000))))]
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<i64>, minimum = 1_000, maximum = 31_536_000_000_f64)]
    idle_ms: Option<Option<i64>>,
}

/// The filters of a list of claws.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only claws with this status.
    #[garde(skip)]
    status: Option<Status>,
    /// Whether to list everybody's, for `claws:manage`; the caller's own otherwise.
    #[garde(skip)]
    all: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Row {
    claw: Claw,
}

/// The id of a claw of the caller's, or of anybody's if the caller manages others'.
pub async fn found(db: &Db, caller: &Caller, claw: &str) -> Result<Uuid> {
    #[derive(Deserialize)]
    struct Found {
        id: Uuid,
    }
    let found: Option<Found> = db
        .optional(
            "select c.id from find($1, $2, $3) c",
            args![caller.id, claw, caller.allows(MANAGE)],
        )
        .await?;
    found
        .map(|found| found.id)
        .ok_or_else(|| Problem::not_found("claw"))
}

/// Lists claws, the newest first.
#[utoipa::path(
    get, path = "/api/claws", tag = "claws", operation_id = "list_claws", params(Filter, guest::PageParams),
    responses(
        (status = 200, body = Items<Claw>),
        (status = 403, description = "`forbidden`: everybody's are for `claws:manage`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Claw>>> {
    let all = filter.all == Some(true);
    if all && !caller.allows(MANAGE) {
        return Err(Problem::insufficient_scope(MANAGE));
    }
    let status = filter.status.map(Status::name);
    let rows: Vec<Row> = db
        .many(
            "select claw_json(c) as claw from claw c
             where ($1::uuid is null or c.owner_id = $1) and ($2::text is null or c.status = $2)
                 and ($3::uuid is null or c.id < $3)
             order by c.id desc limit $4",
            args![
                (!all).then_some(caller.id),
                status,
                page.after,
                page.fetch()
            ],
        )
        .await?;
    let claws = rows.into_iter().map(|row| row.claw).collect();
    Ok(Json(page.answer(claws, |claw: &Claw| claw.id)))
}

/// Reads a claw.
#[utoipa::path(
    get, path = "/api/claws/{claw}", tag = "claws", operation_id = "get_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")),
    responses((status = 200, body = Claw), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(claw): Path<String>) -> Result<Json<Claw>> {
    let row: Option<Row> = db
        .optional(
            "select claw_json(c) as claw from find($1, $2, $3) c",
            args![caller.id, claw, caller.allows(MANAGE)],
        )
        .await?;
    row.map(|row| Json(row.claw))
        .ok_or_else(|| Problem::not_found("claw"))
}

/// Changes a claw.
#[utoipa::path(
    patch, path = "/api/claws/{claw}", tag = "claws", operation_id = "change_claw",
    params(("claw" = String, Path, description = "The claw's id or name.")), request_body = ClawChange,
    responses(
        (status = 202, body = Accepted, headers(("Location" = String))),
        (status = 403, description = "`scopes-exceed-owner`; `forbidden`: times need `schedules:write` and `chat:create`, and secrets `vault:write`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`claw-state`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["claws:create"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(claw): Path<String>,
    Input(change): Input<ClawChange>,
) -> Result<Answer> {
    may_grant(&caller, change.secrets.iter().flatten())?;
    let mut said = json!(change);
    said["held"] = json!(caller.scopes());
    if let Some(triggers) = &change.triggers {
        said["schedules"] = schedules(&caller, triggers)?;
    }
    let changed = db
        .one(
            "select change_claw($1, $2, $3, $4) as outcome",
            args![caller.id, claw, said, caller.allows(MANAGE)],
        )
        .await;
    let changed: Outcome<Accepted> = refusals(changed)?;
    Ok(changed.value()?.answer())
}
