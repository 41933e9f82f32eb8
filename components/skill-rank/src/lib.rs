//! Ranks the skills by the formula in the database function `skills.rank_all`. Runs by itself every few minutes;
//! running it twice does no harm.

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};

/// The arguments: none. The queue adds the time at which the job was due.
#[derive(Debug, Deserialize)]
pub struct Arguments {}

/// The result of a ranking.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ranked {
    /// The number of skills whose rank or counts have changed.
    pub changed: u64,
}

/// Ranks all skills in one statement.
///
/// # Errors
/// The database failed. The ranks are then unchanged.
pub async fn run(db: Db, _: Job<Arguments>) -> Result<Ranked, Failure> {
    Ok(db.one("select rank_all() as changed", args![]).await?)
}

guest::export_job!(super::run);
