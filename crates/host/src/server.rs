//! The listener and its workers: one single-threaded runtime a core, each with its own instances and
//! database connections, so that a request is served by one thread from its first byte to its last.

use crate::{
    Limits, Manifest,
    engine::Compiler,
    handler::App,
    instance::{Instances, Loader},
    interfaces::key_value,
    metrics::Metrics,
    metrics_listener,
    native::NativeRoutes,
    refusals::Refusals,
    route::Router,
    template,
    turns::{Connection, Turns},
};
use anyhow::{Context, Result};
use http::HeaderValue;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

/// Files that the process keeps open beside its connections.
const OTHER_FILES: u64 = 512;
/// How often idle instances are looked at.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection at the same time.
const MAX_STREAMS: u32 = 128;
/// Bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 << 10;

/// What a host is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The manifest's file.
    pub manifest: PathBuf,
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where GET /metrics is answered; on `listen` where this is `None` and `public_metrics` is set.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether clients may read /metrics on `listen`.
    pub public_metrics: bool,
    /// Values of application variables, before the environment's.
    pub variables: BTreeMap<String, String>,
    /// Where the key-value file and copies of mounted files are kept.
    pub state_dir: PathBuf,
    /// Where compiled components are kept; hosts may share it.
    pub cache_dir: PathBuf,
    /// Redis or Valkey instead of the key-value file.
    pub key_value_url: Option<String>,
    /// Bounds of requests, components and the host.
    pub limits: Limits,
    /// Serving threads; one for each core where this is `None`.
    pub workers: Option<usize>,
    /// What answers beside the components.
    pub native: NativeRoutes,
}

/// A running host.
pub struct Host {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    app: Arc<App>,
    stop_accepting: watch::Sender<bool>,
    stop_workers: watch::Sender<Phase>,
    workers: Vec<JoinHandle<()>>,
}

/// What the workers are asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Serve.
    Serve,
    /// Finish what is in flight and close idle connections.
    Drain,
    /// Stop at once.
    Stop,
}

impl Host {
    /// Loads every component of the manifest, listens and serves.
    ///
    /// # Errors
    /// Whatever is wrong with the manifest, a component, a variable, the state folder or the
    /// address; nothing is served then.
    pub async fn start(options: Options) -> Result<Self> {
        // Clients get what is left of the files that the machine allows.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        let listener = bind(options.listen).await?;
        let address = listener.local_addr()?;
        let count = options
            .workers
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1)
            .max(1);
        let metrics = Arc::new(Metrics::new()?);
        let instances: Vec<_> = (0..count)
            .map(|_| Arc::new(Instances::new(metrics.clone())))
            .collect();
        let app = load(&options, metrics, instances.clone(), count).await?;

        let (stop_accepting, accepting) = watch::channel(false);
        let (stop_workers, phase) = watch::channel(Phase::Serve);
        let mut workers = Vec::new();
        let mut queues = Vec::new();
        for (index, instances) in instances.into_iter().enumerate() {
            let (sender, sockets) = mpsc::unbounded_channel();
            let worker = Worker {
                app: app.clone(),
                instances,
                limits: options.limits.clone(),
                open: Arc::default(),
            };
            queues.push(Queue {
                sockets: sender,
                open: worker.open.clone(),
            });
            let phase = phase.clone();
            let thread = std::thread::Builder::new()
                .name(format!("gather-worker-{index}"))
                .spawn(move || worker.run(sockets, phase))
                .context("cannot start a worker thread")?;
            workers.push(thread);
        }
        let connections = connection_limit(options.limits.connections);
        tokio::spawn(accept(listener, queues, connections, accepting.clone()));
        let metrics_address = match options.metrics_listen {
            Some(listen) => {
                let app = app.clone();
                let render = move || app.render_metrics();
                Some(metrics_listener::serve(listen, render, accepting).await?)
            }
            None => None,
        };
        Ok(Self {
            address,
            metrics_address,
            app,
            stop_accepting,
            stop_workers,
            workers,
        })
    }

    /// What is counted; a worker in the same process may count there, too.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.app.metrics.clone()
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where GET /metrics is answered, if it has a listener of its own.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Readiness becomes 503; requests are served as before. Gives load balancers time to look away.
    pub fn announce_drain(&self) {
        self.app.draining.store(true, Ordering::Relaxed);
    }

    /// Takes no more connections, lets requests in flight finish for `grace`, then stops.
    pub async fn shutdown(self, grace: Duration) {
        self.announce_drain();
        self.stop_accepting.send_replace(true);
        self.stop_workers.send_replace(Phase::Drain);
        let workers = self.workers;
        let mut joined = tokio::task::spawn_blocking(move || {
            for worker in workers {
                if worker.join().is_err() {
                    tracing::error!("a worker thread panicked");
                }
            }
        });
        if timeout(grace, &mut joined).await.is_err() {
            tracing::warn!(?grace, "requests in flight were cut off");
            self.stop_workers.send_replace(Phase::Stop);
            if joined.await.is_err() {
                tracing::error!("cannot join the worker threads");
            }
        }
    }
}

