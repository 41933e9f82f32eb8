//! The start of hosts and workers, which is the command's only use of the host.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use host::{
    Application, Functions, Host, MailOptions, Metrics, NativeRoutes, Options,
    jobs::{JobOptions, JobWorker},
};
use url::Url;

use crate::{
    config::{ComponentSettings, JobSettings, WebhookSettings},
    manifest::WORKER_ROLE,
    secrets::{self, MasterKey},
};

/// A running host.
pub struct Serving {
    /// The address on which it listens.
    pub address: SocketAddr,
    host: Host,
}

/// The metrics of a worker.
pub enum WorkerMetrics<'a> {
    /// The worker counts in the metrics of the same process's host.
    Of(&'a Serving),
    /// The worker counts on its own, and answers GET /metrics on this address.
    Own(Option<SocketAddr>),
}

/// Starts a worker, within a host or alone.
pub async fn start_worker(
    application: Arc<Application>,
    database: &Url,
    key: &MasterKey,
    jobs: &JobSettings,
    webhooks: &WebhookSettings,
    mail: MailOptions,
    metrics: WorkerMetrics<'_>,
) -> Result<JobWorker> {
    let (metrics, metrics_listen) = match metrics {
        WorkerMetrics::Of(serving) => (serving.host.metrics(), None),
        WorkerMetrics::Own(listen) => (Arc::new(Metrics::new()?), listen),
    };
    let options = JobOptions {
        database_url: secrets::role_url(database, key, WORKER_ROLE)?.to_string(),
        settings: jobs.times(),
        trusted_hosts: webhooks.hosts(),
        mail,
        metrics,
        metrics_listen,
    };
    JobWorker::start(application, options).await
}

impl Serving {
    /// Starts the host over an application whose components are built.
    pub async fn start(
        application: &Arc<Application>,
        settings: &ComponentSettings,
        listen: SocketAddr,
        public_metrics: bool,
        native: NativeRoutes,
    ) -> Result<Self> {
        let options = Options {
            listen,
            metrics_listen: settings.metrics_listen,
            // A listener of their own takes them off the public one.
            public_metrics: public_metrics && settings.metrics_listen.is_none(),
            workers: None,
            native,
        };
        let host = Host::start(application, options).await?;
        Ok(Self {
            address: host.address(),
            host,
        })
    }

    /// The host's metrics.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.host.metrics()
    }

    /// The host's functions.
    pub fn functions(&self) -> Arc<Functions> {
        self.host.functions()
    }

    /// Stops the host. It is unready for `delay`, so that load balancers notice, and then finishes requests for at most
    /// `grace`.
    pub async fn stop(self, delay: Duration, grace: Duration) {
        tracing::info!(
            "stopping; requests in flight are finished first, Ctrl-C again stops at once"
        );
        self.host.announce_drain();
        tokio::time::sleep(delay).await;
        self.host.shutdown(grace).await;
    }
}
