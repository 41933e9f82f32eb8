//! The items of an inbox, and how many are unread.

use std::collections::BTreeMap;

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// A notification in an account's inbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct InboxItem {
    /// The item's id. When the same object is notified again, the item gets a new id.
    id: Uuid,
    /// The kind of notification: `mention`, `direct`, `reply`, `review`, `job`, `invitation`, `approval`, `moderation`,
    /// `webhook`, or another kind that a function registers.
    #[schema(example = "mention")]
    kind: String,
    /// A title that says in a few words what happened.
    title: String,
    /// An excerpt of the object, as plain text.
    text: String,
    /// The path on this site that leads to the object.
    link: Option<String>,
    /// The account that caused the notification.
    by: Option<Uuid>,
    /// The state of the item.
    state: ItemState,
    /// The time at which the item was read; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    read_at: Option<OffsetDateTime>,
    /// The time at which the item was archived; null until then.
    #[serde(with = "time::serde::rfc3339::option")]
    archived_at: Option<OffsetDateTime>,
    /// The time at which the item was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// The state of an item: unread, read or archived.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = InboxItemState)]
pub enum ItemState {
    /// Neither read nor archived.
    Unread,
    /// Read, and not archived.
    Read,
    /// Archived, whether read or not.
    Archived,
}

/// The filters of a list of items.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemFilter {
    /// Lists only items of this kind.
    #[garde(inner(length(max = 40)))]
    kind: Option<String>,
    /// Lists only items in this state. Without it, lists all items that are not archived.
    #[garde(skip)]
    #[param(inline)]
    state: Option<ItemState>,
}

/// The numbers of unread items.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UnreadItems {
    /// The number of unread items of all kinds.
    unread: u64,
    /// The number of unread items by kind; kinds without unread items are left out.
    kinds: BTreeMap<String, u64>,
}

/// Lists the items of the caller's inbox, the newest first.
#[utoipa::path(
    get, path = "/api/inbox", tag = "inbox", params(guest::PageParams, ItemFilter),
    responses((status = 200, body = Items<InboxItem>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Uuid>,
    Query(ItemFilter { kind, state }): Query<ItemFilter>,
) -> Result<Json<Items<InboxItem>>> {
    let state = state.map(|state| match state {
        ItemState::Unread => "unread",
        ItemState::Read => "read",
        ItemState::Archived => "archived",
    });
    // Each of the statements has an index of its own.
    let sql = match (&kind, state) {
        (None, None) => {
            "select * from shown_item
             where account_id = $1 and ($2::uuid is null or id < $2) and archived_at is null
             and $4::text is null and $5::text is null
             order by id desc limit $3"
        }
        (Some(_), None) => {
            "select * from shown_item
             where account_id = $1 and ($2::uuid is null or id < $2) and archived_at is null
             and kind = $4 and $5::text is null
             order by id desc limit $3"
        }
        (None, Some(_)) => {
            "select * from shown_item
             where account_id = $1 and ($2::uuid is null or id < $2) and $4::text is null and state = $5
             order by id desc limit $3"
        }
        (Some(_), Some(_)) => {
            "select * from shown_item
             where account_id = $1 and ($2::uuid is null or id < $2) and kind = $4 and state = $5
             order by id desc limit $3"
        }
    };
    let arguments = args![caller.id, page.after, page.fetch(), kind, state];
    let items: Vec<InboxItem> = db.many(sql, arguments).await?;
    Ok(Json(page.answer(items, |item| item.id)))
}

/// Counts the unread items of the caller's inbox.
#[utoipa::path(
    get, path = "/api/inbox/count", tag = "inbox", responses((status = 200, body = UnreadItems)),
    security(("token" = [])), extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn count(db: Db, caller: Caller) -> Result<Json<UnreadItems>> {
    let count = db
        .one(
            "select coalesce(sum(k.unread), 0)::bigint as unread,
                    coalesce(jsonb_object_agg(k.kind, k.unread), '{}') as kinds
             from (select kind, count(*) as unread from item
                 where account_id = $1 and state = 'unread' group by kind) k",
            args![caller.id],
        )
        .await?;
    Ok(Json(count))
}
