//! The way out over HTTP, for the platform's own functions, each with a key.

use crate::connections::Connections;
use crate::forward::forward;
use crate::hand::hand;
use crate::metrics::Metrics;
use crate::problem::Problem;
use anyhow::Result;
use axum::{Router, extract::State, routing::any, routing::get, routing::post};
use http::{HeaderMap, header};
use native_service::Listening;
use outgoing::{Origin, Outgoing, Resolve};
use prometheus::core::Collector;
use serde_json::json;
use service_token::{EGRESS, Issuer, Verifier};
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use vault_seal::PrivateKey;

/// The interval at which idle connections are ended and the egress reports its health.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The number of those visits between two sweeps of the vault.
const VAULT_EVERY: u32 = 6;

/// What a service is made with.
pub struct ServiceOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The database, as the way out's own role.
    pub pool: PgPool,
    /// The key that opens secrets.
    pub key: PrivateKey,
    /// The keys of the components that may ask, by their names.
    pub callers: BTreeMap<String, String>,
    /// Origins that may be reached though they be private, or without TLS.
    pub trusted_origins: BTreeSet<Origin>,
    /// Origins that only providers of models reach which the environment names, though they be private, or without TLS.
    pub provider_origins: BTreeSet<Origin>,
    /// Finds the addresses of hosts; `None` for the system's resolver.
    pub resolve: Option<Resolve>,
}

/// A service that serves.
pub struct Service {
    listening: Listening,
    housekeeping: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) key: PrivateKey,
    pub(crate) callers: Verifier,
    pub(crate) connections: Arc<Connections>,
    /// The connections for providers of the environment, apart from the others, since a kept one is not checked again.
    pub(crate) of_environment: Arc<Connections>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Shared {
    /// The component that asks, by the service token of its request.
    ///
    /// # Errors
    /// There is no such token, or it is not good.
    pub(crate) fn issuer(&self, headers: &HeaderMap) -> Result<Arc<Issuer>, Problem> {
        let token = headers.get(header::AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let issuer = token.and_then(|token| self.callers.issuer(token));
        issuer.ok_or_else(Problem::unauthenticated)
    }
}

impl Service {
    /// Starts to serve.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(options: ServiceOptions) -> Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let trusted = options.trusted_origins;
        let for_providers = trusted.union(&options.provider_origins).cloned().collect();
        let reaching = |origins| {
            let outgoing = Outgoing::new(options.resolve.clone(), BTreeMap::new());
            Connections::new(outgoing.trusting(origins))
        };
        let callers = options.callers.iter();
        let callers = callers.map(|(name, key)| (name.as_str(), key.as_str()));
        let shared = Arc::new(Shared {
            pool: options.pool,
            key: options.key,
            callers: Verifier::new(EGRESS, callers),
            of_environment: reaching(for_providers),
            connections: reaching(trusted),
            metrics: metrics.clone(),
        });
        let router = router(shared.clone());
        let listening = Listening::start("the way out", options.listen, router).await?;
        Ok(Self {
            listening,
            housekeeping: tokio::spawn(keep_house(shared)),
            metrics,
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// What the service counts, for the metrics of the process that it is a part of.
    #[must_use]
    pub fn metrics(&self) -> Box<dyn Collector> {
        self.metrics.refusals()
    }

    /// Finishes the requests in flight, for at most `grace`.
    pub async fn shutdown(self, grace: Duration) {
        self.listening.shutdown(grace).await;
        self.housekeeping.abort();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/forward", any(forward))
        .route("/hand", post(hand))
        .route("/health", get(async || "ok"))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    shared.metrics.text()
}

async fn keep_house(shared: Arc<Shared>) {
    let mut visits = 0_u32;
    loop {
        shared.connections.sweep();
        shared.of_environment.sweep();
        let report = "select platform.report_health('egress', 'healthy', $1)";
        let report = sqlx::query(report).bind(json!({}));
        let visit = async {
            report.execute(&shared.pool).await?;
            if visits.is_multiple_of(VAULT_EVERY) {
                let sweep = sqlx::query("select vault.sweep()");
                sweep.execute(&shared.pool).await?;
            }
            Ok::<(), sqlx::Error>(())
        };
        if let Err(error) = visit.await {
            tracing::warn!(%error, "the way out can't write to its database");
        }
        visits = visits.wrapping_add(1);
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}
