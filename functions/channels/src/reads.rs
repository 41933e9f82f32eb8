//! Read receipts, unread counts, and the notification settings of a channel.

use axum::Json;
use axum::http::StatusCode;
use garde::Validate;
use guest::{Caller, Db, Input, Path, Problem, Query, Result, args};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::directory::Channel;
use crate::outcome::Outcome;

/// The position up to which a member has read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadReceipt {
    /// The member's account.
    account: Uuid,
    /// The id of the last message that the member has read.
    message_id: Uuid,
    /// The time at which the member read it.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// The number of unread messages in a channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Unread {
    /// The channel's id.
    channel: Uuid,
    /// The channel's name; null for a direct channel.
    name: Option<String>,
    /// The number of messages by others after `last_read`, among the newest 1,000.
    unread: i64,
    /// The number of unread messages that mention the caller.
    mentions: i64,
    /// The id of the last message that the caller has read; null if there is none.
    last_read: Option<Uuid>,
}

/// The channels whose unread messages are counted.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UnreadFilter {
    /// The number of channels, of those that are not archived.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i32>,
    /// Counts only in the channel with this id.
    #[garde(skip)]
    channel: Option<Uuid>,
}

/// The message up to which the caller has read.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ReadMark {
    /// The message's id.
    #[garde(skip)]
    message_id: Uuid,
}

/// The caller's settings for a channel.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChannelSettings {
    /// The messages that the caller is notified of.
    #[garde(skip)]
    notify: Notify,
    /// The time until which the caller is not notified.
    #[garde(inner(custom(sane_time)))]
    #[serde(default, with = "time::serde::rfc3339::option")]
    muted_until: Option<OffsetDateTime>,
    /// Whether the direct channel is left out of the caller's list until somebody posts a message.
    #[garde(skip)]
    hidden: Option<bool>,
}

/// The messages that an account is notified of: `all`, `mentions` or `none`.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChannelNotify)]
pub enum Notify {
    /// Every message. In a channel one notice comes at a time, and the next after it or the channel was read.
    All,
    /// Messages that mention the account or reply to it.
    Mentions,
    /// No messages.
    None,
}

/// Checks that a time is in the years on which PostgreSQL and RFC 3339 agree.
fn sane_time(time: &OffsetDateTime, _: &()) -> garde::Result {
    if (1970..=9998).contains(&time.year()) {
        return Ok(());
    }
    Err(garde::Error::new("must be in the years 1970 to 9998"))
}

/// Lists how far the members of a channel have read, the latest readers first, at most 1,000.
///
/// Only members can see this.
#[utoipa::path(
    get, path = "/api/channels/{channel}/reads", tag = "channels", operation_id = "reads",
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 200, body = Vec<ReadReceipt>),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn list(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
) -> Result<Json<Vec<ReadReceipt>>> {
    #[derive(Deserialize)]
    struct Row {
        is_member: bool,
        reads: Vec<ReadReceipt>,
    }
    let row: Option<Row> = db
        .optional(
            "select exists (
                     select from member own where own.channel_id = c.id and own.account_id = $1) as is_member,
                 coalesce((
                     select jsonb_agg(to_jsonb(r)) from (
                         select b.account_id as account, m.id as message_id, b.read_at as at
                         from member b join readable_message($1) m on m.channel_id = b.channel_id and m.seq = b.read_seq
                         where b.channel_id = c.id and b.read_at is not null
                         order by b.read_at desc limit 1000
                     ) r), '[]') as reads
             from (select find($1, $2) as id) c where c.id is not null",
            args![caller.id, channel],
        )
        .await?;
    match row {
        None => Err(Problem::not_found("channel")),
        Some(Row {
            is_member: false, ..
        }) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not-a-member",
            "Only members of the channel see who has read what.",
        )),
        Some(row) => Ok(Json(row.reads)),
    }
}

/// Counts the unread messages in each channel that the caller is in, the newest channel first, at most 1,000 channels.
/// With `limit`, counts only in the channels that were written in last; with `channel`, only in that one.
///
/// The caller's own messages, deleted ones, and messages by accounts that the caller has blocked or muted do not count.
#[utoipa::path(
    get, path = "/api/channels/unread", tag = "channels", params(UnreadFilter),
    responses((status = 200, body = Vec<Unread>), (status = 422, description = "`invalid-input`")),
    security(("token" = []))
)]
pub async fn unread(
    db: Db,
    caller: Caller,
    Query(filter): Query<UnreadFilter>,
) -> Result<Json<Vec<Unread>>> {
    let unread = db
        .many(
            "select b.channel_id as channel, b.name, n.unread, n.mentions, (
                 select m.id from message m where m.channel_id = b.channel_id and m.seq = b.read_seq) as last_read
             from (
                 select o.channel_id, o.read_seq, c.name from member o join channel c on c.id = o.channel_id
                 where o.account_id = $1 and ($2::integer is null or c.archived_at is null)
                     and ($3::uuid is null or o.channel_id = $3)
                 order by case when $2::integer is not null then c.last_message_at end desc nulls last, o.channel_id desc
                 limit coalesce($2::integer, 1000)
             ) b
             cross join lateral (
                 select count(*) as unread, count(*) filter (where u.mentioned) as mentions
                 from (
                     select $1 = any (m.mentions) or m.mentions_all as mentioned
                     from (
                         select w.id from message w where w.channel_id = b.channel_id and w.seq > b.read_seq
                         order by w.seq desc limit 1000
                     ) newest
                     join readable_message($1) m on m.id = newest.id
                     where m.state = 'shown' and m.author_id <> $1
                 ) u
             ) n
             order by b.channel_id desc",
            args![caller.id, filter.limit, filter.channel],
        )
        .await?;
    Ok(Json(unread))
}

/// Marks messages as read up to one. Naming an older message than before has no effect.
#[utoipa::path(
    put, path = "/api/channels/{channel}/read", tag = "channels", operation_id = "mark_read", request_body = ReadMark,
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 204, description = "The messages are read, at least up to this one."),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`: the channel, or the message in it, does not exist"),
    ),
    security(("token" = []))
)]
pub async fn mark(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    Input(mark): Input<ReadMark>,
) -> Result<StatusCode> {
    let marked: Outcome<()> = db
        .one(
            "select mark_read($1, $2, $3) as outcome",
            args![caller.id, channel, mark.message_id],
        )
        .await?;
    marked.done()?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets which messages of a channel the caller is notified of, and whether a direct channel is hidden.
#[utoipa::path(
    put, path = "/api/channels/{channel}/settings", tag = "channels", request_body = ChannelSettings,
    params(("channel" = String, Path, description = "The channel's id or name.")),
    responses(
        (status = 200, body = Channel),
        (status = 403, description = "`not-a-member`"),
        (status = 404, description = "`not-found`"),
    ),
    security(("token" = []))
)]
pub async fn settings(
    db: Db,
    caller: Caller,
    Path(channel): Path<String>,
    Input(settings): Input<ChannelSettings>,
) -> Result<Json<Channel>> {
    let notify = match settings.notify {
        Notify::All => "all",
        Notify::Mentions => "mentions",
        Notify::None => "none",
    };
    let set: Outcome<Channel> = db
        .one(
            "select set_settings($1, $2, $3, $4::text::timestamptz, $5) as outcome",
            args![
                caller.id,
                channel,
                notify,
                settings.muted_until,
                settings.hidden
            ],
        )
        .await?;
    set.value().map(Json)
}
