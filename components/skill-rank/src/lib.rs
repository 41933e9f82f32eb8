//! Ranks the skills: the formula stands in the database, at `skills.rank_all`. Runs by itself every few
//! minutes; running twice does no harm.

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};

/// It needs no arguments; the queue adds when it was due.
#[derive(Debug, Deserialize)]
pub struct Arguments {}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ranked {
    /// Skills whose rank or counts have changed.
    pub changed: u64,
}

/// Ranks all skills in one statement.
///
/// # Errors
/// The database failed; then the ranks are as they were.
pub async fn run(db: Db, _: Job<Arguments>) -> Result<Ranked, Failure> {
    Ok(db.one("select rank_all() as changed", args![]).await?)
}

guest::export_job!(super::run);
