//! How a worker works.

use std::time::Duration;

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
