//! Work that events start. One worker follows the events and has `events.dispatch` match them against the
//! subscriptions; the others stand by.

use super::{
    queue::Dispatched,
    state::{Retry, Worker},
};
use anyhow::Result;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// The approximate number of events in one transaction.
const BATCH: i32 = 200;
/// The pause between two looks while events flow.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The time without an event after which the worker sleeps until it is notified, as other readers of events do.
const AWAKE_FOR: Duration = Duration::from_millis(500);
/// The pauses before the looks after falling asleep. They find what was written before and is committed afterwards,
/// of which there is no notification.
const ASLEEP: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
    Duration::from_secs(1),
];
/// The interval at which a worker that stands by checks whether the other one is still there.
const STAND_BY: Duration = Duration::from_secs(1);

impl Worker {
    /// Starts the work that events ask for, as long as the worker lives.
    pub(super) async fn follow_events(self: Arc<Self>) {
        let mut retry = Retry::default();
        let mut last = Instant::now();
        loop {
            let done = match self.dispatch().await {
                Ok(done) => done,
                Err(error) => {
                    retry.after(&error, "events can't start work").await;
                    continue;
                }
            };
            retry = Retry::default();
            if done.events {
                last = Instant::now();
            }
            if done.more {
                continue;
            } else if !done.leads {
                sleep(STAND_BY).await;
            } else if !self.settings.listen {
                sleep(self.settings.poll).await;
            } else if last.elapsed() < AWAKE_FOR {
                sleep(LOOK_EVERY).await;
            } else {
                if let Err(error) = self.sleep_until_events().await {
                    retry.after(&error, "can't wait for events").await;
                }
                last = Instant::now();
            }
        }
    }

    async fn dispatch(&self) -> Result<Dispatched> {
        let done = self.queue.dispatch(BATCH).await?;
        if done.started {
            // Its jobs need not wait for a look.
            self.wake.notify_one();
        }
        Ok(done)
    }

    async fn sleep_until_events(&self) -> Result<()> {
        let mut pauses = ASLEEP.iter();
        let mut pause = Duration::ZERO;
        loop {
            // Again each time: a crash of the database forgets who sleeps.
            self.queue.sleep_until_events(true).await?;
            let done = self.dispatch().await?;
            if done.events || !done.leads {
                break;
            }
            pause = pauses.next().copied().unwrap_or(pause);
            if timeout(pause, self.events.notified()).await.is_ok() {
                break;
            }
        }
        self.queue.sleep_until_events(false).await
    }
}
