//! Marking items as read, archived or unread.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The items to mark: those in `ids`, or all up to `until`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ItemsToMark {
    /// The ids of the items. Unknown items and items of other accounts are ignored.
    #[garde(inner(length(min = 1, max = 1000)))]
    #[schema(min_items = 1, max_items = 1000)]
    ids: Option<Vec<Uuid>>,
    /// The id of the newest item to mark; all older items are marked too.
    #[garde(skip)]
    until: Option<Uuid>,
    /// If true, marks the items as unread again.
    #[garde(skip)]
    #[serde(default)]
    unread: bool,
}

/// The effect of marking items.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MarkedItems {
    /// The number of items that changed.
    changed: u64,
    /// The number of items that are unread now.
    unread: u64,
}

/// Marks items as read, or as unread again.
#[utoipa::path(
    post, path = "/api/inbox/read", tag = "inbox", request_body = ItemsToMark,
    responses((status = 200, body = MarkedItems), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn read(
    db: Db,
    caller: Caller,
    Input(items): Input<ItemsToMark>,
) -> Result<Json<MarkedItems>> {
    mark(&db, &caller, items, "read").await
}

/// Archives items, or restores them as unread.
#[utoipa::path(
    post, path = "/api/inbox/archive", tag = "inbox", request_body = ItemsToMark,
    responses((status = 200, body = MarkedItems), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn archive(
    db: Db,
    caller: Caller,
    Input(items): Input<ItemsToMark>,
) -> Result<Json<MarkedItems>> {
    mark(&db, &caller, items, "archived").await
}

async fn mark(
    db: &Db,
    caller: &Caller,
    items: ItemsToMark,
    state: &'static str,
) -> Result<Json<MarkedItems>> {
    if items.ids.is_some() == items.until.is_some() {
        return Err(Problem::invalid(
            "ids",
            "must be given if `until` is not, and only then",
        ));
    }
    let ids = items
        .ids
        .map(|ids| ids.iter().map(Uuid::to_string).collect::<Vec<_>>());
    let marked = db
        .one(
            "select (m ->> 'changed')::bigint as changed, (m ->> 'unread')::bigint as unread
             from mark($1, $2::text[]::uuid[], $3, $4, $5) m",
            args![caller.id, ids, items.until, state, items.unread],
        )
        .await?;
    Ok(Json(marked))
}
