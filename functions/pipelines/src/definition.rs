//! The checks of a definition before it is stored.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use pipeline::{Checked, FieldProblem, Permissions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::graph::{self, Graph};

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
    /// The graph as it is drawn; null if the definition is not valid.
    graph: Option<Graph>,
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

/// A version of a skill that a definition calls.
#[derive(Deserialize)]
struct FoundSkill {
    path: String,
    version: String,
    /// What the skill may use, such as `http`.
    permissions: Vec<String>,
    tools: Vec<String>,
}

/// A version of a skill, as runs call it.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct PinnedSkill {
    name: String,
    /// The version that the definition names.
    asked: Option<String>,
    version: String,
    permissions: Vec<String>,
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
    caller: Caller,
    Input(candidate): Input<Candidate>,
) -> Result<Json<Validation>> {
    let (checked, _) = check(&db, &caller, &candidate.definition).await?;
    Ok(Json(Validation {
        valid: checked.problems.is_empty(),
        digest: pipeline::digest(&candidate.definition),
        graph: checked.definition.as_ref().map(graph::drawn),
        permissions: checked.definition.map(|definition| definition.permissions),
        problems: checked.problems,
    }))
}

/// What a definition that can be stored is stored with.
pub struct Storable {
    /// The SHA-256 of the canonical definition.
    pub digest: String,
    /// The skills that it calls by name, in the versions that its runs call.
    pub skills: Value,
}

/// Checks a definition that is to be stored.
///
/// # Errors
/// 422 `invalid-definition` with all problems.
pub async fn checked(db: &Db, caller: &Caller, definition: &Value) -> Result<Storable> {
    let (checked, skills) = check(db, caller, definition).await?;
    if checked.problems.is_empty() {
        return Ok(Storable {
            digest: pipeline::digest(definition),
            skills: json!(skills),
        });
    }
    let count = checked.problems.len();
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-definition",
        format!("The definition has problems ({count}). `problems` names them."),
    );
    Err(problem.with("problems", json!(checked.problems)))
}

async fn check(
    db: &Db,
    caller: &Caller,
    definition: &Value,
) -> Result<(Checked, Vec<PinnedSkill>)> {
    let mut checked = pipeline::check(definition);
    let skills = check_skills(db, &mut checked).await?;
    let pipelines = names_of(&checked.pipelines);
    let mut unknown: Vec<Name> = Vec::new();
    if !pipelines.is_empty() {
        let statement = "select n as name from unknown_pipelines($1, $2) n";
        unknown = db.many(statement, args![caller.id, pipelines]).await?;
    }
    for (path, name) in missing(&checked.pipelines, &unknown) {
        let detail = format!("`{name}` is not one of your pipelines");
        checked.problems.push(FieldProblem {
            path,
            code: "unknown-pipeline",
            detail,
        });
    }
    for (kind, code) in [
        ("agent", "unknown-agent"),
        ("claw", "unknown-claw"),
        ("circle", "unknown-circle"),
    ] {
        let asked = checked
            .asked
            .iter()
            .filter(|(_, (asked, _))| *asked == kind);
        let places: BTreeMap<String, String> = asked
            .map(|(path, (_, name))| (path.clone(), name.clone()))
            .collect();
        let names = names_of(&places);
        if names.is_empty() {
            continue;
        }
        let statement = "select n as name from unknown_agents($1, $2, $3) n";
        let unknown: Vec<Name> = db.many(statement, args![caller.id, kind, names]).await?;
        for (path, name) in missing(&places, &unknown) {
            let detail = format!("`{name}` is not one that you may ask");
            checked.problems.push(FieldProblem { path, code, detail });
        }
    }
    Ok((checked, skills))
}

/// Checks the skills that a definition calls by name. Answers the versions that its runs call.
async fn check_skills(db: &Db, checked: &mut Checked) -> Result<Vec<PinnedSkill>> {
    if checked.skills.is_empty() {
        return Ok(Vec::new());
    }
    let called = checked.skills.iter();
    let called: Vec<Value> = called
        .map(|(path, used)| json!({"path": path, "name": used.name, "version": used.version}))
        .collect();
    let found: Vec<FoundSkill> = db
        .many(
            "select path, version, permissions, tools from find_skills($1)",
            args![json!(called)],
        )
        .await?;
    let mut pinned = Vec::new();
    for (path, used) in &checked.skills {
        let Some(skill) = found.iter().find(|skill| skill.path == *path) else {
            let version = used.version.as_deref().map(|version| format!(" {version}"));
            let detail = format!(
                "`{}`{} is not a skill that can be called",
                used.name,
                version.unwrap_or_default()
            );
            checked.problems.push(FieldProblem {
                path: path.clone(),
                code: "unknown-skill",
                detail,
            });
            continue;
        };
        if used.is_pure && !skill.permissions.is_empty() {
            let detail = format!(
                "`{}` {} may use {}, so it does not only compute; an action can call it",
                used.name,
                skill.version,
                skill.permissions.join(", ")
            );
            checked.problems.push(FieldProblem {
                path: path.clone(),
                code: "permission",
                detail,
            });
        }
        if let Some((path, tool)) = &used.tool
            && !skill.tools.contains(tool)
        {
            checked.problems.push(FieldProblem {
                path: path.clone(),
                code: "unknown-tool",
                detail: format!(
                    "`{tool}` is not a tool of `{}` {}",
                    used.name, skill.version
                ),
            });
        }
        let pin = PinnedSkill {
            name: used.name.clone(),
            asked: used.version.clone(),
            version: skill.version.clone(),
            permissions: skill.permissions.clone(),
        };
        if !pinned.contains(&pin) {
            pinned.push(pin);
        }
    }
    Ok(pinned)
}

fn names_of(places: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = places.values().collect();
    names.into_iter().cloned().collect()
}

/// The places, with their names, of what is unknown.
fn missing(places: &BTreeMap<String, String>, unknown: &[Name]) -> Vec<(String, String)> {
    let is_unknown = |name: &String| unknown.iter().any(|unknown| unknown.name == *name);
    let places = places.iter().filter(|(_, name)| is_unknown(name));
    places
        .map(|(path, name)| (path.clone(), name.clone()))
        .collect()
}
