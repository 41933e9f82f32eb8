//! The times at which a worker looks for jobs: often while there are some, and seldom while the database notifies it.
//!
//! Commits with a notification take turns, so whoever asks for work notifies only workers that have said that they
//! sleep.

use super::{queue::Queue, times::JobTimes};
use anyhow::Result;
use std::time::{Duration, Instant};

/// The pause between two looks of a worker that is awake.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The time without a job after which a worker falls asleep, so that brief pauses do not cost writers a notification.
const AWAKE_FOR: Duration = Duration::from_millis(100);
/// The pauses before the looks after falling asleep. They find jobs that were asked for before and are committed
/// afterwards, of which there is no notification.
const ASLEEP: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(150),
];

/// The state of a worker's looks: whether it sleeps, and for how long it has found nothing.
pub(super) struct Watch {
    poll: Duration,
    is_told: bool,
    found: Instant,
    /// The number of looks since the worker fell asleep.
    asleep: Option<usize>,
}

impl Watch {
    pub(super) fn new(settings: &JobTimes) -> Self {
        Self {
            poll: settings.poll,
            is_told: settings.listen,
            found: Instant::now(),
            asleep: None,
        }
    }

    /// The time to wait before the next look, which is useless while no permit for a job is free.
    pub(super) fn pause(&self, has_place: bool) -> Duration {
        let pause = match self.asleep {
            _ if !self.is_told || !has_place => self.poll,
            None => LOOK_EVERY,
            Some(looks) => ASLEEP.get(looks).copied().unwrap_or(self.poll),
        };
        pause.min(self.poll)
    }

    /// Notes a look, and whether it found a job or the worker was woken by a notification.
    pub(super) async fn after(
        &mut self,
        queue: &Queue,
        found: bool,
        has_place: bool,
    ) -> Result<()> {
        if !self.is_told {
            return Ok(());
        }
        match self.asleep {
            Some(_) if found => {
                queue.awake().await?;
                self.asleep = None;
            }
            Some(looks) => {
                // A crash of the database forgets who sleeps.
                if looks >= ASLEEP.len() {
                    queue.sleep().await?;
                }
                self.asleep = Some(looks.saturating_add(1));
            }
            None if !found && has_place && self.found.elapsed() > AWAKE_FOR => {
                queue.sleep().await?;
                self.asleep = Some(0);
            }
            None => {}
        }
        if found {
            self.found = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(poll: u64, listen: bool, asleep: Option<usize>) -> Watch {
        let settings = JobTimes {
            poll: Duration::from_millis(poll),
            listen,
            ..JobTimes::default()
        };
        Watch {
            asleep,
            ..Watch::new(&settings)
        }
    }

    #[test]
    fn looks_often_while_awake_and_ever_more_seldom_asleep() {
        let pause = |watch: Watch, place| watch.pause(place).as_millis();
        assert_eq!(pause(watch(1000, true, None), true), 10);
        assert_eq!(pause(watch(1000, true, None), false), 1000);
        assert_eq!(pause(watch(1000, false, None), true), 1000);
        let asleep = [0, 1, 2, 3, 99].map(|looks| pause(watch(1000, true, Some(looks)), true));
        assert_eq!(asleep, [20, 50, 150, 1000, 1000]);
        assert_eq!(pause(watch(30, true, Some(1)), true), 30);
    }
}
