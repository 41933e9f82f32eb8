//! Whom an account has blocked or muted. Nobody else hears of it.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Items, OptionalInput, Page, Path, Problem, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::outcome::Outcome;
use crate::posts::Account;

/// An account that the caller has blocked or muted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Block {
    account: Account,
    /// Only muted: it can write to the caller, who is not told.
    mute: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// How an account is kept away.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
pub struct NewBlock {
    /// `true`: nothing of the account is shown or told. Otherwise it can't write directly to the caller either.
    #[garde(skip)]
    #[serde(default)]
    mute: bool,
}

#[derive(Debug, Deserialize)]
struct Row {
    block: Block,
}

/// Lists whom the caller has blocked or muted, by id.
#[utoipa::path(
    get, path = "/api/blocks", tag = "blocks", operation_id = "blocks", params(guest::PageParams),
    responses(
        (status = 200, body = Items<Block>),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(db: Db, caller: Caller, page: Page<Uuid>) -> Result<Json<Items<Block>>> {
    let after = page.after.unwrap_or_default();
    let rows: Vec<Row> = db
        .many(
            "select block_json(b) as block from block b where b.blocker = $1 and b.blocked > $2
             order by b.blocked limit $3",
            args![caller.id, after, page.fetch()],
        )
        .await?;
    let blocks = rows.into_iter().map(|row| row.block).collect();
    Ok(Json(page.answer(blocks, |block: &Block| block.account.id)))
}

/// Whether the caller has blocked or muted an account.
#[utoipa::path(
    get, path = "/api/blocks/{account}", tag = "blocks", operation_id = "block",
    params(("account" = String, Path, description = "Id or name")),
    responses(
        (status = 200, body = Block),
        (status = 404, description = "`not-found`: neither blocked nor muted"),
    ),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(account): Path<String>) -> Result<Json<Block>> {
    let row: Option<Row> = db
        .optional(
            "select block_json(b) as block from block b where b.blocker = $1 and b.blocked = account_of($2)",
            args![caller.id, account],
        )
        .await?;
    row.map(|row| Json(row.block))
        .ok_or_else(|| Problem::not_found("block"))
}

/// Blocks an account, or merely mutes it.
#[utoipa::path(
    put, path = "/api/blocks/{account}", tag = "blocks", operation_id = "put_block",
    params(("account" = String, Path, description = "Id or name")), request_body = Option<NewBlock>,
    responses(
        (status = 200, body = Block),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`: the caller itself"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn put(
    db: Db,
    caller: Caller,
    Path(account): Path<String>,
    OptionalInput(new): OptionalInput<NewBlock>,
) -> Result<Json<Block>> {
    let NewBlock { mute } = new.unwrap_or_default();
    let made: Outcome<Block> = db
        .one(
            "select block_account($1, $2, $3) as outcome",
            args![caller.id, account, mute],
        )
        .await?;
    made.value().map(Json)
}

/// Takes a block or a mute back.
#[utoipa::path(
    delete, path = "/api/blocks/{account}", tag = "blocks", operation_id = "delete_block",
    params(("account" = String, Path, description = "Id or name")),
    responses(
        (status = 204, description = "The account is not blocked (any more)"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn remove(db: Db, caller: Caller, Path(account): Path<String>) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select unblock_account($1, $2) as outcome",
            args![caller.id, account],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}
