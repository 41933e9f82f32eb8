//! One kind of queued work: its component, and the run of a job in a fresh instance.

use super::queue::{Begun, Ended, Outcome};
use crate::{
    instance_template::InstanceTemplate,
    interfaces::{
        connections::Connections,
        jobs::{Control, CorePre, Failure, Job, Jobs, Retry},
        mail,
    },
    job_settings::{self, JobSettings},
    load::Loader,
    manifest::Component,
    metrics::Metrics,
    state::{self, State},
};
use anyhow::{Context, Result, ensure};
use graphile_worker_crontab_types::Crontab;
use serde_json::value::RawValue;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, time::sleep};
use wasm::Data;
use wasmtime::Store;

/// The largest result, since results are kept in the database and sent to clients whole.
const MAX_RESULT_BYTES: usize = 1 << 20;
/// The length at which an error's text is cut.
const MAX_ERROR_CHARS: usize = 2000;
/// The longest pause that a component may ask for before its next attempt.
const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The longest delay between attempts that the worker chooses.
const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);

/// A kind of work that this worker does.
pub struct Kind {
    /// The component's id.
    pub name: String,
    /// The largest number of attempts at a job.
    pub attempts: u32,
    /// The largest number of jobs at the same time in this worker; `None` if only the worker's permits bound it.
    pub concurrency: Option<usize>,
    /// Whether the kind has its own permits, besides the worker's.
    pub own_places: bool,
    /// The schedule by which jobs of this kind begin by themselves.
    pub crontab: Option<Crontab>,
    pre: CorePre<Data>,
    template: Arc<InstanceTemplate>,
    deadline: Duration,
    metrics: Arc<Metrics>,
}

/// The reason to end a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The owner cancelled the job, and it did not stop when asked.
    Cancelled,
    /// The worker stops, or has lost touch with the database.
    Returned,
    /// Another worker holds the job, so nothing may be written about it.
    Lost,
}

impl Kind {
    /// Loads the component of a queued kind.
    ///
    /// # Errors
    /// The component cannot be loaded, does not export `gather:jobs/core`'s `run`, or imports mail without the right to
    /// it.
    pub fn load(
        loader: &Loader,
        component: &Component,
        settings: &JobSettings,
        deadline: Duration,
    ) -> Result<Self> {
        let id = &component.id;
        ensure!(
            !settings.own_places || component.settings.concurrency.is_some(),
            "own_places of `{id}` needs `concurrency` in [component.{id}.tool.gather]: how many there are"
        );
        Ok(Self {
            name: id.clone(),
            attempts: settings.attempts,
            concurrency: component.settings.concurrency,
            own_places: settings.own_places,
            crontab: job_settings::crontab(id, settings)?,
            pre: work(loader, component)?,
            template: Arc::new(loader.template(component)?),
            deadline: component
                .settings
                .deadline_ms
                .map_or(deadline, Duration::from_millis),
            metrics: loader.metrics().clone(),
        })
    }

    /// Loads the component again from its file, which holds a newer build.
    ///
    /// # Errors
    /// As [`Kind::load`].
    pub fn reload(&self, loader: &Loader) -> Result<Self> {
        Ok(Self {
            name: self.name.clone(),
            attempts: self.attempts,
            concurrency: self.concurrency,
            own_places: self.own_places,
            crontab: self.crontab.clone(),
            pre: work(loader, loader.component(&self.name)?)?,
            template: self.template.clone(),
            deadline: self.deadline,
            metrics: self.metrics.clone(),
        })
    }

    /// Runs one attempt. `None` if this worker lost the job on the way.
    pub async fn run(
        &self,
        connections: &Connections,
        job: &Begun,
        control: Arc<Control>,
        stop: oneshot::Receiver<Stop>,
        backoff: Duration,
    ) -> Option<Ended> {
        let run = self.call(connections, job, control.clone());
        // The guest comes last: the others are looked at whenever it lets others run.
        let result = tokio::select! {
            biased;
            Ok(stop) = stop => match stop {
                Stop::Cancelled => return Some(ended(job, Outcome::Cancelled, None)),
                Stop::Returned => return Some(ended(job, Outcome::Returned, None)),
                Stop::Lost => return None,
            },
            () = sleep(self.deadline) => {
                let error = format!("It was stopped: it took longer than its deadline of {} ms.", self.deadline.as_millis());
                Err(failure(error))
            }
            result = run => result,
        };
        Some(match result {
            Ok(result) => Ended {
                result: Some(result),
                ..ended(job, Outcome::Succeeded, None)
            },
            Err(failed) if control.is_cancelled() => {
                ended(job, Outcome::Cancelled, Some(failed.message))
            }
            Err(failed) => {
                let delay = match failed.retry {
                    Retry::Never => None,
                    Retry::Later => Some(delay(backoff, job.attempt, fastrand::f64())),
                    Retry::AfterMs(ms) => Some(Duration::from_millis(ms).min(MAX_DELAY)),
                };
                let outcome = delay.map_or(Outcome::Dead, |_| Outcome::Failed);
                Ended {
                    delay_ms: delay.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
                    ..ended(job, outcome, Some(failed.message))
                }
            }
        })
    }

