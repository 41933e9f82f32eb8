//! What `gather up` and `gather serve` have in common: they serve until a signal comes, and stop in order.

use std::time::Duration;

use anyhow::{Result, bail};

use ::egress::service::Service as Egress;
use ::embedding::service::Service as Embedding;
use ::sandbox::service::Service as Sandbox;
use host::jobs::JobWorker;

use super::process::Signals;
use crate::{
    announcement::Announcement, database::Database, deployment::Deployment, health,
    provisioner::Provisioner, realtime::Realtime, serve::Serving,
};

/// The services that run in this process.
pub struct Started {
    /// The host of the functions.
    pub host: Serving,
    /// The worker, if it runs in this process.
    pub worker: Option<JobWorker>,
    /// The sandbox, if it runs in this process.
    pub sandbox: Option<Sandbox>,
    /// The egress, if it runs in this process.
    pub egress: Option<Egress>,
    /// The embedding model, if it runs in this process.
    pub embedding: Option<Embedding>,
    /// The provisioner, if it is a child of this process.
    pub provisioner: Option<Provisioner>,
    /// The gateway, if it runs in this process.
    pub realtime: Option<Realtime>,
    /// The announcements of the addresses of sandbox, egress and embedding model, which end when these are dropped.
    pub announced: Vec<Announcement>,
}

/// The time limits of stopping.
#[derive(Clone, Copy)]
pub struct Stopping {
    /// The time for load balancers to notice.
    pub drain_delay: Duration,
    /// The time for running requests and jobs.
    pub grace: Duration,
}

/// Starts the database, serves until a signal comes, and stops the database last, whatever happened.
pub async fn serve(
    stopping: Stopping,
    deployment: &Deployment,
    start: impl AsyncFnOnce(&Database) -> Result<Started>,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let database = deployment.open_database()?;
    let started = tokio::select! {
        started = start(&database) => Some(started),
        () = signals.next() => None,
    };
    let served = match started {
        Some(Ok(started)) => {
            let (url, state) = (database.url.clone(), deployment.state.clone());
            let reporter = tokio::spawn(health::report_disk(url, state));
            signals.next().await;
            tokio::select! {
                () = started.stop(stopping) => {}
                () = signals.next() => {
                    database.request_stop();
                    bail!("stopped at once: requests and jobs in flight were cut off");
                }
            }
            reporter.abort();
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    database.close()?;
    served
}

impl Started {
    async fn stop(self, Stopping { drain_delay, grace }: Stopping) {
        let jobs = async {
            if let Some(worker) = self.worker {
                worker.shutdown(grace).await;
            }
        };
        // First, so that clients come back to another gateway while this one still serves them.
        if let Some(realtime) = self.realtime {
            realtime.stop().await;
        }
        tokio::join!(self.host.stop(drain_delay, grace), jobs);
        // Last: requests and jobs in flight may still call skills, and use secrets.
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown(grace).await;
        }
        if let Some(egress) = self.egress {
            egress.shutdown(grace).await;
        }
        if let Some(embedding) = self.embedding {
            embedding.shutdown(grace).await;
        }
        drop(self.provisioner);
        // Nobody is sent there from now on.
        drop(self.announced);
    }
}
