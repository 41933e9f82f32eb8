//! Starting and stopping a worker.

use super::{
    kind::{Kind, Stop},
    queue::Queue,
    worker::Worker,
};
use crate::{
    Limits, MailOptions, Manifest,
    engine::Compiler,
    instance::{Instances, Loader},
    interfaces::{self, key_value},
    mail::Mailer,
    metrics::Metrics,
    metrics_listener, template,
};
use anyhow::{Context, Result, ensure};
use outgoing::Outgoing;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, Weak, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

/// Time for the last words to the database.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a worker is started with.
pub struct JobOptions {
    /// The manifest's file.
    pub manifest: PathBuf,
    /// Values of application variables, before the environment's.
    pub variables: BTreeMap<String, String>,
    /// The database, as the worker's own role.
    pub database_url: String,
    /// Where the key-value file and copies of mounted files are kept.
    pub state_dir: PathBuf,
    /// Where compiled components are kept.
    pub cache_dir: PathBuf,
    /// Redis or Valkey instead of the key-value file.
    pub key_value_url: Option<String>,
    /// Bounds of components.
    pub limits: Limits,
    /// How it works.
    pub settings: JobTimes,
    /// Hosts that components which are to reach public addresses only may reach too, with their addresses.
    pub trusted_hosts: BTreeMap<String, SocketAddr>,
    /// How components that may do so send mail.
    pub mail: MailOptions,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Where GET /metrics is answered, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct JobTimes {
    /// Jobs at the same time. Default 32.
    pub concurrency: usize,
    /// Silence after which others take this worker's jobs over. Default 15 s.
    pub lease: Duration,
    /// How often to look for work without being told. Default 1 s.
    pub poll: Duration,
    /// Whether to be told of new work. Default true; without, it is found by looking.
    pub listen: bool,
    /// The deadline of a kind that sets none. Default 10 min.
    pub deadline: Duration,
    /// Time for a job to end in good order after it was cancelled. Default 5 s.
    pub cancel_grace: Duration,
    /// The delay before the second attempt; it doubles with each. Default 2 s.
    pub backoff: Duration,
    /// How long finished jobs are kept. Default 7 days.
    pub keep: Duration,
    /// How long dead jobs are kept. Default 30 days.
    pub keep_dead: Duration,
    /// How often counters are added up and old jobs forgotten. Default 5 s.
    pub maintenance: Duration,
}

impl Default for JobTimes {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            concurrency: 32,
            lease: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            listen: true,
            deadline: Duration::from_secs(600),
            cancel_grace: Duration::from_secs(5),
            backoff: Duration::from_secs(2),
            keep: 7 * DAY,
            keep_dead: 30 * DAY,
            maintenance: Duration::from_secs(5),
        }
    }
}

/// A worker that runs, on threads of its own.
pub struct JobWorker {
    worker: Arc<Worker>,
    draining: watch::Sender<bool>,
    main: JoinHandle<()>,
    _threads: Threads,
}

/// A runtime that may be let go from within another one: where a worker can't start, and where it has ended.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl JobWorker {
    /// Loads every queued component of the manifest and begins to work, or goes on trying while the
    /// database is away.
    ///
    /// # Errors
    /// Whatever is wrong with the manifest, a component, a variable, the mail server's address or the state folder.
    pub async fn start(options: JobOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("gather-job")
            .enable_all()
            .build()
            .context("can't start the worker's threads")?;
        let handle = runtime.handle().clone();
        let threads = Threads(Some(runtime));
        let (draining, drain) = watch::channel(false);
        if let Some(listen) = options.metrics_listen {
            let metrics = options.metrics.clone();
            let serve =
                metrics_listener::serve(listen, move || metrics.response(&[]), drain.clone());
            handle.spawn(serve).await??;
        }
        // The pool's own tasks must live on the worker's threads, too.
        let started = handle.spawn(load(options)).await;
        let worker = Arc::new(started.context("the worker can't start")??);
        let main = handle.spawn(worker.clone().run(drain));
        Ok(Self {
            worker,
            draining,
            main,
            _threads: threads,
        })
    }

    /// The name that it claims under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.worker.queue.worker
    }

    /// Where it counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.worker.metrics
    }

    /// Takes no more jobs, lets the running ones finish for `grace`, and gives the others back.
    pub async fn shutdown(mut self, grace: Duration) {
        self.draining.send_replace(true);
        if timeout(grace, self.worker.idle()).await.is_err() {
            tracing::warn!(?grace, "jobs that take longer are given back");
            self.worker.stop_all(Stop::Returned);
        }
        if timeout(FAREWELL, &mut self.main).await.is_err() {
            tracing::warn!("the database does not answer; others will take the jobs over");
        }
    }
}

