//! Pushes of events to edges, which hold leases on topics.
//!
//! Gateways share the leases among them. For each of its topics a gateway reads what was committed since the position that
//! the edge has confirmed, and posts it. An edge that stands elsewhere answers so, and gets the events from there: whatever
//! is lost, repeated or overtaken on the way, nothing is missing there.

mod callback;
mod changed;
mod push;
mod revocations;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use outgoing::{Origin, Outgoing};
use serde::Deserialize;
use sqlx::postgres::PgPool;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::database;
use crate::hub::Happening;
use crate::session::Ended;
use callback::Callback;
use changed::Looks;
use push::Pusher;
use revocations::News;

/// The interval at which leases are looked up and claimed, well below the time for which a claim lasts.
const CLAIM_EVERY: Duration = Duration::from_secs(1);
/// The number of topics that one gateway pushes.
const MAX_TOPICS: i32 = 10_000;
/// The number of topics whose events are read at the same time.
const READ_AT_A_TIME: usize = 16;
/// The number of topics that are told of revocations at the same time, and of those that did not answer before.
const TOLD_AT_A_TIME: usize = 256;
const TOLD_AGAIN_AT_A_TIME: usize = 64;
/// The time in which a gateway that stops leaves its topics to others.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What pushes to edges need.
pub struct Options {
    pub pool: PgPool,
    pub position_key: [u8; 32],
    /// The key with which pushes are authenticated.
    pub key: String,
    /// Origins that may be called back though they are private, or do not speak TLS.
    pub origins: std::collections::BTreeSet<Origin>,
    /// The topics of events, as they are handed out.
    pub happenings: broadcast::Sender<Happening>,
    /// The revocations, as they are found.
    pub ended: broadcast::Sender<Arc<Ended>>,
}

/// A lease, as the database tells of it.
#[derive(Debug, Clone, Deserialize)]
struct Lease {
    topic: String,
    callback: String,
    position: String,
}

/// What all pushers of a gateway share.
struct Shared {
    pool: PgPool,
    position_key: [u8; 32],
    callback: Callback,
    ended: broadcast::Sender<Arc<Ended>>,
    /// The turns to read events.
    turns: Semaphore,
    /// The turns to tell of revocations, and to tell those that did not answer before.
    prompt: Semaphore,
    repeated: Semaphore,
}

/// The pusher of one topic, which ends with this.
struct Running {
    callback: String,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Pushes the events of leased topics, forever.
pub async fn follow(options: Options) {
    let reader = Uuid::now_v7();
    let shared = Arc::new(Shared {
        callback: Callback::new(
            Outgoing::new(None, Default::default()).trusting(options.origins),
            options.key,
        ),
        pool: options.pool,
        position_key: options.position_key,
        ended: options.ended,
        turns: Semaphore::new(READ_AT_A_TIME),
        prompt: Semaphore::new(TOLD_AT_A_TIME),
        repeated: Semaphore::new(TOLD_AGAIN_AT_A_TIME),
    });
    let _leaver = Leaver {
        pool: shared.pool.clone(),
        reader,
    };
    let mut running = HashMap::<String, Running>::new();
    // Subscribed only while somebody wants to know, since each event is told.
    let mut happenings = None::<broadcast::Receiver<Happening>>;
    let mut looks = Looks::new();
    let mut tick = interval(CLAIM_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut claimed_at = Instant::now();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                if running.is_empty() {
                    happenings = None;
                }
                let mut claimed = claim(&shared.pool, reader).await;
                if happenings.is_none() && claimed.as_ref().is_ok_and(|leases| !leases.is_empty()) {
                    happenings = Some(options.happenings.subscribe());
                    if let Err(error) = looks.begin(&shared.pool).await {
                        claimed = Err(error);
                    }
                }
                match claimed {
                    Ok(leases) => {
                        claimed_at = Instant::now();
                        settle(&shared, &mut running, leases, &looks);
                    }
                    // Another gateway takes over what this one can't claim.
                    Err(error) if claimed_at.elapsed() > CLAIM_EVERY * 5 => {
                        tracing::warn!("edges are left to other gateways: {error:#}");
                        running.clear();
                    }
                    Err(error) => tracing::debug!("can't look up leases of edges: {error:#}"),
                }
            }
            happening = next(&mut happenings) => wake(&running, happening.as_ref(), &mut looks),
            () = looks.due() => looks.look(&shared.pool).await,
        }
    }
}

/// The next event; `None` if some were missed.
async fn next(happenings: &mut Option<broadcast::Receiver<Happening>>) -> Option<Happening> {
    let Some(receiver) = happenings else {
        return std::future::pending().await;
    };
    match receiver.recv().await {
        Ok(happening) => Some(happening),
        Err(RecvError::Lagged(_)) => None,
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

fn wake(running: &HashMap<String, Running>, happening: Option<&Happening>, looks: &mut Looks) {
    match happening {
        Some(one) => {
            // Rights or blocks of an account concern its sockets on all topics.
            if one.changes_access && one.topic.starts_with("account:") {
                looks.note();
            }
            if let Some(one) = running.get(&*one.topic) {
                one.wake.notify_one();
            }
        }
        None => {
            looks.note();
            running.values().for_each(|one| one.wake.notify_one());
        }
    }
}

async fn claim(pool: &PgPool, reader: Uuid) -> Result<Vec<Lease>> {
    let query = sqlx::query_scalar::<_, String>("select edge.claim($1, $2)::text");
    let json = database::one(pool, query.bind(reader).bind(MAX_TOPICS)).await?;
    Ok(serde_json::from_str(&json)?)
}

/// Starts and ends pushers, so that there is one for each lease.
fn settle(
    shared: &Arc<Shared>,
    running: &mut HashMap<String, Running>,
    leases: Vec<Lease>,
    looks: &Looks,
) {
    let leases: HashMap<_, _> = leases
        .into_iter()
        .map(|lease| (lease.topic.clone(), lease))
        .collect();
    running.retain(|topic, one| {
        leases
            .get(topic)
            .is_some_and(|lease| lease.callback == one.callback)
    });
    for (topic, lease) in leases {
        running.entry(topic).or_insert_with(|| {
            let wake = Arc::new(Notify::new());
            let callback = lease.callback.clone();
            let pusher = Pusher::new(shared.clone(), lease, wake.clone());
            let news = News {
                ended: shared.ended.subscribe(),
                changed: looks.changed.subscribe(),
            };
            let task = tokio::spawn(pusher.follow(news));
            Running {
                callback,
                wake,
                task,
            }
        });
    }
}

/// Leaves the topics to others when the gateway stops.
struct Leaver {
    pool: PgPool,
    reader: Uuid,
}

impl Drop for Leaver {
    fn drop(&mut self) {
        let (pool, reader) = (self.pool.clone(), self.reader);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(LAST_WORDS, async move {
                let query = sqlx::query_scalar::<_, i32>("select edge.release($1)").bind(reader);
                database::one(&pool, query).await
            }));
        }
    }
}
