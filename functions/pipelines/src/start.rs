//! Starting runs, anew or from a step of another one.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, OptionalInput, Path, Problem, Result, args, db};
use pipeline::{Definition, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs::Run;
use crate::{pipelines, runs};

/// A new run.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewRun {
    /// The input, which has to fit the definition's `input`; null if absent.
    #[garde(skip)]
    #[schema(value_type = Object, nullable)]
    input: Value,
    /// The version to execute; the active version if absent.
    #[garde(inner(range(min = 1)))]
    version: Option<i32>,
    /// While a run with this key has not ended, starting again answers that run.
    #[garde(inner(length(chars, min = 1, max = 200)))]
    #[schema(min_length = 1, max_length = 200)]
    key: Option<String>,
    /// The priority of the run's work: smaller is sooner.
    #[garde(range(min = -100, max = 100))]
    #[schema(minimum = -100, maximum = 100)]
    priority: i32,
    /// The time before which the run does not begin.
    #[garde(skip)]
    #[serde(with = "time::serde::rfc3339::option")]
    start_at: Option<OffsetDateTime>,
}

/// A restart from a step.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The step that runs again, with all that follows from it.
    #[garde(length(max = 100))]
    #[schema(example = "fetch")]
    from: String,
    /// The version to execute; that of the former run if absent.
    #[garde(inner(range(min = 1)))]
    version: Option<i32>,
    /// The input; that of the former run if absent.
    #[garde(skip)]
    #[schema(value_type = Object, nullable = false)]
    input: Option<Value>,
    /// Outputs by step, instead of those of the former run.
    #[garde(skip)]
    #[serde(default)]
    #[schema(value_type = Object)]
    outputs: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Started {
    started: Option<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    run: Uuid,
    is_new: bool,
}

#[derive(Deserialize)]
struct Stored {
    definition: Value,
}

/// A step that has ended, as a restart takes it over.
#[derive(Serialize, Deserialize)]
struct Ended {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    effect: String,
    attempts: u32,
    output: Value,
    error: Value,
    chosen: Option<String>,
}

