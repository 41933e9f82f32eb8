//! Makes of a claw what its owner wants, and wakes it by the events that it waits for. A job without arguments, which runs once a minute, ends or rests the claws whose
//! time is over.

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Arguments {
    /// What its owner wants of a claw, which `claws.claw` says.
    Wanted {
        /// The claw's id.
        claw: Uuid,
        /// The generation of what is wanted: if there is a newer one, nothing is done.
        generation: i32,
        /// Why it is wanted, for the claw's history.
        cause: String,
    },
    /// An event that a claw waits for has happened.
    Woken {
        /// The claw, and what it is told.
        argument: Value,
        /// Which event it was.
        event: Value,
    },
    /// Claws whose time is over are looked for. The queue adds the time at which the job was due.
    Look {},
}

/// What the job has done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Summary {
    /// Claws were looked for.
    Looked {
        /// The number of claws of which something else is wanted now.
        claws: i32,
    },
    /// A claw is what its owner wants.
    Done {
        /// The claw's status; null if something else is wanted now, or it is gone.
        status: Option<String>,
    },
}

/// Makes of a claw what its owner wants, or looks for those whose time is over.
///
/// # Errors
/// The database can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> {
    Ok(match job.payload {
        Arguments::Wanted {
            claw,
            generation,
            cause,
        } => {
            db.one(
                "select act($1, $2, $3) as status",
                args![claw, generation, cause],
            )
            .await?
        }
        Arguments::Woken { argument, event } => {
            db.execute("select woken($1, $2)", args![argument, event])
                .await?;
            Summary::Done { status: None }
        }
        Arguments::Look {} => db.one("select sweep() as claws", args![]).await?,
    })
}

guest::export_job!(super::run);
