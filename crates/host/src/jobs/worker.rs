//! A worker: claims jobs as it has places, runs them, and writes down how they ended.
//!
//! It holds its jobs by a lease that heartbeats renew. Where they fail for so long that others may
//! take it for dead, it stops its jobs itself; where others did, what it did counts for nothing.

use super::{
    kind::{Kind, Stop, broken, unusable},
    queue::{Begun, CANCEL, Ended, Outcome, Queue, Report},
    schedule,
};
use crate::{
    Limits, Manifest,
    engine::Compiler,
    instance::{Instances, Loader},
    interfaces::{self, jobs::Control, key_value},
    metrics::Metrics,
    metrics_listener, template,
};
use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use graphile_worker_queries::task_identifiers::TaskDetails;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    runtime::Runtime,
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tracing::Instrument;
use uuid::Uuid;

/// Progress reaches the database this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// How soon a database that failed is asked again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// No more jobs are claimed while so many times the places wait for their end to be written down.
const MOST_UNWRITTEN: usize = 4;
/// Ends written down in one statement.
const MOST_ENDS: usize = 64;
/// Under load it pays to wait this long for more places or ends, and have one statement for all of them.
const GATHER: Duration = Duration::from_millis(1);
/// Heartbeats in a lease: some may fail.
const BEATS: u32 = 5;
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
    runtime: Option<Runtime>,
}

