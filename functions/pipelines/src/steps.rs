//! The steps of a run.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::runs;
use crate::values::kept;

/// A step: the execution of a node in a run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The path of the step: the id of its node, or `each[17].fetch` for a node in a map.
    #[schema(example = "fetch")]
    pub path: String,
    /// The type of the node.
    #[serde(rename = "type")]
    pub kind: String,
    /// The state of the step.
    pub status: StepStatus,
    /// What a repetition means: `pure`, `inside` the database, or outgoing: `repeatable` or `once`.
    pub effect: String,
    /// The number of attempts so far.
    pub attempts: u32,
    /// The input, after its expressions were evaluated; null if it has none. Absent in lists if it has more than 16 KiB.
    #[serde(deserialize_with = "kept", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable)]
    pub input: Option<Value>,
    /// The output; null until there is one. Absent in lists if it has more than 16 KiB.
    #[serde(deserialize_with = "kept", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable)]
    pub output: Option<Value>,
    /// The reason why the step failed: `{code, detail}`.
    #[schema(value_type = Object, nullable)]
    pub error: Value,
    /// The approval that the step waits for, or waited for.
    pub approval: Option<Uuid>,
    /// The run that the step has started.
    pub child: Option<Uuid>,
    /// The first turn of the agents that the step has asked.
    pub turn: Option<Uuid>,
    /// The job that works on that turn.
    pub job: Option<Uuid>,
    /// The signed statement about the call of the step's skill, as a DSSE envelope; null if there was none.
    #[schema(value_type = Object, nullable)]
    pub receipt: Value,
    /// What a request has told after the step had been ended: `{outcome, at}`.
    #[schema(value_type = Object, nullable)]
    pub late: Value,
    /// The time at which the step is looked at again.
    #[serde(with = "time::serde::rfc3339::option")]
    pub wake_at: Option<OffsetDateTime>,
    /// The time at which the step began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// The time at which the step ended; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Is about to run.
    Ready,
    /// Runs at this moment.
    Running,
    /// Has failed, and runs again later.
    Retrying,
    /// Waits for a time, a signal or somebody.
    Waiting,
    /// Has sent a request that may have arrived, or not; a person decides.
    Uncertain,
    /// Ended with an output.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Did not run.
    Skipped,
    /// Was cancelled with its run.
    Cancelled,
    /// Reached its time-out, or that of the run.
    TimedOut,
}

impl StepStatus {
    fn text(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Uncertain => "uncertain",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The filter of a list of steps.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only steps in this state.
    #[garde(skip)]
    #[param(inline)]
    status: Option<StepStatus>,
    /// Lists only the step with this path, and those below it: `each[3]`, `finally`.
    #[garde(inner(length(max = 200)))]
    path: Option<String>,
}

/// Lists the steps of a run by their paths.
#[utoipa::path(
    get, path = "/api/runs/{run}/steps", tag = "pipelines", operation_id = "list_steps",
    params(("run" = Uuid, Path, description = "The run's id."), guest::PageParams, Filter),
    responses(
        (status = 200, body = Items<Step>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(run): Path<Uuid>,
    page: Page<String>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Step>>> {
    runs::one(&db, &caller, run).await?;
    let steps: Vec<Step> = db
        .many(
            "select path, type, status, effect, attempts, shown(input) as input, shown(output) as output, error, approval,
                 child, turn, job, receipt, late, wake_at, started_at, finished_at
             from step_view
             where run_id = $1 and ($2::text is null or status = $2) and ($3::text is null or path > $3)
             and ($5::text is null or path = $5 or starts_with(path, $5)
                 and (right($5, 1) = '.' or substr(path, length($5) + 1, 1) in ('.', '[')))
             order by path limit $4",
            args![run, filter.status.map(StepStatus::text), &page.after, page.fetch(), filter.path],
        )
        .await?;
    Ok(Json(page.answer(steps, |step| step.path.clone())))
}

/// Reads one step of a run, with its input and output.
#[utoipa::path(
    get, path = "/api/runs/{run}/steps/{path}", tag = "pipelines", operation_id = "get_step",
    params(
        ("run" = Uuid, Path, description = "The run's id."),
        ("path" = String, Path, description = "The path of the step."),
    ),
    responses((status = 200, body = Step), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path((run, path)): Path<(Uuid, String)>,
) -> Result<Json<Step>> {
    one(&db, &caller, run, &path).await.map(Json)
}

/// A step of the caller's run.
///
/// # Errors
/// 404 `not-found`.
pub async fn one(db: &Db, caller: &Caller, run: Uuid, path: &str) -> Result<Step> {
    let found = db
        .optional(
            "select path, type, status, effect, attempts, jsonb_build_array(input) as input,
                 jsonb_build_array(output) as output, error, approval, child, turn, job,
                 receipt, late, wake_at, started_at, finished_at
             from step_view where account_id = $1 and run_id = $2 and path = $3",
            args![caller.id, run, path],
        )
        .await?;
    found.ok_or_else(|| Problem::not_found("step"))
}
