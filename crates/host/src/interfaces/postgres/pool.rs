//! PostgreSQL connection pools: one for each worker thread and address, so that a query's bytes are
//! read and written by the thread that waits for them.

use crate::metrics::Metrics;
use anyhow::{Context, Result};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolConfig, QueueMode, RecyclingMethod, Runtime, Timeouts,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::{Config, NoTls, Statement, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Prepared statements kept by one connection. A function has some dozens; one that builds its SQL
/// from strings must not fill the server's memory.
const MAX_STATEMENTS: usize = 256;
/// They are counted once in so many statements, on average.
const COUNT_EVERY: usize = 64;

/// Undoes what a guest may have left in a session, all but the prepared statements.
const RESET: &str = "close all; set session authorization default; reset all; unlisten *; \
                     select pg_advisory_unlock_all(); discard temp; discard sequences";

/// Connections that each component may always have in use on a worker, whatever the others do.
pub const OWN_CONNECTIONS: usize = 2;
/// How long a connection is kept that nobody uses.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Bounds of one worker's pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Open connections of all pools together.
    pub connections: usize,
    /// Those in use that are anybody's: all but what the components have for themselves.
    pub shared: usize,
    /// Wait for a place, and again for opening a connection.
    pub timeout: Duration,
}

/// The pools of one worker thread. Each component has a few connections for itself; the others go to whoever needs
/// them, so that a busy function is not held up by the shares of idle ones.
pub struct Pools {
    known: Mutex<Known>,
    /// Connections that are just being opened.
    opening: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Known {
    /// By address and certificate authority.
    pools: HashMap<(String, Option<String>), Arc<RolePool>>,
    /// Places of sessions in use that are a component's own.
    own: HashMap<String, Arc<Semaphore>>,
    /// Those that are anybody's.
    shared: Option<Arc<Semaphore>>,
}

/// A pool and the role that it connects as, which the metrics name.
struct RolePool {
    role: String,
    pool: Pool,
    /// Sessions that wait for a place.
    waiting: AtomicUsize,
}

/// One component's way to a pool.
#[derive(Clone)]
pub struct Access {
    pool: Arc<RolePool>,
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    limits: PoolLimits,
}

/// A connection that a guest holds. It goes back to its pool when it is dropped: at once if its
/// session is as it was, after a rollback and reset if it may not be, and never if a statement was
/// cut off in the middle.
pub struct Session {
    held: Option<Held>,
    /// Something was changed that the next guest must not find.
    touched: AtomicBool,
    /// A transaction is open.
    transaction: AtomicBool,
    running: AtomicUsize,
}

/// A connection, and the place that it takes.
struct Held {
    client: Object,
    _place: OwnedSemaphorePermit,
}

/// One more, as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pools {
    /// No pools yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            known: Mutex::default(),
            opening: AtomicUsize::new(0),
            metrics,
        }
    }

    /// A component's way to the pool of an address that has been allowed.
    ///
    /// # Errors
    /// A certificate that can't be read.
    pub fn access(
        &self,
        component: &str,
        address: &str,
        config: Config,
        ca_root: Option<&str>,
        limits: PoolLimits,
    ) -> Result<Access> {
        let mut known = self.lock();
        let key = (address.to_owned(), ca_root.map(str::to_owned));
        let pool = match known.pools.get(&key) {
            Some(pool) => pool.clone(),
            None => {
                let pool = Arc::new(RolePool {
                    role: config.get_user().unwrap_or_default().to_owned(),
                    pool: open_pool(config, ca_root, limits)?,
                    waiting: AtomicUsize::new(0),
                });
                known.pools.insert(key, pool.clone());
                pool
            }
        };
        let places = |count| Arc::new(Semaphore::new(count));
        let own = known.own.entry(component.to_owned());
        let own = own.or_insert_with(|| places(OWN_CONNECTIONS)).clone();
        let shared = known.shared.get_or_insert_with(|| places(limits.shared));
        Ok(Access {
            pool,
            own,
            shared: shared.clone(),
            limits,
        })
    }

    /// Closes idle connections of other pools while there are as many as there may be.
    fn make_room(&self, wanting: &Access) {
        let known = self.lock();
        loop {
            let statuses = known.pools.values().map(|pool| (pool, pool.pool.status()));
            let open: usize = statuses.clone().map(|(_, status)| status.size).sum();
            if open + self.opening.load(Ordering::Relaxed) < wanting.limits.connections {
                return;
            }
            let others = statuses.filter(|(pool, _)| !Arc::ptr_eq(pool, &wanting.pool));
            let most = others.max_by_key(|(_, status)| status.available);
            let Some((idle, _)) = most.filter(|(_, status)| status.available > 0) else {
                return;
            };
            let mut closed = false;
            let kept = idle
                .pool
                .retain(|_, _| std::mem::replace(&mut closed, true));
            if kept.removed.is_empty() {
                return;
            }
        }
    }

    /// Closes the connections that nobody needed for a while.
    pub fn trim(&self) {
        for pool in self.lock().pools.values() {
            pool.pool.retain(|_, used| used.last_used() < IDLE_TIME);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the pools' sizes to the metrics, which sum over the workers.
    pub fn report(&self) {
        for pool in self.lock().pools.values() {
            let status = pool.pool.status();
            for (state, value) in [
                ("open", status.size),
                ("idle", status.available),
                ("waiting", pool.waiting.load(Ordering::Relaxed)),
            ] {
                self.metrics
                    .database
                    .with_label_values(&[pool.role.as_str(), state])
                    .add(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
}

/// An empty pool; a connection is opened when one is asked for.
///
/// # Errors
/// A certificate that can't be read.
pub(super) fn open_pool(config: Config, ca_root: Option<&str>, limits: PoolLimits) -> Result<Pool> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = if config.get_ssl_mode() == SslMode::Disable {
        Manager::from_config(config, NoTls, recycling)
    } else {
        Manager::from_config(config, tls(ca_root)?, recycling)
    };
    let timeout = Some(limits.timeout);
    let pool = Pool::builder(manager)
        .config(PoolConfig {
            // Places of sessions are what bounds it.
            max_size: limits.connections,
            timeouts: Timeouts {
                wait: timeout,
                create: timeout,
                recycle: timeout,
            },
            queue_mode: QueueMode::Lifo,
        })
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(pool)
}

fn tls(ca_root: Option<&str>) -> Result<MakeRustlsConnect> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    match ca_root {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots
                    .add(certificate.context("the certificate authority is no PEM certificate")?)?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

impl Access {
    fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        let own = self.own.clone().try_acquire_owned();
        own.or_else(|_| self.shared.clone().try_acquire_owned())
            .ok()
    }

    /// A place for a session, as soon as one is free.
    async fn place(&self) -> OwnedSemaphorePermit {
        let _waiting = Counted::new(&self.pool.waiting);
        let place = tokio::select! {
            place = self.own.clone().acquire_owned() => place,
            place = self.shared.clone().acquire_owned() => place,
        };
        place.expect("these semaphores are never closed")
    }
}

impl Session {
    /// A session of a pool of `pools`.
    ///
    /// # Errors
    /// Nothing answers, the password is wrong, or no connection came free in time. The message
    /// holds no password.
    pub async fn open(pools: &Pools, access: &Access) -> Result<Self> {
        let place = match access.free_place() {
            Some(place) => place,
            None => timeout(access.limits.timeout, access.place())
                .await
                .context("all connections are in use")?,
        };
        let pool = &access.pool.pool;
        let opening = (pool.status().available == 0).then(|| {
            pools.make_room(access);
            Counted::new(&pools.opening)
        });
        let client = pool.get().await?;
        drop(opening);
        Ok(Self {
            held: Some(Held {
                client,
                _place: place,
            }),
            touched: AtomicBool::new(false),
            transaction: AtomicBool::new(false),
            running: AtomicUsize::new(0),
        })
    }

    /// The connection.
    #[must_use]
    pub fn client(&self) -> &deadpool_postgres::ClientWrapper {
        &self.held.as_ref().expect("taken only on drop").client
    }

    /// A prepared statement for this text, from the connection's cache where it has one.
    ///
    /// # Errors
    /// The server refuses the statement.
    pub async fn prepare(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        match Effect::of(sql) {
            Effect::None => {}
            Effect::Begin => self.transaction.store(true, Ordering::Relaxed),
            Effect::End => self.transaction.store(false, Ordering::Relaxed),
            Effect::Session => self.touched.store(true, Ordering::Relaxed),
        }
        let client = self.client();
        // To count them is to look at each.
        if fastrand::usize(..COUNT_EVERY) == 0 && client.statement_cache.size() > MAX_STATEMENTS {
            client.statement_cache.clear();
        }
        client.prepare_cached(sql).await
    }

    /// Forgets a statement that the server says is stale.
    pub fn forget(&self, sql: &str) {
        drop(self.client().statement_cache.remove(sql, &[]));
    }

    /// A statement starts. A session that goes before the statement's `end` is closed, so that the
    /// next guest does not wait behind what nobody wants any more.
    pub fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A statement has ended.
    pub fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.transaction.load(Ordering::Relaxed)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else {
            return;
        };
        if self.running.load(Ordering::Relaxed) > 0 {
            let cancel = held.client.cancel_token();
            drop(Object::take(held.client));
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { cancel.cancel_query(NoTls).await });
            }
            return;
        }
        let touched = self.touched.load(Ordering::Relaxed);
        let sql = match (self.in_transaction(), touched) {
            (false, false) => return,
            (true, false) => "rollback".to_owned(),
            (false, true) => RESET.to_owned(),
            (true, true) => format!("rollback; {RESET}"),
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    // All of it: its place is taken until then.
                    let held = held;
                    if held.client.batch_execute(&sql).await.is_err() {
                        drop(Object::take(held.client));
                    }
                });
            }
            Err(_) => drop(Object::take(held.client)),
        }
    }
}

