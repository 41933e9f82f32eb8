//! Listening for clients. Each connection goes to the worker with the fewest connections.

use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::sleep,
};

/// Files that the process keeps open beside its connections.
const OTHER_FILES: u64 = 512;

/// Listens on an address.
///
/// # Errors
/// The address cannot be used; the error says what to do.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}: if another program has the port, stop it or choose another with --listen")
    })
}

/// The requested number of connections, or fewer if the machine allows fewer files.
pub fn connection_limit(wanted: usize) -> usize {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    wanted.min(room.max(64))
}

/// A worker as the listener sees it: the channel to it, and the number of its connections.
pub struct Queue {
    /// The channel for the worker's connections.
    pub sockets: mpsc::UnboundedSender<(TcpStream, SocketAddr)>,
    /// The number of the worker's connections.
    pub open: Arc<AtomicUsize>,
}

/// Gives each new connection to the worker with the fewest.
pub async fn accept(
    listener: TcpListener,
    queues: Vec<Queue>,
    limit: usize,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, or a client that left: neither must end or spin the listener.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let open: usize = queues.iter().map(|q| q.open.load(Ordering::Relaxed)).sum();
        if open >= limit {
            tracing::warn!(limit, "a connection was refused: too many are open");
            continue;
        }
        let Some(queue) = queues.iter().min_by_key(|q| q.open.load(Ordering::Relaxed)) else {
            return;
        };
        queue.open.fetch_add(1, Ordering::Relaxed);
        if queue.sockets.send((socket, peer)).is_err() {
            return;
        }
    }
}
