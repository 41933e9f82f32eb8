//! Thinks a turn of an agent: asks its model, makes the calls of tools that the model asks for, and ends with one message,
//! or in silence. It is the only code that lets a model act.
//!
//! What a turn does is a log of steps in the database, each written before it begins and when it has ended. An attempt that
//! dies leaves them, and the next one goes on there. Every write names its attempt, so what a worker writes that was taken
//! for dead counts for nothing.

mod context;
mod fault;
mod history;
mod log;
mod memory;
mod model;
mod prompt;
mod reply;
mod schema;
mod sources;
mod summing;
mod thinking;
mod tools;
mod undertaking;

use guest::{Acting, Db, Failure, Job};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use log::Log;
use thinking::Thinking;

/// The exchange of tokens, with the name by which it knows this component.
const ACTING: Acting = Acting("agent-turn");

/// The arguments of the job: the turn to think.
#[derive(Debug, Deserialize)]
pub struct Arguments {
    turn: Uuid,
}

/// The result of a job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The number of steps that this job began.
    pub steps: u32,
}

/// Works on a turn until it ends, waits for somebody, or has taken five minutes.
///
/// # Errors
/// The database can't be reached, which is tried again later.
pub async fn run(db: Db, job: Job<Arguments>) -> Result<Summary, Failure> {
    let Some((log, context)) = Log::resume(db, &job).await? else {
        return Ok(Summary { steps: 0 });
    };
    let steps = Thinking::new(log, context).run(&job).await?;
    Ok(Summary { steps })
}

guest::export_job!(super::run);
