//! The revocations that an edge is told of, for the sockets of one topic.
//!
//! They have a way of their own, on which nothing waits for events, and on which no wait is long: from the revocation to
//! the edge it is the interval of [`crate::session::watch`] and one request. A request that is lost costs a second more.
//! Accounts whose rights or blocks have changed go the same way, once a second at most.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use position::Snapshot;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::time::sleep;
use uuid::Uuid;

use super::changed::Changed;
use super::push::Pusher;
use crate::database;
use crate::session::Ended;

/// The time within which an edge has to answer, after which it is told again.
const WITHIN: Duration = Duration::from_secs(1);
/// The pause before an edge that did not answer is told again, and the one after several times.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_LATE_AFTER: Duration = Duration::from_secs(1);
/// The number of failures in a row, after which an edge is taken to be away.
const FAILURES_OF_ONE_AWAY: u32 = 5;
/// The number of revocations that are remembered as told, at which all are forgotten and may be told once more.
const MAX_TOLD: usize = 100_000;

/// The revocations of one topic's edge.
pub(super) struct Revocations<'a> {
    pusher: &'a Pusher,
    /// Accounts and sessions that the edge is yet to be told of.
    due: BTreeSet<String>,
    /// The sessions, and the accounts with their generation, that the edge was told of.
    told: HashSet<(Uuid, i64)>,
    /// Whether some may have been missed: before the start, when another gateway told them or did not, or in a crowd.
    asks_all: bool,
    /// The snapshot before which no change of rights was missed; `None` if the edge's position means nothing here, after
    /// which all its sockets sign in again.
    since: Option<Snapshot>,
}

/// What all pushers of a gateway are told.
pub(super) struct News {
    pub ended: broadcast::Receiver<Arc<Ended>>,
    pub changed: broadcast::Receiver<Arc<Changed>>,
}

impl<'a> Revocations<'a> {
    pub fn new(pusher: &'a Pusher) -> Self {
        Self {
            pusher,
            due: BTreeSet::new(),
            told: HashSet::new(),
            asks_all: true,
            since: pusher.start(),
        }
    }

    /// Pushes revocations as they are found.
    pub async fn push(mut self, mut news: News) {
        let mut failures = 0;
        loop {
            if !self.asks_all && self.due.is_empty() {
                tokio::select! {
                    ended = news.ended.recv() => match ended {
                        Ok(ended) => self.note(&ended),
                        Err(RecvError::Lagged(_)) => self.asks_all = true,
                        Err(RecvError::Closed) => return,
                    },
                    changed = news.changed.recv() => match changed {
                        Ok(changed) => self.note_changed(&changed),
                        Err(RecvError::Lagged(_)) => self.asks_all = true,
                        Err(RecvError::Closed) => return,
                    },
                }
            }
            match self.tell(&mut news, failures).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    let topic = &self.pusher.topic;
                    tracing::info!(topic, "an edge is not told of revocations: {error:#}");
                    failures += 1;
                    sleep(match failures < FAILURES_OF_ONE_AWAY {
                        true => RETRY_AFTER,
                        false => RETRY_LATE_AFTER,
                    })
                    .await;
                }
            }
        }
    }

    async fn tell(&mut self, news: &mut News, failures: u32) -> Result<()> {
        let shared = &self.pusher.shared;
        if self.asks_all {
            let query = sqlx::query_scalar::<_, String>(
                "select identity.check_in(null, null, null, 'standard', 0, false)::text",
            );
            let all = database::one(&shared.pool, query).await?;
            self.note(&serde_json::from_str(&all)?);
            if let Some(since) = &self.since {
                let changed = Changed::since(&shared.pool, since).await?;
                self.note_changed(&changed);
            }
            self.asks_all = false;
        }
        // An edge that is away does not keep the others waiting.
        let turns = match failures {
            0 => &shared.prompt,
            _ => &shared.repeated,
        };
        let _turn = turns.acquire().await?;
        loop {
            match news.ended.try_recv() {
                Ok(ended) => self.note(&ended),
                Err(TryRecvError::Lagged(_)) => self.asks_all = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        loop {
            match news.changed.try_recv() {
                Ok(changed) => self.note_changed(&changed),
                Err(TryRecvError::Lagged(_)) => self.asks_all = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if !self.due.is_empty() {
            let due: Vec<_> = self.due.iter().cloned().collect();
            self.pusher.revoke(&due, WITHIN).await?;
            self.due.clear();
        }
        Ok(())
    }

    fn note(&mut self, ended: &Ended) {
        if self.told.len() > MAX_TOLD {
            self.told.clear();
        }
        for (id, generation) in ended.all() {
            if self.told.insert((id, generation)) {
                self.due.insert(id.to_string());
            }
        }
    }

    fn note_changed(&mut self, changed: &Changed) {
        self.due.extend(changed.accounts.iter().cloned());
        if self.since.is_some() {
            self.since = Some(changed.until.clone());
        }
    }
}
