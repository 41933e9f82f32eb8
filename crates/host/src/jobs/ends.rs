//! The ends of jobs, which are written to the database in batches, until the database has taken them.

use super::{
    kind::unusable,
    queue::{Ended, Outcome},
    state::{GATHER, Retry, Worker},
};
use std::sync::{Arc, atomic::Ordering};
use tokio::{sync::mpsc, time::sleep};

/// The largest number of ends in one statement.
const MOST_ENDS: usize = 64;

impl Worker {
    /// Writes down how jobs ended. Each statement takes all ends that came while the last one ran.
    pub(super) async fn finish(self: Arc<Self>, mut ended: mpsc::UnboundedReceiver<Ended>) {
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
                        // Or a crash of the database forgot that it began: then we hold it still.
                        self.unsure.store(true, Ordering::Relaxed);
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
}

/// Whether the database refuses the statement itself, and is not just away or busy.
fn is_data(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| {
        code.starts_with("22") || code.starts_with("23") || code.starts_with("54")
    })
}

pub(super) fn log(ended: &Ended, duration_ms: u64) {
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
