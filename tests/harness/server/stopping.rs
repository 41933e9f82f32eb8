//! How servers of the tests stop, and start again.

use super::{Server, WORKERS};
use crate::{Database, limits};
use anyhow::Result;
use std::time::Duration;

impl Server {
    /// Stops the host as a signal would.
    pub async fn stop(mut self, grace: Duration) {
        if let Some(realtime) = self.realtime.take() {
            realtime.stop().await;
        }
        if let Some(host) = self.host.take() {
            host.shutdown(grace).await;
        }
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.shutdown(grace).await;
        }
        self.stop_egress().await;
    }

    /// Stops the host, does something while it is away, and starts it again at the same address, over the same database.
    ///
    /// # Errors
    /// The host can't be started again, or what is done meanwhile fails.
    pub async fn restarted(self, meanwhile: impl AsyncFnOnce() -> Result<()>) -> Result<Self> {
        let listen = self.url.trim_start_matches("http://").parse()?;
        let database = Database {
            admin: self.database.admin.clone(),
        };
        let variables = self.variables.clone();
        self.stop(Duration::ZERO).await;
        meanwhile().await?;
        Self::platform(listen, database, variables, limits(), WORKERS).await
    }

    /// Stops the way out for secrets, and leaves the rest.
    pub async fn stop_egress(&mut self) {
        if let Some(egress) = self.egress.take() {
            egress.shutdown(Duration::ZERO).await;
        }
    }
}
