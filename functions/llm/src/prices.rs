//! Prices of models: the public ones, and those that owners set for their providers.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Db, Input, Items, Page, Problem, Result, args};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::MANAGE;

/// The highest price, which no model has and no sum exceeds.
const MAX_PRICE: i64 = 1_000_000_000_000;

/// The prices of a model, in millionths of a dollar for a million tokens.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The name of the provider.
    #[garde(length(min = 1, max = 40))]
    #[schema(example = "mine", max_length = 40)]
    provider: String,
    /// The model as the provider names it; `*` for all that have no price of their own.
    #[garde(length(min = 1, max = 200))]
    #[schema(example = "gpt-5.5", max_length = 200)]
    model: String,
    /// The price of input.
    #[garde(range(min = 0, max = MAX_PRICE))]
    #[schema(example = 3_000_000, minimum = 0, maximum = 1_000_000_000_000_f64)]
    input_microusd: i64,
    /// The price of input that the provider had cached; the price of input if it is absent.
    #[garde(inner(range(min = 0, max = MAX_PRICE)))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    cached_input_microusd: Option<i64>,
    /// The price of input that the provider caches; the price of input if it is absent.
    #[garde(inner(range(min = 0, max = MAX_PRICE)))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    cache_write_microusd: Option<i64>,
    /// The price of output.
    #[garde(range(min = 0, max = MAX_PRICE))]
    #[schema(example = 15_000_000, minimum = 0, maximum = 1_000_000_000_000_f64)]
    output_microusd: i64,
    /// The prices of calls with a long input.
    #[garde(dive)]
    above: Option<Tier>,
    /// The time from which the prices hold; now if it is absent.
    #[garde(skip)]
    #[serde(default, with = "time::serde::rfc3339::option")]
    valid_from: Option<OffsetDateTime>,
}

/// The prices of calls whose whole input has more tokens.
#[derive(Debug, Clone, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The number of tokens above which these prices hold.
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    tokens: i64,
    /// The price of input.
    #[garde(range(min = 0, max = MAX_PRICE))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    input_microusd: i64,
    /// The price of input that the provider had cached.
    #[garde(inner(range(min = 0, max = MAX_PRICE)))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_input_microusd: Option<i64>,
    /// The price of input that the provider caches.
    #[garde(inner(range(min = 0, max = MAX_PRICE)))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_microusd: Option<i64>,
    /// The price of output.
    #[garde(range(min = 0, max = MAX_PRICE))]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_f64)]
    output_microusd: i64,
}

#[derive(Deserialize)]
struct Found {
    id: Uuid,
}

#[derive(Deserialize)]
struct Done {
    done: bool,
}

/// Sets the prices of a model of a provider. Calls that are under way keep the prices that they began with.
#[utoipa::path(
    put, path = "/api/llm/prices", tag = "models", operation_id = "put_llm_price", request_body = Price,
    responses(
        (status = 200, body = Price),
        (status = 403, description = "`forbidden`"),
        (status = 404, description = "`not-found`: there is no such provider"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = ["llm:provide"]))
)]
pub async fn put(db: Db, caller: Caller, Input(mut price): Input<Price>) -> Result<Json<Price>> {
    let valid_from = *price.valid_from.get_or_insert_with(OffsetDateTime::now_utc);
    let provider: Option<Found> = db
        .optional(
            "select p.id from provider p join owners_of($1) o on o.owner = p.owner
             where p.name = $2 order by o.rank, p.owner limit 1",
            args![caller.id, &price.provider],
        )
        .await?;
    let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
    let row = json!({
        "provider_id": provider.id, "model": price.model, "input": price.input_microusd,
        "cached_input": price.cached_input_microusd, "cache_write": price.cache_write_microusd,
        "output": price.output_microusd, "above": price.above,
        "valid_from": valid_from.to_offset(time::UtcOffset::UTC).format(&time::format_description::well_known::Rfc3339)
            .map_err(|_| Problem::invalid("valid_from", "is out of range"))?,
    });
    let put: Done = db
        .one(
            "select llm.put_price($1, $2, $3) as done",
            args![caller.id, caller.allows(MANAGE), row],
        )
        .await
        .on_constraint("account_active", Problem::unauthenticated())?;
    if !put.done {
        return Err(Problem::forbidden(
            "Only its owner sets the prices of a provider.",
        ));
    }
    Ok(Json(price))
}

/// Lists the prices of the models of providers that the caller may use: those that are set, by provider and model, of each the
/// latest first, and then the public ones.
#[utoipa::path(
    get, path = "/api/llm/prices", tag = "models", operation_id = "list_llm_prices", params(guest::PageParams),
    responses((status = 200, body = Items<Price>), (status = 422, description = "`invalid-input`, `invalid-cursor`")),
    security(("token" = ["llm:call"]))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<(i64, String, String, i64)>,
) -> Result<Json<Items<Price>>> {
    #[derive(Deserialize)]
    struct Row {
        is_public: i64,
        owner: String,
        age: i64,
        #[serde(flatten)]
        price: Priced,
    }
    #[derive(Deserialize)]
    struct Priced {
        provider: String,
        model: String,
        input: i64,
        cached_input: Option<i64>,
        cache_write: Option<i64>,
        output: i64,
        above: Option<Tier>,
        #[serde(with = "time::serde::rfc3339::option")]
        valid_from: Option<OffsetDateTime>,
    }
    let after = page.after.as_ref();
    let rows: Vec<Row> = db
        .many(
            "select * from (
                 select 0::bigint as is_public, o.owner || '/' || p.name as owner,
                     -(extract(epoch from x.valid_from) * 1000000)::bigint as age, p.name as provider, x.model, x.input, x.cached_input, x.cache_write, x.output, x.above, x.valid_from
                 from price x join provider p on p.id = x.provider_id join owners_of($1) o on o.owner = p.owner
                 union all
                 select 1, o.owner || '/' || p.name, 0, p.name, c.model, c.input, c.cached_input, c.cache_write, c.output,
                     c.above, null
                 from provider p join owners_of($1) o on o.owner = p.owner join catalogue c on c.provider = p.catalogue
             ) every
             where $2::bigint is null or (is_public, owner, model, age) > ($2, $3, $4, $5)
             order by is_public, owner, model, age limit $6",
            args![
                caller.id,
                after.map(|after| after.0),
                after.map(|after| after.1.clone()),
                after.map(|after| after.2.clone()),
                after.map(|after| after.3),
                page.fetch()
            ],
        )
        .await?;
    let items = page.answer(rows, |row| {
        let model = row.price.model.clone();
        (row.is_public, row.owner.clone(), model, row.age)
    });
    Ok(Json(Items {
        items: items
            .items
            .into_iter()
            .map(|Row { price, .. }| Price {
                provider: price.provider,
                model: price.model,
                input_microusd: price.input,
                cached_input_microusd: price.cached_input,
                cache_write_microusd: price.cache_write,
                output_microusd: price.output,
                above: price.above,
                valid_from: price.valid_from,
            })
            .collect(),
        next: items.next,
    }))
}
