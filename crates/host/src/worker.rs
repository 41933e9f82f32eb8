//! One thread of the host: a single-threaded runtime with its own instances and database connections.

use crate::{app::App, connection::Connection, instances::Instances, limits::Limits, turns::Turns};
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

/// The interval at which idle instances are dropped.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// The largest number of streams at the same time in an HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// The largest size of a request's head in bytes.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// The command that the workers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The workers serve.
    Serve,
    /// The workers finish running requests and close idle connections.
    Drain,
    /// The workers stop at once.
    Stop,
}

/// One thread's part of the host.
pub struct Worker {
    /// The host that this thread serves for.
    pub app: Arc<App>,
    /// The thread's instances.
    pub instances: Arc<Instances>,
    /// The bounds of connections.
    pub limits: Limits,
    /// The number of this thread's connections.
    pub open: Arc<AtomicUsize>,
}

impl Worker {
    /// Serves new connections until it is asked to stop.
    pub fn run(
        self,
        sockets: mpsc::UnboundedReceiver<(TcpStream, SocketAddr)>,
        phase: watch::Receiver<Phase>,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(self.serve(sockets, phase));
                runtime.shutdown_background();
            }
            Err(error) => tracing::error!(%error, "a worker cannot start"),
        }
    }

    async fn serve(
        self,
        mut sockets: mpsc::UnboundedReceiver<(TcpStream, SocketAddr)>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let worker = Arc::new(self);
        let mut trim = tokio::time::interval(TRIM_EVERY);
        let mut connections = tokio::task::JoinSet::new();
        let mut draining = false;
        while !draining {
            tokio::select! {
                socket = sockets.recv() => match socket {
                    // The runtime that accepted the socket is another one: it has to change over.
                    Some((socket, peer)) => match adopt(socket) {
                        Ok(socket) => {
                            let phase = phase.clone();
                            connections.spawn(worker.clone().connection(socket, peer, phase));
                        }
                        Err(error) => {
                            worker.open.fetch_sub(1, Ordering::Relaxed);
                            tracing::warn!(%error, "a connection was lost");
                        }
                    },
                    None => draining = true,
                },
                _ = trim.tick() => worker.instances.trim(),
                Some(_) = connections.join_next() => {}
                changed = phase.changed() => draining = changed.is_err() || *phase.borrow() != Phase::Serve,
            }
        }
        tokio::select! {
            () = async { while connections.join_next().await.is_some() {} } => {}
            _ = phase.wait_for(|phase| *phase == Phase::Stop) => {}
        }
    }

    /// The HTTP settings of a connection.
    fn http(&self) -> auto::Builder<TokioExecutor> {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(MAX_HEAD_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .keep_alive_interval(Some(self.limits.head_timeout))
            .keep_alive_timeout(self.limits.stall_timeout);
        builder
    }

    async fn connection(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
        mut phase: watch::Receiver<Phase>,
    ) {
        let _open = Open::new(&self);
        // What tells HTTP/1 from HTTP/2 waits for the first bytes without end; a client may not.
        let begun = tokio::select! {
            begun = timeout(self.limits.head_timeout, begins(&socket)) => begun,
            () = leaving(&mut phase) => return,
        };
        let Ok(Ok(is_http2)) = begun else {
            return;
        };
        let mut stream = TimeoutStream::new(socket);
        stream.set_write_timeout(Some(self.limits.stall_timeout));
        let stream = Box::pin(stream);
        let address = HeaderValue::from_str(&peer.to_string()).expect("digits and punctuation");
        let turns = Arc::new(Turns::default());
        let stream = Connection {
            stream,
            turns: turns.clone(),
            is_http1: !is_http2,
            answers: self.app.own.clone(),
            peer: address.clone(),
            own: None,
        };
        let service = service_fn(|request| {
            let app = self.app.clone();
            let turn = turns.begin();
            // Large, and hyper moves it about.
            let answer = Box::pin(app.handle(self.instances.clone(), address.clone(), request));
            async move {
                let answer = answer.await.map(|answer| answer.in_turn(turn));
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let builder = self.http();
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = leaving(&mut phase) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection ended");
        }
    }
}

/// Resolves when the worker is asked to drain.
async fn leaving(phase: &mut watch::Receiver<Phase>) {
    // The borrow that `wait_for` returns must not live on; an error means that the host is gone.
    drop(phase.wait_for(|phase| *phase != Phase::Serve).await);
}

/// Waits until the client has sent enough to tell its version of HTTP. Returns whether it is HTTP/2.
async fn begins(socket: &TcpStream) -> std::io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; // RFC 9113, section 3.4
    let mut start = [0; PREFACE.len()];
    loop {
        let read = socket.peek(&mut start).await?;
        if read == 0 || read == PREFACE.len() || start[..read] != PREFACE[..read] {
            return Ok(start == *PREFACE);
        }
        // The socket stays readable, so it cannot be waited for.
        sleep(Duration::from_millis(20)).await;
    }
}

/// Registers a socket with this thread's runtime.
fn adopt(socket: TcpStream) -> std::io::Result<TcpStream> {
    let socket = TcpStream::from_std(socket.into_std()?)?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Counts a connection while it is open.
struct Open(Arc<Worker>);

impl Open {
    fn new(worker: &Arc<Worker>) -> Self {
        worker.app.metrics.connections.inc();
        Self(worker.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.app.metrics.connections.dec();
    }
}
