//! Schedules: work that starts at times.

use axum::Json;
use axum::http::StatusCode;
use calendar::{Plan, Spec};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::schedule_input::{Action, NewSchedule, text_of};
use crate::{pipelines, start};

/// The number of skipped times that a resumed schedule shows.
const MAX_SKIPPED: usize = 100;

/// A schedule, as it was said, and what comes next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Schedule {
    /// The schedule's id.
    pub id: Uuid,
    /// The account that owns the schedule, and that its work acts for.
    pub owner: Uuid,
    /// What the schedule says.
    #[serde(flatten)]
    pub said: NewSchedule,
    /// Whether nothing fires.
    pub paused: bool,
    /// The reason why it is paused: `by-hand`, `failures` or `unreadable`; null if it is not.
    pub pause_reason: Option<String>,
    /// The number of failures in a row.
    pub failures: i32,
    /// The time of the next firing; null if there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
    /// The next five times, before their delays.
    pub next: Vec<String>,
    /// The time at which the schedule was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// The times of a schedule that is not stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchedulePreview)]
pub struct Preview {
    /// The next ten times.
    next: Vec<PlannedTime>,
    /// The changes of the clock between them.
    notes: Vec<String>,
}

/// A time of a schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedTime {
    /// The time in UTC.
    #[schema(example = "2026-03-29T01:00:00Z")]
    utc: String,
    /// The time in the schedule's zone.
    #[schema(example = "2026-03-29T03:00:00+02:00")]
    local: String,
}

/// The filter of a list of schedules.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only schedules that are paused, or that are not.
    #[garde(skip)]
    paused: Option<bool>,
    /// Lists the schedules of this account. Only its own are ever shown to an account.
    #[garde(skip)]
    owner: Option<Uuid>,
}

#[derive(Deserialize)]
struct Now {
    now: i64,
}

