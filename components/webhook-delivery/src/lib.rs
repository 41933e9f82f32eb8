//! Sends one delivery of a webhook. What there is to send, and what an answer means, the database says; the host lets
//! this component reach public addresses only. An attempt that is lost on the way is repeated with the same id.

mod attempt;

use std::time::Duration;

use attempt::Attempt;
use guest::{Db, Failure, Job, args, required_variable};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use webhook::Secret;

/// The content of an attempt.
#[derive(Debug, Deserialize)]
struct Outgoing {
    delivery: Uuid,
    webhook: Uuid,
    url: String,
    /// The versions of the valid secrets, the present one first.
    versions: Vec<u32>,
    body: String,
}

/// The order of a job.
#[derive(Debug, Deserialize)]
struct Task {
    send: Option<Outgoing>,
    wait_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Begun {
    task: Task,
}

#[derive(Debug, Deserialize)]
struct Ended {
    retry_ms: Option<u64>,
}

/// The result of a job.
#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The answer's status; none where nothing was sent, or nothing came back.
    pub status: Option<u16>,
}

/// Makes one attempt.
///
/// # Errors
/// The receiver did not take it: again after a growing time. Or the database can't be reached.
pub async fn run(db: Db, job: Job<Value>) -> Result<Summary, Failure> {
    let begun: Begun = db
        .one(
            "select webhooks.begin_attempt($1) as task",
            args![job.payload],
        )
        .await?;
    if let Some(wait) = begun.task.wait_ms {
        let why = "The receiver is given time.".to_owned();
        return Err(Failure::RetryAfter(Duration::from_millis(wait), why));
    }
    let Some(outgoing) = begun.task.send else {
        return Ok(Summary { status: None });
    };
    // A receiver takes its time; meanwhile others use the connection.
    drop(db);
    let secrets = secrets(&outgoing).await?;
    let attempt = attempt::make(
        &outgoing.url,
        &outgoing.delivery.to_string(),
        &secrets,
        outgoing.body,
    )
    .await;
    let url = required_variable("database_url").await.map_err(unset)?;
    write_down(&Db::of_job(url), outgoing.delivery, attempt).await
}

async fn secrets(outgoing: &Outgoing) -> Result<Vec<Secret>, Failure> {
    let key = required_variable("webhook_key").await.map_err(unset)?;
    let unfit = || Failure::Retry("The variable `webhook_key` must be 64 hex digits.".to_owned());
    let key = guest::hex_key(&key).ok_or_else(unfit)?;
    let versions = outgoing.versions.iter();
    Ok(versions
        .map(|version| Secret::of_webhook(&key, outgoing.webhook, *version))
        .collect())
}

async fn write_down(db: &Db, delivery: Uuid, attempt: Attempt) -> Result<Summary, Failure> {
    let ended: Ended = db
        .one(
            "select webhooks.end_attempt($1, $2, $3, $4, $5, $6) as retry_ms",
            args![
                delivery,
                attempt.status.map(i32::from),
                attempt.answer,
                attempt.error,
                attempt.duration_ms,
                attempt.retry_after_ms
            ],
        )
        .await?;
    match ended.retry_ms {
        Some(pause) => Err(Failure::RetryAfter(
            Duration::from_millis(pause),
            "The receiver did not take it.".to_owned(),
        )),
        None => Ok(Summary {
            status: attempt.status,
        }),
    }
}

fn unset(problem: guest::Problem) -> Failure {
    Failure::Retry(format!("Not configured ({}).", problem.code()))
}

guest::export_job!(super::run);
