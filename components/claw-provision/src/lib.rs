//! Makes of a claw what its owner wants. A job without arguments, which runs once a minute, ends or rests the claws whose
//! time is over.

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    /// What is to be done; `None` to look for claws whose time is over.
    #[serde(flatten)]
    wanted: Option<Wanted>,
}

/// What its owner wants of a claw, which `claws.claw` says.
#[derive(Debug, Deserialize)]
struct Wanted {
    /// The claw's id.
    claw: Uuid,
    /// The generation of what is wanted: if there is a newer one, nothing is done.
    generation: i32,
    /// Why it is wanted, for the claw's history.
    cause: String,
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
    let Some(wanted) = job.payload.wanted else {
        return Ok(db.one("select sweep() as claws", args![]).await?);
    };
    Ok(db
        .one(
            "select act($1, $2, $3) as status",
            args![wanted.claw, wanted.generation, wanted.cause],
        )
        .await?)
}

guest::export_job!(super::run);
