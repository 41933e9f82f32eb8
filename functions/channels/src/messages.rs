//! Reading messages: a channel's history in both directions, and around a message.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Path, Problem, Query, Result, args};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::directory::Account;

/// A message in a channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The message's id.
    pub id: Uuid,
    /// The id of the message's channel.
    pub channel: Uuid,
    /// The message's number in the channel, which defines the order of the history.
    pub seq: i64,
    /// The author; null, like `body` and `html`, if the message was deleted or is hidden from the caller.
    author: Option<Account>,
    /// The text as written, in Markdown.
    body: Option<String>,
    /// The body as sanitised HTML.
    html: Option<String>,
    /// The id of the message that this one answers; null if there is none.
    reply_to: Option<Uuid>,
    /// The author's own name for the message, given when posting.
    client_id: Option<String>,
    /// The message's version, which grows with every change.
    version: i32,
    /// The time at which the message was posted.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the last edit; null if there was none.
    #[serde(with = "time::serde::rfc3339::option")]
    edited_at: Option<OffsetDateTime>,
    /// Whether the message was deleted.
    deleted: bool,
    /// Whether a moderator has hidden the message. Only moderators and the author can then see its contents.
    hidden: bool,
    /// Whether a moderator has locked the message, so that it can't be changed.
    locked: bool,
    /// Whether the message is pinned.
    pinned: bool,
    /// The reactions to the message, by emoji.
    reactions: Vec<Reaction>,
    /// Whether the message mentions the caller.
    #[serde(default)]
    mentioned: bool,
    /// The moderator's action, for accounts that can still see the message; null if there was none.
    #[serde(default)]
    moderation: Option<MessageModeration>,
}

/// A reaction to a message, counted over all accounts.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageReaction)]
pub struct Reaction {
    /// The emoji of the reaction.
    #[schema(example = "👍")]
    emoji: String,
    /// The number of accounts that reacted with this emoji.
    count: i64,
    /// Whether the caller reacted with this emoji.
    #[serde(default)]
    me: bool,
}

/// A moderator's action on a message, with its reason.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MessageModerationState)]
pub struct MessageModeration {
    /// The action: `hide` or `lock`.
    action: String,
    /// The moderator's reason for the action.
    reason: Option<String>,
}

/// A page of a channel's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessagePage {
    /// The messages, the newest first; after or around a message, the oldest first.
    items: Vec<Message>,
    /// The cursor of the next page, to be sent as `after`; null on the last page.
    next: Option<String>,
    /// The cursor of the messages before this page, to be sent as `before`; null except around a message, and on the
    /// first page.
    previous: Option<String>,
}

/// The part of a channel's history to read; by default its end.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Window {
    /// The largest number of messages to return.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// Reads the messages before this one, given by id, by `seq` or by a cursor.
    #[garde(skip)]
    before: Option<String>,
    /// Reads the messages after this one, given by id or by `seq`; or continues from the cursor of an answer, in its
    /// direction.
    #[garde(skip)]
    after: Option<String>,
    /// Reads the messages around this one, given by id or by `seq`.
    #[garde(skip)]
    around: Option<String>,
}

/// A location in a history, with the direction in which to read on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Location {
    End,
    Before(i64),
    After(i64),
    Around(i64),
}

/// Reads a page of a channel's history. Deleted messages stay in it, without author and text.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages", tag = "channels", operation_id = "messages",
    params(("channel" = String, Path, description = "The channel's id or name."), Window),
    responses(
        (status = 200, body = MessagePage),
        (status = 404, description = "`not-found`: the channel, or the message to read from, does not exist"),
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
    let location = location(&db, &caller, &channel, &window).await?;
    let limit = window.limit.unwrap_or(20);
    // The bounds below and above which to read, and how many: one more than are shown, which tells whether there are
    // more.
    let (below, older, above, newer) = match location {
        Location::End => (i64::MAX, limit + 1, 0, 0),
        Location::Before(seq) => (seq, limit + 1, 0, 0),
        Location::After(seq) => (0, 0, seq, limit + 1),
        // The message in the middle counts as older.
        Location::Around(seq) => (seq.saturating_add(1), limit + 1, seq, limit + 1),
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
    Ok(Json(page(location, limit, row.older, row.newer)))
}

/// Builds a page from the messages on both sides of a location, of which there may be one more than fits.
fn page(
    location: Location,
    limit: i64,
    mut older: Vec<Message>,
    mut newer: Vec<Message>,
) -> MessagePage {
    let limit = usize::try_from(limit).unwrap_or_default();
    let cut = |messages: &mut Vec<Message>, most: usize, direction: char| {
        let more = messages.len() > most;
        messages.truncate(most);
        let last = messages.last().filter(|_| more);
        last.map(|last| format!("{direction}{}", last.seq))
    };
    match location {
        Location::End | Location::Before(_) => MessagePage {
            next: cut(&mut older, limit, 'b'),
            previous: None,
            items: older,
        },
        Location::After(_) => MessagePage {
            next: cut(&mut newer, limit, 'a'),
            previous: None,
            items: newer,
        },
        Location::Around(seq) => {
            let half = (limit / 2).min(newer.len());
            let previous = cut(&mut older, limit - half, 'b');
            let has_newer = !newer.is_empty();
            let next = cut(&mut newer, limit - older.len(), 'a');
            // If the page has no room for newer messages, they begin after the middle.
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

/// Reads one message.
#[utoipa::path(
    get, path = "/api/channels/{channel}/messages/{message}", tag = "channels", operation_id = "message",
    params(
        ("channel" = String, Path, description = "The channel's id or name."),
        ("message" = Uuid, Path, description = "The message's id."),
    ),
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

async fn location(db: &Db, caller: &Caller, channel: &str, window: &Window) -> Result<Location> {
    let (field, text) = match (&window.before, &window.after, &window.around) {
        (None, None, None) => return Ok(Location::End),
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
        "before" => Location::Before(seq),
        "after" => Location::After(seq),
        _ => Location::Around(seq),
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
        (1, Some('b'), Some(seq)) if field != "around" => Ok(Location::Before(seq)),
        (1, Some('a'), Some(seq)) if field == "after" => Ok(Location::After(seq)),
        _ => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-cursor",
            format!(
                "`{field}` must be a message's id or `seq`, or the cursor of a page of this list."
            ),
        )),
    }
}
