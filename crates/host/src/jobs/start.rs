//! Starting and stopping a worker.

use super::{
    kind::Stop,
    kinds::Kinds,
    queue::{Ended, Queue},
    state::Worker,
    times::JobTimes,
};
use crate::{
    application::Application,
    interfaces::connections::Connections,
    load::Loader,
    mail::{MailOptions, Mailer},
    metrics::Metrics,
    metrics_listener,
};
use anyhow::{Context, Result, ensure};
use outgoing::Outgoing;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

/// The time that a stopping worker has for its last statement.
const FAREWELL: Duration = Duration::from_secs(5);

/// The options of a worker that runs the jobs of an application.
pub struct JobOptions {
    /// The database's URL, with the worker's own role.
    pub database_url: String,
    /// The worker's times and bounds.
    pub settings: JobTimes,
    /// Hosts, with their addresses, that components limited to public addresses may also reach.
    pub trusted_hosts: BTreeMap<String, SocketAddr>,
    /// The mail server for components that may send mail.
    pub mail: MailOptions,
    /// The metrics that count its work.
    pub metrics: Arc<Metrics>,
    /// The address of a listener that answers GET /metrics, if there is one.
    pub metrics_listen: Option<SocketAddr>,
}

/// A running worker, on threads of its own.
pub struct JobWorker {
    worker: Arc<Worker>,
    draining: watch::Sender<bool>,
    main: JoinHandle<()>,
    _threads: Threads,
}

/// A runtime that may be dropped within another one, as happens where a worker cannot start and where it has ended.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl JobWorker {
    /// Loads every queued component of the application and begins to work. Keeps trying while the database
    /// does not answer.
    ///
    /// # Errors
    /// A component, a variable or the mail server's address is wrong.
    pub async fn start(application: Arc<Application>, options: JobOptions) -> Result<Self> {
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
        let started = handle.spawn(async move { load(application, options) });
        let started = started.await.context("the worker can't start")?;
        let (worker, ended) = started?;
        let main = handle.spawn(worker.clone().run(drain, ended));
        Ok(Self {
            worker,
            draining,
            main,
            _threads: threads,
        })
    }

    /// The name under which the worker claims jobs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.worker.queue.worker
    }

    /// The kinds of work, whose newer builds can be loaded while the worker runs.
    #[must_use]
    pub fn kinds(&self) -> Arc<Kinds> {
        self.worker.kinds.clone()
    }

    /// The metrics that count its work.
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

/// Makes the worker and the channel on which its jobs end.
fn load(
    application: Arc<Application>,
    options: JobOptions,
) -> Result<(Arc<Worker>, mpsc::UnboundedReceiver<Ended>)> {
    let mailer = Arc::new(Mailer::new(&options.mail)?);
    let outgoing = Outgoing::new(None, options.trusted_hosts);
    let (settings, metrics) = (options.settings, options.metrics);
    let loader = Loader::of_jobs(application.clone(), outgoing, mailer, metrics.clone())?;
    let kinds = Arc::new(Kinds::load(&application, loader, settings.deadline)?);
    ensure!(settings.concurrency > 0, "a worker needs a place for a job");
    let (ends, ended) = mpsc::unbounded_channel();
    let worker = Worker {
        queue: Queue::new(&options.database_url)?,
        kinds,
        // Jobs are run in the process of a worker, which has no functions for them to call.
        connections: Connections::new(metrics.clone(), None),
        metrics,
        running: Mutex::default(),
        changed: Notify::new(),
        wake: Notify::new(),
        events: Notify::new(),
        ends,
        unsure: AtomicBool::new(false),
        last_beat: Mutex::new(None),
        settings,
    };
    Ok((Arc::new(worker), ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApplicationOptions, Limits, Manifest};

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

    /// The error of a worker with one component and these settings.
    async fn refusal(settings: &str, mail: MailOptions) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let wasm = wat::parse_str(SENDS_MAIL).expect("a component");
        std::fs::write(folder.path().join("post.wasm"), wasm).expect("a file");
        let manifest = format!(
            "spin_manifest_version = 2\napplication.name = \"x\"\n[component.post]\nsource = \"post.wasm\"\n\
             [component.post.tool.gather]\n{settings}\n"
        );
        std::fs::write(folder.path().join("spin.toml"), manifest).expect("a file");
        let manifest = Manifest::load(&folder.path().join("spin.toml")).expect("a manifest");
        let application = Application::new(ApplicationOptions {
            manifest: Arc::new(manifest),
            variables: BTreeMap::new(),
            state_dir: folder.path().join("state"),
            cache_dir: folder.path().join("compiled"),
            key_value_url: None,
            limits: Limits::default(),
        });
        let application = application.await.expect("an application");
        let options = JobOptions {
            database_url: "postgres://nobody@127.0.0.1:1/none".to_owned(),
            settings: JobTimes::default(),
            trusted_hosts: BTreeMap::new(),
            mail,
            metrics: Arc::new(Metrics::new().expect("metrics")),
            metrics_listen: None,
        };
        let started = JobWorker::start(application, options);
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