#[derive(Deserialize)]
struct Put {
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

#[derive(Deserialize)]
struct Stored {
    times: Spec,
    due_ms: Option<i64>,
    paused: Option<String>,
}

/// A row of the table, as it is shown.
#[derive(Deserialize)]
struct Row {
    id: Uuid,
    owner_id: Uuid,
    name: String,
    times: Spec,
    action: Value,
    overlap: String,
    catch_up_max: i32,
    catch_up_within_ms: i64,
    pause_after_failures: Option<i32>,
    paused: Option<String>,
    failures: i32,
    #[serde(with = "time::serde::rfc3339::option")]
    next_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    now: i64,
}

impl Row {
    fn shown(self) -> Result<Schedule> {
        let plan = Plan::new(self.times.clone()).ok();
        let next = plan.map(|plan| upcoming(&plan, self.now, 5));
        let said = json!({
            "name": self.name, "action": self.action, "timezone": self.times.timezone, "cron": self.times.cron,
            "every_ms": self.times.every_ms, "at": self.times.at.iter().map(|ms| text_of(*ms)).collect::<Vec<_>>(),
            "starts_at": self.times.starts_at.map(text_of), "ends_at": self.times.ends_at.map(text_of),
            "jitter_ms": self.times.jitter_ms, "overlap": self.overlap,
            "catch_up": {"max": self.catch_up_max, "within_ms": self.catch_up_within_ms},
            "pause_after_failures": self.pause_after_failures,
        });
        Ok(Schedule {
            id: self.id,
            owner: self.owner_id,
            said: serde_json::from_value(said).map_err(Problem::internal)?,
            paused: self.paused.is_some(),
            pause_reason: self.paused,
            failures: self.failures,
            next_at: self.next_at,
            next: next.into_iter().flatten().map(text_of).collect(),
            created_at: self.created_at,
        })
    }
}

async fn now(db: &Db) -> Result<i64> {
    let now: Now = db
        .one("select ms_of(clock_timestamp()) as now", args![])
        .await?;
    Ok(now.now)
}

fn upcoming(plan: &Plan, from: i64, count: usize) -> Vec<i64> {
    let first = plan.after(from);
    std::iter::successors(first, |time| plan.after(*time))
        .take(count)
        .collect()
}

async fn row(db: &Db, caller: &Caller, id: Uuid) -> Result<Row> {
    let row = db
        .optional(
            "select id, owner_id, name, times, action, overlap, catch_up_max, catch_up_within_ms, pause_after_failures,
                 paused, failures, next_at, created_at, ms_of(clock_timestamp()) as now
             from schedule where owner_id = $1 and id = $2",
            args![caller.id, id],
        )
        .await?;
    row.ok_or_else(|| Problem::not_found("schedule"))
}

async fn one(db: &Db, caller: &Caller, id: Uuid) -> Result<Schedule> {
    row(db, caller, id).await?.shown()
}

/// The prompt of a task as the message that its agent is told.
async fn task(db: &Db, caller: &Caller, agent: &str, prompt: &str) -> Result<Value> {
    let unknown: Option<Now> = db
        .optional(
            "select 0 as now from unknown_agents($1, 'agent', array[$2])",
            args![caller.id, agent],
        )
        .await?;
    if unknown.is_some() {
        let why = "must be an agent that the platform thinks for and that you may ask";
        return Err(Problem::invalid("action.agent", why));
    }
    let blank = || Problem::invalid("action.prompt", "must not be blank");
    let mut message = markdown::message(prompt).ok_or_else(blank)?;
    // There is nobody else whom the prompt could mention.
    message["names"] = json!([]);
    Ok(message)
}

/// A schedule that is to be changed.
struct Known {
    id: Uuid,
    times: Spec,
    action: Value,
}

/// What a schedule does, as it is stored, with the scopes of the credential that says it: calls have no more.
async fn action(db: &Db, caller: &Caller, said: &NewSchedule) -> Result<Value> {
    said.check_action()?;
    let mut stored = json!({"action": said.action, "scopes": &*caller.scope});
    match &said.action {
        Action::ExecutePipeline {
            pipeline, version, ..
        } => {
            let found = pipelines::find(db, caller, pipeline).await;
            let found = found.map_err(|_| {
                Problem::invalid("action.pipeline", "must be one of your pipelines")
            })?;
            if version.is_some() {
                let known = start::definition(db, found, *version).await;
                known.map_err(|_| {
                    Problem::invalid("action.version", "must be a version of the pipeline")
                })?;
            }
            stored["action"]["pipeline"] = json!(found);
            stored["pipeline_id"] = json!(found);
        }
        Action::RunTask { agent, prompt } => {
            stored["message"] = task(db, caller, agent, prompt).await?;
        }
        _ => {}
    }
    Ok(stored)
}

/// Stores a schedule. Only what changes is checked and counted anew, so that another name moves no time.
async fn put(db: &Db, caller: &Caller, known: Option<&Known>, said: &NewSchedule) -> Result<Uuid> {
    let now = now(db).await?;
    let anchor = known.map_or(now, |known| known.times.anchor);
    let (mut times, mut plan) = said.plan(anchor)?;
    let same_times = known.is_some_and(|known| known.times == times);
    if !same_times {
        (times, plan) = said.plan(now)?;
    }
    let mut stored = match known {
        Some(known) if known.action == json!(said.action) => json!({}),
        _ => action(db, caller, said).await?,
    };
    let due = plan.after(now).filter(|_| !same_times);
    if due.is_none() && !same_times {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "schedule-in-the-past",
            "The schedule has no time that is still to come.",
        ));
    }
    let id = known.map(|known| known.id);
    // The delays of a schedule are those of its id.
    let new = Uuid::now_v7();
    let name = id.unwrap_or(new).to_string();
    let next = due.map(|due| due + plan.delay(&name, due));
    stored["id"] = json!(new);
    stored["name"] = json!(said.name);
    if !same_times {
        stored["times"] = json!(times);
    }
    stored["overlap"] = json!(said.overlap);
    stored["catch_up_max"] = json!(said.catch_up.max);
    stored["catch_up_within_ms"] = json!(said.catch_up.within_ms);
    stored["pause_after_failures"] = json!(said.pause_after_failures);
    let many = Problem::conflict(
        "too-many-schedules",
        "You have 1,000 schedules. Delete one first.",
    );
    let put: Put = db
        .one(
            "select put_schedule($1, $2, $3, $4, $5) as id",
            args![caller.id, id, stored, due, next],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("schedule_count", many)?;
    put.id.ok_or_else(|| Problem::not_found("schedule"))
}

