//! Messages, as they are read: a channel's history both ways, and around a message.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Path, Problem, Query, Result, args};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::directory::Account;

/// A message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    pub id: Uuid,
    pub channel: Uuid,
    /// Its number in the channel: the order in which everybody reads.
    pub seq: i64,
    /// Null where the message was deleted, or is hidden from the caller; so are `body` and `html`.
    author: Option<Account>,
    /// Markdown, as written.
    body: Option<String>,
    /// Sanitised HTML of the body.
    html: Option<String>,
    /// The message that this one answers.
    reply_to: Option<Uuid>,
    /// As its author named it when posting.
    client_id: Option<String>,
    /// Grows with every change.
    version: i32,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    deleted: bool,
    /// A moderator has hidden it: only they and its author see more than its place.
    hidden: bool,
    /// A moderator has locked it: it can't be changed.
    locked: bool,
    pinned: bool,
    reactions: Vec<Reaction>,
    /// Whether it mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// What a moderator did, for those who see the message nevertheless.
    #[serde(default)]
    moderation: Option<MessageModeration>,
}

/// How often one emoji was given.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageReaction)]
pub struct Reaction {
    #[schema(example = "👍")]
    emoji: String,
    count: i64,
    /// Whether the caller is among them.
    #[serde(default)]
    me: bool,
}

/// What a moderator did to a message, and why.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageModerationState)]
pub struct MessageModeration {
    /// `hide` or `lock`.
    action: String,
    reason: Option<String>,
}

/// A part of a channel's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessagePage {
    /// The messages: the newest first, but the oldest first after and around one.
    items: Vec<Message>,
    /// Give this as `after` for what follows on this page; null: nothing does.
    next: Option<String>,
    /// Around a message: give this as `before` for what precedes this page; null: nothing does.
    previous: Option<String>,
}

/// Where in the history. Without any: its end.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// How many at most.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// What was written before this: the id or `seq` of a message, or a cursor.
    #[garde(skip)]
    before: Option<String>,
    /// What was written after this: the id or `seq` of a message; or the cursor of an answer, which goes on its way.
    #[garde(skip)]
    after: Option<String>,
    /// The id or `seq` of a message to be in the middle.
    #[garde(skip)]
    around: Option<String>,
}

/// A place in a history, with the direction in which to read on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    End,
    Before(i64),
    After(i64),
    Around(i64),
}

