//! Decides about an event for a step that waits for one.

use guest::{Db, Failure, Job, args};
use pipeline::{Expression, Fault, Until, Work};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::engine::Engine;
use crate::state::State;
use crate::view::View;
use crate::{Arguments, error};

/// A step that waits for an event.
#[derive(Debug, Deserialize)]
pub struct Step {
    run: Uuid,
    path: String,
    /// The place in `any`.
    which: usize,
}

#[derive(Deserialize)]
struct Begun {
    begun: Option<Question>,
}

#[derive(Deserialize)]
struct Question {
    definition: Value,
    state: State,
    event: Value,
}

/// Decides about the event of a job, and ends the wait if the event counts.
///
/// # Errors
/// The database can't be reached, which is tried again later.
pub async fn decide(db: &Db, job: &Job<Arguments>, step: &Step) -> Result<(), Failure> {
    let begun: Begun = db
        .one(
            "select begin_wait($1, $2, $3) as begun",
            args![step.run, &step.path, job.payload.event.clone()],
        )
        .await?;
    let Some(question) = begun.begun else {
        return Ok(());
    };
    let event = question.event.clone();
    let answer = match counts(step, question) {
        Ok(true) => json!({"which": step.which, "data": event}),
        Ok(false) => return Ok(()),
        Err(fault) => json!({"fault": error(fault.code, fault.detail)}),
    };
    db.execute(
        "select take_event($1, $2, $3)",
        args![step.run, &step.path, answer],
    )
    .await?;
    Ok(())
}

/// Whether the event is one that the step waits for.
fn counts(step: &Step, question: Question) -> Result<bool, Fault> {
    let definition = pipeline::check(&question.definition).definition;
    let Some(definition) = definition else {
        return Ok(false);
    };
    let engine = Engine::new(step.run, definition, question.state);
    let wait = engine.node(&step.path).map(|node| &node.work);
    let (Some(Work::Wait(wait)), Some(frame)) = (wait, engine.frame_of(&step.path)) else {
        return Ok(false);
    };
    match wait.any.get(step.which) {
        Some(Until::Event {
            condition: None, ..
        }) => Ok(true),
        Some(Until::Event {
            condition: Some(condition),
            ..
        }) => {
            let view = View {
                event: Some(&question.event),
                ..engine.view(&frame)
            };
            Expression::parse(condition)
                .map_err(Fault::failed)?
                .decide(&view)
        }
        _ => Ok(false),
    }
}