impl JobWorker {
    /// Loads every queued component of the manifest and begins to work, or goes on trying while the
    /// database is away.
    ///
    /// # Errors
    /// Whatever is wrong with the manifest, a component, a variable or the state folder.
    pub async fn start(options: JobOptions) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("gather-job")
            .enable_all()
            .build()
            .context("can't start the worker's threads")?;
        let (draining, drain) = watch::channel(false);
        if let Some(listen) = options.metrics_listen {
            let metrics = options.metrics.clone();
            let serve = metrics_listener::serve(listen, move || metrics.response(), drain.clone());
            runtime.spawn(serve).await??;
        }
        // The pool's own tasks must live on the worker's threads, too.
        let started = runtime.spawn(load(options)).await;
        let worker = Arc::new(started.context("the worker can't start")??);
        let main = runtime.spawn(worker.clone().run(drain));
        Ok(Self {
            worker,
            draining,
            main,
            runtime: Some(runtime),
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

impl Drop for JobWorker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn load(options: JobOptions) -> Result<Worker> {
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
    let metrics = options.metrics;
    let loader = Loader {
        manifest: &manifest,
        compiler: &compiler,
        linker: &linker,
        variables: &variables,
        limits: &options.limits,
        key_value,
        app: Weak::new(),
        scratch: &options.state_dir.join("files"),
        workers: 1,
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
        ends,
        ended: Mutex::new(Some(ended)),
        unsure: AtomicBool::new(false),
        last_beat: Mutex::new(None),
        settings,
    })
}

struct Worker {
    queue: Queue,
    kinds: BTreeMap<String, Arc<Kind>>,
    instances: Arc<Instances>,
    metrics: Arc<Metrics>,
    running: Mutex<HashMap<Uuid, Running>>,
    /// A job has left `running`.
    changed: Notify,
    /// There may be work, or a place for it.
    wake: Notify,
    ends: mpsc::UnboundedSender<Ended>,
    ended: Mutex<Option<mpsc::UnboundedReceiver<Ended>>>,
    /// The database may hold jobs for us that we don't know of.
    unsure: AtomicBool,
    /// When the lease was renewed; `None` while it may have run out.
    last_beat: Mutex<Option<Instant>>,
    settings: JobTimes,
}

/// A job from its claim until its end is written down.
struct Running {
    kind: String,
    queue_id: i64,
    attempt: u32,
    control: Arc<Control>,
    stop: Option<oneshot::Sender<Stop>>,
    /// It runs no more; only its end is not written down yet.
    ended: bool,
}

/// The kinds that one statement claims: those that have a bound of their own are claimed alone.
struct Group {
    kind: Option<Arc<Kind>>,
    tasks: TaskDetails,
}

impl Worker {
    async fn run(self: Arc<Self>, draining: watch::Receiver<bool>) {
        let names: Vec<_> = self.kinds.keys().map(String::as_str).collect();
        tracing::info!(worker = self.queue.worker, kinds = ?names, "waiting for jobs");
        let groups = tokio::select! {
            groups = self.register() => groups,
            () = drained(draining.clone()) => return,
        };
        let beats = tokio::spawn(self.clone().beat());
        let others = [
            tokio::spawn(self.clone().listen()),
            tokio::spawn(self.clone().report_progress()),
            tokio::spawn(self.clone().maintain()),
            tokio::spawn(schedule::run(
                self.queue.database.clone(),
                self.queue.schema.clone(),
                self.kinds
                    .values()
                    .filter_map(|kind| kind.crontab.clone())
                    .collect(),
                draining.clone(),
            )),
        ];
        let finisher = tokio::spawn(self.clone().finish());
        self.clone().claim(groups, draining).await;
        self.idle().await;
        finisher.abort();
        beats.abort();
        for task in others {
            task.abort();
        }
        if let Err(error) = self.queue.leave().await {
            tracing::warn!(%error, "the worker leaves without a good-bye");
        }
    }

    /// Announces the kinds until the database has heard it.
    async fn register(&self) -> Vec<Group> {
        let kinds: Vec<_> = self
            .kinds
            .values()
            .map(|kind| (kind.name.clone(), kind.attempts))
            .collect();
        let mut retry = Retry::default();
        let tasks = loop {
            match self.queue.register(&kinds).await {
                Ok(tasks) => break tasks,
                Err(error) => {
                    retry
                        .after(&error, "the database does not answer the worker")
                        .await
                }
            }
        };
        let mut rest = TaskDetails::new();
        let mut groups = Vec::new();
        for kind in self.kinds.values() {
            let Some(id) = tasks.get_id(&kind.name) else {
                continue;
            };
            if kind.concurrency.is_some() {
                let mut tasks = TaskDetails::new();
                tasks.insert(id, kind.name.clone());
                groups.push(Group {
                    kind: Some(kind.clone()),
                    tasks,
                });
            } else {
                rest.insert(id, kind.name.clone());
            }
        }
        if !rest.task_ids().is_empty() {
            groups.push(Group {
                kind: None,
                tasks: rest,
            });
        }
        groups
    }

    /// Claims whenever there may be work and there is a place, until the worker drains.
    async fn claim(self: Arc<Self>, groups: Vec<Group>, draining: watch::Receiver<bool>) {
        let drained = drained(draining);
        tokio::pin!(drained);
        let mut polls = interval(self.settings.poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut retry = Retry::default();
        let mut saturated = false;
        loop {
            tokio::select! {
                () = &mut drained => return,
                () = self.wake.notified() => {}
                _ = polls.tick() => {}
            }
            if !self.has_lease() {
                continue;
            }
            if saturated && self.places(None) * 2 < self.settings.concurrency {
                sleep(GATHER).await;
            }
            if self.unsure.load(Ordering::Relaxed)
                && let Err(error) = self.give_back_unknown().await
            {
                retry.after(&error, "the database does not answer").await;
                self.wake.notify_one();
                continue;
            }
            match self.claim_all(&groups).await {
                Ok(full) => {
                    saturated = full;
                    retry = Retry::default();
                }
                Err(error) => {
                    self.unsure.store(true, Ordering::Relaxed);
                    retry.after(&error, "can't claim jobs").await;
                    self.wake.notify_one();
                }
            }
        }
    }

    async fn give_back_unknown(&self) -> Result<()> {
        let known: Vec<_> = self.lock().values().map(|job| job.queue_id).collect();
        self.queue.give_back_unknown(&known).await?;
        self.unsure.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Fills the places; true if there may be more to do than places.
    async fn claim_all(self: &Arc<Self>, groups: &[Group]) -> Result<bool> {
        let mut full = false;
        for group in groups {
            loop {
                let places = self.places(group.kind.as_deref());
                if places == 0 {
                    full = true;
                    break;
                }
                let claim = self.queue.claim(&group.tasks, places).await?;
                for job in claim.begun {
                    self.clone().begin(job);
                }
                if claim.claimed < places {
                    break;
                }
            }
        }
        Ok(full)
    }

    /// How many more jobs may begin, of this kind if it has a bound of its own.
    fn places(&self, kind: Option<&Kind>) -> usize {
        let running = self.lock();
        if running.len() >= self.settings.concurrency * MOST_UNWRITTEN {
            return 0;
        }
        let busy = running.values().filter(|job| !job.ended).count();
        let free = self.settings.concurrency.saturating_sub(busy);
        let Some((kind, bound)) = kind.and_then(|kind| Some((kind, kind.concurrency?))) else {
            return free;
        };
        let busy = running
            .values()
            .filter(|job| !job.ended && job.kind == kind.name)
            .count();
        free.min(bound.saturating_sub(busy))
    }

    fn begin(self: Arc<Self>, job: Begun) {
        let Some(kind) = self.kinds.get(&job.kind).cloned() else {
            // Claims name kinds, so this is a row whose job says otherwise.
            tracing::error!(job = %job.id, kind = job.kind, "claimed a job of an unknown kind");
            self.unsure.store(true, Ordering::Relaxed);
            return;
        };
        let control = Arc::<Control>::default();
        let (stop, stopped) = oneshot::channel();
        self.lock().insert(
            job.id,
            Running {
                kind: job.kind.clone(),
                queue_id: job.queue_id,
                attempt: job.attempt,
                control: control.clone(),
                stop: Some(stop),
                ended: false,
            },
        );
        let span = tracing::info_span!("job", id = %job.id, kind = job.kind, attempt = job.attempt);
        let run = async move {
            let running = self
                .metrics
                .jobs_running
                .with_label_values(&[kind.name.as_str()]);
            running.inc();
            let started = Instant::now();
            let backoff = self.settings.backoff;
            let attempt = kind.run(&self.instances, &job, control, stopped, backoff);
            let ended = AssertUnwindSafe(attempt).catch_unwind().await;
            let ended = ended.unwrap_or_else(|_| Some(broken(&job, backoff)));
            running.dec();
            let duration = started.elapsed();
            let outcome = ended.as_ref().map_or("lost", |ended| ended.outcome.name());
            self.metrics
                .jobs
                .with_label_values(&[kind.name.as_str(), outcome])
                .observe(duration.as_secs_f64());
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            match ended {
                Some(ended) => {
                    log(&ended, duration_ms);
                    if let Some(running) = self.lock().get_mut(&job.id) {
                        running.ended = true;
                    }
                    self.wake.notify_one();
                    // The channel lives as long as the worker does.
                    _ = self.ends.send(ended);
                }
                None => {
                    tracing::warn!(duration_ms, "the job was taken over by others");
                    self.forget(job.id, job.attempt);
                }
            }
        };
        tokio::spawn(run.instrument(span));
    }

    /// Writes down how jobs ended: as many in one statement as there are while the last one ran.
    async fn finish(self: Arc<Self>) {
        let taken = self
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut ended) = taken else { return };
        let mut batch = Vec::new();
        while ended.recv_many(&mut batch, MOST_ENDS).await > 0 {
            if self.lock().len() > batch.len() {
                sleep(GATHER).await;
                while batch.len() < MOST_ENDS
                    && let Ok(more) = ended.try_recv()
                {
                    batch.push(more);
                }
            }
            self.write_down(&batch).await;
            for job in batch.drain(..) {
                self.forget(job.id, job.attempt);
            }
        }
    }

    async fn write_down(&self, batch: &[Ended]) {
        let mut retry = Retry::default();
        loop {
            match self.queue.finish(batch).await {
                Ok(done) => {
                    for lost in batch.iter().filter(|job| !done.contains(&job.id)) {
                        tracing::warn!(job = %lost.id, "the job was taken over by others; its end here counts for nothing");
                    }
                    return;
                }
                // The database has read it and refuses: one of them can't be stored.
                Err(sqlx::Error::Database(error)) if is_data(&*error) => match batch {
                    [one] if one.result.is_some() => {
                        tracing::warn!(job = %one.id, %error, "the job's result can't be stored");
                        let replacement = unusable(one, self.settings.backoff);
                        return Box::pin(self.write_down(&[replacement])).await;
                    }
                    [one] => {
                        tracing::error!(job = %one.id, %error, "the job's end can't be written down; it goes back into the queue");
                        self.unsure.store(true, Ordering::Relaxed);
                        return;
                    }
                    many => {
                        for one in many {
                            Box::pin(self.write_down(std::slice::from_ref(one))).await;
                        }
                        return;
                    }
                },
                Err(error) => {
                    retry
                        .after(&error.into(), "can't write down how jobs ended")
                        .await
                }
            }
        }
    }

    /// Renews the lease, hears of jobs to cancel, and takes over from workers that are silent.
    async fn beat(self: Arc<Self>) {
        let mut beats = interval(self.settings.lease / BEATS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let passed: Vec<_> = self
                .lock()
                .iter()
                .map(|(id, job)| (*id, job.queue_id, job.attempt))
                .collect();
            let ids: Vec<_> = passed.iter().map(|(_, queue_id, _)| *queue_id).collect();
            let sent = Instant::now();
            match timeout(self.settings.lease / 2, self.queue.heartbeat(&ids)).await {
                Ok(Ok(held)) => {
                    let was_away = self.renew(sent);
                    let held: HashMap<_, _> = held
                        .into_iter()
                        .map(|held| (held.queue_id, held.cancel))
                        .collect();
                    for (id, queue_id, attempt) in passed {
                        match held.get(&queue_id) {
                            Some(true) => self.cancel(id),
                            Some(false) => {}
                            None => self.stop(id, attempt, Stop::Lost),
                        }
                    }
                    if was_away {
                        self.wake.notify_one();
                    }
                    if let Err(error) = self.queue.sweep(self.settings.lease).await {
                        tracing::warn!(%error, "can't look after other workers");
                    }
                }
                failed => {
                    let why = match failed {
                        Ok(Err(error)) => format!("{error:#}"),
                        _ => "the database did not answer in time".to_owned(),
                    };
                    tracing::warn!(why, "a heartbeat failed");
                    self.check_lease();
                }
            }
        }
    }

    /// Notes that the lease was renewed; true if it may have run out before.
    fn renew(&self, at: Instant) -> bool {
        let mut last = self
            .last_beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.replace(at).is_none()
    }

    fn has_lease(&self) -> bool {
        let last = *self
            .last_beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < self.settings.lease)
    }

    /// Stops the jobs when others may take them over at any moment.
    fn check_lease(&self) {
        let mut last = self
            .last_beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let margin = self.settings.lease / BEATS;
        if last.is_some_and(|at| at.elapsed() + margin >= self.settings.lease) {
            *last = None;
            drop(last);
            tracing::error!(
                "the lease runs out: the running jobs are stopped, others may take them over"
            );
            self.stop_all(Stop::Returned);
        }
    }

    /// Hears of new jobs and of those to cancel; without it, polls and heartbeats find them later.
    async fn listen(self: Arc<Self>) {
        if !self.settings.listen {
            return std::future::pending().await;
        }
        let mut retry = Retry::default();
        loop {
            let error = match self.queue.listen().await {
                Ok(mut listener) => {
                    // What came before we listened was told to nobody.
                    self.wake.notify_one();
                    loop {
                        match listener.try_recv().await {
                            Ok(Some(told)) if told.channel() == CANCEL => {
                                if let Ok(id) = told.payload().parse() {
                                    self.cancel(id);
                                }
                            }
                            Ok(_) => self.wake.notify_one(),
                            Err(error) => break error.into(),
                        }
                    }
                }
                Err(error) => error,
            };
            retry.after(&error, "can't listen for jobs").await;
        }
    }

    async fn report_progress(self: Arc<Self>) {
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let reports: Vec<_> = self
                .lock()
                .iter()
                .filter_map(|(id, job)| {
                    let progress = job.control.take_progress()?;
                    Some(Report {
                        id: *id,
                        attempt: job.attempt,
                        percent: progress.percent,
                        note: progress.note,
                    })
                })
                .collect();
            if !reports.is_empty()
                && let Err(error) = self.queue.report(&reports).await
            {
                tracing::warn!(%error, "can't write down how far jobs are");
            }
        }
    }

    async fn maintain(self: Arc<Self>) {
        let mut ticks = interval(self.settings.maintenance);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let settings = &self.settings;
            let done = self
                .queue
                .maintain(settings.keep, settings.keep_dead, settings.lease);
            if let Err(error) = done.await {
                tracing::warn!(%error, "can't tidy up the queue");
            }
        }
    }

