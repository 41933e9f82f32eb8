//! What a run is told while it goes on: cancellations, signals and decisions.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, OptionalInput, Path, Problem, Result, args};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs::{self, Run, RunBudget};
use crate::start::{accept_output, definition};
use crate::steps::{self, Step};

/// A cancellation of a run.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cancellation {
    /// The reason, which the run shows.
    #[garde(inner(length(chars, max = 500)))]
    #[schema(max_length = 500)]
    reason: Option<String>,
    /// Gives up at once what the run is doing. Its `finally` runs then; one that has begun is ended.
    #[garde(skip)]
    force: bool,
}

/// A signal for a run.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Signal {
    /// The data for the wait that takes the signal.
    #[garde(skip)]
    #[schema(value_type = Object, nullable)]
    data: Value,
    /// The sender's own id of the signal: the same id counts once.
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(min_length = 1, max_length = 200)]
    id: Option<String>,
}

/// A decision about a step of which nobody knows whether its request arrived.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepResolution {
    /// What the step counts as.
    #[garde(skip)]
    outcome: StepOutcome,
    /// The output, if the step counts as succeeded.
    #[garde(skip)]
    #[serde(default)]
    #[schema(value_type = Object, nullable)]
    output: Value,
}

/// What an uncertain step counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepOutcome {
    /// The request has arrived.
    Succeeded,
    /// The request is sent again.
    Retry,
    /// The step has failed.
    Failed,
}

/// A resumption of a run.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resumption {
    /// What the run may use from now on in all; what is absent stays.
    #[garde(skip)]
    #[schema(inline)]
    budget: Option<RunBudget>,
}

#[derive(Deserialize)]
struct Told {
    told: Option<String>,
}

fn finished() -> Problem {
    Problem::conflict("run-finished", "The run has ended, or is being cancelled.")
}