/// Makes a schedule. Its work acts for the caller, with the rights that the account has at that time.
#[utoipa::path(
    post, path = "/api/schedules", tag = "schedules", operation_id = "create_schedule", request_body = NewSchedule,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Schedule, headers(("Location" = String))),
        (status = 409, description = "`too-many-schedules`"),
        (status = 422, description = "`invalid-input`, `invalid-cron`, `invalid-timezone`, `schedule-in-the-past`"),
    ),
    security(("token" = ["schedules:write"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewSchedule>,
) -> Result<Created<Schedule>> {
    let id = put(&db, &caller, None, &new).await?;
    let schedule = one(&db, &caller, id).await?;
    Ok(Created::at(format!("/api/schedules/{id}"), schedule))
}

/// Tells the next ten times of a schedule without storing it, and where the clock changes between them.
#[utoipa::path(
    post, path = "/api/schedules/preview", tag = "schedules", operation_id = "preview_schedule", request_body = NewSchedule,
    responses(
        (status = 200, body = Preview),
        (status = 422, description = "`invalid-input`, `invalid-cron`, `invalid-timezone`"),
    ),
    security(("token" = []))
)]
pub async fn preview(
    db: Db,
    _caller: Caller,
    Input(new): Input<NewSchedule>,
) -> Result<Json<Preview>> {
    let now = now(&db).await?;
    let (_, plan) = new.plan(now)?;
    let times = upcoming(&plan, now, 10);
    Ok(Json(Preview {
        notes: plan.notes(&times),
        next: times
            .into_iter()
            .map(|time| PlannedTime {
                utc: text_of(time),
                local: plan.local_text(time),
            })
            .collect(),
    }))
}

/// Lists the caller's schedules, the newest first.
#[utoipa::path(
    get, path = "/api/schedules", tag = "schedules", operation_id = "list_schedules", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Schedule>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Schedule>>> {
    let rows: Vec<Row> = db
        .many(
            "select id, owner_id, name, times, action, overlap, catch_up_max, catch_up_within_ms, pause_after_failures,
                 paused, failures, next_at, created_at, ms_of(clock_timestamp()) as now
             from schedule
             where owner_id = $1 and ($5::uuid is null or owner_id = $5) and ($2::uuid is null or id < $2)
             and ($3::boolean is null or (paused is not null) = $3)
             order by id desc limit $4",
            args![
                caller.id,
                page.after,
                filter.paused,
                page.fetch(),
                filter.owner
            ],
        )
        .await?;
    let schedules = rows.into_iter().map(Row::shown).collect::<Result<_>>()?;
    Ok(Json(
        page.answer(schedules, |schedule: &Schedule| schedule.id),
    ))
}

/// Reads one of the caller's schedules.
#[utoipa::path(
    get, path = "/api/schedules/{schedule}", tag = "schedules", operation_id = "get_schedule",
    params(("schedule" = Uuid, Path, description = "The schedule's id.")),
    responses((status = 200, body = Schedule), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(schedule): Path<Uuid>) -> Result<Json<Schedule>> {
    one(&db, &caller, schedule).await.map(Json)
}

