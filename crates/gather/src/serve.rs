//! The one place where the command meets the host.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use host::{
    Host, Limits, Metrics, NativeRoutes, Options,
    jobs::{JobOptions, JobWorker},
};
use url::Url;

use crate::{
    config::Settings,
    manifest::WORKER_ROLE,
    secrets::{self, MasterKey},
};

/// A host that serves.
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    host: Host,
}

/// Starts the host over a manifest whose components are built.
pub async fn start(
    settings: &Settings,
    manifest: PathBuf,
    state_dir: PathBuf,
    listen: SocketAddr,
    variables: BTreeMap<String, String>,
    public_metrics: bool,
    native: NativeRoutes,
) -> Result<Serving> {
    let options = Options {
        manifest,
        listen,
        metrics_listen: settings.metrics_listen,
        // A listener of their own takes them off the public one.
        public_metrics: public_metrics && settings.metrics_listen.is_none(),
        variables,
        cache_dir: state_dir.join("compiled"),
        state_dir,
        key_value_url: settings.key_value_url.clone(),
        limits: Limits::default(),
        workers: None,
        native,
    };
    let host = Host::start(options).await?;
    Ok(Serving {
        address: host.address(),
        host,
    })
}

/// Starts a worker over a manifest whose components are built: within a host, or alone.
pub async fn start_worker(
    settings: &Settings,
    manifest: PathBuf,
    state_dir: &Path,
    database: &Url,
    key: &MasterKey,
    variables: BTreeMap<String, String>,
    host: Option<&Serving>,
) -> Result<JobWorker> {
    let (metrics, metrics_listen) = match host {
        Some(serving) => (serving.host.metrics(), None),
        None => (Arc::new(Metrics::new()?), settings.metrics_listen),
    };
    JobWorker::start(JobOptions {
        manifest,
        variables,
        database_url: secrets::role_url(database, key, WORKER_ROLE)?.to_string(),
        state_dir: state_dir.to_owned(),
        cache_dir: state_dir.join("compiled"),
        key_value_url: settings.key_value_url.clone(),
        limits: Limits::default(),
        settings: settings.job_times(),
        trusted_hosts: settings.webhook_hosts.iter().cloned().collect(),
        mail: settings.mail(),
        metrics,
        metrics_listen,
    })
    .await
}

impl Serving {
    /// Stops: unready for `delay` so that load balancers notice, then finishes what is in flight for at most `grace`.
    pub async fn stop(self, delay: Duration, grace: Duration) {
        tracing::info!(
            "stopping; requests in flight are finished first, Ctrl-C again stops at once"
        );
        self.host.announce_drain();
        tokio::time::sleep(delay).await;
        self.host.shutdown(grace).await;
    }
}
