//! Makes of a claw what its owner wants, and wakes it by the events that it waits for. A job without
//! arguments, which runs once a minute, ends or rests the claws whose time is over.

mod containers;
mod provisioner;

use guest::{Db, Failure, Job, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::containers::Errand;

/// The arguments of the job.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Arguments {
    /// What its owner wants of a claw, which `claws.claw` says.
    Wanted {
        /// The id of the claw to bring to what is wanted of it.
        claw: Uuid,
        /// The generation of what is wanted: if there is a newer one, nothing is done.
        generation: i32,
        /// The reason why it is wanted, for the claw's history.
        cause: String,
    },
    /// An event that a claw waits for has happened.
    Woken {
        /// The claw, and what it is told.
        argument: Value,
        /// The event that has happened.
        event: Value,
    },
    /// The container of a claw is to be looked at.
    Look {
        /// The id of the claw whose container it is.
        look: Uuid,
        /// The generation of the container.
        instance: i32,
        /// The time for which that was planned, as the database wrote it.
        at: String,
    },
    /// The containers of a claw that is gone are to be removed.
    Remove {
        /// The id of the claw whose containers they are.
        remove: Uuid,
        /// The newest generation to remove.
        generation: i32,
    },
    /// Claws whose time is over are looked for, and containers that nobody wants. The queue adds the time at which the job
    /// was due.
    Sweep {},
}

#[derive(Debug, Deserialize)]
struct Begun {
    act: Option<Act>,
}

/// The rest of the work for a claw.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Act {
    /// The provisioner has to be asked.
    Ask(Errand),
    /// Nothing.
    Done { status: Option<String> },
}

/// The result of the job.
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
/// The database or the provisioner can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> {
    Ok(match job.payload {
        Arguments::Wanted {
            claw,
            generation,
            cause,
        } => {
            let token = containers::token(claw, generation).await?;
            let begun: Begun = db
                .one(
                    "select act($1, $2, $3, $4) as act",
                    args![claw, generation, cause.clone(), containers::digest(&token)],
                )
                .await?;
            let status = match begun.act {
                None => None,
                Some(Act::Done { status }) => status,
                Some(Act::Ask(errand)) => {
                    containers::run(&db, errand, (claw, generation, &cause), &token).await?
                }
            };
            Summary::Done { status }
        }
        Arguments::Woken { argument, event } => {
            db.execute("select woken($1, $2)", args![argument, event])
                .await?;
            Summary::Done { status: None }
        }
        Arguments::Look { look, instance, at } => Summary::Done {
            status: containers::look(&db, look, instance, &at).await?,
        },
        Arguments::Remove { remove, generation } => {
            containers::remove(remove, generation).await?;
            Summary::Done { status: None }
        }
        Arguments::Sweep {} => {
            let swept: Summary = db.one("select sweep() as claws", args![]).await?;
            // While the provisioner is away, there is nothing to tidy up; it is looked at again.
            if let Err(why) = containers::tidy(&db).await {
                guest::warn!("containers are not tidied up", cause = format!("{why:?}"));
            }
            swept
        }
    })
}

guest::export_job!(super::run);