/// Starts a run of a pipeline, which acts for the caller with no more than the version's `permissions`.
///
/// The answer is the run; its steps are done by workers.
#[utoipa::path(
    post, path = "/api/pipelines/{pipeline}/runs", tag = "pipelines", operation_id = "start_run",
    params(
        ("pipeline" = String, Path, description = "The pipeline's id, or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = NewRun,
    responses(
        (status = 200, body = Run, description = "The unfinished run with this key"),
        (status = 202, body = Run, headers(("Location" = String))),
        (status = 404, description = "`not-found`, `unknown-version`"),
        (status = 409, description = "`pipeline-paused`, `pipeline-archived`"),
        (status = 422, description = "`invalid-input`: also if the input does not fit the definition"),
        (status = 429, description = "`too-many-runs`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn start(
    db: Db,
    caller: Caller,
    Path(pipeline): Path<String>,
    OptionalInput(new): OptionalInput<NewRun>,
) -> Result<Response> {
    let new = new.unwrap_or_default();
    let id = pipelines::find(&db, &caller, &pipeline).await?;
    let definition = definition(&db, id, new.version).await?;
    accept(&definition, &new.input)?;
    let started = db
        .one(
            "select start($1, $2, $3, $4, $5, $6, $7::text::timestamptz) as started",
            args![
                id,
                caller.id,
                new.version,
                new.input,
                new.key,
                new.priority,
                new.start_at
            ],
        )
        .await;
    answer(&db, &caller, started).await
}

/// Restarts a run from one of its steps, as a new run.
///
/// The outputs of all steps that do not follow from this one are taken over, or come from `outputs`.
#[utoipa::path(
    post, path = "/api/runs/{run}/restart", tag = "pipelines", operation_id = "restart_run",
    params(
        ("run" = Uuid, Path, description = "The run's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
    ),
    request_body = Restart,
    responses(
        (status = 202, body = Run, headers(("Location" = String))),
        (status = 404, description = "`not-found`, `unknown-version`, `unknown-step`"),
        (status = 409, description = "`pipeline-paused`, `pipeline-archived`"),
        (status = 422, description = "`invalid-input`: also if the input does not fit the definition"),
        (status = 429, description = "`too-many-runs`"),
    ),
    security(("token" = ["pipelines:run"]))
)]
pub async fn restart(
    db: Db,
    caller: Caller,
    Path(run): Path<Uuid>,
    Input(restart): Input<Restart>,
) -> Result<Response> {
    let former = runs::one(&db, &caller, run).await?;
    let version = restart
        .version
        .or_else(|| i32::try_from(former.version).ok());
    let definition = definition(&db, former.pipeline, version).await?;
    let unknown = |step: &str| {
        let detail = format!(
            "`{step}` is not a step of this definition that something can be taken over for."
        );
        Problem::new(StatusCode::NOT_FOUND, "unknown-step", detail)
    };
    let mut again = following(&definition, &restart.from).ok_or_else(|| unknown(&restart.from))?;
    if let Some(step) = restart
        .outputs
        .keys()
        .find(|step| again.contains(*step) || !definition.nodes.contains_key(*step))
    {
        return Err(unknown(step));
    }
    let input = restart.input.or(former.input).unwrap_or_default();
    accept(&definition, &input)?;
    let ended: Vec<Ended> = db
        .many(
            "select path, type, status, effect, attempts, output, error, chosen from step_view
             where account_id = $1 and run_id = $2 and status in ('succeeded', 'failed', 'skipped') order by path limit 500",
            args![caller.id, run],
        )
        .await?;
    // What had not ended runs as well, and so does what follows from it.
    let known: BTreeSet<&str> = ended.iter().map(|step| step.path.as_str()).collect();
    for id in definition.nodes.keys() {
        if !known.contains(id.as_str()) && !restart.outputs.contains_key(id) {
            again.extend(following(&definition, id).unwrap_or_default());
        }
    }
    let taken: Vec<Ended> = ended
        .into_iter()
        .filter(|step| definition.nodes.contains_key(&step.path) && !again.contains(&step.path))
        .map(|mut step| {
            if let Some(output) = restart.outputs.get(&step.path) {
                step.output = output.clone();
                "succeeded".clone_into(&mut step.status);
                step.error = Value::Null;
            }
            step
        })
        .collect();
    let started = db
        .one(
            "select start($1, $2, $3, $4, null, 0, null, $5) as started",
            args![
                former.pipeline,
                caller.id,
                version,
                input,
                json!({"from": run, "steps": taken})
            ],
        )
        .await;
    answer(&db, &caller, started).await
}

/// A step and all steps that follow from it.
fn following(definition: &Definition, from: &str) -> Option<BTreeSet<String>> {
    definition.nodes.contains_key(from).then_some(())?;
    let mut out = BTreeSet::from([from.to_owned()]);
    loop {
        let before = out.len();
        let more: Vec<_> = definition
            .edges
            .iter()
            .filter(|edge| out.contains(&edge.from))
            .collect();
        out.extend(more.into_iter().map(|edge| edge.to.clone()));
        if out.len() == before {
            return Some(out);
        }
    }
}

async fn definition(db: &Db, pipeline: Uuid, version: Option<i32>) -> Result<Definition> {
    let stored: Option<Stored> = db
        .optional(
            "select v.definition from version v join pipeline p on p.id = v.pipeline_id
             where p.id = $1 and v.number = coalesce($2, p.active_version)",
            args![pipeline, version],
        )
        .await?;
    let stored = stored.ok_or_else(pipelines::unknown_version)?;
    let checked = pipeline::check(&stored.definition);
    checked
        .definition
        .ok_or_else(|| Problem::internal("a stored definition has problems"))
}

/// Holds an input against the definition's schema, and against what values may be.
fn accept(definition: &Definition, input: &Value) -> Result<()> {
    pipeline::fit(input).map_err(|fault| Problem::invalid("input", fault.detail))?;
    let schema = definition.input.as_ref().map(Schema::new).transpose();
    let schema = schema.map_err(Problem::internal)?;
    match schema.and_then(|schema| schema.refusal(input)) {
        Some((path, why)) => Err(Problem::invalid(
            format!("input{}", path.replace('/', ".")),
            why,
        )),
        None => Ok(()),
    }
}

async fn answer(db: &Db, caller: &Caller, started: Result<Started, db::Error>) -> Result<Response> {
    let many = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-runs",
        "You have 1,000 runs that have not ended. Wait for one to end, or cancel one.",
    );
    let paused = Problem::conflict("pipeline-paused", "The pipeline is paused.");
    let started = started
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("pipeline_archived", pipelines::archived())
        .on_constraint("pipeline_paused", paused)
        .on_constraint("pipeline_version", pipelines::unknown_version())
        .on_constraint("run_count", many)?;
    let outcome = started
        .started
        .ok_or_else(|| Problem::not_found("pipeline"))?;
    let run = runs::one(db, caller, outcome.run).await?;
    if !outcome.is_new {
        return Ok(Json(run).into_response());
    }
    let location = format!("/api/runs/{}", run.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(run)).into_response())
}
