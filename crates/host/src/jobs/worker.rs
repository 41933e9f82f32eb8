//! A worker, which claims jobs as it has permits, runs them, and writes down how they ended.
//!
//! It holds its jobs by a lease that heartbeats renew. If they fail for so long that other workers may
//! take it for dead, it stops its jobs itself. If another worker has taken a job over, this worker's result is dropped.

use super::{
    ends::log,
    kind::{Kind, Stop, broken},
    queue::{Begun, CANCEL, EVENTS, Ended, Report},
    schedule,
    state::{GATHER, Retry, Running, Worker},
    watch::Watch,
};
use crate::interfaces::jobs::Control;
use anyhow::Result;
use futures::FutureExt;
use graphile_worker_queries::task_identifiers::TaskDetails;
use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::Instrument;

/// The interval at which progress is written to the database.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// No more jobs are claimed while the ends of this many times as many jobs as permits wait to be written down.
const MOST_UNWRITTEN: usize = 4;

/// The kinds that one statement claims. A kind with its own bound is claimed alone.
struct Group {
    kind: Option<Arc<Kind>>,
    tasks: TaskDetails,
}

impl Worker {
    /// Works until `draining` is set and no job runs any more. `ended` brings the ends of jobs.
    pub(super) async fn run(
        self: Arc<Self>,
        draining: watch::Receiver<bool>,
        ended: mpsc::UnboundedReceiver<Ended>,
    ) {
        let names: Vec<_> = self.kinds.all().map(|kind| kind.name.clone()).collect();
        tracing::info!(
            worker = self.queue.worker,
            kinds = names.join(" "),
            "waiting for jobs"
        );
        let groups = tokio::select! {
            groups = self.register() => groups,
            () = drained(draining.clone()) => return,
        };
        let beats = tokio::spawn(self.clone().beat());
        let others = [
            tokio::spawn(self.clone().listen()),
            tokio::spawn(self.clone().report_progress()),
            tokio::spawn(self.clone().maintain()),
            tokio::spawn(self.clone().follow_events()),
            tokio::spawn(schedule::run(
                self.queue.database.clone(),
                self.queue.schema.clone(),
                self.kinds
                    .all()
                    .filter_map(|kind| kind.crontab.clone())
                    .collect(),
                draining.clone(),
            )),
        ];
        let finisher = tokio::spawn(self.clone().finish(ended));
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

    /// Announces the kinds, and repeats that until the database has taken it.
    async fn register(&self) -> Vec<Group> {
        let kinds: Vec<_> = self
            .kinds
            .all()
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
        for kind in self.kinds.all() {
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

    /// Claims jobs whenever there may be work and a permit is free, until the worker drains.
    async fn claim(self: Arc<Self>, groups: Vec<Group>, draining: watch::Receiver<bool>) {
        let drained = drained(draining);
        tokio::pin!(drained);
        let mut watch = Watch::new(&self.settings);
        let mut retry = Retry::default();
        let mut saturated = false;
        loop {
            let woken = tokio::select! {
                () = &mut drained => return,
                () = self.wake.notified() => true,
                () = sleep(watch.pause(self.places(None) > 0)) => false,
            };
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
            let claimed = match self.claim_all(&groups).await {
                Ok((claimed, full)) => {
                    saturated = full;
                    let places = self.places(None) > 0;
                    watch.after(&self.queue, claimed || woken, places).await
                }
                Err(error) => Err(error),
            };
            match claimed {
                Ok(()) => retry = Retry::default(),
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

    /// Claims a job for each free permit. Returns whether it found any, and whether there may be more jobs than
    /// permits.
    async fn claim_all(self: &Arc<Self>, groups: &[Group]) -> Result<(bool, bool)> {
        let (mut found, mut full) = (false, false);
        for group in groups {
            loop {
                let places = self.places(group.kind.as_deref());
                if places == 0 {
                    full = true;
                    break;
                }
                let claim = self.queue.claim(&group.tasks, places).await?;
                found |= claim.claimed > 0;
                for job in claim.begun {
                    self.clone().begin(job);
                }
                if claim.claimed < places {
                    break;
                }
            }
        }
        Ok((found, full))
    }

    /// The number of jobs that may still begin, of this kind if it has its own bound.
    fn places(&self, kind: Option<&Kind>) -> usize {
        let running = self.lock();
        if let Some(kind) = kind.filter(|kind| kind.own_places) {
            let busy = running.values().filter(|job| job.kind == kind.name);
            return kind.concurrency.unwrap_or(0).saturating_sub(busy.count());
        }
        let ordinary = || running.values().filter(|job| !job.own_places);
        if ordinary().count() >= self.settings.concurrency * MOST_UNWRITTEN {
            return 0;
        }
        let busy = ordinary().filter(|job| !job.ended).count();
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
        let Some(kind) = self.kinds.get(&job.kind) else {
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
                own_places: kind.own_places,
                ended: false,
            },
        );
        let span = tracing::info_span!(
            target: trace::TARGET,
            parent: None,
            "job",
            id = %job.id,
            kind = job.kind,
            attempt = job.attempt
        );
        trace::follow(&span, job.traceparent.as_deref());
        let attempt = async move { self.attempt(&kind, &job, control, stopped).await };
        tokio::spawn(attempt.instrument(span));
    }

    /// Runs a job that has begun, counts it, and passes on how it ended.
    async fn attempt(
        &self,
        kind: &Kind,
        job: &Begun,
        control: Arc<Control>,
        stopped: oneshot::Receiver<Stop>,
    ) {
        let name = kind.name.as_str();
        let running = self.metrics.jobs_running.with_label_values(&[name]);
        running.inc();
        let started = Instant::now();
        let backoff = self.settings.backoff;
        let attempt = kind.run(&self.connections, job, control, stopped, backoff);
        let ended = AssertUnwindSafe(attempt).catch_unwind().await;
        let ended = ended.unwrap_or_else(|_| Some(broken(job, backoff)));
        running.dec();
        let duration = started.elapsed();
        let outcome = ended.as_ref().map_or("lost", |ended| ended.outcome.name());
        self.metrics
            .jobs
            .with_label_values(&[name, outcome])
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
    }

    /// Listens for new jobs and for cancellations, which polls and heartbeats would find only later.
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
                            Ok(Some(told)) if told.channel() == EVENTS => self.events.notify_one(),
                            Ok(Some(_)) => self.wake.notify_one(),
                            // The connection broke and was made again.
                            Ok(None) => {
                                self.unsure.store(true, Ordering::Relaxed);
                                self.wake.notify_one();
                            }
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
            self.connections.pools.trim();
            let settings = &self.settings;
            let done = self
                .queue
                .maintain(settings.keep, settings.keep_dead, settings.lease);
            if let Err(error) = done.await {
                tracing::warn!(%error, "can't tidy up the queue");
            }
            self.measure().await;
        }
    }

    /// Shows what the database knows. While it does not answer, nothing is shown: an old number would be taken for a new one.
    async fn measure(&self) {
        let measured = self.queue.measures().await;
        let shown = self
            .metrics
            .measured(measured.as_deref().unwrap_or_default());
        if let Err(error) = measured.map(drop).and(shown) {
            tracing::warn!(%error, "can't read what is measured");
        }
    }
}

async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the worker was dropped.
    _ = draining.wait_for(|draining| *draining).await;
}
