//! Calling a tool of a skill.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use garde::Validate;
use guest::{Caller, Db, Input, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::SANDBOX;

/// A call of a tool.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Invocation {
    /// The tool's name.
    #[garde(length(chars, min = 1, max = 400))]
    tool: String,
    /// The arguments, by parameter name.
    // Not parsed here: the sandbox checks them against the tool's types.
    #[garde(skip)]
    #[schema(value_type = Object)]
    #[serde(default)]
    arguments: Option<Box<RawValue>>,
    /// The version to call; the latest approved version if absent.
    #[garde(inner(length(max = 60)))]
    version: Option<String>,
}

/// The answer to a call.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes the body, which the sandbox writes")]
pub struct Answer {
    /// The result that the tool returned.
    #[schema(value_type = Object)]
    result: Value,
    /// The resources that the call used.
    usage: Usage,
    /// A signed statement about the skill, input, output and usage, as a DSSE envelope.
    #[schema(value_type = Object)]
    receipt: Value,
}

/// The resources that a call used.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes the body, which the sandbox writes")]
pub struct Usage {
    /// The fuel used, about one unit an instruction; the same input always uses the same amount.
    fuel: u64,
    /// The largest size of the memory, in bytes.
    memory_bytes: u64,
    /// The duration of the call, in milliseconds.
    duration_ms: f64,
}

/// A version that may be called, as stored.
#[derive(Debug, Deserialize)]
struct Callable {
    skill_id: Uuid,
    version: String,
    digest: String,
    permissions: Box<RawValue>,
    limits: Box<RawValue>,
}

#[derive(Serialize)]
struct Question<'a> {
    digest: &'a str,
    tool: &'a str,
    arguments: Option<&'a RawValue>,
    skill: Named<'a>,
    account: Uuid,
    permissions: &'a RawValue,
    limits: &'a RawValue,
}

#[derive(Serialize)]
struct Named<'a> {
    id: Uuid,
    name: &'a str,
    version: &'a str,
}

/// Calls a tool of a skill, in the latest version or in the one that `version` names.
#[utoipa::path(
    post, path = "/api/skills/{name}/invoke", tag = "skills",
    params(("name" = String, Path, description = "The skill's name.")),
    request_body = Invocation,
    responses(
        (status = 200, body = Answer),
        (status = 403, description = "`permission-denied`: the skill used something that it was not granted"),
        (status = 404, description = "`not-found`, `unknown-tool`"),
        (status = 422, description = "`invalid-input`, `invalid-arguments`, `skill-failed` (the skill's own error, under `error`), `skill-fuel`, `skill-unusable`"),
        (status = 502, description = "`skill-trapped`"),
        (status = 503, description = "`sandbox-busy`, `sandbox-unavailable`"),
        (status = 504, description = "`skill-deadline`"),
        (status = 507, description = "`skill-memory`, `skill-output`"),
    ),
    security(("token" = ["skills:call"]))
)]
pub async fn invoke(
    db: Db,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    Input(call): Input<Invocation>,
) -> Result<Response<Body>> {
    let callable: Option<Callable> = db
        .optional(
            "select s.id as skill_id, v.version, v.digest, v.manifest -> 'permissions' as permissions,
                    v.manifest -> 'limits' as limits
             from skill s join version v on v.skill_id = s.id
             where s.name = $1 and v.status in ('approved', 'yanked')
             and case when $2::text is null then v.id = s.latest_id else v.version = $2 end",
            args![&name, call.version],
        )
        .await?;
    let callable = callable.ok_or_else(|| Problem::not_found("skill with an approved version"))?;
    let question = Question {
        digest: &callable.digest,
        tool: &call.tool,
        arguments: call.arguments.as_deref(),
        skill: Named {
            id: callable.skill_id,
            name: &name,
            version: &callable.version,
        },
        account: caller.id,
        permissions: &callable.permissions,
        limits: &callable.limits,
    };
    // The connection to the database goes back, since a skill may run for long.
    drop(db);
    let answer = SANDBOX
        .ask("/invoke", &question, headers.get("x-request-id"))
        .await?;
    Ok(answer.map(Body::from))
}
