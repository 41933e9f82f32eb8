//! Limits of those who pay: money in periods, requests and tokens in a minute, calls at once, and models.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::MANAGE;
use crate::input::is_subject;

/// The limits of a subject.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// The models that may be used, as `<provider>/<model>` or with a `*` at the end; all if it is absent.
    #[garde(inner(length(max = 100), inner(length(min = 1, max = 250))))]
    #[schema(example = json!(["openai/*"]), max_items = 100)]
    models: Option<Vec<String>>,
    /// The limits of money.
    #[garde(length(max = 3), dive)]
    #[schema(max_items = 3)]
    #[serde(default)]
    limits: Vec<MoneyLimit>,
    /// The largest number of calls in a minute.
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    requests_per_minute: Option<i32>,
    /// The largest number of tokens in a minute.
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    tokens_per_minute: Option<i64>,
    /// The largest number of calls at once.
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    concurrency: Option<i32>,
}

/// A limit of money in a period.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoneyLimit {
    /// The period, by UTC.
    #[garde(skip)]
    period: Period,
    /// The most that may be spent in the period, in millionths of a dollar.
    #[garde(range(min = 0))]
    #[schema(example = 5_000_000, minimum = 0)]
    limit_microusd: i64,
}

/// The period of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// A day, by UTC.
    Day,
    /// A month, by UTC.
    Month,
    /// All time.
    Total,
}

/// The limits of a subject, and what it has used of them.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// The subject that pays.
    subject: String,
    /// The models that may be used; null for all.
    models: Option<Vec<String>>,
    /// The limits of money.
    limits: Vec<Budget>,
    /// The largest number of calls in a minute; null if there is no limit.
    requests_per_minute: Option<i32>,
    /// The largest number of tokens in a minute; null if there is no limit.
    tokens_per_minute: Option<i64>,
    /// The largest number of calls at once; null if there is no limit.
    concurrency: Option<i32>,
    /// The number of calls that are under way.
    running: i64,
}

/// A limit of money, and what is used of it in the present period.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Budget {
    /// The period of the limit.
    period: Period,
    /// The most that may be spent in the period, in millionths of a dollar.
    limit_microusd: i64,
    /// The sum of the calls in the period that have ended.
    spent_microusd: i64,
    /// The sum that is set aside for calls that are under way.
    reserved_microusd: i64,
    /// The time at which the next period begins; null if there is none.
    resets_at: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    limits: Option<Limits>,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

fn check(subject: &str) -> Result<()> {
    if is_subject(subject) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "`subject` in the path must be `platform`, or one of account, team, key, claw, circle, pipeline and project with an \
         id, such as `account:<id>`.",
    ))
}

/// Whether the caller may see, or may set, the limits of a subject.
async fn allowed(db: &Db, caller: &Caller, subject: &str, sets: bool) -> Result<()> {
    if caller.allows(MANAGE) {
        return Ok(());
    }
    let allowed: Done = db
        .one(
            "select llm.may_limit($1, $2, $3) as done",
            args![caller.id, subject, sets],
        )
        .await?;
    if allowed.done {
        return Ok(());
    }
    if sets {
        Err(Problem::insufficient_scope(MANAGE))
    } else {
        Err(Problem::not_found("subject"))
    }
}

async fn one(db: &Db, subject: &str) -> Result<Limits> {
    let found: Found = db
        .one("select llm.limits_of($1) as limits", args![subject])
        .await?;
    found.limits.ok_or_else(|| Problem::not_found("limit"))
}

/// Sets the limits of a subject, instead of its earlier ones. Every limit of all who pay for a call has to hold.
///
/// Managers of models set any. Accounts limit their API keys, and owners of teams their teams.
#[utoipa::path(
    put, path = "/api/llm/limits/{subject}", tag = "models", operation_id = "put_llm_limits",
    params(("subject" = String, Path, description = "The subject that pays, such as `platform` or `account:<id>`")),
    request_body = LimitSettings,
    responses(
        (status = 200, body = Limits),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path(subject): Path<String>,
    Input(settings): Input<LimitSettings>,
) -> Result<Json<Limits>> {
    check(&subject)?;
    let mut periods: Vec<_> = settings.limits.iter().map(|limit| limit.period).collect();
    periods.sort_unstable();
    periods.dedup();
    if periods.len() < settings.limits.len() {
        return Err(Problem::invalid("limits", "names a period twice"));
    }
    allowed(&db, &caller, &subject, true).await?;
    let limits: Value = serde_json::to_value(&settings).map_err(Problem::internal)?;
    db.execute("select llm.put_limits($1, $2)", args![&subject, limits])
        .await?;
    one(&db, &subject).await.map(Json)
}

/// Reads the limits of a subject, with what is spent and set aside.
#[utoipa::path(
    get, path = "/api/llm/limits/{subject}", tag = "models", operation_id = "get_llm_limits",
    params(("subject" = String, Path, description = "The subject that pays, such as `platform` or `account:<id>`")),
    responses((status = 200, body = Limits), (status = 404, description = "`not-found`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(db: Db, caller: Caller, Path(subject): Path<String>) -> Result<Json<Limits>> {
    check(&subject)?;
    allowed(&db, &caller, &subject, false).await?;
    db.execute("select llm.settle_lost(array[$1])", args![&subject])
        .await?;
    one(&db, &subject).await.map(Json)
}

/// Takes all limits of a subject away.
#[utoipa::path(
    delete, path = "/api/llm/limits/{subject}", tag = "models", operation_id = "delete_llm_limits",
    params(("subject" = String, Path, description = "The subject that pays, such as `platform` or `account:<id>`")),
    responses(
        (status = 204, description = "The subject has no limits any more"),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn delete(db: Db, caller: Caller, Path(subject): Path<String>) -> Result<StatusCode> {
    check(&subject)?;
    allowed(&db, &caller, &subject, true).await?;
    let deleted: Done = db
        .one("select llm.delete_limits($1) as done", args![&subject])
        .await?;
    if !deleted.done {
        return Err(Problem::not_found("limit"));
    }
    Ok(StatusCode::NO_CONTENT)
}
