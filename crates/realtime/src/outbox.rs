//! The reader of the outbox, which reads the events committed since its last look, and hands them out.
//!
//! While events flow, the outbox is polled, since writers that notify take turns at their commits. A reader that has
//! found nothing for a while notes that it sleeps; the next writer then wakes it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use position::Snapshot;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::postgres::{PgListener, PgPool};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::database::{self, ANSWERS_WITHIN};
use crate::frames::EventFrame;
use crate::hub::{Frame, Hub, Seen, position_within};
use crate::metrics::Metrics;

/// The largest number of events in a batch.
const BATCH: i32 = 500;
/// The pause between two looks while events flow.
const POLL_EVERY: Duration = Duration::from_millis(5);
/// The time without an event after which the reader sleeps until it is notified.
const AWAKE_FOR: Duration = Duration::from_millis(500);
/// The pauses before the looks after falling asleep, which find writers that began before and do not notify.
const SLEEPING_POLLS: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_millis(1000),
];
/// The bytes that are handed out at once, a part of what a queue holds, so that readers can keep up with a burst.
const BURST_BYTES: usize = 256 << 10;
const BURST_PAUSE: Duration = Duration::from_millis(5);
/// The pause before the database is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// An event, as the database returns it.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub number: i64,
    pub id: Uuid,
    pub topic: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub data: Box<RawValue>,
    pub audience: Option<Vec<Uuid>>,
    /// The account whose words or actions the event shows.
    pub of: Option<Uuid>,
    pub created_at: String,
    /// The time of the event in milliseconds since 1970.
    at: i64,
}

/// The data of an `access.changed`: the account whose rights changed; `None` may be any account.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Concerned {
    account: Option<Uuid>,
}

impl Concerned {
    /// Whether an account's rights may have changed.
    pub fn includes(self, account: Uuid) -> bool {
        self.account.is_none_or(|of| of == account)
    }
}

impl Event {
    /// Whether an account that may read the topic may see the event.
    pub fn is_for(&self, account: Uuid) -> bool {
        let audience = self.audience.as_ref();
        audience.is_none_or(|audience| audience.contains(&account))
    }

    /// The account whose rights an `access.changed` changes; `None` for other events.
    pub fn access_changed(&self) -> Option<Concerned> {
        (self.kind == "access.changed")
            .then(|| serde_json::from_str(self.data.get()).unwrap_or_default())
    }

    /// Makes the frame of the event.
    pub fn frame(&self, position: &str) -> Frame {
        let frame = self.told(position);
        Frame {
            text: serde_json::to_string(&frame).unwrap_or_default().into(),
            position: position.into(),
            of: self.of,
        }
    }

    /// Makes the frame of the event for an edge, which is also told whose words or actions it shows, and to whom.
    ///
    /// # Errors
    /// The data is not JSON.
    pub fn pushed(&self, position: &str) -> Result<Box<RawValue>> {
        Ok(serde_json::value::to_raw_value(&EventFrame {
            of: self.of,
            audience: self.audience.as_deref(),
            ..self.told(position)
        })?)
    }

    fn told<'a>(&'a self, position: &'a str) -> EventFrame<'a> {
        EventFrame {
            kind: &self.kind,
            id: self.id,
            topic: &self.topic,
            position,
            created_at: &self.created_at,
            data: &self.data,
            of: None,
            audience: None,
        }
    }
}

/// The events that were committed between two snapshots, or a part of them.
#[derive(Debug, Deserialize)]
pub struct Read {
    /// The snapshot that ends the batch.
    until: String,
    /// The time of the look in milliseconds since 1970.
    at: i64,
    /// Whether the batch has more events after these.
    pub more: bool,
    /// The events, in the order of their numbers.
    pub events: Vec<Event>,
}

impl Read {
    /// Reads the database's answer.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).context("events")
    }
}

/// The present position of the database.
#[derive(Debug, Deserialize)]
pub struct Now {
    snapshot: String,
    pub epoch: i64,
    pub at: i64,
    pub kept_since: i64,
}

/// Reads the present position of the database.
pub async fn now(pool: &PgPool) -> Result<(Now, Seen)> {
    let json: String = database::one(pool, sqlx::query_scalar("select events.now()::text")).await?;
    let now: Now = serde_json::from_str(&json)?;
    let seen = Seen {
        epoch: now.epoch,
        at_ms: now.at,
        snapshot: now.snapshot.parse()?,
    };
    Ok((now, seen))
}

/// The reader of the outbox.
pub struct Outbox {
    pub pool: PgPool,
    pub hub: Arc<Hub>,
    pub metrics: Arc<Metrics>,
    pub position_key: [u8; 32],
    /// The name of this reader among those that sleep.
    pub reader: Uuid,
}

