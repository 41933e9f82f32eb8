//! What the parts of a worker share: its jobs, its way to the queue, and how it waits.

use super::{
    kind::Stop,
    kinds::Kinds,
    queue::{Ended, Queue},
    times::JobTimes,
};
use crate::{
    interfaces::{connections::Connections, jobs::Control},
    metrics::Metrics,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};
use uuid::Uuid;

/// Waiting this long for more permits or ends lets one statement serve them all.
pub(super) const GATHER: Duration = Duration::from_millis(1);
/// The first and the longest pause before a database that failed is asked again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One worker; [`super::start`] makes it.
pub(super) struct Worker {
    pub(super) queue: Queue,
    pub(super) kinds: Arc<Kinds>,
    pub(super) connections: Connections,
    pub(super) metrics: Arc<Metrics>,
    pub(super) running: Mutex<HashMap<Uuid, Running>>,
    /// A job has left `running`.
    pub(super) changed: Notify,
    /// There may be work, or a permit for it.
    pub(super) wake: Notify,
    /// There may be new events.
    pub(super) events: Notify,
    pub(super) ends: mpsc::UnboundedSender<Ended>,
    /// The database may hold jobs in this worker's name that the worker does not know of.
    pub(super) unsure: AtomicBool,
    /// The time of the lease's last renewal; `None` while the lease may have run out.
    pub(super) last_beat: Mutex<Option<Instant>>,
    pub(super) settings: JobTimes,
}

/// A job from its claim until its end is written to the database.
pub(super) struct Running {
    pub(super) kind: String,
    pub(super) queue_id: i64,
    pub(super) attempt: u32,
    pub(super) control: Arc<Control>,
    pub(super) stop: Option<oneshot::Sender<Stop>>,
    /// Whether the job uses none of the worker's permits.
    pub(super) own_places: bool,
    /// Whether the job has ended, and only its end is not written down yet.
    pub(super) ended: bool,
}

impl Worker {
    /// Asks a job to stop, and stops it if it does not end by itself.
    pub(super) fn cancel(self: &Arc<Self>, id: Uuid) {
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

    pub(super) fn stop(&self, id: Uuid, attempt: u32, how: Stop) {
        let mut running = self.lock();
        let stop = running
            .get_mut(&id)
            .filter(|job| job.attempt == attempt)
            .and_then(|job| job.stop.take());
        // An error means that the run has just ended.
        _ = stop.map(|stop| stop.send(how));
    }

    pub(super) fn stop_all(&self, how: Stop) {
        for job in self.lock().values_mut() {
            _ = job.stop.take().map(|stop| stop.send(how));
        }
    }

    pub(super) fn forget(&self, id: Uuid, attempt: u32) {
        let mut running = self.lock();
        if running.get(&id).is_some_and(|job| job.attempt == attempt) {
            running.remove(&id);
        }
        drop(running);
        self.changed.notify_waiters();
        self.wake.notify_one();
    }

    /// Waits until no job runs.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().is_empty() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Growing pauses between attempts at the database; the first failure in a row is logged.
#[derive(Default)]
pub(super) struct Retry {
    failures: u32,
}

impl Retry {
    pub(super) async fn after(&mut self, error: &anyhow::Error, what: &str) {
        if self.failures == 0 {
            tracing::warn!(error = format!("{error:#}"), "{what}; trying again");
        }
        let (first, most) = RETRY;
        let pause = first.saturating_mul(1 << self.failures.min(10)).min(most);
        self.failures += 1;
        sleep(pause).await;
    }
}
