//! The pusher of one topic.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::join;
use position::{Batch, Position, Snapshot};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::callback::{Answer, Push};
use super::revocations::{News, Revocations};
use super::{Lease, Shared};
use crate::database;
use crate::outbox::{self, Read};

/// The number of events in a push.
const PAGE: i32 = 200;
/// The time within which an edge has to take events.
const EVENTS_WITHIN: Duration = Duration::from_secs(5);
/// The pauses before an edge that does not answer is asked again; the last one is repeated.
const RETRY_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The events of one topic, on their way to an edge.
pub(super) struct Pusher {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: String,
    callback: String,
    /// The position that the edge has confirmed, or is believed to have.
    have: Mutex<String>,
    wake: Arc<Notify>,
}

/// The events after a position.
struct Found {
    position: Position,
    events: Vec<Box<RawValue>>,
    is_full: bool,
}

impl Pusher {
    pub fn new(shared: Arc<Shared>, lease: Lease, wake: Arc<Notify>) -> Self {
        Self {
            shared,
            topic: lease.topic,
            callback: lease.callback,
            have: Mutex::new(lease.position),
            wake,
        }
    }

    /// The snapshot up to which the edge knows everything, as far as its position says.
    pub(super) fn start(&self) -> Option<Snapshot> {
        let position = Position::open(&self.shared.position_key, &self.have());
        position.map(|position| position.after)
    }

    /// Pushes until the lease ends, with which the task is aborted. Neither waits for the other: an edge that takes its
    /// time over events hears of revocations all the same.
    pub async fn follow(self, news: News) {
        join(self.push_events(), Revocations::new(&self).push(news)).await;
    }

    async fn push_events(&self) {
        let mut failures = 0;
        loop {
            match self.catch_up().await {
                Ok(()) => {
                    failures = 0;
                    self.wake.notified().await;
                }
                Err(error) => {
                    tracing::info!(topic = self.topic, "an edge is not reached: {error:#}");
                    sleep(RETRY_AFTER[failures.min(RETRY_AFTER.len() - 1)]).await;
                    failures += 1;
                }
            }
        }
    }

    /// Pushes everything that the edge does not have.
    async fn catch_up(&self) -> Result<()> {
        loop {
            let found = {
                let _turn = self.shared.turns.acquire().await?;
                self.read().await?
            };
            let Some(found) = found else {
                // The edge's position means nothing here, or what followed is not kept any more.
                let (_, seen) = outbox::now(&self.shared.pool).await?;
                let here = seen.position().seal(&self.shared.position_key);
                self.send(None, here, Vec::new()).await?;
                continue;
            };
            if found.events.is_empty() {
                return Ok(());
            }
            let after = self.have();
            let position = found.position.seal(&self.shared.position_key);
            let sent = self.send(Some(&after), position, found.events);
            if sent.await? && !found.is_full {
                return Ok(());
            }
        }
    }

    /// Sends events, and notes where the edge stands then. `false` if it stood elsewhere.
    async fn send(
        &self,
        after: Option<&str>,
        position: String,
        events: Vec<Box<RawValue>>,
    ) -> Result<bool> {
        let push = Push {
            topic: &self.topic,
            after,
            position: &position,
            events,
            revoke: &[],
        };
        let callback = &self.shared.callback;
        let answer = callback.post(&self.callback, &push, EVENTS_WITHIN).await?;
        let is_taken = answer == Answer::Taken;
        let have = match answer {
            Answer::Taken => position,
            Answer::Gap(have) => have.context("it has no position")?,
        };
        *self.have.lock().unwrap_or_else(PoisonError::into_inner) = have;
        Ok(is_taken)
    }

    /// Tells the edge whose sockets have ended, whatever position it has.
    pub(super) async fn revoke(&self, revoke: &[String], within: Duration) -> Result<()> {
        let here = self.have();
        let push = Push {
            topic: &self.topic,
            after: Some(&here),
            position: &here,
            events: Vec::new(),
            revoke,
        };
        let callback = &self.shared.callback;
        callback.post(&self.callback, &push, within).await.map(drop)
    }

    fn have(&self) -> String {
        let have = self.have.lock().unwrap_or_else(PoisonError::into_inner);
        have.clone()
    }

    /// The events after the edge's position, one page of them; `None` if the position is not valid any more.
    async fn read(&self) -> Result<Option<Found>> {
        let (now, seen) = outbox::now(&self.shared.pool).await?;
        let position = Position::open(&self.shared.position_key, &self.have())
            .filter(|one| one.epoch == now.epoch && one.at_ms >= now.kept_since);
        let Some(start) = position else {
            return Ok(None);
        };
        let (until, number) = match &start.within {
            Some(batch) => (batch.until.clone(), batch.number),
            None => (seen.snapshot.clone(), -1),
        };
        let Read {
            events,
            more: is_full,
            ..
        } = self.page(&start.after, &until, number).await?;
        let last = events.last().map(|last| last.number);
        let end = match last.filter(|_| is_full) {
            Some(number) => Position {
                within: Some(Batch { until, number }),
                ..start.clone()
            },
            None => Position {
                epoch: now.epoch,
                at_ms: seen.at_ms,
                after: until,
                within: None,
            },
        };
        let key = &self.shared.position_key;
        let frames = events.iter().map(|event| {
            let until = end.within.as_ref().map_or(&end.after, |batch| &batch.until);
            let position = Position {
                within: Some(Batch {
                    until: until.clone(),
                    number: event.number,
                }),
                ..start.clone()
            };
            event.pushed(&position.seal(key))
        });
        Ok(Some(Found {
            events: frames.collect::<Result<_>>()?,
            is_full: is_full || start.within.is_some(),
            position: end,
        }))
    }

    async fn page(&self, after: &Snapshot, until: &Snapshot, number: i64) -> Result<Read> {
        let query = sqlx::query_scalar::<_, String>(
            "select edge.page($1, $2::text::pg_snapshot, $3::text::pg_snapshot, $4, $5)::text",
        )
        .bind(&self.topic)
        .bind(after.to_string())
        .bind(until.to_string())
        .bind(number)
        .bind(PAGE);
        Read::parse(&database::one(&self.shared.pool, query).await?)
    }
}
