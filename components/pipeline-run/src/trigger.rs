//! Decides about an event for a trigger, and starts its run.

use guest::{Db, Failure, Job, args};
use pipeline::{Expression, Fault, Names, evaluate, fit};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::Arguments;

#[derive(Deserialize)]
struct Begun {
    begun: Option<Question>,
}

#[derive(Deserialize)]
struct Question {
    condition: Option<String>,
    input: Value,
    event: Value,
}

/// Decides about the event of a job.
///
/// # Errors
/// The database can't be reached, which is tried again later.
pub async fn decide(db: &Db, job: &Job<Arguments>, trigger: Uuid) -> Result<(), Failure> {
    let begun: Begun = db
        .one(
            "select begin_trigger($1, $2) as begun",
            args![trigger, job.payload.event.clone()],
        )
        .await?;
    let Some(question) = begun.begun else {
        return Ok(());
    };
    let event: Option<Uuid> = question.event["id"].as_str().and_then(|id| id.parse().ok());
    let (status, reason, input) = match input(&question) {
        Ok(Some(input)) => ("started", None, Some(input)),
        Ok(None) => ("filtered", None, None),
        Err(fault) => ("failed", Some(fault.detail), None),
    };
    db.execute(
        "select end_trigger($1, $2, $3, $4, $5, $6)",
        args![trigger, event, job.id, status, reason, input],
    )
    .await?;
    Ok(())
}

/// The input of the run; `None` if the event does not count.
fn input(question: &Question) -> Result<Option<Value>, Fault> {
    let names = Names::from_iter([("event".to_owned(), question.event.clone())]);
    if let Some(condition) = &question.condition
        && !Expression::parse(condition)
            .map_err(Fault::failed)?
            .decide(&names)?
    {
        return Ok(None);
    }
    let input = evaluate(&question.input, &names)?;
    fit(&input)?;
    Ok(Some(input))
}
