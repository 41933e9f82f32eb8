//! Runs: executions of a version of a pipeline.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::values::kept;

/// A run: the execution of one version of a pipeline.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// The run's id.
    pub id: Uuid,
    /// The pipeline's id.
    pub pipeline: Uuid,
    /// The number of the version that is executed.
    pub version: u32,
    /// The state of the run.
    pub status: RunStatus,
    /// The key with which the run was started.
    pub key: Option<String>,
    /// The input. Absent in lists if it has more than 16 KiB.
    #[serde(deserialize_with = "kept", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable)]
    pub input: Option<Value>,
    /// The result; null until the run has succeeded. Absent in lists if it has more than 16 KiB.
    #[serde(deserialize_with = "kept", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable)]
    pub result: Option<Value>,
    /// The reason why the run did not succeed: `{code, detail}`.
    #[schema(value_type = Object, nullable)]
    pub error: Value,
    /// What started the run: `call`, `restart` of another run, `schedule`, `event`, `webhook`, or `pipeline`: a step of another run.
    pub cause: String,
    /// The account that the run acts for.
    pub actor: Uuid,
    /// The run that this one began anew.
    pub restarted_from: Option<Uuid>,
    /// The run that started this one by one of its steps.
    pub parent: Option<Uuid>,
    /// The path of that step in the run that started this one.
    pub parent_step: Option<String>,
    /// The schedule that started the run.
    pub schedule: Option<Uuid>,
    /// The trigger that started the run.
    pub trigger: Option<Uuid>,
    /// What the run has used: `{steps, cost, tokens, fuel}`.
    #[schema(value_type = Object)]
    pub usage: Value,
    /// What the run may use before it is paused.
    pub budget: RunBudget,
    /// The steps that wait for a time, a signal or somebody.
    pub waiting_for: Vec<String>,
    /// The time at which the run was started.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// The time at which the first step began.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// The time at which the run ended; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// What a run may use before it is paused. What is absent has no limit.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunBudget {
    /// The cost of the models of its agents, in millionths of a dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cost: Option<u64>,
    /// The tokens of the models of its agents, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tokens: Option<u64>,
    /// The fuel of its skills.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    fuel: Option<u64>,
    /// The steps that are begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    steps: Option<u64>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Has not begun.
    Queued,
    /// Is driven by a worker.
    Running,
    /// Waits for a time, a signal or somebody, and holds nothing meanwhile.
    Waiting,
    /// Somebody has paused it.
    Paused,
    /// Is to be cancelled, and ends within five seconds.
    Cancelling,
    /// Ended with a result.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Was cancelled before its end.
    Cancelled,
    /// Reached its time-out.
    TimedOut,
}

impl RunStatus {
    fn text(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The filters of a list of runs.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only runs of this pipeline of the caller's: its id, or its name.
    #[garde(inner(length(max = 100)))]
    #[param(max_length = 100)]
    pipeline: Option<String>,
    /// Lists only runs in this state.
    #[garde(skip)]
    #[param(inline)]
    status: Option<RunStatus>,
    /// Lists only runs that this run has started by its steps.
    #[garde(skip)]
    parent: Option<Uuid>,
    /// Lists only runs that were started so: `call`, `restart`, `schedule`, `event`, `webhook` or `pipeline`.
    #[garde(inner(length(max = 20)))]
    cause: Option<String>,
}

/// A run of the caller's.
///
/// # Errors
/// 404 `not-found`.
pub async fn one(db: &Db, caller: &Caller, run: Uuid) -> Result<Run> {
    let found = db
        .optional(
            "select id, pipeline, version, status, key, jsonb_build_array(input) as input, jsonb_build_array(result) as result,
                 error, cause, actor, restarted_from, parent, parent_step, schedule, trigger, usage, budget, waiting_for,
                 created_at, started_at, finished_at
             from run_view where actor = $1 and id = $2",
            args![caller.id, run],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("run"))
}

/// Lists the caller's runs, the newest first.
#[utoipa::path(
    get, path = "/api/runs", tag = "pipelines", operation_id = "list_runs", params(guest::PageParams, Filter),
    responses((status = 200, body = Items<Run>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Run>>> {
    let runs: Vec<Run> = db
        .many(
            "select id, pipeline, version, status, key, shown(input) as input, shown(result) as result, error, cause,
                 actor, restarted_from, parent, parent_step, schedule, trigger, usage, budget, waiting_for, created_at,
                 started_at, finished_at
             from list_runs($1, $2, $3, $4, $5, $6, $7)",
            args![
                caller.id,
                page.after,
                page.fetch(),
                &filter.pipeline,
                filter.status.map(RunStatus::text),
                filter.cause,
                filter.parent
            ],
        )
        .await?;
    Ok(Json(page.answer(runs, |run| run.id)))
}

/// Reads one of the caller's runs.
#[utoipa::path(
    get, path = "/api/runs/{run}", tag = "pipelines", operation_id = "get_run",
    params(("run" = Uuid, Path, description = "The run's id.")),
    responses((status = 200, body = Run), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(run): Path<Uuid>) -> Result<Json<Run>> {
    one(&db, &caller, run).await.map(Json)
}
