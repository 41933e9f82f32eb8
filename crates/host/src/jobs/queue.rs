//! The queue, as one worker sees it: claims with the library's statements, everything else with the
//! functions of the schema `jobs`.

use crate::metrics::Measure;
use anyhow::{Context, Result};
use graphile_worker_database::{Database, Schema};
use graphile_worker_queries::{
    batch_get_jobs::batch_get_jobs,
    task_identifiers::{TaskDetails, get_tasks_details},
    worker_heartbeat::registration::worker_deregister,
};
use graphile_worker_recovery::{
    SweepStaleWorkersOptions, WorkerRecoveryConfig, sweep_stale_workers,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
    types::Json,
};
use std::{collections::HashSet, time::Duration};
use tokio::time::timeout;
use uuid::Uuid;

/// Claims, ends, heartbeats, progress, maintenance and recurring jobs may need a connection each, and one listens.
const CONNECTIONS: u32 = 8;
/// A database that does not answer within this time counts as down.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A worker's connections to the database.
pub struct Queue {
    pool: PgPool,
    /// The same pool, for the queue library.
    pub database: Database,
    /// The schema of the library's tables.
    pub schema: Schema,
    /// The name under which this worker claims jobs, new with each start.
    pub worker: String,
}

/// A job that this worker has claimed and is to run.
#[derive(Debug, Clone, Deserialize)]
pub struct Begun {
    /// The id of the job.
    pub id: Uuid,
    /// The id of the job's row in the queue.
    pub queue_id: i64,
    /// The job's kind, which is the id of its component.
    pub kind: String,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// The number of the last attempt, after which the job is dead.
    pub max_attempts: u32,
    /// The account on whose behalf the job runs.
    pub owner: Option<Uuid>,
    /// The `traceparent` of what enqueued the job.
    pub traceparent: Option<String>,
    /// The payload of the job.
    pub payload: Value,
}

/// The end of an attempt.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// The id of the job.
    pub id: Uuid,
    /// The id of the job's row in the queue.
    pub queue_id: i64,
    /// The number of the attempt.
    pub attempt: u32,
    /// The way in which the attempt ended.
    pub outcome: Outcome,
    /// The result of the job, as JSON.
    pub result: Option<Box<RawValue>>,
    /// The error, in words for the owner.
    pub error: Option<String>,
    /// The time to wait before the next attempt.
    pub delay_ms: Option<u64>,
}

/// The ways in which an attempt can end.
#[derive(Debug, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The job succeeded.
    Succeeded,
    /// The attempt failed, and the job may be tried again.
    Failed,
    /// The attempt failed, and no other attempt can succeed.
    Dead,
    /// The job was cancelled.
    Cancelled,
    /// The attempt does not count, because the worker stops.
    Returned,
}

/// The progress of a job.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The id of the job.
    pub id: Uuid,
    /// The number of the attempt.
    pub attempt: u32,
    /// The progress in percent, from 0 to 100.
    pub percent: u8,
    /// A note of a few words.
    pub note: String,
}

/// A running job that this worker still holds.
#[derive(Debug, Deserialize)]
pub struct Held {
    /// The id of the job's row in the queue.
    pub queue_id: i64,
    /// Whether the job is to be cancelled.
    pub cancel: bool,
}

#[derive(Serialize)]
struct Claimed<'a> {
    queue_id: i64,
    kind: &'a str,
    payload: &'a Value,
}

impl Outcome {
    /// The name of the outcome in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
        }
    }
}

