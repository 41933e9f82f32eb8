//! Jobs: reading, cancelling and retrying them. What a job was asked with is shown to nobody.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Queued work.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: Uuid,
    /// What does the work.
    #[schema(example = "skill-review")]
    pub kind: String,
    pub status: Status,
    pub progress: Progress,
    /// How often it was tried.
    pub attempts: u32,
    /// After so many it is dead.
    pub max_attempts: u32,
    /// What it made; null until it has succeeded.
    #[schema(value_type = Object, nullable)]
    pub result: Value,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Somebody wants it to stop, and it still runs.
    pub cancelling: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Not begun before.
    #[serde(with = "time::serde::rfc3339")]
    pub run_at: OffsetDateTime,
    /// When the last attempt began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// The attempts that did not succeed, the newest first, 20 at most. Only for one job, not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failures: Option<Vec<Attempt>>,
}

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobStatus)]
pub enum Status {
    /// Waits for a worker, or for its time.
    Queued,
    /// A worker runs it.
    Running,
    /// Did what it was asked.
    Succeeded,
    /// Failed, and will be tried again.
    Failed,
    /// Failed for good; it can be retried.
    Dead,
    /// Somebody wanted it to stop.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    #[schema(minimum = 0, maximum = 100)]
    percent: u8,
    note: String,
}

/// An attempt that did not succeed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// 1 for the first.
    attempt: u32,
    /// `failed`, or `lost` with the worker that ran it.
    outcome: String,
    error: String,
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    ended_at: OffsetDateTime,
}

/// Which jobs to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of this kind.
    #[garde(inner(length(max = 60)))]
    kind: Option<String>,
    /// Only those that are so.
    #[garde(skip)]
    #[param(inline)]
    status: Option<Status>,
}

impl Filter {
    /// The status as the database has it.
    fn status(&self) -> Option<String> {
        let value = serde_json::to_value(self.status?).ok()?;
        value.as_str().map(str::to_owned)
    }
}

/// Whose jobs a caller sees: `None` is everybody's.
fn owner(caller: &Caller) -> Option<Uuid> {
    (!caller.allows(guest::ALL)).then_some(caller.id)
}

/// Lists jobs, the newest first: the caller's own; admins see all.
#[utoipa::path(
    get, path = "/api/jobs", tag = "jobs", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Job>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Job>>> {
    let arguments = args![
        filter.kind.clone(),
        filter.status(),
        page.after,
        page.fetch(),
        owner(&caller),
    ];
    // Two statements, so that each has its index.
    let jobs: Vec<Job> = if owner(&caller).is_some() {
        db.many(
            "select * from job_view
             where owner_id = $5 and ($1::text is null or kind = $1) and ($2::text is null or status = $2)
             and ($3::uuid is null or id < $3)
             order by id desc limit $4",
            arguments,
        )
        .await?
    } else {
        db.many(
            "select * from job_view
             where $5::uuid is null and ($1::text is null or kind = $1) and ($2::text is null or status = $2)
             and ($3::uuid is null or id < $3)
             order by id desc limit $4",
            arguments,
        )
        .await?
    };
    Ok(Json(page.answer(jobs, |job| job.id)))
}

/// One job, with the attempts that failed.
#[utoipa::path(
    get, path = "/api/jobs/{job}", tag = "jobs",
    params(("job" = Uuid, Path, description = "Id")),
    responses((status = 200, body = Job), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(job): Path<Uuid>) -> Result<Json<Job>> {
    read(&db, &caller, job).await.map(Json)
}

async fn read(db: &Db, caller: &Caller, job: Uuid) -> Result<Job> {
    let job = db
        .optional(
            "select j.*, (
                 select coalesce(jsonb_agg(a order by a.attempt desc), '[]') from (
                     select attempt, outcome, error, started_at, ended_at from attempt_view
                     where job_id = j.id order by attempt desc limit 20) a
             ) as failures
             from job_view j where j.id = $1 and ($2::uuid is null or j.owner_id = $2)",
            args![job, owner(caller)],
        )
        .await?;
    job.ok_or_else(|| Problem::not_found("job"))
}

/// Cancels a job.
///
/// One that waits is cancelled at once. One that runs is asked to stop and stopped a few seconds
/// later if it doesn't: `cancelling` says so until then. Cancelling twice does no harm.
#[utoipa::path(
    post, path = "/api/jobs/{job}/cancel", tag = "jobs",
    params(("job" = Uuid, Path, description = "Id")),
    responses(
        (status = 200, body = Job),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`job-finished`"),
    ),
    security(("token" = ["jobs:manage"]))
)]
pub async fn cancel(db: Db, caller: Caller, Path(job): Path<Uuid>) -> Result<Json<Job>> {
    let status: Before = db
        .one(
            "select cancel($1, $2) as status",
            args![job, owner(&caller)],
        )
        .await?;
    match status.status {
        None => Err(Problem::not_found("job")),
        Some(Status::Succeeded | Status::Dead) => Err(Problem::conflict(
            "job-finished",
            "The job has ended already, so it can't be cancelled.",
        )),
        Some(_) => read(&db, &caller, job).await.map(Json),
    }
}

/// Puts a dead job into the queue again, with as many attempts as a new one.
#[utoipa::path(
    post, path = "/api/jobs/{job}/retry", tag = "jobs",
    params(("job" = Uuid, Path, description = "Id")),
    responses(
        (status = 200, body = Job),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`job-not-dead`, `job-superseded`"),
    ),
    security(("token" = ["jobs:manage"]))
)]
pub async fn retry(db: Db, caller: Caller, Path(job): Path<Uuid>) -> Result<Json<Job>> {
    let status: Before = db
        .one("select retry($1, $2) as status", args![job, owner(&caller)])
        .await
        .on_constraint(
            "job_key",
            Problem::conflict(
                "job-superseded",
                "The same work has been asked for again since, and is not finished.",
            ),
        )?;
    match status.status {
        None => Err(Problem::not_found("job")),
        Some(Status::Dead) => read(&db, &caller, job).await.map(Json),
        Some(_) => Err(Problem::conflict(
            "job-not-dead",
            "Only a dead job can be retried; the others run by themselves or have ended.",
        )),
    }
}

/// The status that a job had, or has now; none where there is no such job.
#[derive(Debug, Deserialize)]
struct Before {
    status: Option<Status>,
}
