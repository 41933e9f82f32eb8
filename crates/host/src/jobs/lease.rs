//! A worker's hold on its jobs: heartbeats renew it, and what they answer stops jobs.

use super::{kind::Stop, state::Worker};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Instant,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The number of heartbeats in a lease, of which some may fail.
const BEATS: u32 = 5;

impl Worker {
    /// Renews the lease, learns of jobs to cancel, and takes over the jobs of silent workers.
    pub(super) async fn beat(self: Arc<Self>) {
        let mut beats = interval(self.settings.lease / BEATS);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for beat in 1_u64.. {
            beats.tick().await;
            if beat.is_multiple_of(u64::from(BEATS)) {
                // A crash of the database may have forgotten that we gave something back.
                self.unsure.store(true, Ordering::Relaxed);
            }
            let passed: Vec<_> = self
                .lock()
                .iter()
                .map(|(id, job)| (*id, job.queue_id, job.attempt))
                .collect();
            let ids: Vec<_> = passed.iter().map(|(_, queue_id, _)| *queue_id).collect();
            let sent = Instant::now();
            let lease = self.settings.lease;
            match timeout(lease / 2, self.queue.heartbeat(&ids, lease)).await {
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

    /// Notes that the lease was renewed. Returns true if the lease may have run out before.
    fn renew(&self, at: Instant) -> bool {
        let mut last = self
            .last_beat
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.replace(at).is_none()
    }

    pub(super) fn has_lease(&self) -> bool {
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
}
