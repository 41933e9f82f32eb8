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

/// Connections that each pool of a worker may always have in use, whatever the others do.
const OWN_CONNECTIONS: usize = 2;

/// Bounds of one worker's pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Open connections of all pools together.
    pub connections: usize,
    /// Pools that have some for themselves: the roles in the manifest.
    pub roles: usize,
    /// Wait for one, opening included.
    pub timeout: Duration,
}

/// The pools of one worker thread by address and certificate authority. Each has a few connections for itself; the
/// others go to whoever needs them, so that one busy function is not slowed down by the share of idle ones.
pub struct Pools {
    pools: Mutex<HashMap<(String, Option<String>), Arc<RolePool>>>,
    metrics: Arc<Metrics>,
}

/// A pool and the role that it connects as, which the metrics name.
pub struct RolePool {
    role: String,
    pool: Pool,
    limits: PoolLimits,
    /// Places of sessions in use that are this pool's own.
    own: Arc<Semaphore>,
    /// Those that are anybody's.
    shared: Arc<Semaphore>,
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

impl Pools {
    /// No pools yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            pools: Mutex::default(),
            metrics,
        }
    }

    /// The pool of an address that has been allowed.
    ///
    /// # Errors
    /// A certificate that can't be read.
    pub fn pool(
        &self,
        address: &str,
        config: Config,
        ca_root: Option<&str>,
        limits: PoolLimits,
    ) -> Result<Arc<RolePool>> {
        let mut pools = self.lock();
        let key = (address.to_owned(), ca_root.map(str::to_owned));
        if let Some(known) = pools.get(&key) {
            return Ok(known.clone());
        }
        let own = if pools.len() < limits.roles {
            OWN_CONNECTIONS
        } else {
            0
        };
        let shared = limits
            .connections
            .saturating_sub(OWN_CONNECTIONS * limits.roles);
        let shared = match pools.values().next() {
            Some(other) => other.shared.clone(),
            None => Arc::new(Semaphore::new(shared.max(1))),
        };
        let known = Arc::new(RolePool {
            role: config.get_user().unwrap_or_default().to_owned(),
            pool: open_pool(config, ca_root, limits)?,
            limits,
            own: Arc::new(Semaphore::new(own)),
            shared,
        });
        pools.insert(key, known.clone());
        Ok(known)
    }

    /// Closes an idle connection of another pool if `pool` would open one more than there may be.
    fn make_room(&self, pool: &RolePool) {
        if pool.pool.status().available > 0 {
            return;
        }
        let pools = self.lock();
        let statuses = pools.values().map(|other| (other, other.pool.status()));
        // Those that are just being opened count as waiting.
        let open: usize = statuses.clone().map(|(_, s)| s.size + s.waiting).sum();
        if open < pool.limits.connections {
            return;
        }
        if let Some((idle, _)) = statuses.max_by_key(|(_, status)| status.available) {
            let mut closed = false;
            idle.pool
                .retain(|_, _| std::mem::replace(&mut closed, true));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Option<String>), Arc<RolePool>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the pools' sizes to the metrics, which sum over the workers.
    pub fn report(&self) {
        for RolePool { role, pool, .. } in self.lock().values().map(AsRef::as_ref) {
            let status = pool.status();
            for (state, value) in [
                ("open", status.size),
                ("idle", status.available),
                ("waiting", status.waiting),
            ] {
                self.metrics
                    .database
                    .with_label_values(&[role.as_str(), state])
                    .add(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
    }
}

fn open_pool(config: Config, ca_root: Option<&str>, limits: PoolLimits) -> Result<Pool> {
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

impl RolePool {
    fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        let own = self.own.clone().try_acquire_owned();
        own.or_else(|_| self.shared.clone().try_acquire_owned())
            .ok()
    }

    /// A place for a session, as soon as one is free.
    async fn place(&self) -> OwnedSemaphorePermit {
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
    pub async fn open(pools: &Pools, pool: &RolePool) -> Result<Self> {
        let place = match pool.free_place() {
            Some(place) => place,
            None => timeout(pool.limits.timeout, pool.place())
                .await
                .context("all connections are in use")?,
        };
        pools.make_room(pool);
        Ok(Self {
            held: Some(Held {
                client: pool.pool.get().await?,
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