    async fn call(
        &self,
        connections: &Connections,
        job: &Begun,
        control: Arc<Control>,
    ) -> Result<Box<RawValue>, Failure> {
        let started = Instant::now();
        let engine = self.pre.engine();
        let store = self.template.store(engine, connections);
        let mut store = store.map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "no instance could be made");
            failure("The worker could not make an instance.".to_owned())
        })?;
        state::of(store.data_mut()).interfaces.jobs = Jobs(control);
        let given = Job {
            id: job.id.to_string(),
            kind: job.kind.clone(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            owner: job.owner.map(|owner| owner.to_string()),
            payload: job.payload.to_string(),
        };
        let called = self.call_in(&mut store, given, started).await;
        let text = called.map_err(|trap| self.trapped(&store, &trap))??;
        if text.len() > MAX_RESULT_BYTES {
            let error = format!(
                "Its result has {} bytes; {MAX_RESULT_BYTES} are allowed.",
                text.len()
            );
            return Err(failure(error));
        }
        RawValue::from_string(text)
            .map_err(|error| failure(format!("Its result is not JSON: {error}.")))
    }

    /// The text about a trap for the owner; the log has the whole trap.
    fn trapped(&self, store: &Store<Data>, trap: &wasmtime::Error) -> Failure {
        tracing::error!(trap = format!("{trap:?}"), "the component trapped");
        self.metrics
            .traps
            .with_label_values(&[self.name.as_str()])
            .inc();
        if store.data().get::<State>().was_refused_memory() {
            let limit = self.template.limits.memory_bytes;
            return failure(format!(
                "It needed more memory than its limit of {limit} bytes."
            ));
        }
        failure("The component trapped; the worker's log says where.".to_owned())
    }

    async fn call_in(
        &self,
        store: &mut Store<Data>,
        job: Job,
        started: Instant,
    ) -> wasmtime::Result<Result<String, Failure>> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        self.metrics
            .instantiation
            .with_label_values(&[self.name.as_str()])
            .observe(started.elapsed().as_secs_f64());
        store
            .run_concurrent(async |accessor| instance.call_run(accessor, job).await)
            .await?
    }
}

/// The component's export for jobs.
fn work(loader: &Loader, component: &Component) -> Result<CorePre<Data>> {
    let id = &component.id;
    let pre = loader.prepare(component)?;
    mail::check(id, pre.component(), component.settings.mail)?;
    CorePre::new(pre)
        .map_err(anyhow::Error::from)
        .with_context(|| {
            format!(
                "component `{id}` does queued work, so it must export `run` of gather:jobs/worker"
            )
        })
}

/// An end without a result.
fn ended(job: &Begun, outcome: Outcome, error: Option<String>) -> Ended {
    // PostgreSQL's text has no zero character.
    let clean = |text: String| {
        text.chars()
            .filter(|c| *c != '\0')
            .take(MAX_ERROR_CHARS)
            .collect()
    };
    Ended {
        id: job.id,
        queue_id: job.queue_id,
        attempt: job.attempt,
        outcome,
        result: None,
        error: error.map(clean),
        delay_ms: None,
    }
}

/// The end of an attempt whose result the database refuses.
pub fn unusable(job: &Ended, backoff: Duration) -> Ended {
    let delay = delay(backoff, job.attempt, fastrand::f64());
    Ended {
        id: job.id,
        queue_id: job.queue_id,
        attempt: job.attempt,
        outcome: Outcome::Failed,
        result: None,
        error: Some("Its result can't be stored as JSON in the database.".to_owned()),
        delay_ms: u64::try_from(delay.as_millis()).ok(),
    }
}

/// The end of an attempt that failed by a fault of the host.
pub fn broken(job: &Begun, backoff: Duration) -> Ended {
    let delay = delay(backoff, job.attempt, fastrand::f64());
    let error = "The worker failed; its log says why.".to_owned();
    Ended {
        delay_ms: u64::try_from(delay.as_millis()).ok(),
        ..ended(job, Outcome::Failed, Some(error))
    }
}

fn failure(message: String) -> Failure {
    Failure {
        message,
        retry: Retry::Later,
    }
}

/// The delay before the next attempt: twice as long after each attempt, an hour at most, and up to a quarter more or
/// less by chance, so that jobs that failed together do not come back together. `chance` is from 0 to 1.
fn delay(first: Duration, attempt: u32, chance: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(30);
    let delay = first.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    delay.mul_f64(0.75 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_an_hour() {
        let second = Duration::from_secs(1);
        let middle = |attempt| delay(second, attempt, 0.5);
        assert_eq!(middle(1), second);
        assert_eq!(middle(2), 2 * second);
        assert_eq!(middle(5), 16 * second);
        assert_eq!(middle(13), MAX_BACKOFF);
        assert_eq!(middle(u32::MAX), MAX_BACKOFF);
        assert_eq!(delay(second, 1, 0.0), Duration::from_millis(750));
        assert_eq!(delay(second, 1, 1.0), Duration::from_millis(1250));
    }
}
