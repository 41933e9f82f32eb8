//! The host: loads an application's functions, starts its threads and stops them.
//!
//! It has one single-threaded runtime a core, each with its own instances and database connections, so that a request
//! is served by one thread from its first byte to its last.

use crate::{
    app::{App, Target},
    application::Application,
    functions::Functions,
    instances::Instances,
    interfaces::connections::Connections,
    limits::Limits,
    listen::{Queue, accept, bind, connection_limit},
    load::Loader,
    manifest::Manifest,
    metrics::Metrics,
    metrics_listener,
    native::NativeRoutes,
    own_answers::OwnAnswers,
    route::Router,
    self_calls::SelfCalls,
    worker::{Phase, Worker},
};
use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// The options of a host that serves an application.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address that clients connect to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address of a listener for GET /metrics; `None` answers it on `listen` if `public_metrics` is set.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether clients may read /metrics on `listen`.
    pub public_metrics: bool,
    /// The number of serving threads; `None` starts one for each core.
    pub workers: Option<usize>,
    /// The service that answers the native routes.
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

impl Host {
    /// Loads every function of the application, listens and serves.
    ///
    /// # Errors
    /// A component, a variable or the address is wrong. Nothing is then served.
    pub async fn start(application: &Arc<Application>, options: Options) -> Result<Self> {
        // Clients get what is left of the files that the machine allows.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
        let listener = bind(options.listen).await?;
        let address = listener.local_addr()?;
        let app = load(application, &options)?;
        let (stop_accepting, accepting) = watch::channel(false);
        let (stop_workers, phase) = watch::channel(Phase::Serve);
        let limits = &application.limits;
        let (workers, queues) = start_workers(&app, limits, &phase)?;
        let connections = connection_limit(limits.connections);
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

    /// The metrics of this host, which a worker in the same process may use too.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.app.metrics.clone()
    }

    /// The functions, whose newer builds can be loaded while the host serves.
    #[must_use]
    pub fn functions(&self) -> Arc<Functions> {
        self.app.functions.clone()
    }

    /// The address that clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the listener for GET /metrics, if there is one.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Makes readiness answer 503 while requests are served as before, so that load balancers choose other hosts in
    /// time.
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

/// Starts a thread for each set of instances, and returns the channels to them.
fn start_workers(
    app: &Arc<App>,
    limits: &Limits,
    phase: &watch::Receiver<Phase>,
) -> Result<(Vec<JoinHandle<()>>, Vec<Queue>)> {
    let mut threads = Vec::new();
    let mut queues = Vec::new();
    for (index, instances) in app.workers.iter().enumerate() {
        let (sender, sockets) = mpsc::unbounded_channel();
        let worker = Worker {
            app: app.clone(),
            instances: instances.clone(),
            limits: limits.clone(),
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
        threads.push(thread);
    }
    Ok((threads, queues))
}

fn load(application: &Arc<Application>, options: &Options) -> Result<Arc<App>> {
    let count = options
        .workers
        .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
        .unwrap_or(1)
        .max(1);
    let metrics = Arc::new(Metrics::new()?);
    let loader = Loader::of_functions(application.clone(), count, metrics.clone())?;
    let functions = Arc::new(Functions::load(loader, application.functions())?);
    let manifest = &application.manifest;
    let routes = manifest.routes.iter().filter_map(|trigger| {
        let function = functions.current(&trigger.component)?;
        Some((trigger.route.clone()?, Target::Function(function.clone())))
    });
    let native = options.native.0.iter().flat_map(|native| {
        let routes = manifest.native_routes.iter();
        routes.map(|route| (route.clone(), Target::Native(native.clone())))
    });
    let public_url = application.variables.get("public_url");
    let is_https = public_url.is_some_and(|url| url.starts_with("https://"));
    Ok(Arc::new(App {
        router: Router::new(routes.chain(native).collect()),
        metrics: metrics.clone(),
        draining: AtomicBool::new(false),
        readiness: readiness(manifest),
        public_metrics: options.public_metrics,
        native: options.native.clone(),
        workers: (0..count)
            .map(|_| instances(&functions, &metrics))
            .collect(),
        own: Arc::new(OwnAnswers::new(is_https)),
        functions,
    }))
}

/// The instances of one worker, which can call each other.
fn instances(functions: &Arc<Functions>, metrics: &Arc<Metrics>) -> Arc<Instances> {
    Arc::new_cyclic(|worker| {
        let calls = SelfCalls {
            functions: functions.clone(),
            worker: worker.clone(),
        };
        Instances::new(Connections::new(metrics.clone(), Some(Arc::new(calls))))
    })
}

/// `[application.tool.gather] readiness`: the path that load balancers ask.
fn readiness(manifest: &Manifest) -> Option<String> {
    let path = manifest.tool.get("gather")?.get("readiness")?;
    path.as_str().map(str::to_owned)
}
