//! The ledger of calls.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::MANAGE;

/// A call of a model.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Call {
    /// The call's id.
    id: Uuid,
    /// The state of the call.
    status: Status,
    /// The alias that was called; null if a model was named.
    alias: Option<String>,
    /// The provider that answered, or was asked last.
    provider: Option<String>,
    /// The model that answered, or was asked last, as the provider names it.
    model: Option<String>,
    /// The purpose that the caller named.
    purpose: Option<String>,
    /// The turn, run or job that the caller named.
    parent: Option<String>,
    /// The account that called.
    account: Option<Uuid>,
    /// The API key that called; null if none did.
    key: Option<Uuid>,
    /// The attempts, in their order.
    #[schema(value_type = Vec<Attempt>)]
    attempts: Value,
    /// The tokens of all input, with those that were read from a cache or written to one.
    input_tokens: i64,
    /// The tokens of input that were read from a cache.
    cached_tokens: i64,
    /// The tokens of input that were written to a cache.
    cache_write_tokens: i64,
    /// The tokens of all output, with reasoning.
    output_tokens: i64,
    /// The tokens of reasoning.
    reasoning_tokens: i64,
    /// Whether the provider did not tell all of these numbers.
    estimated: bool,
    /// The cost in millionths of a dollar.
    cost_microusd: i64,
    /// The time until the first part of the answer, in milliseconds.
    first_token_ms: Option<i32>,
    /// The time that the gateway itself took, in milliseconds.
    overhead_ms: Option<i32>,
    /// The time of the whole call, in milliseconds.
    duration_ms: Option<i32>,
    /// The reason why the call failed.
    error: Option<String>,
    /// The SHA-256 of the request.
    request_digest: Option<String>,
    /// The SHA-256 of the answer.
    answer_digest: Option<String>,
    /// The version of the secret that was used.
    secret_version: Option<i32>,
    /// The time at which the call began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// An attempt of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallAttempt)]
pub struct Attempt {
    /// The provider that was asked.
    provider: String,
    /// The model that was asked.
    model: String,
    /// The word `succeeded`, or the code of the problem.
    status: String,
    /// The reason why the attempt failed.
    error: Option<String>,
    /// The time of the attempt, in milliseconds.
    duration_ms: i64,
}

/// The state of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The call is under way.
    Running,
    /// The model answered.
    Succeeded,
    /// No target answered, or the answer broke off.
    Failed,
    /// The client left before the end.
    Cancelled,
    /// A limit ended the answer.
    Cut,
    /// The server died, so the call costs what was set aside for it.
    Lost,
}

/// The calls that are wanted.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only calls in this state.
    #[garde(skip)]
    status: Option<Status>,
    /// Only calls of this turn, run or job.
    #[garde(inner(length(min = 1, max = 100)))]
    parent: Option<String>,
    /// Only calls of this alias, or of this model as `<provider>/<model>`.
    #[garde(inner(length(min = 1, max = 250)))]
    model: Option<String>,
}

/// Lists the caller's calls, the newest first; those of everybody for managers of models.
#[utoipa::path(
    get, path = "/api/llm/calls", tag = "models", operation_id = "list_llm_calls", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Call>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["llm:call"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page<Uuid>,
) -> Result<Json<Items<Call>>> {
    let account: Option<Uuid> = (!caller.allows(MANAGE)).then_some(caller.id);
    let status = serde_json::to_value(filter.status).map_err(Problem::internal)?;
    db.execute(
        "select llm.settle_lost(array['account:' || $1::uuid::text])",
        args![caller.id],
    )
    .await?;
    let calls: Vec<Call> = db
        .many(
            "select id, status, alias, provider, model, purpose, parent, account_id as account, key_id as key, attempts,
                 input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, cost_microusd,
                 first_token_ms, overhead_ms, duration_ms, error, request_digest, answer_digest, secret_version, created_at
             from call
             where ($1::uuid is null or account_id = $1) and ($2::text is null or status = $2)
             and ($3::text is null or parent = $3) and ($4::text is null or alias = $4 or provider || '/' || model = $4)
             and ($5::uuid is null or id < $5)
             order by id desc limit $6",
            args![account, status.as_str().map(str::to_owned), filter.parent, filter.model, page.after, page.fetch()],
        )
        .await?;
    Ok(Json(page.answer(calls, |call| call.id)))
}

/// Reads one of the caller's calls; anybody's for managers of models.
#[utoipa::path(
    get, path = "/api/llm/calls/{call}", tag = "models", operation_id = "get_llm_call",
    params(("call" = Uuid, Path, description = "The call's id, as the header `Gather-Call` names it")),
    responses((status = 200, body = Call), (status = 404, description = "`not-found`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(db: Db, caller: Caller, Path(call): Path<Uuid>) -> Result<Json<Call>> {
    let account: Option<Uuid> = (!caller.allows(MANAGE)).then_some(caller.id);
    db.execute(
        "select llm.settle_lost(array['account:' || $1::uuid::text])",
        args![caller.id],
    )
    .await?;
    let found = db
        .optional(
            "select id, status, alias, provider, model, purpose, parent, account_id as account, key_id as key, attempts,
                 input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, cost_microusd,
                 first_token_ms, overhead_ms, duration_ms, error, request_digest, answer_digest, secret_version, created_at
             from call where id = $1 and ($2::uuid is null or account_id = $2)",
            args![call, account],
        )
        .await?;
    found.map(Json).ok_or_else(|| Problem::not_found("call"))
}