/// Reads a channel's history. The places of deleted messages stay in it.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages", tag = "channels", operation_id = "messages",
    params(("channel" = String, Path, description = "Id or name"), Window),
    responses(
        (status = 200, body = MessagePage),
        (status = 404, description = "`not-found`: the channel, or a message that is named"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    Query(window): Query<Window>,
) -> Result<Json<MessagePage>> {
    let place = place(&db, &caller, &channel, &window).await?;
    let limit = window.limit.unwrap_or(20);
    // Below and above what, and how many: one more than are shown tells that there are more.
    let (below, older, above, newer) = match place {
        Place::End => (i64::MAX, limit + 1, 0, 0),
        Place::Before(seq) => (seq, limit + 1, 0, 0),
        Place::After(seq) => (0, 0, seq, limit + 1),
        // The one in the middle counts as older.
        Place::Around(seq) => (seq.saturating_add(1), limit + 1, seq, limit + 1),
    };
    #[derive(Deserialize)]
    struct Row {
        older: Vec<Message>,
        newer: Vec<Message>,
    }
    let row: Option<Row> = db
        .optional(
            "select
                 coalesce((select jsonb_agg(message_json(m, $1) order by m.seq desc) from (
                     select r.* from readable_message($1) r where r.channel_id = c.id and r.seq < $3
                     order by r.seq desc limit $4) m), '[]') as older,
                 coalesce((select jsonb_agg(message_json(m, $1) order by m.seq) from (
                     select r.* from readable_message($1) r where r.channel_id = c.id and r.seq > $5
                     order by r.seq limit $6) m), '[]') as newer
             from (select find($1, $2) as id) c where c.id is not null",
            args![caller.id, channel, below, older, above, newer],
        )
        .await?;
    let row = row.ok_or_else(|| Problem::not_found("channel"))?;
    Ok(Json(page(place, limit, row.older, row.newer)))
}

/// Puts a page together from the messages on both sides of a place, which are one more than it can have.
fn page(place: Place, limit: i64, mut older: Vec<Message>, mut newer: Vec<Message>) -> MessagePage {
    let limit = usize::try_from(limit).unwrap_or_default();
    let cut = |messages: &mut Vec<Message>, most: usize, direction: char| {
        let more = messages.len() > most;
        messages.truncate(most);
        let last = messages.last().filter(|_| more);
        last.map(|last| format!("{direction}{}", last.seq))
    };
    match place {
        Place::End | Place::Before(_) => MessagePage {
            next: cut(&mut older, limit, 'b'),
            previous: None,
            items: older,
        },
        Place::After(_) => MessagePage {
            next: cut(&mut newer, limit, 'a'),
            previous: None,
            items: newer,
        },
        Place::Around(seq) => {
            let half = (limit / 2).min(newer.len());
            let previous = cut(&mut older, limit - half, 'b');
            let has_newer = !newer.is_empty();
            let next = cut(&mut newer, limit - older.len(), 'a');
            // Where the page has no room for newer ones, they begin after the middle.
            let next = next.or_else(|| (has_newer && newer.is_empty()).then(|| format!("a{seq}")));
            older.reverse();
            older.append(&mut newer);
            MessagePage {
                items: older,
                next,
                previous,
            }
        }
    }
}

/// One message.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages/{message}", tag = "channels", operation_id = "message",
    params(("channel" = String, Path, description = "Id or name"), ("message" = Uuid, Path)),
    responses((status = 200, body = Message), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(
    db: Db,
    caller: Caller,
    Path((channel, message)): Path<(String, Uuid)>,
) -> Result<Json<Message>> {
    #[derive(Deserialize)]
    struct Row {
        message: Message,
    }
    let row: Option<Row> = db
        .optional(
            "select message_json(m, $1) as message from readable_message($1) m
             where m.id = $3 and m.channel_id = find($1, $2)",
            args![caller.id, channel, message],
        )
        .await?;
    row.map(|row| Json(row.message))
        .ok_or_else(|| Problem::not_found("message"))
}

async fn place(db: &Db, caller: &Caller, channel: &str, window: &Window) -> Result<Place> {
    let (field, text) = match (&window.before, &window.after, &window.around) {
        (None, None, None) => return Ok(Place::End),
        (Some(text), None, None) => ("before", text),
        (None, Some(text), None) => ("after", text),
        (None, None, Some(text)) => ("around", text),
        _ => {
            return Err(Problem::invalid(
                "before",
                "can't be given together with `after` or `around`",
            ));
        }
    };
    let toward = |seq| match field {
        "before" => Place::Before(seq),
        "after" => Place::After(seq),
        _ => Place::Around(seq),
    };
    if let Ok(id) = text.parse::<Uuid>() {
        #[derive(Deserialize)]
        struct Row {
            seq: i64,
        }
        let row: Option<Row> = db
            .optional(
                "select m.seq from readable_message($1) m where m.id = $3 and m.channel_id = find($1, $2)",
                args![caller.id, channel, id],
            )
            .await?;
        return row
            .map(|row| toward(row.seq))
            .ok_or_else(|| Problem::not_found("message"));
    }
    let digits = text.trim_start_matches(['a', 'b']);
    let seq = digits.parse::<i64>().ok().filter(|seq| *seq >= 0);
    match (text.len() - digits.len(), text.chars().next(), seq) {
        (0, _, Some(seq)) => Ok(toward(seq)),
        (1, Some('b'), Some(seq)) if field != "around" => Ok(Place::Before(seq)),
        (1, Some('a'), Some(seq)) if field == "after" => Ok(Place::After(seq)),
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-cursor",
            format!(
                "`{field}` must be a message's id or `seq`, or the cursor of a page of this list."
            ),
        )),
    }
}
