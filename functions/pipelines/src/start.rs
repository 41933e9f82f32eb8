//! Starting runs.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use garde::Validate;
use guest::db::OnConstraint;
use guest::task::sleep;
use guest::{Caller, Db, Later, OptionalInput, Path, Problem, Result, args, db};
use pipeline::{Definition, Schema, Work};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs::{Run, RunBudget};
use crate::{pipelines, runs};

/// The longest time that a client can wait for the end of a run, in seconds.
const MAX_PATIENCE: u64 = 25;
/// The pauses between two looks at a run that is waited for: short at first, since many a run is over soon.
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

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

/// The answer of the database's function `start`; `None` if there is no such pipeline.
#[derive(Deserialize)]
pub struct Started {
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
    Ok(answered(&db, caller, &headers, run, is_new))
}

/// The answer with a run that was started, or what it is later if the client waits for its end.
pub fn answered(db: &Db, caller: Caller, headers: &HeaderMap, run: Run, is_new: bool) -> Response {
    let seconds = patience(headers);
    let waits = seconds > 0 && run.finished_at.is_none();
    let id = run.id;
    let mut first = answer(run, is_new);
    if waits {
        let ended = ended(db.apart(), caller, id, is_new, seconds);
        first.extensions_mut().insert(Later::new(ended));
    }
    first
}

/// The seconds that the client prefers to wait (RFC 7240).
fn patience(headers: &HeaderMap) -> u64 {
    let values = headers.get_all("prefer").iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let wishes = texts.flat_map(|text| text.split(','));
    let wait = wishes
        .filter_map(|wish| wish.split(';').next()?.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .find_map(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u64>().ok());
    wait.unwrap_or_default().min(MAX_PATIENCE)
}

/// The answer when a run has ended, or the client has waited long enough. It holds no connection while it pauses.
async fn ended(db: Db, caller: Caller, run: Uuid, is_new: bool, seconds: u64) -> Response {
    let (mut left, mut pause) = (Duration::from_secs(seconds), FIRST_PAUSE);
    loop {
        pause = pause.min(left);
        sleep(pause).await;
        left -= pause;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match runs::one(&db.apart(), &caller, run).await {
            Ok(run) if run.finished_at.is_some() || left.is_zero() => return answer(run, is_new),
            Ok(_) => {}
            Err(problem) => return problem.into_response(),
        }
    }
}

/// 200 with a run that has ended, or that was there already; else 202.
fn answer(run: Run, is_new: bool) -> Response {
    if is_new && run.finished_at.is_none() {
        return accepted(run);
    }
    Json(run).into_response()
}

/// The answer to a request for a run that goes on.
fn accepted(run: Run) -> Response {
    let location = format!("/api/runs/{}", run.id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(run)).into_response()
}

/// The definition of a version of a pipeline; of the active one if there is no number.
///
/// # Errors
/// 404 `unknown-version`.
pub async fn definition(db: &Db, pipeline: Uuid, version: Option<i32>) -> Result<Definition> {
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
///
/// # Errors
/// 422 `invalid-input`.
pub fn accept(definition: &Definition, input: &Value) -> Result<()> {
    pipeline::fit(input).map_err(|fault| Problem::invalid("input", fault.detail))?;
    hold(definition.input.as_ref(), input, "input")
}

/// Holds an output that somebody gives a step against its node's schema, and against what values may be. `field` is its
/// place in the request.
///
/// # Errors
/// 422 `invalid-input`.
pub fn accept_output(
    definition: &Definition,
    step: &str,
    output: &Value,
    field: &str,
) -> Result<()> {
    pipeline::fit(output).map_err(|fault| Problem::invalid(field, fault.detail))?;
    let Some(node) = definition.node(step) else {
        return Ok(());
    };
    // That of an agent is the schema of the data in its answer.
    let value = match &node.work {
        Work::Agent(_) => &output["data"],
        _ => output,
    };
    hold(node.common.output.as_ref(), value, field)
}

fn hold(schema: Option<&Value>, value: &Value, field: &str) -> Result<()> {
    let schema = schema.map(Schema::new).transpose();
    let schema = schema.map_err(Problem::internal)?;
    match schema.and_then(|schema| schema.refusal(value)) {
        Some((path, why)) => Err(Problem::invalid(
            format!("{field}{}", path.replace('/', ".")),
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
///
/// # Errors
/// It was refused.
pub async fn begun(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_wait_is_read_however_it_is_spelled() {
        for (prefer, seconds) in [
            ("wait=5", 5),
            ("respond-async, wait=5", 5),
            ("Wait = 5", 5),
            ("wait=\"5\"; strict", 5),
            ("wait=90", 25),
            ("wait=-1", 0),
            ("wait", 0),
            ("handling=lenient", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", prefer.parse().expect("a value"));
            assert_eq!(patience(&headers), seconds, "{prefer}");
        }
    }
}