/// Changes a schedule. Absent fields stay as they are; one of `cron`, `every_ms` and `at` replaces the others.
#[utoipa::path(
    patch, path = "/api/schedules/{schedule}", tag = "schedules", operation_id = "change_schedule",
    params(("schedule" = Uuid, Path, description = "The schedule's id.")),
    request_body = ScheduleChange,
    responses(
        (status = 200, body = Schedule),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cron`, `invalid-timezone`, `schedule-in-the-past`"),
    ),
    security(("token" = ["schedules:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    Path(schedule): Path<Uuid>,
    Input(change): Input<ScheduleChange>,
) -> Result<Json<Schedule>> {
    let row = row(&db, &caller, schedule).await?;
    let known = Known {
        id: row.id,
        times: row.times.clone(),
        action: row.action.clone(),
    };
    let mut said = serde_json::to_value(row.shown()?.said).map_err(Problem::internal)?;
    let Some(fields) = said.as_object_mut() else {
        return Err(Problem::internal("a schedule is not an object"));
    };
    let times = ["cron", "every_ms", "at"];
    if change.0.keys().any(|name| times.contains(&name.as_str())) {
        fields.retain(|name, _| !times.contains(&name.as_str()));
    }
    fields.extend(change.0);
    let said: NewSchedule = serde_path_to_error::deserialize(said).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(path, error.into_inner().to_string())
    })?;
    said.validate()
        .map_err(|report| Problem::invalid("schedule", report.to_string()))?;
    put(&db, &caller, Some(&known), &said).await?;
    one(&db, &caller, schedule).await.map(Json)
}

/// Fields of a schedule to be changed.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct ScheduleChange(#[garde(skip)] serde_json::Map<String, Value>);

/// Deletes a schedule. Work that it has started goes on.
#[utoipa::path(
    delete, path = "/api/schedules/{schedule}", tag = "schedules", operation_id = "delete_schedule",
    params(("schedule" = Uuid, Path, description = "The schedule's id.")),
    responses((status = 204, description = "The schedule is deleted"), (status = 404, description = "`not-found`")),
    security(("token" = ["schedules:write"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(schedule): Path<Uuid>) -> Result<StatusCode> {
    let done: Done = db
        .one(
            "select delete_schedule($1, $2) as done",
            args![caller.id, schedule],
        )
        .await?;
    if !done.done {
        return Err(Problem::not_found("schedule"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Pauses a schedule. What falls due until it is resumed is skipped.
#[utoipa::path(
    post, path = "/api/schedules/{schedule}/pause", tag = "schedules", operation_id = "pause_schedule",
    params(("schedule" = Uuid, Path, description = "The schedule's id.")),
    responses((status = 200, body = Schedule), (status = 404, description = "`not-found`")),
    security(("token" = ["schedules:write"]))
)]
pub async fn pause(db: Db, caller: Caller, Path(schedule): Path<Uuid>) -> Result<Json<Schedule>> {
    let done: Done = db
        .one(
            "select pause_schedule($1, $2) as done",
            args![caller.id, schedule],
        )
        .await?;
    if !done.done {
        return Err(Problem::not_found("schedule"));
    }
    one(&db, &caller, schedule).await.map(Json)
}

/// Lets a paused schedule go on.
#[utoipa::path(
    post, path = "/api/schedules/{schedule}/resume", tag = "schedules", operation_id = "resume_schedule",
    params(("schedule" = Uuid, Path, description = "The schedule's id.")),
    responses((status = 200, body = Schedule), (status = 404, description = "`not-found`")),
    security(("token" = ["schedules:write"]))
)]
pub async fn resume(db: Db, caller: Caller, Path(schedule): Path<Uuid>) -> Result<Json<Schedule>> {
    let stored: Option<Stored> = db
        .optional(
            "select times, ms_of(due_at) as due_ms, paused from schedule where owner_id = $1 and id = $2",
            args![caller.id, schedule],
        )
        .await?;
    let stored = stored.ok_or_else(|| Problem::not_found("schedule"))?;
    if stored.paused.is_some() {
        let now = now(&db).await?;
        let plan = Plan::new(stored.times)
            .map_err(|refusal| Problem::invalid(refusal.field, refusal.detail))?;
        let due = stored.due_ms.map(|due| plan.due(due, now, MAX_SKIPPED));
        let due = due.unwrap_or_default();
        let next = due
            .next
            .map(|time| time + plan.delay(&schedule.to_string(), time));
        db.execute(
            "select resume_schedule($1, $2, $3, $4, $5)",
            args![caller.id, schedule, json!(due.times), due.next, next],
        )
        .await?;
    }
    one(&db, &caller, schedule).await.map(Json)
}
