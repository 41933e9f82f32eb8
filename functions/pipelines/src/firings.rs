//! Firings: what became of the times of a schedule.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What became of a time of a schedule.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Firing {
    /// The firing's id.
    id: Uuid,
    /// The planned time, before its delay.
    #[serde(with = "time::serde::rfc3339")]
    due_at: OffsetDateTime,
    /// The time at which the work began; null if it did not.
    #[serde(with = "time::serde::rfc3339::option")]
    fired_at: Option<OffsetDateTime>,
    /// The state of the firing.
    status: FiringStatus,
    /// The reason, if the work was not done or failed.
    reason: Option<String>,
    /// The run that was started.
    run: Option<Uuid>,
    /// The job that sends the request.
    job: Option<Uuid>,
}

/// The state of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FiringStatus {
    /// Waits until earlier work has ended.
    Due,
    /// The work goes on.
    Running,
    /// The work has succeeded.
    Succeeded,
    /// The work has failed, or could not begin.
    Failed,
    /// The work was cancelled.
    Cancelled,
    /// The time did not count.
    Skipped,
    /// The time passed while nobody could fire.
    Missed,
}

impl FiringStatus {
    fn text(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
        }
    }
}

/// The filter of a list of firings.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only firings in this state.
    #[garde(skip)]
    #[param(inline)]
    status: Option<FiringStatus>,
}

#[derive(Deserialize)]
struct Fired {
    firing: Option<Uuid>,
}

/// Fires a schedule now, beside its plan, even if it is paused.
#[utoipa::path(
    post, path = "/api/schedules/{schedule}/run", tag = "schedules", operation_id = "run_schedule",
    params(
        ("schedule" = Uuid, Path, description = "The schedule's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    responses((status = 202, body = Firing), (status = 404, description = "`not-found`")),
    security(("token" = ["schedules:write"]))
)]
pub async fn run(
    db: Db,
    caller: Caller,
    Path(schedule): Path<Uuid>,
) -> Result<(StatusCode, Json<Firing>)> {
    let fired: Fired = db
        .one(
            "select fire_now($1, $2) as firing",
            args![caller.id, schedule],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())?;
    let id = fired.firing.ok_or_else(|| Problem::not_found("schedule"))?;
    let firing = db
        .one(
            "select id, due_at, fired_at, status, reason, run_id as run, job_id as job from firing where id = $1",
            args![id],
        )
        .await?;
    Ok((StatusCode::ACCEPTED, Json(firing)))
}

/// Lists the firings of a schedule, the latest time first.
#[utoipa::path(
    get, path = "/api/schedules/{schedule}/firings", tag = "schedules", operation_id = "list_firings",
    params(("schedule" = Uuid, Path, description = "The schedule's id."), guest::PageParams, Filter),
    responses(
        (status = 200, body = Items<Firing>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(schedule): Path<Uuid>,
    page: Page<i64>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Firing>>> {
    let known: Option<Fired> = db
        .optional(
            "select id as firing from schedule where owner_id = $1 and id = $2",
            args![caller.id, schedule],
        )
        .await?;
    known.ok_or_else(|| Problem::not_found("schedule"))?;
    let arguments = args![
        schedule,
        filter.status.map(FiringStatus::text),
        page.after,
        page.fetch()
    ];
    // Each of the two statements has an index of its own.
    let firings: Vec<Firing> = if filter.status.is_some() {
        db.many(
            "select id, due_at, fired_at, status, reason, run_id as run, job_id as job from firing
             where schedule_id = $1 and status = $2 and ($3::bigint is null or due_at < time_of($3))
             order by due_at desc limit $4",
            arguments,
        )
        .await?
    } else {
        db.many(
            "select id, due_at, fired_at, status, reason, run_id as run, job_id as job from firing
             where schedule_id = $1 and ($2::text is null or true) and ($3::bigint is null or due_at < time_of($3))
             order by due_at desc limit $4",
            arguments,
        )
        .await?
    };
    Ok(Json(page.answer(firings, |firing| {
        crate::schedule_input::ms_of(firing.due_at)
    })))
}
