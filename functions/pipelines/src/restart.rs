//! Restarts: a new run with the outputs of all steps of a former one that are not downstream of the step it begins with.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use garde::Validate;
use guest::{Caller, Db, Input, Path, Problem, Result, args};
use pipeline::{Definition, Node, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::runs::{self, Run};
use crate::start::{accept, accept_output, answered, begun, definition};

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

/// A step that has ended, as a restart takes it over.
#[derive(Clone, Serialize, Deserialize)]
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

/// Restarts a run from one of its steps, as a new run.
///
/// The outputs of all steps that do not follow from this one are taken over, or come from `outputs`. The former run's
/// priority, budget and stubs count in the new one, too.
#[utoipa::path(
    post, path = "/api/runs/{run}/restart", tag = "pipelines", operation_id = "restart_run",
    params(
        ("run" = Uuid, Path, description = "The run's id."),
        ("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless."),
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds, 25 at most, for the end of the run."),
    ),
    request_body = Restart,
    responses(
        (status = 200, body = Run, description = "The run that has ended in time"),
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
    headers: HeaderMap,
    Input(restart): Input<Restart>,
) -> Result<Response> {
    let former = runs::one(&db, &caller, run).await?;
    let version = restart
        .version
        .or_else(|| i32::try_from(former.version).ok());
    let definition = definition(&db, former.pipeline, version).await?;
    let ended: Vec<Ended> = db
        .many(
            "select path, type, status, effect, attempts, input, output, error, chosen from step_view
             where account_id = $1 and run_id = $2 order by path limit 100000",
            args![caller.id, run],
        )
        .await?;
    let taken = taken_over(&definition, &restart, ended)?;
    for (step, output) in &restart.outputs {
        accept_output(&definition, step, output, &format!("outputs.{step}"))?;
    }
    let input = restart.input.or(former.input).unwrap_or_default();
    accept(&definition, &input)?;
    let started = db
        .one(
            "select start($1, $2, $3, $4, null, null, null, $5) as started",
            args![
                former.pipeline,
                caller.id,
                version,
                input,
                json!({"from": run, "steps": taken})
            ],
        )
        .await;
    let (run, is_new) = begun(&db, &caller, started).await?;
    Ok(answered(&db, caller, &headers, run, is_new))
}

/// The steps that the new run begins with: of the former run's, those that are not downstream of where it begins, and those
/// whose outputs are given.
fn taken_over(definition: &Definition, restart: &Restart, ended: Vec<Ended>) -> Result<Vec<Ended>> {
    let rows: BTreeMap<String, Ended> = ended
        .into_iter()
        .map(|step| (step.path.clone(), step))
        .collect();
    // An item of a map is only known by the former run.
    let node = |path: &str| {
        let is_known = !path.contains('[') || rows.contains_key(path);
        definition.node(path).filter(|_| is_known)
    };
    let following = |path: &str| following(definition, path).unwrap_or_default();
    let from = restart.from.as_str();
    let mut again = match node(from) {
        Some(_) => following(from),
        None => return Err(unknown(from)),
    };
    let is_dropped =
        |again: &BTreeSet<String>, path: &str| again.iter().any(|step| is_at_or_in(step, path));
    let is_unfit = |step: &&String| {
        node(step).is_none() || is_dropped(&again, step) || is_at_or_in(step, from)
    };
    if let Some(step) = restart.outputs.keys().find(is_unfit) {
        return Err(unknown(step));
    }
    // What had not ended runs as well, and so does what follows from it. The maps around a step go on with their items.
    let is_over = |path: &String| {
        let row = rows.get(path);
        restart.outputs.contains_key(path)
            || row.is_some_and(|row| row.has_ended() || row.is_map_at_work())
    };
    for path in rows.keys().chain(definition.nodes.keys()) {
        if !is_over(path) {
            again.extend(following(path));
        }
    }
    let is_taken = |path: &str| {
        // What ends the run runs again, since the new one has not ended.
        definition.node(path).is_some()
            && !path.starts_with(pipeline::FINALLY)
            && (is_in(path, from) || !is_dropped(&again, path))
    };
    // Items are made anew by a map that runs again.
    let given = restart.outputs.iter();
    let given = given.filter(|(path, _)| !path.contains('[') || is_taken(path));
    let given = given.filter_map(|(path, output)| {
        let row = rows.get(path).cloned();
        Some(
            row.unwrap_or_else(|| Ended::new(path))
                .with(node(path)?, output),
        )
    });
    let former = rows
        .values()
        .filter(|row| is_taken(&row.path) && !restart.outputs.contains_key(&row.path))
        .map(|row| {
            let goes_on = is_in(&row.path, from) || (row.is_map_at_work() && !row.has_ended());
            if goes_on {
                row.clone().waiting()
            } else {
                row.clone()
            }
        });
    Ok(former.chain(given).collect())
}

fn unknown(step: &str) -> Problem {
    let detail =
        format!("`{step}` is not a step of this definition that something can be taken over for.");
    Problem::new(StatusCode::NOT_FOUND, "unknown-step", detail)
}

impl Ended {
    /// A step that has not been there before.
    fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            kind: String::new(),
            status: String::new(),
            effect: "pure".to_owned(),
            attempts: 0,
            input: Value::Null,
            output: Value::Null,
            error: Value::Null,
            chosen: None,
        }
    }

    /// The step with an output that is given.
    fn with(mut self, node: &Node, output: &Value) -> Self {
        node.work.name().clone_into(&mut self.kind);
        "succeeded".clone_into(&mut self.status);
        self.output = output.clone();
        self.error = Value::Null;
        if matches!(node.work, Work::Condition(_)) {
            self.chosen = output["case"].as_str().map(str::to_owned);
        }
        self
    }

    /// The step as one that goes on.
    fn waiting(mut self) -> Self {
        "waiting".clone_into(&mut self.status);
        (self.output, self.error) = (Value::Null, Value::Null);
        self
    }

    /// Whether something is known of it that a new run can begin with.
    fn has_ended(&self) -> bool {
        ["succeeded", "failed", "skipped"].contains(&self.status.as_str())
    }

    /// Whether it is a map whose items are known.
    fn is_map_at_work(&self) -> bool {
        self.kind == "map" && self.input["items"].is_array()
    }
}

/// Whether a path is in a map: `each[3].a` is in `each`.
fn is_in(map: &str, path: &str) -> bool {
    path.strip_prefix(map)
        .is_some_and(|rest| rest.starts_with('['))
}

fn is_at_or_in(step: &str, path: &str) -> bool {
    step == path || is_in(step, path)
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
