//! The pusher of one topic.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use position::{Batch, Position, Snapshot};
use serde_json::value::RawValue;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::time::sleep;
use uuid::Uuid;

use super::callback::{Answer, Push};
use super::{Lease, Shared};
use crate::database;
use crate::outbox::{self, Read};
use crate::session::Ended;

/// The number of events in a push.
const PAGE: i32 = 200;
/// The pauses before an edge that does not answer is asked again; the last one is repeated.
const RETRY_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// The number of revocations that are remembered as told, at which all are forgotten and may be told once more.
const MAX_TOLD: usize = 100_000;

/// The events of one topic, on their way to an edge.
pub(super) struct Pusher {
    shared: Arc<Shared>,
    topic: String,
    callback: String,
    /// The position that the edge has confirmed, or is believed to have.
    have: String,
    wake: Arc<Notify>,
    ended: broadcast::Receiver<Arc<Ended>>,
    /// Accounts and sessions that the edge is yet to be told of.
    revoke: BTreeSet<String>,
    /// The sessions, and the accounts with their generation, that the edge was told of.
    told: HashSet<(Uuid, i64)>,
}

/// The events after a position, and the accounts whose rights changed with them.
struct Found {
    position: Position,
    events: Vec<Box<RawValue>>,
    concerned: Vec<Uuid>,
    is_full: bool,
}

impl Pusher {
    pub fn new(shared: Arc<Shared>, lease: Lease, wake: Arc<Notify>) -> Self {
        Self {
            ended: shared.ended.subscribe(),
            shared,
            topic: lease.topic,
            callback: lease.callback,
            have: lease.position,
            wake,
            revoke: BTreeSet::new(),
            told: HashSet::new(),
        }
    }

    /// Pushes until the lease ends, with which the task is aborted.
    pub async fn follow(mut self) {
        let mut failures = 0;
        // The edge may have been told of revocations by a gateway that is gone, or not. It also says where it stands.
        let mut asks_first = true;
        loop {
            let pushed = self.catch_up(asks_first).await;
            match pushed {
                Ok(()) => (asks_first, failures) = (false, 0),
                Err(error) => {
                    tracing::info!(topic = self.topic, "an edge is not reached: {error:#}");
                    let pause = RETRY_AFTER[failures.min(RETRY_AFTER.len() - 1)];
                    failures += 1;
                    sleep(pause).await;
                    continue;
                }
            }
            while self.revoke.is_empty() {
                tokio::select! {
                    () = self.wake.notified() => break,
                    ended = self.ended.recv() => match ended {
                        Ok(ended) => self.note(&ended),
                        Err(RecvError::Lagged(_)) => asks_first = true,
                        Err(RecvError::Closed) => return,
                    },
                }
                if asks_first {
                    break;
                }
            }
        }
    }

    fn note(&mut self, ended: &Ended) {
        if self.told.len() > MAX_TOLD {
            self.told.clear();
        }
        for (id, generation) in ended.all() {
            if self.told.insert((id, generation)) {
                self.revoke.insert(id.to_string());
            }
        }
    }

    /// Pushes everything that the edge does not have.
    async fn catch_up(&mut self, asks_first: bool) -> Result<()> {
        if asks_first {
            let query = sqlx::query_scalar::<_, String>(
                "select identity.check_in(null, null, null, 'standard', 0, false)::text",
            );
            let ended = database::one(&self.shared.pool, query).await?;
            self.note(&serde_json::from_str(&ended)?);
            let here = self.have.clone();
            self.send(Some(&here.clone()), here, Vec::new()).await?;
        }
        let shared = self.shared.clone();
        loop {
            let _turn = shared.turns.acquire().await?;
            let Some(found) = self.read().await? else {
                // The edge's position means nothing here, or what followed is not kept any more.
                let (_, seen) = outbox::now(&self.shared.pool).await?;
                let here = seen.position().seal(&self.shared.position_key);
                self.send(None, here, Vec::new()).await?;
                continue;
            };
            let concerned = found.concerned.iter().map(Uuid::to_string);
            self.revoke.extend(concerned);
            if found.events.is_empty() && self.revoke.is_empty() {
                return Ok(());
            }
            let after = self.have.clone();
            let position = found.position.seal(&self.shared.position_key);
            let taken = self.send(Some(&after), position, found.events).await?;
            if taken && !found.is_full {
                return Ok(());
            }
        }
    }

    /// Sends events, and notes where the edge stands then. `false` if it stood elsewhere.
    async fn send(
        &mut self,
        after: Option<&str>,
        position: String,
        events: Vec<Box<RawValue>>,
    ) -> Result<bool> {
        let revoke: Vec<_> = self.revoke.iter().cloned().collect();
        let push = Push {
            topic: &self.topic,
            after,
            position: &position,
            events,
            revoke: &revoke,
        };
        let answer = self.shared.callback.post(&self.callback, &push).await?;
        self.revoke.clear();
        match answer {
            Answer::Taken => {
                self.have = position;
                Ok(true)
            }
            Answer::Gap(have) => {
                self.have = have.context("it has no position")?;
                Ok(false)
            }
        }
    }

    /// The events after the edge's position, one page of them; `None` if the position is not valid any more.
    async fn read(&self) -> Result<Option<Found>> {
        let (now, seen) = outbox::now(&self.shared.pool).await?;
        let position = Position::open(&self.shared.position_key, &self.have)
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
        let concerned = self.concerned(&start.after, &until).await?;
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
            concerned,
            is_full: is_full || start.within.is_some(),
            position: end,
        }))
    }

    async fn page(&self, after: &Snapshot, until: &Snapshot, number: i64) -> Result<Read> {
        let query = sqlx::query_scalar::<_, String>(
            "select events.history(array[$1], null, $2::text::pg_snapshot, $3::text::pg_snapshot, $4, $5)::text",
        )
        .bind(&self.topic)
        .bind(after.to_string())
        .bind(until.to_string())
        .bind(number)
        .bind(PAGE);
        Read::parse(&database::one(&self.shared.pool, query).await?)
    }

    async fn concerned(&self, after: &Snapshot, until: &Snapshot) -> Result<Vec<Uuid>> {
        let query = sqlx::query_scalar::<_, Vec<Uuid>>(
            "select edge.concerned($1::text::pg_snapshot, $2::text::pg_snapshot)",
        );
        let query = query.bind(after.to_string()).bind(until.to_string());
        database::one(&self.shared.pool, query).await
    }
}