/// What a statement does to its session. Only one statement is sent at a time, so its first words
/// tell.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    None,
    Begin,
    End,
    /// Anything else, known or not: it costs one reset.
    Session,
}

impl Effect {
    fn of(sql: &str) -> Self {
        let mut words = without_comments(sql)
            .split(|c: char| !c.is_ascii_alphabetic())
            .map(str::to_ascii_lowercase);
        let first = words.next().unwrap_or_default();
        match first.as_str() {
            "select" | "with" | "insert" | "update" | "delete" | "merge" | "values" | "table" => {
                Self::None
            }
            "begin" | "start" => Self::Begin,
            "savepoint" | "release" => Self::None,
            // `rollback to` a savepoint and `commit and chain` leave a transaction open.
            "commit" | "rollback" | "end" | "abort" => {
                if words.any(|word| word == "to" || word == "chain") {
                    Self::Begin
                } else {
                    Self::End
                }
            }
            _ => Self::Session,
        }
    }
}

fn without_comments(sql: &str) -> &str {
    let mut text = sql.trim_start();
    loop {
        if let Some(rest) = text.strip_prefix("--") {
            text = rest
                .split_once('\n')
                .map_or("", |(_, after)| after)
                .trim_start();
        } else if let Some(rest) = text.strip_prefix("/*") {
            text = rest
                .split_once("*/")
                .map_or("", |(_, after)| after)
                .trim_start();
        } else {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn a_statements_first_words_tell_its_effect() {
        let check = |effect: Effect, statements: &[&str]| {
            for sql in statements {
                assert_eq!(Effect::of(sql), effect, "{sql}");
            }
        };
        check(
            Effect::None,
            &[
                "select 1",
                "  WITH x as (select 1) table x",
                "-- a\n/* b */ insert into t",
                "savepoint x",
            ],
        );
        check(
            Effect::Begin,
            &[
                "begin",
                "BEGIN;",
                "start transaction",
                "rollback to savepoint x",
                "commit and chain",
            ],
        );
        check(Effect::End, &["commit", "Rollback;", "end", "abort work"]);
        check(
            Effect::Session,
            &[
                "set role x",
                "(select 1)",
                "",
                "--",
                "/*",
                "call x()",
                "listen y",
            ],
        );
    }
}
