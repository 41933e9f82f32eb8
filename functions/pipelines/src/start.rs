//! Starting runs, anew or from a step of another one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::task::sleep;
use guest::{Caller, Db, Input, OptionalInput, Path, Problem, Result, args, db};
use pipeline::{Definition, Schema, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs::{Run, RunBudget};
use crate::{pipelines, runs};

/// The longest time that a client can wait for the end of a run, in seconds.
const MAX_PATIENCE: u64 = 25;
const LOOKS_A_SECOND: u64 = 4;

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
    /// What the run may use before it is paused, instead of what the definition says.
    #[garde(skip)]
    #[schema(inline)]
    budget: Option<RunBudget>,
    /// Outputs of steps by their paths: these steps are not done, and have these outputs.
    #[garde(skip)]
    #[schema(value_type = Object)]
    stubs: BTreeMap<String, Value>,
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
    input: Value,
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
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds, 25 at most, for the end of the run."),
    ),
    request_body = NewRun,
    responses(
        (status = 200, body = Run, description = "The unfinished run with this key, or the run that has ended in time"),
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
    headers: HeaderMap,
    OptionalInput(new): OptionalInput<NewRun>,
) -> Result<Response> {
    let new = new.unwrap_or_default();
    let id = pipelines::find(&db, &caller, &pipeline).await?;
    let definition = definition(&db, id, new.version).await?;
    accept(&definition, &new.input)?;
    for (step, output) in &new.stubs {
        if definition.node(step).is_none() {
            let why = "must name steps of the definition";
            return Err(Problem::invalid(format!("stubs.{step}"), why));
        }
        pipeline::fit(output)
            .map_err(|fault| Problem::invalid(format!("stubs.{step}"), fault.detail))?;
    }
    let started = db
        .one(
            "select start($1, $2, $3, $4, $5, $6, $7::text::timestamptz, budget => $8, stubs => $9) as started",
            args![
                id,
                caller.id,
                new.version,
                new.input,
                new.key,
                new.priority,
                new.start_at,
                new.budget.map(|budget| json!(budget)),
                json!(new.stubs)
            ],
        )
        .await;
    let (run, is_new) = begun(&db, &caller, started).await?;
    let run = wait(&db, &caller, run, patience(&headers)).await?;
    if !is_new || run.finished_at.is_some() {
        return Ok(Json(run).into_response());
    }
    Ok(accepted(run))
}

/// The seconds that the client prefers to wait (RFC 7240).
fn patience(headers: &HeaderMap) -> u64 {
    let values = headers.get_all("prefer").iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let wishes = texts.flat_map(|text| text.split(',')).map(str::trim);
    let wait = wishes
        .filter_map(|wish| wish.strip_prefix("wait="))
        .find_map(|seconds| seconds.parse::<u64>().ok());
    wait.unwrap_or_default().min(MAX_PATIENCE)
}

async fn wait(db: &Db, caller: &Caller, mut run: Run, seconds: u64) -> Result<Run> {
    for _ in 0..seconds.saturating_mul(LOOKS_A_SECOND) {
        if run.finished_at.is_some() {
            break;
        }
        sleep(Duration::from_millis(1_000 / LOOKS_A_SECOND)).await;
        run = runs::one(db, caller, run.id).await?;
    }
    Ok(run)
}