    /// Asks a job to stop, and stops it if it doesn't.
    fn cancel(self: &Arc<Self>, id: Uuid) {
        let Some((control, attempt)) = self
            .lock()
            .get(&id)
            .map(|job| (job.control.clone(), job.attempt))
        else {
            return;
        };
        if control.is_cancelled() {
            return;
        }
        control.cancel();
        let worker = self.clone();
        tokio::spawn(async move {
            sleep(worker.settings.cancel_grace).await;
            worker.stop(id, attempt, Stop::Cancelled);
        });
    }

    fn stop(&self, id: Uuid, attempt: u32, how: Stop) {
        let mut running = self.lock();
        let stop = running
            .get_mut(&id)
            .filter(|job| job.attempt == attempt)
            .and_then(|job| job.stop.take());
        // An error means that the run has just ended.
        _ = stop.map(|stop| stop.send(how));
    }

    fn stop_all(&self, how: Stop) {
        for job in self.lock().values_mut() {
            _ = job.stop.take().map(|stop| stop.send(how));
        }
    }

    fn forget(&self, id: Uuid, attempt: u32) {
        let mut running = self.lock();
        if running.get(&id).is_some_and(|job| job.attempt == attempt) {
            running.remove(&id);
        }
        drop(running);
        self.changed.notify_waiters();
        self.wake.notify_one();
    }

