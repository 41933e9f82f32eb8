//! The checks of a definition before it is stored.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use pipeline::{Checked, FieldProblem, Permissions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A definition to be checked.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The definition, as `docs/pipelines.md` explains it.
    #[garde(skip)]
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// The result of the checks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Validation {
    /// Whether the definition can be stored.
    valid: bool,
    /// The SHA-256 of the canonical definition (RFC 8785).
    #[schema(example = "sha256:…")]
    digest: String,
    /// Everything that is wrong.
    #[schema(value_type = Vec<DefinitionProblem>)]
    problems: Vec<FieldProblem>,
    /// What runs may do in the name of the account that they act for; null if the definition is not valid.
    #[schema(value_type = Object, nullable)]
    permissions: Option<Permissions>,
}

/// Something that is wrong in a definition.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "it describes the type of a crate that knows no OpenAPI"
)]
pub struct DefinitionProblem {
    /// The path in the definition, such as `nodes.check.cases[0].when`.
    path: String,
    /// The kind of problem.
    #[schema(example = "bad-expression")]
    code: String,
    /// The problem, for people.
    detail: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// Checks a definition without storing it. All problems are named, each with its path.
#[utoipa::path(
    post, path = "/api/pipelines/validate", tag = "pipelines", operation_id = "validate_pipeline",
    request_body = Candidate,
    responses((status = 200, body = Validation), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn validate(
    db: Db,
    _caller: Caller,
    Input(candidate): Input<Candidate>,
) -> Result<Json<Validation>> {
    let checked = check(&db, &candidate.definition).await?;
    Ok(Json(Validation {
        valid: checked.problems.is_empty(),
        digest: pipeline::digest(&candidate.definition),
        permissions: checked.definition.map(|definition| definition.permissions),
        problems: checked.problems,
    }))
}

/// The digest of a definition that can be stored.
///
/// # Errors
/// 422 `invalid-definition` with all problems.
pub async fn checked(db: &Db, definition: &Value) -> Result<String> {
    let checked = check(db, definition).await?;
    if checked.problems.is_empty() {
        return Ok(pipeline::digest(definition));
    }
    let count = checked.problems.len();
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-definition",
        format!("The definition has problems ({count}). `problems` names them."),
    );
    Err(problem.with("problems", json!(checked.problems)))
}

async fn check(db: &Db, definition: &Value) -> Result<Checked> {
    let mut checked = pipeline::check(definition);
    let mut names: Vec<_> = checked.skills.values().cloned().collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(checked);
    }
    let unknown: Vec<Name> = db
        .many("select n as name from unknown_skills($1) n", args![names])
        .await?;
    for (path, name) in &checked.skills {
        if unknown.iter().any(|unknown| unknown.name == *name) {
            checked.problems.push(FieldProblem {
                path: path.clone(),
                code: "unknown-skill",
                detail: format!("`{name}` is not a skill that can be called"),
            });
        }
    }
    Ok(checked)
}
