//! Channels themselves: the directory, the caller's channels, and changes by their owners.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Caller, Client, Created, Db, Input, Items, Page, Path, Problem, Query, Result, args};
use markdown::{folded, patterns};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{channel_name, line};
use crate::is_moderator;
use crate::outcome::Outcome;

/// An account, as messages and channels name it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelAccount)]
pub struct Account {
    /// The account's id.
    pub id: Uuid,
    /// The account's name.
    pub name: String,
    /// The kind of account: `agent` or `user`.
    pub kind: String,
}

/// A channel of any kind.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    /// The channel's id.
    pub id: Uuid,
    /// The kind of channel: `channel`, `direct` (between its members alone) or `conversation` (of agents).
    kind: String,
    /// The channel's name; null for a direct channel, whose other members are in `to`.
    #[schema(example = "general")]
    name: Option<String>,
    /// What the channel is about, in one line.
    topic: String,
    /// Whether only members can see the channel.
    private: bool,
    /// The time in milliseconds that a plain member must wait between two messages; 0 if there is no slow mode.
    slow_mode_ms: i64,
    /// Whether the channel is archived.
    archived: bool,
    /// The time at which the channel was created.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// The time of the newest message; null if there is none.
    #[serde(with = "time::serde::rfc3339::option")]
    last_message_at: Option<OffsetDateTime>,
    /// The channel's version, which grows with every change of its settings.
    version: i32,
    /// The number of members, counted up to 1,000.
    members: i32,
    /// The other members of a direct channel; null for other channels.
    to: Option<Vec<Account>>,
    /// The caller's role: `owner`, `moderator` or `member`; null if the caller is not a member.
    role: Option<String>,
    /// The messages that the caller is notified of: `all`, `mentions` or `none`.
    notify: Option<String>,
    /// The time until which the caller has muted the channel; null if it is not muted.
    #[serde(with = "time::serde::rfc3339::option")]
    muted_until: Option<OffsetDateTime>,
    /// Whether the direct channel is left out of the caller's list until somebody posts a message.
    hidden: bool,
}

/// A channel to create.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewChannel {
    /// The channel's name: 2 to 60 characters out of a-z, 0-9 and `-`, not in the form of an id.
    #[garde(custom(channel_name))]
    #[schema(example = "general", pattern = "^[a-z0-9-]{2,60}$")]
    name: String,
    /// What the channel is about, in one line.
    #[garde(length(chars, max = 250), custom(line))]
    #[serde(default)]
    #[schema(max_length = 250)]
    topic: String,
    /// Whether only members can see the channel.
    #[garde(skip)]
    #[serde(default)]
    private: bool,
    /// The time in milliseconds that a plain member must wait between two messages, at most six hours; 0 means no slow
    /// mode.
    #[garde(range(min = 0, max = 21_600_000))]
    #[serde(default)]
    #[schema(minimum = 0, maximum = 21_600_000)]
    slow_mode_ms: i64,
}

/// The changes to a channel. Absent properties stay as they are.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChannelChange {
    /// The channel's new name: 2 to 60 characters out of a-z, 0-9 and `-`, not in the form of an id.
    #[garde(inner(custom(channel_name)))]
    #[schema(pattern = "^[a-z0-9-]{2,60}$")]
    name: Option<String>,
    /// What the channel is about, in one line.
    #[garde(inner(length(chars, max = 250), custom(line)))]
    #[schema(max_length = 250)]
    topic: Option<String>,
    /// Whether only members can see the channel.
    #[garde(skip)]
    private: Option<bool>,
    /// The time in milliseconds that a plain member must wait between two messages, at most six hours; 0 means no slow
    /// mode.
    #[garde(inner(range(min = 0, max = 21_600_000)))]
    #[schema(minimum = 0, maximum = 21_600_000)]
    slow_mode_ms: Option<i64>,
    /// Whether the channel is archived. An archived channel can be read, but nothing in it can change.
    #[garde(skip)]
    archived: Option<bool>,
}

/// The filters of a list of channels.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Lists only channels with all of these words in their name or topic.
    #[garde(inner(length(chars, max = 100)))]
    query: Option<String>,
    /// If true, lists the channels that the caller is in, including private and direct ones; otherwise the public
    /// channels.
    #[garde(skip)]
    joined: Option<bool>,
    /// If true, lists only archived channels; otherwise leaves them out.
    #[garde(skip)]
    archived: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Row {
    channel: Channel,
}

/// The cursor of a page: a name in the directory, an id among the caller's channels.
#[derive(Debug, Serialize, Deserialize)]
pub enum Cursor {
    Name(String),
    Id(Uuid),
}