    /// Waits until no job runs.
    async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the worker was dropped.
    _ = draining.wait_for(|draining| *draining).await;
}

/// Whether the database refuses what it was told, rather than being away or busy.
fn is_data(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| {
        code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
    })
}

fn log(ended: &Ended, duration_ms: u64) {
    let error = ended.error.as_deref();
    match ended.outcome {
        Outcome::Succeeded | Outcome::Returned | Outcome::Cancelled => {
            tracing::info!(outcome = ended.outcome.name(), duration_ms, error, "job");
        }
        Outcome::Failed => {
            tracing::warn!(duration_ms, error, retry_ms = ended.delay_ms, "job failed")
        }
        Outcome::Dead => tracing::error!(duration_ms, error, "job failed for good"),
    }
}

/// Growing pauses between attempts at the database; the first failure of a row is logged.
#[derive(Default)]
struct Retry {
    failures: u32,
}

impl Retry {
    async fn after(&mut self, error: &anyhow::Error, what: &str) {
        if self.failures == 0 {
            tracing::warn!(error = format!("{error:#}"), "{what}; trying again");
        }
        let (first, most) = RETRY;
        let pause = first.saturating_mul(1 << self.failures.min(10)).min(most);
        self.failures += 1;
        sleep(pause).await;
    }
}
