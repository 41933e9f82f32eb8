//! The settings of workers.

use std::time::Duration;

use clap::Args;
use host::jobs::JobTimes;

use super::{HEADING, parse::duration};

/// The times and bounds of a worker.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = HEADING)]
pub struct JobSettings {
    /// Jobs that a worker runs at the same time
    #[arg(long, env = "GATHER_JOBS", default_value_t = JobTimes::default().concurrency)]
    pub jobs: usize,

    /// Silence of a worker after which others take its jobs over
    #[arg(long, env = "GATHER_WORKER_LEASE", default_value = "15s", value_parser = lease)]
    pub worker_lease: Duration,

    /// Time for which finished jobs are kept; dead ones four times as long
    #[arg(long, env = "GATHER_KEEP_JOBS", default_value = "7d", value_parser = duration)]
    pub keep_jobs: Duration,
}

impl JobSettings {
    /// The times and bounds of a worker.
    pub fn times(&self) -> JobTimes {
        JobTimes {
            concurrency: self.jobs,
            lease: self.worker_lease,
            keep: self.keep_jobs,
            keep_dead: self.keep_jobs.saturating_mul(4),
            ..JobTimes::default()
        }
    }
}

/// Checks that a lease is long enough for several heartbeats.
fn lease(text: &str) -> Result<Duration, String> {
    let lease = duration(text)?;
    if lease < Duration::from_secs(1) {
        return Err("must be at least 1s".to_owned());
    }
    Ok(lease)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_room_for_heartbeats() {
        assert!(lease("500ms").is_err());
        assert_eq!(lease("1s"), Ok(Duration::from_secs(1)));
    }
}
