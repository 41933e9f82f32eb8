//! The database of this run: the configured one, or the private cluster.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use url::Url;

use crate::{
    config::DatabaseSettings,
    postgres::{self, Cluster},
    progress::Step,
};

/// The time that a configured server has to come up, when everything is started at the same time.
const WAIT: Duration = Duration::from_secs(30);

/// Checks that functions can connect by the address, so that the start fails rather than each request.
pub async fn check_for_functions(url: &Url) -> Result<()> {
    host::check_database(url.as_str()).await.context(
        "DATABASE_URL does not do for functions: they verify a server's certificate with the public authorities. For a \
         server with a certificate of its own, or without TLS, on a trusted network, add ?sslmode=disable; of other \
         settings they know those of PostgreSQL's driver for Rust, tokio-postgres",
    )
}

/// A database that is running.
pub struct Database {
    /// The address of the database, as its administrator.
    pub url: Url,
    cluster: Option<Cluster>,
}

impl Database {
    /// Fetches the PostgreSQL that the private cluster needs, if the machine has none. Comes before everything that
    /// takes signals, so that Ctrl-C ends a slow download.
    pub fn prepare(settings: &DatabaseSettings, state: &Path) -> Result<()> {
        match settings.url()? {
            Some(_) => Ok(()),
            None => Cluster::prepare(state),
        }
    }

    /// Opens the configured database, or the private cluster, which is started if it is not running.
    pub fn open(settings: &DatabaseSettings, state: &Path) -> Result<Self> {
        if let Some(url) = settings.url()? {
            return Ok(Self { url, cluster: None });
        }
        Cluster::prepare(state)?;
        let step = Step::start(if state.join("postgres.port").exists() {
            "starting PostgreSQL"
        } else {
            "making a private PostgreSQL cluster"
        });
        let cluster = Cluster::open(state)?;
        step.done(&format!(
            "PostgreSQL {} runs on 127.0.0.1:{}, its data is in {}",
            cluster.version(),
            cluster.url("").port().unwrap_or_default(),
            cluster.data().display()
        ));
        Ok(Self {
            url: cluster.url(postgres::ADMIN),
            cluster: Some(cluster),
        })
    }

    /// Runs some work with the database, which is stopped afterwards if it was started for it.
    pub async fn during<T>(
        settings: &DatabaseSettings,
        state: &Path,
        work: impl AsyncFnOnce(&Url) -> Result<T>,
    ) -> Result<T> {
        let database = Self::open(settings, state)?;
        let outcome = work(&database.url).await;
        database.close()?;
        outcome
    }

    /// Finds the database if it is already running, and starts nothing.
    pub fn find(settings: &DatabaseSettings, state: &Path) -> Result<Url> {
        match settings.url()? {
            Some(url) => Ok(url),
            None => Cluster::running(state)
                .context("there is no database: DATABASE_URL is not set and the private cluster is not running; start `gather up` in another terminal"),
        }
    }

    /// Waits for a configured server that is just being started.
    pub async fn wait(&self) -> Result<()> {
        if self.cluster.is_some() {
            return Ok(());
        }
        let place = format!(
            "{}:{}",
            self.url.host_str().unwrap_or_default(),
            self.url.port().unwrap_or(5432)
        );
        let step = Step::start(format!("waiting for the database at {place}"));
        let waited = postgres::wait_for(&self.url, WAIT).await;
        drop(step);
        waited.with_context(|| format!("the database at {place} does not answer; check DATABASE_URL and that the server runs"))
    }

    /// Asks the private cluster to stop, without waiting.
    pub fn request_stop(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.request_stop();
        }
    }

    /// Stops the private cluster, unless another process uses it.
    pub fn close(self) -> Result<()> {
        let Some(cluster) = self.cluster else {
            return Ok(());
        };
        if cluster.close()? {
            tracing::info!("the database has stopped");
        } else {
            tracing::info!("the database goes on running: another process uses it");
        }
        Ok(())
    }
}