async fn load(options: JobOptions) -> Result<Worker> {
    let mailer = Mailer::new(&options.mail)?;
    let manifest = Manifest::load(&options.manifest)?;
    let variables = template::resolve_variables(&manifest.variables, &options.variables)?;
    std::fs::create_dir_all(&options.state_dir)
        .with_context(|| format!("cannot make the folder {}", options.state_dir.display()))?;
    let key_value = Arc::new(match &options.key_value_url {
        Some(url) => key_value::Stores::redis(url).await?,
        None => key_value::Stores::sqlite(&options.state_dir.join("key-value.sqlite"))?,
    });
    let compiler = Compiler::new(&manifest, &options.limits, options.cache_dir.clone())?;
    let mut linker = compiler.linker()?;
    interfaces::jobs::add_to_linker(&mut linker)?;
    interfaces::mail::add_to_linker(&mut linker)?;
    let metrics = options.metrics;
    let limits = Limits {
        database_connections: options.limits.database_connections / 2,
        ..options.limits
    };
    let loader = Loader {
        manifest: &manifest,
        compiler: &compiler,
        linker: &linker,
        variables: &variables,
        limits: &limits,
        key_value,
        app: Weak::new(),
        scratch: &options.state_dir.join("files"),
        workers: 1,
        outgoing: Arc::new(Outgoing::new(None, options.trusted_hosts)),
        mailer: Some(Arc::new(mailer)),
        metrics: metrics.clone(),
    };
    let mut kinds = BTreeMap::new();
    for (id, component) in &manifest.components {
        if let Some(job) = &component.settings.job {
            let kind = Kind::load(&loader, component, job, options.settings.deadline)?;
            kinds.insert(id.clone(), Arc::new(kind));
        }
    }
    let settings = options.settings;
    ensure!(settings.concurrency > 0, "a worker needs a place for a job");
    let (ends, ended) = mpsc::unbounded_channel();
    Ok(Worker {
        queue: Queue::new(&options.database_url)?,
        kinds,
        instances: Arc::new(Instances::new(metrics.clone())),
        metrics,
        running: Mutex::default(),
        changed: Notify::new(),
        wake: Notify::new(),
        events: Notify::new(),
        ends,
        ended: Mutex::new(Some(ended)),
        unsure: AtomicBool::new(false),
        last_beat: Mutex::new(None),
        settings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports `gather:mail/outgoing` as it is.
    const SENDS_MAIL: &str = r#"(component
        (type $outgoing (instance
            (type $fields (record (field "to" string) (field "subject" string) (field "text" string)))
            (export "mail" (type $mail (eq $fields)))
            (type $cases (variant (case "refused" string) (case "unavailable" string)))
            (export "error" (type $error (eq $cases)))
            (type $send (func async (param "mail" $mail) (result (result (error $error)))))
            (export "send" (func (type $send)))))
        (import "gather:mail/outgoing@1.0.0" (instance (type $outgoing))))"#;

    /// Why a worker with one component and these settings does not start.
    async fn refusal(settings: &str, mail: MailOptions) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let wasm = wat::parse_str(SENDS_MAIL).expect("a component");
        std::fs::write(folder.path().join("post.wasm"), wasm).expect("a file");
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"x\"\n[component.post]\nsource = \"post.wasm\"\n\
             [component.post.tool.gather]\n{settings}\n"
        );
        std::fs::write(folder.path().join("spin.toml"), manifest).expect("a file");
        let started = JobWorker::start(JobOptions {
            manifest: folder.path().join("spin.toml"),
            variables: BTreeMap::new(),
            database_url: "postgres://nobody@127.0.0.1:1/none".to_owned(),
            state_dir: folder.path().join("state"),
            cache_dir: folder.path().join("compiled"),
            key_value_url: None,
            trusted_hosts: BTreeMap::new(),
            limits: Limits::default(),
            settings: JobTimes::default(),
            mail,
            metrics: Arc::new(Metrics::new().expect("metrics")),
            metrics_listen: None,
        });
        let error = started.await.err().expect("it started");
        format!("{error:#}")
    }

    #[tokio::test]
    async fn mail_is_sent_by_those_only_who_may() {
        let error = refusal("job = {}", MailOptions::default()).await;
        assert!(
            error.contains("add `mail = true` to [component.post.tool.gather]"),
            "{error}"
        );
        // One that may gets past that.
        let error = refusal("job = {}\nmail = true", MailOptions::default()).await;
        assert!(error.contains("must export `run`"), "{error}");
    }

    #[tokio::test]
    async fn places_of_its_own_are_so_many() {
        let settings = "mail = true\njob = { own_places = true }";
        let error = refusal(settings, MailOptions::default()).await;
        assert!(error.contains("needs `concurrency`"), "{error}");
        let settings = "mail = true\nconcurrency = 2\njob = { own_places = true }";
        let error = refusal(settings, MailOptions::default()).await;
        assert!(error.contains("must export `run`"), "{error}");
    }

    #[tokio::test]
    async fn a_bad_mail_server_is_said_at_start_without_its_password() {
        let mail = MailOptions {
            smtp_url: Some("smtp://me:hunter2@host?tls=yes".to_owned()),
            ..MailOptions::default()
        };
        let error = refusal("job = {}\nmail = true", mail).await;
        assert!(
            error.contains("?tls=required") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
