//! The times and bounds of a worker.

use std::time::Duration;

/// The times and bounds of a worker.
#[derive(Debug, Clone)]
pub struct JobTimes {
    /// The largest number of jobs at the same time. Default 32.
    pub concurrency: usize,
    /// The silence after which other workers take this worker's jobs over. Default 15 s.
    pub lease: Duration,
    /// The interval at which the worker looks for work without a notification. Default 1 s.
    pub poll: Duration,
    /// Whether the worker is notified of new work. Default true; otherwise it finds work by looking.
    pub listen: bool,
    /// The deadline of a kind that does not set one. Default 10 min.
    pub deadline: Duration,
    /// The time that a cancelled job has to end in good order. Default 5 s.
    pub cancel_grace: Duration,
    /// The delay before the second attempt; it doubles with each. Default 2 s.
    pub backoff: Duration,
    /// The time for which finished jobs are kept. Default 7 days.
    pub keep: Duration,
    /// The time for which dead jobs are kept. Default 30 days.
    pub keep_dead: Duration,
    /// The interval at which counters are added up and old jobs are deleted. Default 5 s.
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
