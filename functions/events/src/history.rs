//! The history of a topic.

use axum::Json;
use garde::Validate;
use guest::{Caller, Db, Problem, Query, Result, args, required_variable};
use http::StatusCode;
use position::{Batch, Position, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::topic::{TopicParam, require};

/// An event: something that happened on a topic.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// The event's id, the same each time the event is delivered.
    id: Uuid,
    /// The kind of event.
    #[serde(rename = "type")]
    #[schema(example = "message.created")]
    kind: String,
    /// The topic that the event belongs to.
    topic: String,
    /// The object that changed.
    #[schema(value_type = Object)]
    data: Value,
    /// The time at which the event happened.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
}

/// A part of the history of a topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct History {
    /// The events, the oldest first.
    items: Vec<Event>,
    /// The reader's position after these events, to be sent as the next `since`.
    position: String,
    /// Whether more events follow at once. There are fewer items than `limit` then if they are large.
    more: bool,
}

/// The part of the history to read.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Since {
    /// The position to read from, taken from an earlier answer or from a frame of a socket. Without it, reading begins
    /// with the oldest event that is kept.
    #[garde(inner(length(max = 100_000)))]
    since: Option<String>,
    /// The largest number of events to return.
    #[garde(inner(range(min = 1, max = 1000)))]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<i32>,
}

/// The present state of the event log.
#[derive(Debug, Deserialize)]
struct Now {
    allowed: bool,
    epoch: i64,
    at: i64,
    kept_since: i64,
}

#[derive(Debug, Deserialize)]
struct Batched {
    until: String,
    more: bool,
    events: Vec<Numbered>,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    number: i64,
    #[serde(flatten)]
    event: Event,
}

/// Lists the events of a topic since a position.
///
/// Each event that was committed since then is listed once, even if its transaction took long. A position that is older
/// than the oldest kept event, or that stems from a database that has since been restored, is answered with 410
/// `history-gone`; its member `oldest` is the position from which everything that is left can be read.
#[utoipa::path(
    get, path = "/api/events", tag = "events", params(TopicParam, Since),
    responses(
        (status = 200, body = History),
        (status = 404, description = "`not-found`: the topic does not exist, or the caller may not read it"),
        (status = 410, description = "`history-gone`"),
        (status = 422, description = "`invalid-input`, `invalid-cursor`"),
    ),
    security(("token" = []))
)]
pub async fn history(
    db: Db,
    caller: Caller,
    Query(topic): Query<TopicParam>,
    Query(Since { since, limit }): Query<Since>,
) -> Result<Json<History>> {
    let key = position_key().await?;
    let topic = topic.of(&caller);
    let limit = limit.unwrap_or(100);
    let now: Now = db
        .one(
            "select may_read($1, $2, $3) as allowed, (n ->> 'epoch')::bigint as epoch,
                    (n ->> 'at')::bigint as at, (n ->> 'kept_since')::bigint as kept_since
             from events.now() n",
            args![caller.id, topic.as_str(), caller.allows(guest::ALL)],
        )
        .await?;
    require(now.allowed)?;
    let start = match since {
        None => oldest(&now),
        Some(text) => {
            let position = Position::open(&key, &text).ok_or_else(foreign)?;
            if position.epoch != now.epoch || position.at_ms < now.kept_since {
                return Err(gone(&oldest(&now).seal(&key)));
            }
            position
        }
    };
    let (until, number) = match &start.within {
        Some(batch) => (Some(batch.until.to_string()), batch.number),
        None => (None, -1),
    };
    let batch: Batched = db
        .one(
            "select h -> 'until' as until, h -> 'more' as more, h -> 'events' as events
             from history(array[$1], $2, $3::text::pg_snapshot, $4::text::pg_snapshot, $5, $6) h",
            args![
                topic,
                caller.id,
                start.after.to_string(),
                until,
                number,
                limit
            ],
        )
        .await?;
    let until: Snapshot = batch.until.parse().map_err(Problem::internal)?;
    let last = batch.events.last().map(|last| last.number);
    let (after, within) = match last.filter(|_| batch.more) {
        Some(number) => (start.after, Some(Batch { until, number })),
        None => (until, None),
    };
    let position = Position {
        epoch: now.epoch,
        at_ms: if within.is_some() {
            start.at_ms
        } else {
            now.at
        },
        after,
        within,
    };
    let items = batch.events.into_iter().map(|one| one.event).collect();
    Ok(Json(History {
        items,
        position: position.seal(&key),
        more: batch.more,
    }))
}

async fn position_key() -> Result<[u8; 32]> {
    let key = required_variable("position_key").await?;
    guest::hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `position_key` must be 64 hex digits"))
}

/// The position before the oldest event that is kept.
fn oldest(now: &Now) -> Position {
    Position {
        epoch: now.epoch,
        at_ms: now.kept_since,
        after: Snapshot::before_all(),
        within: None,
    }
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid-cursor",
        "`since` is not a position that this server made.",
    )
}

fn gone(oldest: &str) -> Problem {
    let detail = "A part of what happened since that position is not kept any more. \
                  Fetch the present state, and go on from `oldest`.";
    Problem::new(StatusCode::GONE, "history-gone", detail).with("oldest", oldest.into())
}
