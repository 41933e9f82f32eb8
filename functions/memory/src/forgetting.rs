//! Forgetting on demand: a job forgets what a selector means and all that came of it, and states so with a signature.

use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::consolidation::{Accepted, Queued, accepted};
use crate::input::{GLOBAL, Scope, Source, check_scope, require_write};
use crate::problems::Refused;

/// What to forget: exactly one of `ids`, `source`, `author` and `scope`.
#[derive(Debug, Deserialize, Serialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ForgetRequest {
    /// The ids of memories, 1 to 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    ids: Option<Vec<Uuid>>,
    /// A source: all memories that were made from it.
    source: Option<Source>,
    /// An account: all memories that it noted.
    author: Option<Uuid>,
    /// A kind of scope: all memories and blocks of the scope.
    scope: Option<Scope>,
    /// The team, account or channel of the scope; absent for `global`.
    scope_id: Option<Uuid>,
    /// Whether to say only how much would be forgotten.
    #[serde(default)]
    dry_run: bool,
}

impl ForgetRequest {
    /// The selector, as the database reads it.
    fn selector(&self, caller: &Caller) -> Result<Value> {
        let given = [
            self.ids.is_some(),
            self.source.is_some(),
            self.author.is_some(),
            self.scope.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(Problem::invalid(
                "body",
                "must have exactly one of `ids`, `source`, `author` and `scope`",
            ));
        }
        if self.scope.is_none() && self.scope_id.is_some() {
            return Err(Problem::invalid("scope", "is missing beside `scope_id`"));
        }
        if let Some(ids) = &self.ids {
            if !(1..=1000).contains(&ids.len()) {
                return Err(Problem::invalid("ids", "must be 1 to 1,000"));
            }
            return Ok(json!({"ids": ids}));
        }
        if let Some(source) = &self.source {
            source.check("source")?;
            return Ok(json!({"source": source}));
        }
        if let Some(scope) = self.scope {
            check_scope(scope, self.scope_id)?;
            require_write(caller, scope)?;
            return Ok(json!({"scope": scope, "scope_id": self.scope_id}));
        }
        Ok(json!({"author": self.author}))
    }
}

/// Forgets memories and all that came of them by a job, whose result has the counts and a signed statement of the erasure.
///
/// Of what a source or an author stands behind, only that is forgotten which the caller noted, or whose scope it manages.
#[utoipa::path(
    post, path = "/api/memory/forget", tag = "memory", operation_id = "forget_memories", request_body = ForgetRequest,
    responses(
        (status = 202, body = Queued, headers(("Location" = String, description = "The path of the job"))),
        (status = 403, description = "`forbidden`: the caller does not manage the scope"),
        (status = 404, description = "`not-found`: the scope or one of the memories"),
        (status = 410, description = "`forgotten`: one of the memories was forgotten already"),
        (status = 422, description = "`invalid-input`: the selector is empty or unknown"),
    ),
    security(("token" = ["memory:write"])), extensions(("x-rate-limit" = json!("bulk")))
)]
pub async fn forget(
    db: Db,
    caller: Caller,
    Input(asked): Input<ForgetRequest>,
) -> Result<Accepted> {
    let selector = asked.selector(&caller)?;
    let queued: Queued = db
        .one(
            "select memory.ask_forget($1, $2, $3, $4) as job_id",
            args![caller.id, caller.allows(GLOBAL), selector, asked.dry_run],
        )
        .await
        .refused()?;
    Ok(accepted(queued))
}