impl Outbox {
    /// Follows the outbox forever. It waits for a database that is gone, and loses nothing by that.
    pub async fn follow(self) {
        let mut seen = None;
        loop {
            if let Err(error) = self.follow_until_failure(&mut seen).await {
                tracing::warn!("the outbox can't be read: {error:#}");
                self.metrics.failures.inc();
            }
            sleep(RETRY_AFTER).await;
        }
    }

    async fn follow_until_failure(&self, seen: &mut Option<Seen>) -> Result<()> {
        let listen = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen("events").await?;
            anyhow::Ok(listener)
        };
        let mut listener = timeout(ANSWERS_WITHIN, listen).await??;
        let (now, begin) = now(&self.pool).await?;
        // Another database under the same address: where its readers stood means nothing there.
        let mut at = match seen.take().filter(|seen| seen.epoch == now.epoch) {
            Some(seen) => seen,
            None => begin,
        };
        self.hub.stand_at(at.clone());
        let mut last_event = Instant::now();
        loop {
            let found = self.hand_out_new(&mut at, seen).await?;
            if found {
                last_event = Instant::now();
            } else if last_event.elapsed() > AWAKE_FOR {
                self.sleep_until_events(&mut listener, &mut at, seen)
                    .await?;
                last_event = Instant::now();
                continue;
            }
            sleep(POLL_EVERY).await;
        }
    }

    /// Hands out all new events. Returns whether there were any. `kept` is what stays if this fails.
    async fn hand_out_new(&self, at: &mut Seen, kept: &mut Option<Seen>) -> Result<bool> {
        let (mut until, mut number) = (None::<Snapshot>, -1);
        let mut turn = None;
        loop {
            *kept = Some(at.clone());
            let query = sqlx::query_scalar(
                "select events.read($1::text::pg_snapshot, $2::text::pg_snapshot, $3, $4)::text",
            )
            .bind(at.snapshot.to_string())
            .bind(until.as_ref().map(ToString::to_string))
            .bind(number)
            .bind(BATCH);
            let json: String = database::one(&self.pool, query).await?;
            let read = Read::parse(&json)?;
            let end: Snapshot = read.until.parse()?;
            if turn.is_none() && !read.events.is_empty() {
                turn = Some(self.hub.handing_out.write().await);
            }
            number = read.events.last().map_or(number, |last| last.number);
            let batch: Vec<_> = read
                .events
                .into_iter()
                .map(|event| {
                    let position = position_within(at, &end, event.number);
                    let position = position.seal(&self.position_key);
                    self.metrics.delivered_after(event.at);
                    (event, position)
                })
                .collect();
            if read.more {
                self.hand_out(&batch).await;
                until = Some(end);
                continue;
            }
            at.snapshot = end;
            at.at_ms = read.at;
            self.hand_out(&batch).await;
            self.hub.stand_at(at.clone());
            self.metrics.lag.read();
            return Ok(turn.is_some());
        }
    }

    /// Hands out a batch, with pauses so that the queues of readers that keep up have room for it.
    async fn hand_out(&self, batch: &[(Event, String)]) {
        let mut bytes = 0;
        let mut first = 0;
        for (index, (event, _)) in batch.iter().enumerate() {
            bytes += event.data.get().len();
            if bytes > BURST_BYTES {
                self.hub.hand_out(&batch[first..=index], &self.metrics);
                (first, bytes) = (index + 1, 0);
                sleep(BURST_PAUSE).await;
            }
        }
        self.hub.hand_out(&batch[first..], &self.metrics);
    }

    async fn sleep_until_events(
        &self,
        listener: &mut PgListener,
        at: &mut Seen,
        kept: &mut Option<Seen>,
    ) -> Result<()> {
        let sleeps = sqlx::query_scalar::<_, i32>(
            "insert into events.sleeper (reader) values ($1) on conflict (reader) do update set since = now()
             returning 1",
        );
        database::one(&self.pool, sleeps.bind(self.reader)).await?;
        let mut polls = SLEEPING_POLLS.iter();
        let mut pause = Duration::ZERO;
        while !self.hand_out_new(at, kept).await? {
            pause = polls.next().copied().unwrap_or(pause);
            if let Ok(notified) = timeout(pause, listener.recv()).await {
                notified?;
                break;
            }
        }
        let wakes = "delete from events.sleeper where reader = $1 returning 1";
        database::all(
            &self.pool,
            sqlx::query_scalar::<_, i32>(wakes).bind(self.reader),
        )
        .await?;
        Ok(())
    }
}
