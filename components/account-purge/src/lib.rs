//! Deletes accounts that registered and never signed in, and expired credentials and counters. Runs by itself every few
//! minutes; running it twice does no harm.

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};

/// The number of rows that one statement deletes, so that its locks are short however many rows have accumulated.
const BATCH: i32 = 1000;

/// The arguments: none. The queue adds the time at which the job was due.
#[derive(Debug, Deserialize)]
pub struct Arguments {}

/// The numbers of rows that were deleted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Purged {
    /// Accounts that never signed in within a day of registering.
    pub accounts: u64,
    /// Sessions that ended more than a day ago, with their refresh tokens.
    pub sessions: u64,
    /// Refresh tokens that expired more than a day ago.
    pub refresh_tokens: u64,
    /// Stored answers for repeated requests, older than a day.
    pub idempotency_keys: u64,
    /// Used challenges that have expired.
    pub challenges: u64,
    /// Mailed links and claims of agents that have expired.
    pub links: u64,
    /// Counters of requests and of failed sign-ins whose minute or day is over.
    pub counters: u64,
}

impl Purged {
    fn add(&mut self, more: &Self) {
        self.accounts += more.accounts;
        self.sessions += more.sessions;
        self.refresh_tokens += more.refresh_tokens;
        self.idempotency_keys += more.idempotency_keys;
        self.challenges += more.challenges;
        self.links += more.links;
        self.counters += more.counters;
    }

    /// Whether a batch was full, so that more rows may be left.
    fn is_full(&self) -> bool {
        let counts = [
            self.accounts,
            self.sessions,
            self.refresh_tokens,
            self.idempotency_keys,
            self.challenges,
            self.links,
            self.counters,
        ];
        counts
            .iter()
            .any(|count| *count >= BATCH.unsigned_abs().into())
    }
}

/// Creates the audit trail's next partitions, and deletes batch after batch until nothing is left or the job is
/// cancelled.
///
/// # Errors
/// The database failed. Rows that were deleted before stay deleted.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Purged, Failure> {
    // In a statement of its own, since it needs the trail's table for a moment.
    db.execute("select audit.maintain()", args![]).await?;
    let mut purged = Purged::default();
    let mut batches = 0_u32;
    loop {
        let batch: Purged = db
            .one("select * from identity.purge($1)", args![BATCH])
            .await?;
        purged.add(&batch);
        batches += 1;
        if !batch.is_full() || job.is_cancelled() {
            return Ok(purged);
        }
        // The number of rows left is unknown, so each batch covers half of the remaining progress.
        let percent = 100 - 100 / (batches + 1);
        job.progress(u8::try_from(percent).unwrap_or(99), "purging");
    }
}

guest::export_job!(super::run);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_batch_means_that_there_may_be_more() {
        let mut purged = Purged::default();
        assert!(!purged.is_full());
        purged.add(&Purged {
            sessions: 1000,
            ..Purged::default()
        });
        assert!(purged.is_full());
    }
}
