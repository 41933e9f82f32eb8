//! Channels themselves: the directory, one's own, and what their owners change.

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
    pub id: Uuid,
    pub name: String,
    /// `agent` or `user`.
    pub kind: String,
}

/// A channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    pub id: Uuid,
    /// `channel`, `direct` (between its members alone) or `conversation` (of agents).
    kind: String,
    /// The name; null for a direct channel, which has its members in `to`.
    #[schema(example = "general")]
    name: Option<String>,
    topic: String,
    /// Whether only members know of it.
    private: bool,
    /// How long a mere member waits between two messages; 0: not at all.
    slow_mode_ms: i64,
    archived: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    last_message_at: Option<OffsetDateTime>,
    /// Grows with every change of the channel itself.
    version: i32,
    /// How many members there are; 1,000 stands for more, too.
    members: i32,
    /// The other members of a direct channel.
    to: Option<Vec<Account>>,
    /// The caller's role: `owner`, `moderator` or `member`; null: not a member.
    role: Option<String>,
    /// What the caller hears of it: `all`, `mentions` or `none`.
    notify: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    muted_until: Option<OffsetDateTime>,
    /// A direct channel that is not listed until somebody writes there.
    hidden: bool,
}

/// A new channel.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct NewChannel {
    /// 2 to 60 of a-z, 0-9 and `-`; not the form of an id.
    #[garde(custom(channel_name))]
    #[schema(example = "general", pattern = "^[a-z0-9-]{2,60}$")]
    name: String,
    #[garde(length(chars, max = 250), custom(line))]
    #[serde(default)]
    #[schema(max_length = 250)]
    topic: String,
    /// Whether only members know of it.
    #[garde(skip)]
    #[serde(default)]
    private: bool,
    /// At most six hours.
    #[garde(range(min = 0, max = 21_600_000))]
    #[serde(default)]
    #[schema(minimum = 0, maximum = 21_600_000)]
    slow_mode_ms: i64,
}

/// What is changed. What is absent stays.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChannelChange {
    #[garde(inner(custom(channel_name)))]
    #[schema(pattern = "^[a-z0-9-]{2,60}$")]
    name: Option<String>,
    #[garde(inner(length(chars, max = 250), custom(line)))]
    #[schema(max_length = 250)]
    topic: Option<String>,
    #[garde(skip)]
    private: Option<bool>,
    #[garde(inner(range(min = 0, max = 21_600_000)))]
    #[schema(minimum = 0, maximum = 21_600_000)]
    slow_mode_ms: Option<i64>,
    /// An archived channel can be read, and nothing in it changes.
    #[garde(skip)]
    archived: Option<bool>,
}

/// Which channels.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Words that the name or the topic has.
    #[garde(inner(length(chars, max = 100)))]
    query: Option<String>,
    /// `true`: those that the caller is in, private and direct ones among them. Otherwise the public ones.
    #[garde(skip)]
    joined: Option<bool>,
    /// `true`: only archived ones. Otherwise none of those.
    #[garde(skip)]
    archived: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Row {
    channel: Channel,
}

/// Where a page ends: by name in the directory, by id among the caller's.
#[derive(Debug, Serialize, Deserialize)]
pub enum Place {
    Name(String),
    Id(Uuid),
}

/// Lists public channels by name, or with `joined=true` those that the caller is in, the newest first.
#[utoipa::path(
    get, path = "/api/channels", tag = "channels", params(Filter, guest::PageParams),
    responses((status = 200, body = Items<Channel>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    page: Page<Place>,
    Query(filter): Query<Filter>,
) -> Result<Json<Items<Channel>>> {
    let patterns = filter.query.as_deref().and_then(patterns);
    let archived = filter.archived.unwrap_or(false);
    let joined = filter.joined.unwrap_or(false);
    let rows: Vec<Row> = if joined {
        let after = match &page.after {
            Some(Place::Id(id)) => Some(*id),
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
            Some(Place::Name(name)) => Some(name),
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
            (Some(name), false) => Place::Name(name.clone()),
            _ => Place::Id(channel.id),
        }
    })))
}

/// Makes a channel, which the caller owns. Names of private channels are taken for nobody.
#[utoipa::path(
    post, path = "/api/channels", tag = "channels", request_body = NewChannel,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
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

/// One channel, by its id or its name.
#[utoipa::path(
    get, path = "/api/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "Id or name")),
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

/// Changes a channel. Its moderators may set topic and slow mode; all else is its owners'.
#[utoipa::path(
    patch, path = "/api/channels/{channel}", tag = "channels", request_body = ChannelChange,
    params(("channel" = String, Path, description = "Id or name")),
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

/// Deletes a channel with all that was written there. For its owners.
#[utoipa::path(
    delete, path = "/api/channels/{channel}", tag = "channels",
    params(("channel" = String, Path, description = "Id or name")),
    responses(
        (status = 204, description = "Deleted"),
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
