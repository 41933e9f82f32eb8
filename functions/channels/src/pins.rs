//! Pinned messages of a channel.

use axum::Json;
use axum::http::StatusCode;
use guest::{Caller, Db, Items, Page, Path, Problem, Result, args};
use serde::Deserialize;
use uuid::Uuid;

use crate::messages::Message;
use crate::outcome::Outcome;

/// Lists a channel's pinned messages, the newest first.
#[utoipa::path(
    get, path = "/api/channels/{channel}/pins", tag = "channels", operation_id = "pins",
    params(("channel" = String, Path, description = "The channel's id or name."), guest::PageParams),
    responses(
        (status = 200, body = Items<Message>),
        (status = 404, description = "`not-found`"),
        (status = 422, description = "`invalid-input`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    page: Page<i64>,
) -> Result<Json<Items<Message>>> {
    #[derive(Deserialize)]
    struct Row {
        pins: Vec<Message>,
    }
    let row: Option<Row> = db
        .optional(
            "select coalesce((
                 select jsonb_agg(message_json(m, $1) order by m.seq desc) from (
                     select r.* from pin p join readable_message($1) r on r.id = p.message_id
                     where p.channel_id = c.id and ($3::bigint is null or r.seq < $3)
                     order by r.seq desc limit $4
                 ) m), '[]') as pins
             from (select find($1, $2) as id) c where c.id is not null",
            args![caller.id, channel, page.after, page.fetch()],
        )
        .await?;
    let pins = row.ok_or_else(|| Problem::not_found("channel"))?.pins;
    Ok(Json(page.answer(pins, |message| message.seq)))
}

/// Pins a message. Owners and moderators can pin in a channel, all members in a direct channel; at most 50 messages.
#[utoipa::path(
    put, path = "/api/channels/{channel}/pins/{message}", tag = "channels", operation_id = "pin",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
    responses(
        (status = 204, description = "The message is pinned."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`too-many-pins`, `message-locked`, `channel-archived`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn add(
    db: Db,
    caller: Caller,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<StatusCode> {
    pin(&db, &caller, channel, message, true).await
}

/// Unpins a message.
#[utoipa::path(
    delete, path = "/api/channels/{channel}/pins/{message}", tag = "channels", operation_id = "unpin",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
    responses(
        (status = 204, description = "The message is not pinned any more."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`channel-archived`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn remove(
    db: Db,
    caller: Caller,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<StatusCode> {
    pin(&db, &caller, channel, message, false).await
}

async fn pin(
    db: &Db,
    caller: &Caller,
    channel: String,
    message: Uuid,
    adds: bool,
) -> Result<StatusCode> {
    let pinned: Outcome<Message> = db
        .one(
            "select pin_message($1, $2, $3, $4) as outcome",
            args![caller.id, channel, message, adds],
        )
        .await?;
    pinned.done()?;
    Ok(StatusCode::NO_CONTENT)
}