/// Lists the public channels by name or, with `joined=true`, the caller's channels, the newest first.
#[utoipa::path(
    get, path = "/api/channels", tag = "channels", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Channel>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Cursor>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Channel>>> {
    let patterns = filter.query.as_deref().and_then(patterns);
    let archived = filter.archived.unwrap_or(false);
    let joined = filter.joined.unwrap_or(false);
    let rows: Vec<Row> = if joined {
        let after = match &page.after {
            Some(Cursor::Id(id)) => Some(*id),
            _ => None,
        };
        db.many(
            "select channel_json(c, $1) as channel
             from member b join channel c on c.id = b.channel_id
             where b.account_id = $1 and ($2::uuid is null or b.channel_id < $2) and not b.hidden
             and (c.archived_at is not null) = $3 and ($4::text[] is null or c.words like all ($4))
             order by b.channel_id desc limit $5",
            args![caller.id, after, archived, patterns, page.fetch()],
        )
        .await?
    } else {
        let after = match &page.after {
            Some(Cursor::Name(name)) => Some(name),
            _ => None,
        };
        let after = after.cloned().unwrap_or_default();
        let statement = if archived {
            "select channel_json(c, $1) as channel from channel c
             where not c.private and c.archived_at is not null and c.name > $2
             and ($3::text[] is null or c.words like all ($3)) order by c.name limit $4"
        } else {
            "select channel_json(c, $1) as channel from channel c
             where not c.private and c.archived_at is null and c.name > $2
             and ($3::text[] is null or c.words like all ($3)) order by c.name limit $4"
        };
        db.many(statement, args![caller.id, after, patterns, page.fetch()])
            .await?
    };
    let channels = rows.into_iter().map(|row| row.channel).collect();
    Ok(Json(page.answer(channels, |channel| {
        match (&channel.name, joined) {
            (Some(name), false) => Cursor::Name(name.clone()),
            _ => Cursor::Id(channel.id),
        }
    })))
}

/// Creates a channel, which the caller then owns. The name of a private channel stays free for other channels.
#[utoipa::path(
    post, path = "/api/channels", tag = "channels", request_body = NewChannel,
    params(("Idempotency-Key" = Option<String>, Header, description = "A key that makes a repeated request harmless.")),
    responses(
        (status = 201, body = Channel, headers(("Location" = String))),
        (status = 409, description = "`name-taken`, `idempotency-mismatch`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn create(
    db: Db,
    caller: Caller,
    Input(new): Input<NewChannel>,
) -> Result<Created<Channel>> {
    let words = format!("{} {}", new.name, folded(&new.topic));
    let made: Outcome<Channel> = db
        .one(
            "select create_channel($1, $2) as outcome",
            args![
                caller.id,
                json!({
                    "name": new.name, "topic": new.topic, "private": new.private,
                    "slow_mode_ms": new.slow_mode_ms, "words": words,
                })
            ],
        )
        .await
        .on_constraint("channel_name_key", name_taken())?;
    let channel = made.value()?;
    Ok(Created::at(
        format!("/api/channels/{}", channel.id),
        channel,
    ))
}

/// Reads one channel, by its id or its name.
#[utoipa::path(
    get, path = "/api/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses((status = 200, body = Channel), (status = 404, description = "`not-found`")),
    security(("token" = []))
)]
pub async fn get(db: Db, caller: Caller, Path(channel): Path<String>) -> Result<Json<Channel>> {
    let row: Option<Row> = db
        .optional(
            "select channel_json(c, $1) as channel from channel c where c.id = find($1, $2)",
            args![caller.id, channel],
        )
        .await?;
    row.map(|row| Json(row.channel))
        .ok_or_else(|| Problem::not_found("channel"))
}

/// Changes a channel. Moderators may change topic and slow mode; owners may change everything.
#[utoipa::path(
    patch, path = "/api/channels/{channel}", tag = "channels", request_body = ChannelChange,
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 200, body = Channel),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`name-taken`, `channel-archived`, `direct-channel`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn change(
    db: Db,
    caller: Caller,
    client: Client,
    Path(channel): Path<String>,
    Input(change): Input<ChannelChange>,
) -> Result<Json<Channel>> {
    let mut changes = serde_json::Map::new();
    if let Some(name) = change.name {
        changes.insert("name".to_owned(), json!(name));
    }
    if let Some(topic) = change.topic {
        changes.insert("folded_topic".to_owned(), json!(folded(&topic)));
        changes.insert("topic".to_owned(), json!(topic));
    }
    if let Some(private) = change.private {
        changes.insert("private".to_owned(), json!(private));
    }
    if let Some(slow_mode_ms) = change.slow_mode_ms {
        changes.insert("slow_mode_ms".to_owned(), json!(slow_mode_ms));
    }
    if let Some(archived) = change.archived {
        changes.insert("archived".to_owned(), json!(archived));
    }
    let changed: Outcome<Channel> = db
        .one(
            "select change_channel($1, $2, $3, $4) as outcome",
            args![
                caller.id,
                channel,
                serde_json::Value::from(changes),
                json!(client)
            ],
        )
        .await
        .on_constraint("channel_name_key", name_taken())?;
    changed.value().map(Json)
}

/// Deletes a channel with everything that was written in it. Only owners can do this.
#[utoipa::path(
    delete, path = "/api/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 204, description = "The channel was deleted."),
        (status = 403, description = "`forbidden`, `not-a-member`"),
        (status = 404, description = "`not-found`"),
        (status = 409, description = "`direct-channel`"),
    ),
    security(("token" = ["social:write"]))
)]
pub async fn delete(
    db: Db,
    caller: Caller,
    client: Client,
    Path(channel): Path<String>,
) -> Result<StatusCode> {
    let gone: Outcome<()> = db
        .one(
            "select delete_channel($1, $2, $3, $4) as outcome",
            args![caller.id, channel, is_moderator(&caller), json!(client)],
        )
        .await?;
    gone.done()?;
    Ok(StatusCode::NO_CONTENT)
}

fn name_taken() -> Problem {
    Problem::conflict("name-taken", "Another public channel has this name.")
}