impl Queue {
    /// The queue in the database at `url`, to which nothing is connected yet.
    ///
    /// # Errors
    /// The address is not a database's URL.
    pub fn new(url: &str) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ANSWER_WITHIN)
            .connect_lazy(url)
            .context("the worker's database address")?;
        Ok(Self {
            database: pool.clone().into(),
            pool,
            schema: Schema::default(),
            worker: format!("worker_{}", Uuid::now_v7().simple()),
        })
    }

    /// Announces the kinds that this worker does. The result is for [`Queue::claim`].
    ///
    /// # Errors
    /// The database does not answer, or does not have the schema.
    pub async fn register(&self, kinds: &[(String, u32)]) -> Result<TaskDetails> {
        for (name, attempts) in kinds {
            let attempts = i32::try_from(*attempts).unwrap_or(i32::MAX);
            sqlx::query("select jobs.register_kind($1, $2)")
                .bind(name)
                .bind(attempts)
                .execute(&self.pool)
                .await?;
        }
        let names = kinds.iter().map(|(name, _)| name.clone()).collect();
        Ok(get_tasks_details(&self.database, self.schema.clone(), names).await?)
    }

    /// Claims up to `most` jobs of the given kinds and begins them.
    ///
    /// # Errors
    /// The database does not answer. It may then hold jobs in this worker's name that the worker does not know of: see
    /// [`Queue::give_back_unknown`].
    pub async fn claim(&self, kinds: &TaskDetails, most: usize) -> Result<Claim> {
        let most_rows = i32::try_from(most).unwrap_or(i32::MAX);
        let claim = batch_get_jobs(
            &self.database,
            kinds,
            self.schema.clone(),
            &self.worker,
            &[],
            most_rows,
            None,
        );
        let rows = timeout(ANSWER_WITHIN, claim).await??;
        if rows.is_empty() {
            return Ok(Claim::default());
        }
        let claimed: Vec<_> = rows
            .iter()
            .map(|row| Claimed {
                queue_id: *row.id(),
                kind: row.task_identifier(),
                payload: row.payload(),
            })
            .collect();
        let begin = sqlx::query_scalar::<_, Json<Begun>>("select jobs.begin($1, $2)")
            .bind(&self.worker)
            .bind(Json(claimed))
            .fetch_all(&self.pool);
        let begun = timeout(ANSWER_WITHIN, begin).await??;
        Ok(Claim {
            claimed: rows.len(),
            begun: begun.into_iter().map(|Json(begun)| begun).collect(),
        })
    }

    /// Ends attempts. Returns those that this worker still held.
    ///
    /// # Errors
    /// The database does not answer, or refuses the text of one of them.
    pub async fn finish(&self, ended: &[Ended]) -> Result<HashSet<Uuid>, sqlx::Error> {
        let finish = sqlx::query_scalar::<_, Uuid>("select jobs.finish($1, $2)")
            .bind(&self.worker)
            .bind(Json(ended))
            .fetch_all(&self.pool);
        let done = timeout(ANSWER_WITHIN, finish)
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(done.into_iter().collect())
    }

    /// Renews the lease. Returns those of the `running` jobs that this worker still holds.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn heartbeat(&self, running: &[i64], lease: Duration) -> Result<Vec<Held>> {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let about = serde_json::json!({ "pid": std::process::id(), "lease_ms": lease_ms });
        let beat = sqlx::query_scalar::<_, Json<Held>>("select jobs.heartbeat($1, $2, $3)")
            .bind(&self.worker)
            .bind(Json(about))
            .bind(running)
            .fetch_all(&self.pool);
        let held = timeout(ANSWER_WITHIN, beat).await??;
        Ok(held.into_iter().map(|Json(held)| held).collect())
    }

    /// Gives back the jobs that this worker holds besides the `known` ones.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn give_back_unknown(&self, known: &[i64]) -> Result<()> {
        let give = sqlx::query("select jobs.give_back_unknown($1, $2)")
            .bind(&self.worker)
            .bind(known)
            .execute(&self.pool);
        timeout(ANSWER_WITHIN, give).await??;
        Ok(())
    }

    /// Writes the progress of jobs to the database.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn report(&self, reports: &[Report]) -> Result<()> {
        let report = sqlx::query("select jobs.report_progress($1, $2)")
            .bind(&self.worker)
            .bind(Json(reports))
            .execute(&self.pool);
        timeout(ANSWER_WITHIN, report).await??;
        Ok(())
    }

    /// Puts the jobs of workers that were silent for the lease back into the queue.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn sweep(&self, lease: Duration) -> Result<()> {
        let defaults = WorkerRecoveryConfig::default()
            .sweep_threshold(lease)
            .recovery_delay(Duration::ZERO);
        let sweep = sweep_stale_workers(
            &self.database,
            self.schema.clone(),
            None,
            &self.worker,
            &defaults,
            SweepStaleWorkersOptions::default(),
        );
        timeout(ANSWER_WITHIN, sweep).await??;
        Ok(())
    }

    /// Runs the maintenance that every worker does now and then: see `jobs.maintain`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn maintain(
        &self,
        keep: Duration,
        keep_dead: Duration,
        lease: Duration,
    ) -> Result<()> {
        sqlx::query(
            "select jobs.maintain(make_interval(secs => $1), make_interval(secs => $2), make_interval(secs => $3))",
        )
        .bind(keep.as_secs_f64())
        .bind(keep_dead.as_secs_f64())
        .bind(lease.as_secs_f64())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Reads the numbers that only the database has: see `jobs.measures`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn measures(&self) -> Result<Vec<Measure>> {
        type Row = (String, String, bool, Option<String>, Option<String>, f64);
        let rows: Vec<Row> = sqlx::query_as(
            "select name, help, counts, label, value, number from jobs.measures() order by name",
        )
        .fetch_all(&self.pool)
        .await?;
        let measure = |(name, help, counts, label, value, number): Row| Measure {
            name,
            help,
            counts,
            label: label.zip(value),
            number,
        };
        Ok(rows.into_iter().map(measure).collect())
    }

    /// Listens for new jobs and for cancellations.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn listen(&self) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([NEW_JOB, CANCEL, EVENTS]).await?;
        Ok(listener)
    }

    /// Asks for notifications of new jobs, because this worker has stopped looking for them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn sleep(&self) -> Result<()> {
        let sleep =
            sqlx::query("insert into jobs.sleeper (worker) values ($1) on conflict do nothing")
                .bind(&self.worker)
                .execute(&self.pool);
        timeout(ANSWER_WITHIN, sleep).await??;
        Ok(())
    }

    /// Ends the notifications of new jobs, because this worker looks for them again.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn awake(&self) -> Result<()> {
        let awake = sqlx::query("delete from jobs.sleeper where worker = $1")
            .bind(&self.worker)
            .execute(&self.pool);
        timeout(ANSWER_WITHIN, awake).await??;
        Ok(())
    }

    /// Starts the work that new events ask for: see `events.dispatch`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn dispatch(&self, most: i32) -> Result<Dispatched> {
        let dispatch = sqlx::query_scalar::<_, Json<Dispatched>>("select events.dispatch($1, $2)")
            .bind(&self.worker)
            .bind(most)
            .fetch_one(&self.pool);
        let Json(dispatched) = timeout(ANSWER_WITHIN, dispatch).await??;
        Ok(dispatched)
    }

    /// Starts or ends the notifications of events. The worker that follows the events is one of their readers.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn sleep_until_events(&self, sleeps: bool) -> Result<()> {
        let statement = if sleeps {
            "insert into events.sleeper (reader) values ($1) on conflict (reader) do update set since = now()"
        } else {
            "delete from events.sleeper where reader = $1"
        };
        let tell = sqlx::query(statement).bind(Uuid::nil()).execute(&self.pool);
        timeout(ANSWER_WITHIN, tell).await??;
        Ok(())
    }

    /// Signs this worker off, which holds no jobs any more.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn leave(&self) -> Result<()> {
        self.awake().await?;
        let leave = worker_deregister(&self.database, self.schema.clone(), &self.worker);
        timeout(ANSWER_WITHIN, leave).await??;
        Ok(())
    }
}

/// The result of a claim.
#[derive(Debug, Default)]
pub struct Claim {
    /// The number of claimed rows, including those that are not to run.
    pub claimed: usize,
    /// The jobs to run.
    pub begun: Vec<Begun>,
}

/// The result of one look at the events.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Dispatched {
    /// Whether this worker follows the events; otherwise another worker does.
    pub leads: bool,
    /// Whether there were new events.
    pub events: bool,
    /// Whether the events started jobs.
    pub started: bool,
    /// Whether more events wait.
    pub more: bool,
}

/// The channel on which `jobs.put` wakes sleeping workers.
pub const NEW_JOB: &str = "jobs:insert";
/// The channel on which `jobs.cancel` notifies workers.
pub const CANCEL: &str = "jobs:cancel";
/// The channel on which sleeping readers of events are notified.
pub const EVENTS: &str = "events";