/// Cancels a run, those that its steps have started first. What is being sent may still be answered for five seconds; what
/// is answered later has no effect on the run any more.
#[utoipa::path(
    post, path = "/api/runs/{run}/cancel", tag = "pipelines", operation_id = "cancel_run",
    params(("run" = Uuid, Path, description = "The run's id.")), request_body = Cancellation,
    responses(
        (status = 202, body = Run),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`run-finished`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn cancel(
    db: Db,
    caller: Caller,
    Path(run): Path<Uuid>,
    OptionalInput(cancellation): OptionalInput<Cancellation>,
) -> Result<(StatusCode, Json<Run>)> {
    let Cancellation { reason, force } = cancellation.unwrap_or_default();
    let told: Told = db
        .one(
            "select cancel($1, $2, $3, $4) as told",
            args![caller.id, run, reason, force],
        )
        .await?;
    accepted(&db, &caller, run, told).await
}

/// Pauses a run: nothing more is begun or sent until it is resumed. What is being sent is recorded first.
#[utoipa::path(
    post, path = "/api/runs/{run}/pause", tag = "pipelines", operation_id = "pause_run",
    params(("run" = Uuid, Path, description = "The run's id.")),
    responses(
        (status = 202, body = Run),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`run-finished`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn pause(
    db: Db,
    caller: Caller,
    Path(run): Path<Uuid>,
) -> Result<(StatusCode, Json<Run>)> {
    let told: Told = db
        .one("select pause_run($1, $2) as told", args![caller.id, run])
        .await?;
    accepted(&db, &caller, run, told).await
}

/// Lets a paused run go on. One whose budget is spent needs a larger one, or is paused again.
#[utoipa::path(
    post, path = "/api/runs/{run}/resume", tag = "pipelines", operation_id = "resume_run",
    params(("run" = Uuid, Path, description = "The run's id.")), request_body = Resumption,
    responses(
        (status = 202, body = Run),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`run-finished`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn resume(
    db: Db,
    caller: Caller,
    Path(run): Path<Uuid>,
    OptionalInput(resumption): OptionalInput<Resumption>,
) -> Result<(StatusCode, Json<Run>)> {
    let budget = resumption.unwrap_or_default().budget;
    let told: Told = db
        .one(
            "select resume_run($1, $2, $3) as told",
            args![caller.id, run, budget.map(|budget| json!(budget))],
        )
        .await?;
    accepted(&db, &caller, run, told).await
}

async fn accepted(
    db: &Db,
    caller: &Caller,
    run: Uuid,
    told: Told,
) -> Result<(StatusCode, Json<Run>)> {
    match told.told.as_deref() {
        None => Err(Problem::not_found("run")),
        Some("finished") => Err(finished()),
        Some(_) => Ok((
            StatusCode::ACCEPTED,
            Json(runs::one(db, caller, run).await?),
        )),
    }
}

/// Sends a signal to a run. The run keeps it until a wait takes it, even if none waits yet.
#[utoipa::path(
    post, path = "/api/runs/{run}/signals/{name}", tag = "pipelines", operation_id = "signal_run",
    params(
        ("run" = Uuid, Path, description = "The run's id."),
        ("name" = String, Path, description = "The name of the signal: 1 to 100 characters."),
    ),
    request_body = Signal,
    responses(
        (status = 202, body = Run),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`run-finished`, `too-many-signals`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn signal(
    db: Db,
    caller: Caller,
    Path((run, name)): Path<(Uuid, String)>,
    OptionalInput(signal): OptionalInput<Signal>,
) -> Result<(StatusCode, Json<Run>)> {
    if !(1..=100).contains(&name.chars().count()) {
        return Err(Problem::invalid("name", "must have 1 to 100 characters"));
    }
    let signal = signal.unwrap_or_default();
    pipeline::fit(&signal.data).map_err(|fault| Problem::invalid("data", fault.detail))?;
    let told: Told = db
        .one(
            "select send_signal($1, $2, $3, $4, $5) as told",
            args![caller.id, run, name, signal.id, signal.data],
        )
        .await?;
    match told.told.as_deref() {
        None => Err(Problem::not_found("run")),
        Some("finished") => Err(finished()),
        Some("full") => Err(Problem::conflict(
            "too-many-signals",
            "A run keeps at most 1,000 signals.",
        )),
        Some(_) => Ok((
            StatusCode::ACCEPTED,
            Json(runs::one(&db, &caller, run).await?),
        )),
    }
}

/// Decides about a step of which nobody knows whether its request arrived, after which the run goes on.
#[utoipa::path(
    post, path = "/api/runs/{run}/steps/{path}/resolve", tag = "pipelines", operation_id = "resolve_step",
    params(
        ("run" = Uuid, Path, description = "The run's id."),
        ("path" = String, Path, description = "The path of the step."),
    ),
    request_body = StepResolution,
    responses(
        (status = 200, body = Step),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`step-not-uncertain`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn resolve(
    db: Db,
    caller: Caller,
    Path((run, path)): Path<(Uuid, String)>,
    Input(resolution): Input<StepResolution>,
) -> Result<Json<Step>> {
    let outcome = match resolution.outcome {
        StepOutcome::Succeeded => {
            let known = runs::one(&db, &caller, run).await?;
            let version = i32::try_from(known.version).ok();
            let definition = definition(&db, known.pipeline, version).await?;
            accept_output(&definition, &path, &resolution.output, "output")?;
            "succeeded"
        }
        StepOutcome::Retry => "retry",
        StepOutcome::Failed => "failed",
    };
    let told: Told = db
        .one(
            "select resolve($1, $2, $3, $4, $5) as told",
            args![caller.id, run, &path, outcome, resolution.output],
        )
        .await
        .on_constraint(
            "run_size",
            Problem::invalid("output", "makes the run larger than 16 MiB"),
        )?;
    match told.told.as_deref() {
        None => Err(Problem::not_found("step")),
        Some("not-uncertain") => Err(Problem::conflict(
            "step-not-uncertain",
            "It is known what the step has done.",
        )),
        Some(_) => steps::one(&db, &caller, run, &path).await.map(Json),
    }
}
