//! What the models of a claw were asked for, and have cost.

use axum::Json;
use guest::{Caller, Db, Items, Page, Path, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::claws::found;

/// The calls of a model that a claw made on a day.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ClawUsage {
    /// The day, UTC.
    #[schema(format = Date, example = "2026-01-31")]
    day: String,
    /// The model; empty if none answered.
    model: String,
    /// The number of calls.
    calls: i64,
    /// The tokens that the model was told.
    input_tokens: i64,
    /// The tokens that the model said.
    output_tokens: i64,
    /// The cost in millionths of a dollar.
    cost_microusd: i64,
}

#[derive(Debug, Deserialize)]
struct Row {
    /// The days since 1970.
    number: u16,
    #[serde(flatten)]
    usage: ClawUsage,
}

/// Lists what a claw asked of models, by day and model, the newest first.
#[utoipa::path(
    get, path = "/api/claws/{claw}/usage", tag = "claws", operation_id = "claw_usage",
    params(("claw" = String, Path, description = "The claw's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<ClawUsage>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(claw): Path<String>,
    page: Page<(u16, String)>,
) -> Result<Json<Items<ClawUsage>>> {
    let claw = found(&db, &caller, &claw).await?;
    let (day, model) = page.after.clone().unzip();
    let rows: Vec<Row> = db
        .many(
            "select day::text as day, day - date '1970-01-01' as number, model_name as model, calls, input_tokens, output_tokens, cost_microusd
             from usage_of($1, date '1970-01-01' + $2::integer, $3, $4)",
            args![claw, day.map(i32::from), model, page.fetch()],
        )
        .await?;
    let page = page.answer(rows, |row: &Row| (row.number, row.usage.model.clone()));
    Ok(Json(Items {
        items: page.items.into_iter().map(|row| row.usage).collect(),
        next: page.next,
    }))
}
