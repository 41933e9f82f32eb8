//! The realtime gateway, which holds WebSockets and event streams, and sends them events.
//!
//! It has no business rules. The functions identify accounts, and the database decides who may read a topic; a message
//! that is posted over a socket goes through the function that posts messages. Any number of gateways may run: each
//! reads the outbox.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use ipnet::IpNet;
use outgoing::Origin;
use prometheus::Registry;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

mod database;
mod edge;
mod ephemeral;
mod feed;
mod frames;
mod hub;
mod listener;
mod metrics;
mod outbox;
mod request;
mod rights;
mod session;
mod socket;
mod stream;

use ephemeral::Ephemeral;
use hub::Hub;
use metrics::Metrics;
use outbox::Outbox;
use session::{Ended, Functions};

/// The number of connections to the database, two of which listen.
const CONNECTIONS: u32 = 8;

/// The time that sockets and streams have to end after they were told that the gateway stops.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The least span of the random times after which clients reconnect, which grows with their number.
const SOONEST_RETRY_MS: u64 = 500;
const SPREAD_MS: u64 = 2_000;
const SPREAD_MS_EACH: u64 = 2;

/// The body of a gateway's answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The options of a gateway.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database, as the gateway's own role.
    pub database_url: String,
    /// The URL of the functions.
    pub functions_url: String,
    /// The URL of the platform for browsers. Pages of other origins may not use its cookie.
    pub public_url: String,
    /// The networks of proxies whose `X-Forwarded-For` is trusted, as for functions, with commas between them.
    pub trusted_proxies: String,
    /// The key that seals positions, the same as for functions.
    pub position_key: [u8; 32],
    /// The key that authenticates clients' addresses to the functions, the same as for functions.
    pub visitor_key: [u8; 32],
    /// The key with which edges know this platform, the same as for functions.
    pub edge_key: String,
    /// Origins of edges that are called back though they are private, or do not speak TLS.
    pub edge_origins: BTreeSet<Origin>,
    /// The bounds of sockets.
    pub limits: Limits,
}

/// The bounds of sockets and streams.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The number of sockets and streams of one account.
    pub sockets: usize,
    /// The number of topics of one socket.
    pub topics: usize,
    /// The number of sockets of one address that have not signed in.
    pub unsigned: usize,
    /// The time that a socket has to sign in.
    pub sign_in: Duration,
    /// The interval at which a socket is pinged, which a living peer answers.
    pub ping_every: Duration,
    /// The time without an answer after which the peer counts as gone, a little more than two pings.
    pub gone_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 20,
            topics: 200,
            unsigned: 20,
            sign_in: Duration::from_secs(5),
            ping_every: Duration::from_secs(25),
            gone_after: Duration::from_secs(60),
        }
    }
}

/// A running gateway.
pub struct Gateway {
    hub: Arc<Hub>,
    pool: PgPool,
    functions: Functions,
    public_url: String,
    proxies: Vec<IpNet>,
    position_key: [u8; 32],
    limits: Limits,
    metrics: Arc<Metrics>,
    ephemeral: Arc<Ephemeral>,
    ended: broadcast::Sender<Arc<Ended>>,
    stop: watch::Sender<bool>,
    accounts: Mutex<HashMap<Uuid, usize>>,
    unsigned: Mutex<HashMap<String, usize>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Gateway {
    /// Starts to follow the outbox. The database and the functions may be started later.
    ///
    /// # Errors
    /// The database's address is malformed, or the metrics are already registered.
    pub fn start(options: Options, registry: &Registry) -> Result<Arc<Self>> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .idle_timeout(Duration::from_secs(30))
            .test_before_acquire(false)
            .before_acquire(database::is_alive)
            .connect_lazy(&options.database_url)
            .context("the database's address")?;
        let (hub, metrics) = (Arc::new(Hub::default()), Arc::new(Metrics::new(registry)?));
        let gateway = Arc::new(Self {
            hub: hub.clone(),
            pool: pool.clone(),
            functions: Functions::new(&options.functions_url, options.visitor_key),
            public_url: options.public_url.trim_end_matches('/').to_owned(),
            proxies: client_address::networks(&options.trusted_proxies),
            position_key: options.position_key,
            limits: options.limits,
            metrics: metrics.clone(),
            ephemeral: Arc::default(),
            ended: broadcast::channel(16).0,
            stop: watch::channel(false).0,
            accounts: Mutex::default(),
            unsigned: Mutex::default(),
            tasks: Mutex::default(),
        });
        let outbox = Outbox {
            pool: pool.clone(),
            hub: hub.clone(),
            metrics,
            position_key: options.position_key,
            reader: Uuid::now_v7(),
        };
        let edges = edge::Options {
            pool: pool.clone(),
            position_key: options.position_key,
            key: options.edge_key,
            origins: options.edge_origins,
            happenings: hub.happenings.0.clone(),
            ended: gateway.ended.clone(),
        };
        let tasks = [
            tokio::spawn(outbox.follow()),
            tokio::spawn(edge::follow(edges)),
            tokio::spawn(session::watch(pool.clone(), gateway.ended.clone())),
            tokio::spawn(gateway.ephemeral.clone().follow(pool, hub)),
        ];
        gateway
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(tasks);
        Ok(gateway)
    }

    /// Closes all sockets and streams, and stops following the outbox.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        // For the last words of the sockets. One whose peer is gone is not waited for.
        let end = Instant::now() + LAST_WORDS;
        while self.open() > 0 && Instant::now() < end {
            sleep(Duration::from_millis(10)).await;
        }
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        // It waits for all connections, also for those whose other end is gone without a word.
        _ = timeout(LAST_WORDS, self.pool.close()).await;
    }

    /// The time that a client is to wait before it reconnects, which differs so that clients come one after another.
    fn retry_after_ms(&self) -> u64 {
        fastrand::u64(
            SOONEST_RETRY_MS..SOONEST_RETRY_MS + SPREAD_MS.max(self.open() * SPREAD_MS_EACH),
        )
    }

    /// The number of open sockets and streams.
    fn open(&self) -> u64 {
        let open = self.metrics.sockets.get() + self.metrics.streams.get();
        u64::try_from(open).unwrap_or_default()
    }

    /// Counts a socket or stream of an account; `false` if it has too many.
    fn enter(&self, account: Uuid) -> bool {
        enter(&self.accounts, account, self.limits.sockets)
    }

    fn leave(&self, account: Uuid) {
        leave(&self.accounts, account);
    }
}

/// Resolves when the gateway is asked to stop, or is gone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    // What `wait_for` returns must not live on.
    drop(stop.wait_for(|stop| *stop).await);
}

fn enter<K: std::hash::Hash + Eq>(counts: &Mutex<HashMap<K, usize>>, key: K, most: usize) -> bool {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(key).or_default();
    let room = *count < most;
    *count += usize::from(room);
    room
}

fn leave<K: std::hash::Hash + Eq>(counts: &Mutex<HashMap<K, usize>>, key: K) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
