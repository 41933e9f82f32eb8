//! The harness of queued work: workers over a database of a test's own, doing the fixture's errands.

use crate::{
    Database, application, build_components, component_file, master_key, process::Process, scratch,
};
use anyhow::{Result, bail};
use gather::{manifest::WORKER_ROLE, secrets};
use host::{
    MailOptions, Metrics,
    jobs::{JobOptions, JobTimes, JobWorker},
};
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use url::Url;
use uuid::Uuid;

/// A database whose jobs are errands: see `tests/fixtures/errand`.
pub struct Errands {
    /// The database.
    pub database: Database,
    /// Connections as its owner.
    pub pool: PgPool,
    folder: TempDir,
}

/// Short times, so that tests need not wait.
#[must_use]
pub fn quick() -> JobTimes {
    JobTimes {
        lease: Duration::from_secs(2),
        poll: Duration::from_millis(100),
        backoff: Duration::from_millis(20),
        cancel_grace: Duration::from_millis(300),
        maintenance: Duration::from_millis(200),
        ..JobTimes::default()
    }
}

impl Errands {
    /// A fresh database. The kinds are `errand`, `single` (one at a time) and, with these settings of
    /// its job, `special`.
    ///
    /// # Errors
    /// No server, or a component that can't be built.
    pub async fn new(special: &str) -> Result<Self> {
        Self::over(Database::create().await?, special).await
    }

    /// The same over a database that is there already.
    ///
    /// # Errors
    /// As [`Errands::new`].
    pub async fn over(database: Database, special: &str) -> Result<Self> {
        tokio::task::spawn_blocking(build_components).await??;
        database
            .execute(
                "create table public.run (job uuid not null, attempt bigint not null, at timestamptz not null default clock_timestamp());
                 create table public.effect (job uuid primary key, attempt bigint not null, at timestamptz not null default clock_timestamp())",
            )
            .await?;
        let folder = scratch()?;
        std::fs::copy(component_file("errand"), folder.path().join("errand.wasm"))?;
        std::fs::write(
            folder.path().join("spin.toml"),
            manifest(&database.admin, special),
        )?;
        let pool = PgPoolOptions::new()
            .max_connections(8)
            .connect(database.admin.as_str())
            .await?;
        Ok(Self {
            database,
            pool,
            folder,
        })
    }

    /// The built file of the kinds: a copy of the fixture's.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.folder.path().join("errand.wasm")
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("spin.toml")
    }

    /// A worker in this process.
    ///
    /// # Errors
    /// It can't be started.
    pub async fn worker(&self, settings: JobTimes) -> Result<JobWorker> {
        let state = self.folder.path().join(Uuid::now_v7().simple().to_string());
        let database_url = secrets::role_url(&self.database.admin, &master_key(), WORKER_ROLE)?;
        let options = JobOptions {
            database_url: database_url.to_string(),
            mail: MailOptions::default(),
            trusted_hosts: BTreeMap::new(),
            settings,
            metrics: Arc::new(Metrics::new()?),
            metrics_listen: None,
        };
        let application = application(&self.manifest(), &state, BTreeMap::new()).await?;
        JobWorker::start(application, options).await
    }

    /// A worker as a process of its own: `gather worker`.
    ///
    /// # Errors
    /// The command is not there.
    pub fn process(&self, arguments: &[&str]) -> Result<Process> {
        Process::start(
            "worker",
            &self.database,
            &self.manifest(),
            self.folder.path(),
            arguments,
        )
    }

    /// Asks for work of a kind.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ask(&self, kind: &str, steps: Value) -> Result<Uuid> {
        let payload = json!({ "steps": steps });
        let id = sqlx::query_scalar("select jobs.enqueue($1, $2)")
            .bind(kind)
            .bind(payload)
            .fetch_one(&self.pool)
            .await?;
        Ok(id)
    }

    /// Asks for an errand that does these steps.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn errand(&self, steps: Value) -> Result<Uuid> {
        self.ask("errand", steps).await
    }

    /// A job's row.
    ///
    /// # Errors
    /// There is no such job.
    pub async fn job(&self, id: Uuid) -> Result<Value> {
        let row = sqlx::query_scalar("select to_jsonb(j) from jobs.job j where id = $1");
        Ok(row.bind(id).fetch_one(&self.pool).await?)
    }

    /// Waits until a job is so, and answers its row.
    ///
    /// # Errors
    /// It is not so within 20 s.
    pub async fn until(&self, id: Uuid, status: &str) -> Result<Value> {
        let started = Instant::now();
        loop {
            let job = self.job(id).await?;
            if job["status"] == status {
                return Ok(job);
            }
            if started.elapsed() > Duration::from_secs(20) {
                bail!("not {status} within 20 s: {job:#}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One number from the database.
    ///
    /// # Errors
    /// The statement is wrong.
    pub async fn number(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Waits until a query answers this number.
    ///
    /// # Errors
    /// It does not within the limit.
    pub async fn until_number(
        &self,
        sql: &'static str,
        expected: i64,
        limit: Duration,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            let now = self.number(sql).await?;
            if now == expected {
                return Ok(());
            }
            if started.elapsed() > limit {
                bail!("{sql}: {now} instead of {expected} after {limit:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fails if the queue holds what no job knows of, or a job lacks what the queue should hold.
    ///
    /// # Errors
    /// What does not fit.
    pub async fn check_consistent(&self) -> Result<()> {
        let orphans = self
            .number(
                "select count(*) from graphile_worker._private_jobs q
                 full join jobs.job j on j.queue_id = q.id
                 where j.id is null or (q.id is null and j.finished_at is null)",
            )
            .await?;
        let miscounted = self
            .number(
                "select count(*) from (
                    select kind, status, sum(n) as n from (
                        select kind, status, count as n from jobs.count_total
                        union all select kind, status, change from jobs.count_change) a
                    group by kind, status having sum(n) <> 0) counted
                 full join (select kind, status, count(*) as n from jobs.job group by kind, status) real
                 using (kind, status) where counted.n is distinct from real.n",
            )
            .await?;
        if orphans + miscounted > 0 {
            bail!("{orphans} jobs and queue rows without each other, {miscounted} wrong counters");
        }
        Ok(())
    }
}

fn manifest(database: &Url, special: &str) -> String {
    let host = format!("postgres://127.0.0.1:{}", database.port().unwrap_or(5432));
    let mut text = String::from("spin_manifest_version = 2\n[application]\nname = \"errands\"\n");
    for (kind, gather) in [
        ("errand", "memory_bytes = 33554432\njob = { attempts = 3 }"),
        ("single", "concurrency = 1\njob = {}"),
        ("special", special),
    ] {
        text += &format!(
            "[component.{kind}]\nsource = \"errand.wasm\"\nallowed_outbound_hosts = [{host:?}]\n\
             variables = {{ database_url = \"{database}?sslmode=disable\" }}\n[component.{kind}.tool.gather]\n{gather}\n"
        );
    }
    text
}
