//! Jobs: reading, cancelling and retrying them. The arguments of a job are never shown, not even to its owner.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A job: a piece of work that a worker takes from the queue.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// The job's id.
    pub id: Uuid,
    /// The kind of work, which is the name of the component that does it.
    #[schema(example = "skill-review")]
    pub kind: String,
    /// The state that the job is in.
    pub status: Status,
    /// The progress that the job last reported.
    pub progress: Progress,
    /// The number of attempts so far.
    pub attempts: u32,
    /// The number of attempts after which a failing job is dead.
    pub max_attempts: u32,
    /// The result of the job; null until it has succeeded.
    #[schema(value_type = Object, nullable)]
    pub result: Value,
    /// The reason why the last attempt failed; null if none has failed.
    pub error: Option<String>,
    /// Whether the job was cancelled while it runs and has not stopped yet.
    pub cancelling: bool,
    /// The time at which the job was put into the queue.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time before which the job does not begin.
    #[serde(with = "time::serde::rfc3339")]
    pub run_at: OffsetDateTime,
    /// The time at which the last attempt began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// The time at which the job ended; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
    /// The attempts that did not succeed, the newest first, 20 at most. Present when one job is read, absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failures: Option<Vec<Attempt>>,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobStatus)]
pub enum Status {
    /// Waits for a worker, or for `run_at`.
    Queued,
    /// Runs on a worker.
    Running,
    /// Ended with a result.
    Succeeded,
    /// The last attempt failed, and another one follows.
    Failed,
    /// The last attempt allowed has failed. The job can be retried by hand.
    Dead,
    /// Was cancelled.
    Cancelled,
}

/// The progress of a job, as the job reports it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The part of the work that is done, in percent.
    #[schema(minimum = 0, maximum = 100)]
    percent: u8,
    /// What the job is doing now, in a few words.
    note: String,
}

/// An attempt that did not succeed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// The attempt's number, beginning with 1.
    attempt: u32,
    /// `failed`, or `lost` if the worker that ran it disappeared.
    outcome: String,
    /// The reason why the attempt failed.
    error: String,
    /// The time at which the attempt began; null if it never began.
    #[serde(with = "time::serde::rfc3339::option")]
    started_at: Option<OffsetDateTime>,
    /// The time at which the attempt ended.
    #[serde(with = "time::serde::rfc3339")]
    ended_at: OffsetDateTime,
}

/// The filters of a list of jobs.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only jobs of this kind.
    #[garde(inner(length(max = 60)))]
    kind: Option<String>,
    /// Lists only jobs in this state.
    #[garde(skip)]
    #[param(inline)]
    status: Option<Status>,
}

impl Filter {
    /// The status as the database spells it.
    fn status(&self) -> Option<String> {
        let value = serde_json::to_value(self.status?).ok()?;
        value.as_str().map(str::to_owned)
    }
}

/// The account whose jobs the caller may see; `None` stands for every account.
pub fn owner(caller: &Caller) -> Option<Uuid> {
    (!caller.allows(guest::ALL)).then_some(caller.id)
}

/// Lists the caller's own jobs, the newest first. Admins see all jobs.
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
    // Each of the two statements has an index of its own.
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

/// Reads one job, with its failed attempts.
#[utoipa::path(
    get, path = "/api/jobs/{job}", tag = "jobs",
    params(("job" = Uuid, Path, description = "The job's id.")),
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
/// A waiting job is cancelled at once. A running job is asked to stop, and is stopped by force a few seconds later;
/// until then `cancelling` is true. Cancelling a job twice has the same effect as once.
#[utoipa::path(
    post, path = "/api/jobs/{job}/cancel", tag = "jobs",
    params(("job" = Uuid, Path, description = "The job's id.")),
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
            "The job has already ended, so it can't be cancelled.",
        )),
        Some(_) => read(&db, &caller, job).await.map(Json),
    }
}

/// Puts a dead job back into the queue, with as many attempts as a new one has.
#[utoipa::path(
    post, path = "/api/jobs/{job}/retry", tag = "jobs",
    params(("job" = Uuid, Path, description = "The job's id.")),
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
                "The same work was requested again after this job died, and has not finished.",
            ),
        )?;
    match status.status {
        None => Err(Problem::not_found("job")),
        Some(Status::Dead) => read(&db, &caller, job).await.map(Json),
        Some(_) => Err(Problem::conflict(
            "job-not-dead",
            "Only a dead job can be retried; other jobs run by themselves or have ended.",
        )),
    }
}

/// The status of the job before or after the change; `None` if the job does not exist.
#[derive(Debug, Deserialize)]
struct Before {
    status: Option<Status>,
}