pub(crate) async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}: if another program has the port, stop it or choose another with --listen")
    })
}

/// As many connections as were asked for, if the machine allows so many files.
fn connection_limit(wanted: usize) -> usize {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
    let room = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    wanted.min(room.max(64))
}

async fn load(
    options: &Options,
    metrics: Arc<Metrics>,
    workers: Vec<Arc<Instances>>,
    count: usize,
) -> Result<Arc<App>> {
    let manifest = Manifest::load(&options.manifest)?;
    let variables = template::resolve_variables(&manifest.variables, &options.variables)?;
    std::fs::create_dir_all(&options.state_dir)
        .with_context(|| format!("cannot make the folder {}", options.state_dir.display()))?;
    let key_value = Arc::new(match &options.key_value_url {
        Some(url) => key_value::Stores::redis(url).await?,
        None => key_value::Stores::sqlite(&options.state_dir.join("key-value.sqlite"))?,
    });
    let compiler = Compiler::new(&manifest, &options.limits, options.cache_dir.clone())?;
    let linker = compiler.linker()?;
    let scratch = options.state_dir.join("files");
    let mut failed = None;
    let app = Arc::new_cyclic(|app: &Weak<App>| {
        let loader = Loader {
            manifest: &manifest,
            compiler: &compiler,
            linker: &linker,
            variables: &variables,
            limits: &options.limits,
            key_value,
            app: app.clone(),
            scratch: &scratch,
            workers: count,
            outgoing: Arc::new(outgoing::Outgoing::new(None, BTreeMap::new())),
            mailer: None,
            metrics: metrics.clone(),
        };
        let functions: Result<BTreeMap<_, _>> = manifest
            .components
            .iter()
            .filter(|(_, component)| component.settings.job.is_none())
            .map(|(id, component)| Ok((id.clone(), Arc::new(loader.load(component)?))))
            .collect();
        let functions = functions.unwrap_or_else(|error| {
            failed = Some(error);
            BTreeMap::new()
        });
        let routes = manifest.routes.iter().filter_map(|trigger| {
            let function = functions.get(&trigger.component)?;
            Some((trigger.route.clone()?, function.clone()))
        });
        App {
            router: Router::new(routes.collect()),
            functions: functions.clone(),
            metrics: metrics.clone(),
            draining: AtomicBool::new(false),
            readiness: readiness(&manifest),
            public_metrics: options.public_metrics,
            native: options.native.clone(),
            workers,
            refusals: Refusals::default(),
            is_https: variables
                .get("public_url")
                .is_some_and(|url| url.starts_with("https://")),
        }
    });
    failed.map_or(Ok(app), Err)
}

/// `[application.tool.gather] readiness`: the path that load balancers ask.
fn readiness(manifest: &Manifest) -> Option<String> {
    let path = manifest.tool.get("gather")?.get("readiness")?;
    path.as_str().map(str::to_owned)
}

/// The way to one worker, and how many connections it has.
struct Queue {
    sockets: mpsc::UnboundedSender<(TcpStream, SocketAddr)>,
    open: Arc<AtomicUsize>,
}

/// Hands each new connection to the worker with the fewest.
async fn accept(
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

/// One thread's part of the host.
struct Worker {
    app: Arc<App>,
    instances: Arc<Instances>,
    limits: Limits,
    open: Arc<AtomicUsize>,
}

impl Worker {
    fn run(
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
            app: self.app.clone(),
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

/// Resolves when the client has sent enough to tell which HTTP it speaks: whether it is HTTP/2.
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
