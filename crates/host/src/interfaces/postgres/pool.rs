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
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_postgres::{Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The number of connections that each component may always use on a worker, whatever the others do. What is reserved
/// for many components leaves little to share.
pub const OWN_CONNECTIONS: usize = 1;
/// The time for which an unused connection is kept.
const IDLE_TIME: Duration = Duration::from_secs(60);

/// The bounds of one worker's pools.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// The largest number of open connections in all pools together.
    pub connections: usize,
    /// The largest number of shared connections in use: all except those reserved for components.
    pub shared: usize,
    /// The longest wait for a permit, and again for opening a connection.
    pub timeout: Duration,
}

/// The pools of one worker thread. Each component has a connection reserved for it; the others are shared by those
/// that need them, so that a busy function is not held up by the reserves of idle ones.
pub struct Pools {
    known: Mutex<Known>,
    /// The number of connections that are being opened.
    opening: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Known {
    /// The pools by address and certificate authority.
    pools: HashMap<(String, Option<String>), Arc<RolePool>>,
    /// The permits that are reserved for each component.
    own: HashMap<String, Arc<Semaphore>>,
    /// The permits that components share.
    shared: Option<Arc<Semaphore>>,
}

/// A pool and the role that it connects as, which the metrics name.
struct RolePool {
    role: String,
    pool: Pool,
    /// The number of sessions that wait for a permit.
    waiting: AtomicUsize,
}

/// A pool as one component uses it.
#[derive(Clone)]
pub struct Access {
    pool: Arc<RolePool>,
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    limits: PoolLimits,
}

/// A connection with the permit to use it, which are given back together.
pub struct Lease {
    /// The connection.
    pub client: Object,
    _permit: OwnedSemaphorePermit,
}

/// Counts one more for as long as this value lives.
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
    /// Makes the pools of a worker, none of which is open yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            known: Mutex::default(),
            opening: AtomicUsize::new(0),
            metrics,
        }
    }

    /// The pool of an allowed address, for a component.
    ///
    /// # Errors
    /// The certificate cannot be read.
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
        let permits = |count| Arc::new(Semaphore::new(count));
        let own = known.own.entry(component.to_owned());
        let own = own.or_insert_with(|| permits(OWN_CONNECTIONS)).clone();
        let shared = known.shared.get_or_insert_with(|| permits(limits.shared));
        Ok(Access {
            pool,
            own,
            shared: shared.clone(),
            limits,
        })
    }

    /// Waits for a connection of the pool that the component may use.
    ///
    /// # Errors
    /// Nothing answers, the password is wrong, or no connection became free in time. The message
    /// does not contain the password.
    pub async fn lease(&self, access: &Access) -> Result<Lease> {
        let permit = match access.free_permit() {
            Some(permit) => permit,
            None => timeout(access.limits.timeout, access.permit())
                .await
                .context("all connections are in use")?,
        };
        let pool = &access.pool.pool;
        let opening = (pool.status().available == 0).then(|| {
            self.make_room(access);
            Counted::new(&self.opening)
        });
        let client = pool.get().await?;
        drop(opening);
        Ok(Lease {
            client,
            _permit: permit,
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
/// The certificate cannot be read.
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
            // Permits of sessions are what bounds it.
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
                roots.add(
                    certificate.context("the certificate authority is not a PEM certificate")?,
                )?;
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
    fn free_permit(&self) -> Option<OwnedSemaphorePermit> {
        let own = self.own.clone().try_acquire_owned();
        own.or_else(|_| self.shared.clone().try_acquire_owned())
            .ok()
    }

    /// A permit for a session, as soon as one is free.
    async fn permit(&self) -> OwnedSemaphorePermit {
        let _waiting = Counted::new(&self.pool.waiting);
        let permit = tokio::select! {
            permit = self.own.clone().acquire_owned() => permit,
            permit = self.shared.clone().acquire_owned() => permit,
        };
        permit.expect("these semaphores are never closed")
    }
}
