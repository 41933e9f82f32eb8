//! Sums of the ledger.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::MANAGE;

/// What to add up, and over which time.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// The property by which calls are added up.
    #[garde(skip)]
    #[param(inline)]
    by: By,
    /// The beginning, as a date or a time (RFC 3339); 30 days ago if it is absent.
    #[garde(inner(length(min = 1, max = 40)))]
    from: Option<String>,
    /// The end, as a date or a time (RFC 3339); now if it is absent.
    #[garde(inner(length(min = 1, max = 40)))]
    to: Option<String>,
}

/// The property by which calls are added up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The day, by UTC.
    Day,
    /// The model, as `<provider>/<model>`.
    Model,
    /// The account that called.
    Account,
    /// The API key that called.
    Key,
    /// The team that paid.
    Team,
    /// The purpose that the caller named.
    Purpose,
    /// Each subject that paid.
    Subject,
}

/// The sums of a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageList {
    /// The sums, by key; the dearest first, days in their order.
    items: Vec<UsageItem>,
}

/// The sum of the calls with one key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UsageItem {
    /// The day, model, account, key, team, purpose or subject.
    key: String,
    /// The number of calls.
    calls: i64,
    /// The tokens of input.
    input_tokens: i64,
    /// The tokens of output.
    output_tokens: i64,
    /// The cost in millionths of a dollar.
    cost_microusd: i64,
}

/// Adds up the caller's calls; those of everybody for managers of models.
#[utoipa::path(
    get, path = "/api/llm/usage", tag = "models", operation_id = "get_llm_usage", params(UsageQuery),
    responses((status = 200, body = UsageList), (status = 422, description = "`invalid-input`")),
    security(("token" = ["llm:call"]))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageList>> {
    let now = OffsetDateTime::now_utc();
    let from = query
        .from
        .as_deref()
        .map(|text| moment("from", text))
        .transpose()?;
    let to = query
        .to
        .as_deref()
        .map(|text| moment("to", text))
        .transpose()?;
    let by = serde_json::to_value(query.by).map_err(Problem::internal)?;
    let account: Option<Uuid> = (!caller.allows(MANAGE)).then_some(caller.id);
    let items = db
        .many(
            "select k.key, count(*) as calls, sum(c.input_tokens)::bigint as input_tokens,
                 sum(c.output_tokens)::bigint as output_tokens, sum(c.cost_microusd)::bigint as cost_microusd
             from calls_between($1, $2::text::timestamptz, $3::text::timestamptz) c
             cross join lateral unnest(case $4
                 when 'day' then array[to_char(c.created_at, 'YYYY-MM-DD')]
                 when 'model' then array[c.provider || '/' || c.model]
                 when 'account' then array[c.account_id::text]
                 when 'key' then array[c.key_id::text]
                 when 'purpose' then array[c.purpose]
                 when 'team' then array(select substr(p, 6) from unnest(c.payers) p where p like 'team:%')
                 else c.payers end) k (key)
             where k.key is not null group by k.key
             order by case when $4 = 'day' then k.key end, cost_microusd desc, k.key limit 1000",
            args![
                account,
                from.unwrap_or(now - Duration::days(30)),
                to.unwrap_or(now + Duration::MINUTE),
                by.as_str().unwrap_or_default()
            ],
        )
        .await?;
    Ok(Json(UsageList { items }))
}

/// Reads a date, or a time.
fn moment(field: &str, text: &str) -> Result<OffsetDateTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let day = || {
        Date::parse(text, &Iso8601::DATE)
            .ok()
            .map(|date| date.midnight().assume_utc())
    };
    let moment = time
        .or_else(day)
        .filter(|moment| (1970..=9998).contains(&moment.year()));
    moment.ok_or_else(|| {
        Problem::invalid(
            field,
            "must be a date or a time, such as 2026-11-29 or 2026-11-29T12:00:00Z",
        )
    })
}
