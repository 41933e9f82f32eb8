//! Does what schedules say when they are due. The database decides what is due, by its own clock; this component knows the
//! calendar. A job without arguments dispatches, and one with a firing sends that firing's request.

mod call;
mod dispatch;

use guest::{Db, Failure, Job};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    /// The firing whose request is sent; `None` to dispatch what is due.
    firing: Option<Uuid>,
}

/// What the job has done.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Summary {
    /// The number of schedules that were due.
    Dispatched {
        /// The number of schedules.
        schedules: u64,
    },
    /// A request was sent.
    Called {
        /// The status of the answer; null if there was nothing to send.
        status: Option<u16>,
    },
}

/// Dispatches what is due, or sends the request of one firing.
///
/// # Errors
/// The database can't be reached, which is tried again later, or the request failed.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> {
    match job.payload.firing {
        Some(firing) => call::send(&db, firing).await,
        None => dispatch::run(&db).await,
    }
}

guest::export_job!(super::run);
