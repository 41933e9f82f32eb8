//! Calls of skills: for an account, for a review, or with generated arguments.

use super::{Shared, answer, parse};
use crate::{
    call::{End, Fault, Outcome, Usage},
    callers::{Caller, Right},
    grant::Grant,
    keys::{Backing, Granted},
    probe::{self, Probe},
    problem::{CallEvidence, Problem},
    refused::Reach,
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skill::{
    FieldError, Limits, Permissions, digest,
    statement::{Envelope, RECEIPT, STATEMENT_TYPE},
};
use std::{sync::Arc, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// The number of calls in one probe.
const MAX_PROBE_CALLS: u32 = 2_000;
/// The number of requests that an example in a review may send: enough for a token, a redirect and a page or two.
const EXAMPLE_REQUESTS: u32 = 5;

/// The skill, for receipts and counts.
#[derive(Deserialize)]
struct Named {
    id: Uuid,
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Invocation {
    digest: String,
    tool: String,
    #[serde(default)]
    arguments: Value,
    skill: Named,
    account: Uuid,
    permissions: Permissions,
    limits: Limits,
    /// Whether the call is an example in a review, which reports use and output, and is not counted.
    #[serde(default)]
    evidence: bool,
    /// Whether the requests of such an example are sent.
    #[serde(default)]
    network: bool,
}

/// POST /invoke: one call.
pub async fn invoke(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let called = async {
        caller.require(Right::Invoke)?;
        call(&shared, &body).await
    };
    answer(called.await, caller.request_id)
}

async fn call(shared: &Shared, body: &[u8]) -> Result<Json<Value>, Problem> {
    let mut invocation: Invocation = parse(body)?;
    let arguments = match invocation.arguments.take() {
        Value::Object(arguments) => arguments,
        Value::Null => Map::new(),
        _ => {
            return Err(Problem::invalid(
                "invalid-arguments",
                vec![FieldError {
                    field: "arguments".to_owned(),
                    detail: "must be an object by parameter name".to_owned(),
                }],
            ));
        }
    };
    let _permit = shared
        .runner
        .enter(invocation.account)
        .await
        .map_err(|_| Problem::busy())?;
    let skill = shared.skill(&invocation.digest).await?;
    let reach = match (invocation.evidence, invocation.network) {
        (false, _) => Reach::Granted,
        (true, true) => of_review(shared, &invocation.skill)?,
        (true, false) => Reach::Nowhere,
    };
    let grant = grant(
        shared,
        invocation.skill.id,
        invocation.permissions.clone(),
        invocation.limits,
        reach,
    );
    let input = digest::of_json(&arguments).map_err(|error| Problem::internal(&error))?;
    let outcome = shared
        .runner
        .call(&skill, &invocation.tool, arguments, &grant)
        .await;
    count(shared, &invocation, &outcome.end);
    answered(shared, &invocation, outcome, &input)
}

/// Counts a use of the skill. The calls of a review do not count, nor do calls that did not run.
fn count(shared: &Shared, invocation: &Invocation, end: &End) {
    let did_run = !matches!(
        end,
        End::Ended(
            Fault::UnknownTool(_) | Fault::InvalidArguments(_) | Fault::Busy | Fault::Internal(_)
        )
    );
    if !invocation.evidence && did_run {
        let failed = !matches!(end, End::Answered(_));
        shared
            .usage
            .count(invocation.skill.id, invocation.account, failed);
    }
}

/// The answer to a call, with a receipt if the skill answered.
fn answered(
    shared: &Shared,
    invocation: &Invocation,
    outcome: Outcome,
    input: &str,
) -> Result<Json<Value>, Problem> {
    let usage = outcome.usage;
    let evidence = invocation.evidence.then_some(CallEvidence {
        log: outcome.log,
        used: outcome.used,
        usage,
    });
    match outcome.end {
        End::Answered(result) => {
            let receipt = receipt(shared, invocation, "answered", input, &result, &usage)?;
            let mut answer = json!({"result": result, "usage": usage, "receipt": receipt});
            if let Some(evidence) = evidence {
                answer["used"] = json!(evidence.used);
                answer["log"] = json!(evidence.log);
            }
            Ok(Json(answer))
        }
        End::Failed(error) => {
            let receipt = receipt(shared, invocation, "failed", input, &error, &usage)?;
            let detail = "The skill answered with an error of its own; `error` has it.";
            let mut problem =
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "skill-failed", detail);
            problem.error = Some(Box::new(error));
            problem.receipt = Some(Box::new(receipt));
            problem.evidence = evidence.map(Box::new);
            Err(problem)
        }
        End::Ended(fault) => {
            let mut problem = Problem::from(fault);
            problem.evidence = evidence.map(Box::new);
            Err(problem)
        }
    }
}

/// The signed statement about a call: the component, its input and its output.
fn receipt(
    shared: &Shared,
    invocation: &Invocation,
    outcome: &str,
    input: &str,
    output: &Value,
    usage: &Usage,
) -> Result<Envelope, Problem> {
    let output = digest::of_json(output).map_err(|error| Problem::internal(&error))?;
    let predicate = json!({
        "id": Uuid::now_v7(),
        "server": shared.server,
        "tool": invocation.tool,
        "account": invocation.account,
        "outcome": outcome,
        "input": {"sha256": input},
        "output": {"sha256": output},
        "usage": usage,
        "invoked_at": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
    });
    let skill = &invocation.skill;
    let digest = invocation.digest.trim_start_matches("sha256:");
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{"name": format!("{}@{}", skill.name, skill.version), "digest": {"sha256": digest}}],
        "predicateType": RECEIPT,
        "predicate": predicate,
    });
    shared
        .signer
        .sign(&statement)
        .map_err(|error| Problem::internal(&error))
}

