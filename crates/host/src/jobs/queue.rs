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

/// Claims, ends, heartbeats, progress, maintenance and recurring jobs each may need one, and one listens.
const CONNECTIONS: u32 = 8;
/// A database that does not answer for so long is down.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A worker's way to the database.
pub struct Queue {
    pool: PgPool,
    /// The same pool, for the queue library.
    pub database: Database,
    /// Where the library's tables are.
    pub schema: Schema,
    /// The name that this worker claims under; new with each start.
    pub worker: String,
}

/// A job that this worker shall run.
#[derive(Debug, Clone, Deserialize)]
pub struct Begun {
    /// The job.
    pub id: Uuid,
    /// Its row in the queue.
    pub queue_id: i64,
    /// The component.
    pub kind: String,
    /// 1 for the first.
    pub attempt: u32,
    /// After this one it is dead.
    pub max_attempts: u32,
    /// The account that it is done for.
    pub owner: Option<Uuid>,
    /// What it was asked with.
    pub payload: Value,
}

/// How an attempt ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// The job.
    pub id: Uuid,
    /// Its row in the queue.
    pub queue_id: i64,
    /// Which attempt this was.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What it made, as JSON.
    pub result: Option<Box<RawValue>>,
    /// For the owner to read.
    pub error: Option<String>,
    /// How long to wait before the next attempt.
    pub delay_ms: Option<u64>,
}

/// The ways in which an attempt can end.
#[derive(Debug, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did what it was asked.
    Succeeded,
    /// It did not, and may be tried again.
    Failed,
    /// It did not, and never will.
    Dead,
    /// Somebody wanted it to stop.
    Cancelled,
    /// It never happened: the worker stops.
    Returned,
}

/// How far a job is.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The job.
    pub id: Uuid,
    /// Which attempt this is about.
    pub attempt: u32,
    /// 0 to 100.
    pub percent: u8,
    /// A few words.
    pub note: String,
}

/// A running job that this worker still holds.
#[derive(Debug, Deserialize)]
pub struct Held {
    /// Its row in the queue.
    pub queue_id: i64,
    /// Somebody wants it to stop.
    pub cancel: bool,
}

#[derive(Serialize)]
struct Claimed<'a> {
    queue_id: i64,
    kind: &'a str,
    payload: &'a Value,
}

impl Outcome {
    /// The word for it.
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
    /// A way to the database at `url`; nothing is connected yet.
    ///
    /// # Errors
    /// The address is none.
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

    /// Announces the kinds that this worker does; the answer is for [`Queue::claim`].
    ///
    /// # Errors
    /// The database does not answer, or has not the schema.
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
    /// The database does not answer. Jobs may be held then that nobody knows of: see
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

    /// Ends attempts; answers those that were still ours to end.
    ///
    /// # Errors
    /// The database does not answer, or refuses what one of them says.
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

    /// Renews the lease; answers which of the `running` jobs are still ours.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn heartbeat(&self, running: &[i64]) -> Result<Vec<Held>> {
        let about = serde_json::json!({ "pid": std::process::id() });
        let beat = sqlx::query_scalar::<_, Json<Held>>("select jobs.heartbeat($1, $2, $3)")
            .bind(&self.worker)
            .bind(Json(about))
            .bind(running)
            .fetch_all(&self.pool);
        let held = timeout(ANSWER_WITHIN, beat).await??;
        Ok(held.into_iter().map(|Json(held)| held).collect())
    }

    /// Gives back whatever this worker holds beside the `known`.
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

    /// Writes down how far jobs are.
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

    /// What all workers do now and then: see `jobs.maintain`.
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

    /// Reads what only the database knows of the platform's work: see `jobs.measures`.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn measures(&self) -> Result<Vec<Measure>> {
        type Row = (String, String, bool, Option<String>, Option<String>, f64);
        let rows: Vec<Row> =
            sqlx::query_as("select name, help, counts, label, value, number from jobs.measures()")
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

    /// Hears of new jobs and of those that shall be cancelled.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn listen(&self) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([NEW_JOB, CANCEL, EVENTS]).await?;
        Ok(listener)
    }

    /// Wants to be told of new jobs, since this worker looks for them no more.
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

    /// Looks for new jobs again, and need not be told.
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

    /// Wants to be told of events, or not any more. Whichever worker follows the events is one reader of them.
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

    /// Says good-bye: this worker holds nothing any more.
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

/// What a claim brought.
#[derive(Debug, Default)]
pub struct Claim {
    /// Rows that were claimed, those included that are not to run.
    pub claimed: usize,
    /// The jobs to run.
    pub begun: Vec<Begun>,
}

/// What a worker that follows the events did in one go.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Dispatched {
    /// Whether this worker follows them; else another one does.
    pub leads: bool,
    /// Whether there were new events.
    pub events: bool,
    /// Whether they asked for work.
    pub started: bool,
    /// Whether there are more.
    pub more: bool,
}

/// Sleeping workers are told of new jobs here, by `jobs.put`.
pub const NEW_JOB: &str = "jobs:insert";
/// `jobs.cancel` tells here.
pub const CANCEL: &str = "jobs:cancel";
/// Sleeping readers are told of events here.
pub const EVENTS: &str = "events";
