//! Decisions about approvals.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, FieldError, Input, Path, Problem, Result, args};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::approvals::{Approval, ApprovalState, Verdict, read};

const MAX_FORM_BYTES: usize = 16 * 1024;

/// A decision about an approval.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewDecision {
    /// Whether the caller approves or denies.
    #[garde(skip)]
    decision: Verdict,
    /// The approval's `digest`, as the caller saw it.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    digest: String,
    /// The form, filled in, if the approval has one.
    #[garde(custom(is_small))]
    #[schema(value_type = Option<Object>)]
    form: Option<Map<String, Value>>,
    /// The reason for the decision.
    #[garde(inner(length(chars, max = 2000)))]
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

fn is_small(form: &Option<Map<String, Value>>, _: &()) -> garde::Result {
    let size = form
        .as_ref()
        .map(|form| serde_json::to_string(form).map_or(usize::MAX, |text| text.len()));
    match size {
        Some(size) if size > MAX_FORM_BYTES => Err(garde::Error::new("must have at most 16 KiB")),
        _ => Ok(()),
    }
}

fn approver_required(detail: &'static str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "approver-required", detail)
}

impl Approval {
    /// Holds a form against the schema of an approval that is open. Who asked, or comes too late, learns of that instead.
    fn fits(&self, caller: &Caller, form: Option<&Map<String, Value>>) -> Result<()> {
        let is_other = self.own || self.asked_by != Some(caller.id);
        let Some(schema) = &self.form else {
            return Ok(());
        };
        if self.state != ApprovalState::Pending || !is_other {
            return Ok(());
        }
        let options = jsonschema::draft202012::options().offline();
        let schema = options.build(schema).map_err(Problem::internal)?;
        let filled = Value::Object(form.cloned().unwrap_or_default());
        let errors = schema.iter_errors(&filled).map(|error| {
            let path = error.instance_path().to_string().replace('/', ".");
            FieldError {
                field: format!("form{path}"),
                detail: error.to_string().chars().take(300).collect(),
            }
        });
        let errors: Vec<FieldError> = errors.take(20).collect();
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Problem::invalid_fields(errors)),
        }
    }
}

/// The outcome of a decision.
#[derive(Debug, Deserialize)]
struct Outcome {
    outcome: String,
    state: Option<ApprovalState>,
}

/// Approves or denies the question of an approval.
///
/// Each account decides once. Neither the account that asked nor an agent that it owns can decide, unless the approval has
/// `self`. The approval ends with the number of approvals that it needs, or with one denial. The permission to decide and
/// the time limit are checked at this moment.
#[utoipa::path(
    post, path = "/api/approvals/{approval}/decision", tag = "approvals",
    params(("approval" = Uuid, Path, description = "The approval's id.")), request_body = NewDecision,
    responses(
        (status = 200, body = Approval),
        (status = 403, description = "`self-approval`: the caller asked, or is an agent of the account that did; `approver-required`: the caller owns the agent that asked, or can only see the approval as an administrator"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`approval-decided`, `approval-expired`, `approval-changed`; `state` has the present state"),
        (status = 422, description = "`invalid-input`: also if the form does not fit its schema"),
    ),
    security(("token" = ["approvals:decide"]))
)]
pub async fn decide(
    db: Db,
    caller: Caller,
    Path(approval): Path<Uuid>,
    Input(new): Input<NewDecision>,
) -> Result<Json<Approval>> {
    if new.decision == Verdict::Approve {
        match read(&db, &caller, approval).await {
            // Who may not read it learns from the decision why.
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {}
            asked => asked?.fits(&caller, new.form.as_ref())?,
        }
    }
    let decision = match new.decision {
        Verdict::Approve => "approve",
        Verdict::Deny => "deny",
    };
    let Outcome { outcome, state } = db
        .one(
            "select d ->> 'outcome' as outcome, d ->> 'state' as state
             from decide($1, $2, $3, $4, $5, $6, $7) d",
            args![
                approval,
                caller.id,
                caller.allows(guest::ALL),
                decision,
                new.digest,
                new.reason,
                new.form.map(Value::Object)
            ],
        )
        .await?;
    let conflict =
        |code, detail| Problem::conflict(code, detail).with("state", serde_json::json!(state));
    match outcome.as_str() {
        "done" => read(&db, &caller, approval).await.map(Json),
        "missing" => Err(Problem::not_found("approval")),
        "own" => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "self-approval",
            "The account that asked can't decide, nor can its agents.",
        )),
        "forbidden" => Err(approver_required(
            "You are not among the accounts that may decide.",
        )),
        "decided" => Err(conflict(
            "approval-decided",
            "The approval has ended, or you have already decided.",
        )),
        "expired" => Err(conflict(
            "approval-expired",
            "The approval can't be decided any more: its time is over.",
        )),
        "changed" => Err(conflict(
            "approval-changed",
            "The approval has another digest than `digest` names. Read it again.",
        )),
        other => Err(Problem::internal(format_args!(
            "an unknown outcome: {other}"
        ))),
    }
}
