//! The items of an inbox, and how many are unread.

use std::collections::BTreeMap;

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Items, Page, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Something that an account was told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct InboxItem {
    /// An item that is told again, of the same object, gets a new id.
    id: Uuid,
    /// `mention`, `direct`, `reply`, `review`, `job`, `invitation`, `approval`, `moderation`, `webhook`, or another one
    /// that a function registers.
    #[schema(example = "mention")]
    kind: String,
    /// What happened, in a few words.
    title: String,
    /// An excerpt, as plain text.
    text: String,
    /// Where it happened: a path of this site.
    link: Option<String>,
    /// The account that it comes from.
    by: Option<Uuid>,
    state: ItemState,
    #[serde(with = "time::serde::rfc3339::option")]
    read_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    archived_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// Whether an item was read or put away.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = InboxItemState)]
pub enum ItemState {
    /// Neither read nor archived.
    Unread,
    /// Read, and not archived.
    Read,
    /// Put away.
    Archived,
}

/// Which items to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemFilter {
    /// Only those of this kind.
    #[garde(inner(length(max = 40)))]
    kind: Option<String>,
    /// Only those that are so; without it, all that are not archived.
    #[garde(skip)]
    #[param(inline)]
    state: Option<ItemState>,
}

/// How many items are unread.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct UnreadItems {
    unread: u64,
    /// By kind; kinds without an unread item are left out.
    kinds: BTreeMap<String, u64>,
}

/// Lists what the caller was told, the newest first.
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
    // A statement for each, so that each has its index.
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

/// Counts the caller's unread items.
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