#[derive(Deserialize)]
struct Trial {
    digest: String,
    tool: String,
    calls: u32,
    #[serde(default)]
    seed: u64,
    budget_ms: u64,
    skill: Named,
    account: Uuid,
    permissions: Permissions,
    limits: Limits,
}

/// POST /probe: calls with generated arguments.
pub async fn try_out(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let tried = async {
        caller.require(Right::Probe)?;
        let trial: Trial = parse(&body)?;
        let _permit = shared
            .runner
            .enter(trial.account)
            .await
            .map_err(|_| Problem::busy())?;
        let skill = shared.skill(&trial.digest).await?;
        // Strangers name the origins, and these arguments are nobody's: nothing is sent there.
        let grant = grant(
            &shared,
            trial.skill.id,
            trial.permissions,
            trial.limits,
            Reach::Nowhere,
        );
        let probe = Probe {
            tool: trial.tool,
            calls: trial.calls.min(MAX_PROBE_CALLS),
            seed: trial.seed,
            budget: Duration::from_millis(trial.budget_ms),
        };
        let report = probe::probe(&shared.runner, &skill, &grant, &probe).await?;
        report.map(Json).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown-tool",
                "The skill has no such tool.",
            )
        })
    };
    answer(tried.await, caller.request_id)
}

/// The grants of a call. A call in a review has its own temporary store, because it must not change what the
/// skill has kept.
fn grant(
    shared: &Shared,
    skill: Uuid,
    permissions: Permissions,
    limits: Limits,
    reach: Reach,
) -> Grant {
    let backing = || match reach {
        Reach::Granted => Backing::Database(shared.pool.clone(), skill),
        Reach::Review { .. } | Reach::Nowhere => Backing::Memory(Arc::default()),
    };
    let key_value = permissions
        .kv
        .map(|kv| Granted::new(backing(), kv.max_bytes));
    Grant {
        permissions,
        limits,
        key_value,
        reach,
    }
}

/// The requests that an example in a review may send: a few, which name their sender and where to read about it.
fn of_review(shared: &Shared, skill: &Named) -> Result<Reach, Problem> {
    let user_agent = format!(
        "gather-skill-review/1 (+{}/docs; an example of the skill {} {} is tried once, before it is approved)",
        shared.server, skill.name, skill.version
    );
    Ok(Reach::Review {
        user_agent: HeaderValue::try_from(user_agent).map_err(|error| Problem::internal(&error))?,
        requests: EXAMPLE_REQUESTS,
    })
}