fn accepted(run: Run) -> Response {
    let location = format!("/api/runs/{}", run.id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(run)).into_response()
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
    let is_dropped =
        |again: &BTreeSet<String>, path: &str| again.iter().any(|step| is_at_or_in(step, path));
    if let Some(step) = restart.outputs.keys().find(|step| {
        definition.node(step).is_none()
            || is_dropped(&again, step)
            || is_at_or_in(step, &restart.from)
    }) {
        return Err(unknown(step));
    }
    for (step, output) in &restart.outputs {
        pipeline::fit(output)
            .map_err(|fault| Problem::invalid(format!("outputs.{step}"), fault.detail))?;
    }
    let input = restart.input.or(former.input).unwrap_or_default();
    accept(&definition, &input)?;
    let ended: Vec<Ended> = db
        .many(
            "select path, type, status, effect, attempts, input, output, error, chosen from step_view
             where account_id = $1 and run_id = $2 order by path limit 100000",
            args![caller.id, run],
        )
        .await?;
    // What had not ended runs as well, and so does what follows from it. The maps around a step go on with their items.
    let has_ended =
        |step: &Ended| ["succeeded", "failed", "skipped"].contains(&step.status.as_str());
    let around = |path: &str| is_in(path, &restart.from);
    for step in &ended {
        let is_given = restart.outputs.contains_key(&step.path);
        if !has_ended(step) && !is_given && !is_map_at_work(step) {
            again.extend(following(&definition, &step.path).unwrap_or_default());
        }
    }
    let known: BTreeSet<&str> = ended.iter().map(|step| step.path.as_str()).collect();
    for id in definition.nodes.keys() {
        if !known.contains(id.as_str()) && !restart.outputs.contains_key(id) {
            again.extend(following(&definition, id).unwrap_or_default());
        }
    }
    let taken: Vec<Ended> = ended
        .into_iter()
        .filter(|step| {
            definition.node(&step.path).is_some()
                // What ends the run runs again, since the new one has not ended.
                && !step.path.starts_with(pipeline::FINALLY)
                && (around(&step.path) || !is_dropped(&again, &step.path))
        })
        .map(|mut step| {
            if let Some(output) = restart.outputs.get(&step.path) {
                step.output = output.clone();
                "succeeded".clone_into(&mut step.status);
                step.error = Value::Null;
            } else if around(&step.path) || (is_map_at_work(&step) && !has_ended(&step)) {
                "waiting".clone_into(&mut step.status);
                (step.output, step.error) = (Value::Null, Value::Null);
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
    begun(&db, &caller, started)
        .await
        .map(|(run, _)| accepted(run))
}

/// Whether a path is in a map: `each[3].a` is in `each`.
fn is_in(map: &str, path: &str) -> bool {
    path.strip_prefix(map)
        .is_some_and(|rest| rest.starts_with('['))
}

fn is_at_or_in(step: &str, path: &str) -> bool {
    step == path || is_in(step, path)
}

/// Whether a step is a map whose items are known.
fn is_map_at_work(step: &Ended) -> bool {
    step.kind == "map" && step.input["items"].is_array()
}

/// A step and all steps that follow from it, also outside of the maps that it is in. `None` if it is not a step.
fn following(definition: &Definition, from: &str) -> Option<BTreeSet<String>> {
    definition.node(from)?;
    let mut out = BTreeSet::new();
    let (mut graph, mut prefix, mut rest) = (definition, String::new(), from);
    loop {
        let (first, inner) = match rest.split_once('.') {
            Some((first, inner)) => (first, Some(inner)),
            None => (rest, None),
        };
        let id = first.split('[').next().unwrap_or(first);
        let mut level = BTreeSet::from([id.to_owned()]);
        loop {
            let before = level.len();
            let edges = graph.edges.iter().filter(|edge| level.contains(&edge.from));
            let more: Vec<_> = edges.map(|edge| edge.to.clone()).collect();
            level.extend(more);
            if level.len() == before {
                break;
            }
        }
        // A map around the step goes on, and what follows from it runs again.
        if inner.is_some() {
            level.remove(id);
        }
        out.extend(level.into_iter().map(|id| format!("{prefix}{id}")));
        let Some(inner) = inner else { return Some(out) };
        let Some(Work::Map(map)) = graph.nodes.get(id).map(|node| &node.work) else {
            return None;
        };
        prefix = format!("{prefix}{first}.");
        (graph, rest) = (&*map.body, inner);
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

/// The problem of a pipeline that is paused.
pub fn paused() -> Problem {
    Problem::conflict("pipeline-paused", "The pipeline is paused.")
}

/// The problem of an account that has too many runs.
pub fn too_many() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-runs",
        "You have 1,000 runs that have not ended. Wait for one to end, or cancel one.",
    )
}

/// The run that was started, and whether it is new.
async fn begun(
    db: &Db,
    caller: &Caller,
    started: Result<Started, db::Error>,
) -> Result<(Run, bool)> {
    let started = started
        .on_constraint("account_active", Problem::unauthenticated())
        .on_constraint("pipeline_archived", pipelines::archived())
        .on_constraint("pipeline_paused", paused())
        .on_constraint("pipeline_version", pipelines::unknown_version())
        .on_constraint("run_count", too_many())?;
    let outcome = started
        .started
        .ok_or_else(|| Problem::not_found("pipeline"))?;
    let run = runs::one(db, caller, outcome.run).await?;
    Ok((run, outcome.is_new))
}
