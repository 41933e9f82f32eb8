//! The realtime gateway: holds WebSockets and event streams, and tells them what happens.
//!
//! It holds no business rule. Who somebody is, the functions say; who may read a topic, the database says; a message
//! that is posted over a socket goes through the function that posts messages. Any number of gateways may run: each
//! reads the outbox.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use prometheus::Registry;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

mod ephemeral;
mod feed;
mod frames;
mod hub;
mod listener;
mod metrics;
mod outbox;
mod request;
mod session;
mod socket;
mod stream;

use ephemeral::Ephemeral;
use hub::Hub;
use metrics::Metrics;
use outbox::Outbox;
use session::{Ended, Functions};

/// Connections to the database; two of them listen.
const CONNECTIONS: u32 = 8;

/// The body of a gateway's answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database, as the gateway's own role.
    pub database_url: String,
    /// Where the functions answer.
    pub functions_url: String,
    /// Where browsers find the platform: pages of other origins may not use its cookie.
    pub public_url: String,
    /// What positions are sealed with, as the functions have it.
    pub position_key: [u8; 32],
    /// Bounds of sockets.
    pub limits: Limits,
}

/// Bounds of sockets and streams.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sockets and streams of one account.
    pub sockets: usize,
    /// Topics of one socket.
    pub topics: usize,
    /// Sockets of one address that have not signed in.
    pub unsigned: usize,
    /// How long a socket may take to sign in.
    pub sign_in: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sockets: 20,
            topics: 200,
            unsigned: 20,
            sign_in: Duration::from_secs(5),
        }
    }
}

/// A running gateway.
pub struct Gateway {
    hub: Arc<Hub>,
    pool: PgPool,
    functions: Functions,
    public_url: String,
    position_key: [u8; 32],
    limits: Limits,
    metrics: Arc<Metrics>,
    ephemeral: Arc<Ephemeral>,
    ended: broadcast::Sender<Arc<Ended>>,
    stop: watch::Sender<bool>,
    accounts: Mutex<HashMap<Uuid, usize>>,
    unsigned: Mutex<HashMap<IpAddr, usize>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Gateway {
    /// Starts to follow the outbox. The database and the functions may come later.
    ///
    /// # Errors
    /// The database's address is not one, or the metrics are registered already.
    pub fn start(options: Options, registry: &Registry) -> Result<Arc<Self>> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy(&options.database_url)
            .context("the database's address")?;
        let (hub, metrics) = (Arc::new(Hub::default()), Arc::new(Metrics::new(registry)?));
        let gateway = Arc::new(Self {
            hub: hub.clone(),
            pool: pool.clone(),
            functions: Functions::new(&options.functions_url),
            public_url: options.public_url.trim_end_matches('/').to_owned(),
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
        let tasks = [
            tokio::spawn(outbox.follow()),
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

    /// Closes all sockets and streams, and follows the outbox no more.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        // For the last words of the sockets.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(JoinHandle::abort);
        self.pool.close().await;
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
