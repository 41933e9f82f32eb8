//! Marking items as read or archived, and back.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Input, Problem, Result, args};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Which items to mark: those of `ids`, or all up to `until`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ItemsToMark {
    /// The items. Unknown ones, and those of others, are passed over.
    #[garde(inner(length(min = 1, max = 1000)))]
    #[schema(min_items = 1, max_items = 1000)]
    ids: Option<Vec<Uuid>>,
    /// The newest item to mark; all older ones are marked with it.
    #[garde(skip)]
    until: Option<Uuid>,
    /// Turns it back: what was read, or archived, is unread again.
    #[garde(skip)]
    #[serde(default)]
    unread: bool,
}

/// What marking did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MarkedItems {
    /// How many items changed.
    changed: u64,
    /// How many items are unread now.
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

/// Archives items, or brings them back as unread ones.
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
            "must be given, or else `until`, and not both",
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
