//! The listener of a native service: it takes as many connections as the machine lets it, and finishes the requests in
//! flight before it ends.

use anyhow::{Context, Result};
use axum::{Router, serve::ListenerExt};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A service that listens, until it is stopped.
pub struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Listening {
    /// Serves a router. `name` is what messages call the service, such as `the sandbox`.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn start(name: &'static str, listen: SocketAddr, router: Router) -> Result<Self> {
        // A socket for each caller, and those that the service opens itself: the usual soft limit is too low for all.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "cannot raise the limit on open files");
        }
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("{name} cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (stop, mut stopped) = watch::channel(false);
        let serving = tokio::spawn(async move {
            let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
                drop(stopped.wait_for(|stop| *stop).await);
            });
            if let Err(error) = graceful.await {
                tracing::error!(%error, service = name, "a service stopped serving");
            }
        });
        Ok(Self {
            address,
            stop,
            serving,
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the requests in flight, for at most `grace`.
    pub async fn shutdown(self, grace: Duration) {
        _ = self.stop.send(true);
        let stop = self.serving.abort_handle();
        if tokio::time::timeout(grace, self.serving).await.is_err() {
            stop.abort();
        }
    }
}
