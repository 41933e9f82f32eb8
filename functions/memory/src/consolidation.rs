//! Consolidation on demand: a job merges what says the same, and archives what fades.

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use garde::Validate;
use guest::{Caller, Db, Input, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{Scope, check_scope, require_write, word};
use crate::problems::Refused;

/// A scope to consolidate.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ConsolidationRequest {
    /// The kind of scope.
    scope: Scope,
    /// The team, account or channel; absent for `global`.
    scope_id: Option<Uuid>,
    /// Whether to say only what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// A job that does what was asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MemoryJob)]
pub struct Queued {
    /// The job's id; `GET /api/jobs/{job}` has its result.
    pub job_id: Uuid,
}

/// An accepted request, with the path of its job.
pub type Accepted = (StatusCode, [(HeaderName, String); 1], Json<Queued>);

/// Makes the answer for a job.
pub fn accepted(queued: Queued) -> Accepted {
    let location = format!("/api/jobs/{}", queued.job_id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(queued))
}

/// Consolidates a scope by a job, whose result lists each merge and archival with its reason. While one that the caller
/// asked for is unfinished, it is that one.
#[utoipa::path(
    post, path = "/api/memory/consolidate", tag = "memory", operation_id = "consolidate_memories",
    request_body = ConsolidationRequest,
    responses(
        (status = 202, body = Queued, headers(("Location" = String, description = "The path of the job"))),
        (status = 403, description = "`forbidden`: the caller may only read in this scope"),
        (status = 404, description = "`not-found`: the scope"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["memory:write"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn consolidate(
    db: Db,
    caller: Caller,
    Input(asked): Input<ConsolidationRequest>,
) -> Result<Accepted> {
    check_scope(asked.scope, asked.scope_id)?;
    require_write(&caller, asked.scope)?;
    let queued: Queued = db
        .one(
            "select memory.ask_consolidation($1, $2, $3, $4) as job_id",
            args![caller.id, word(asked.scope), asked.scope_id, asked.dry_run],
        )
        .await
        .refused()?;
    Ok(accepted(queued))
}
