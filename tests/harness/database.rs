//! The databases of the tests: each has its own, copied from one that is migrated.

use anyhow::{Context, Result};
use gather::{
    migrate,
    postgres::{Cluster, create_database_from_template},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{sync::OnceLock, time::Duration};
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

use crate::{manifest, master_key, variables};

/// The migrated database that each test's database is copied from.
const TEMPLATE: &str = "template_gather";

/// The test cluster, started once for this process. The kernel ends it with the process.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::temporary().expect("a PostgreSQL server for the tests"))
}

/// A database for one test.
pub struct Database {
    /// The URL for its owner, who may do everything.
    pub admin: Url,
}

impl Database {
    /// Copies the migrated template.
    ///
    /// # Errors
    /// The server does not start, or a migration fails.
    pub async fn create() -> Result<Self> {
        static MIGRATED: OnceCell<()> = OnceCell::const_new();
        let cluster = tokio::task::spawn_blocking(cluster).await?;
        MIGRATED
            .get_or_try_init(async || {
                migrate::run(&cluster.url(TEMPLATE), &manifest()?, &master_key()).await
            })
            .await?;
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(cluster.url("postgres").as_str()).await?;
        create_database_from_template(&mut connection, TEMPLATE, &name).await?;
        connection.close().await?;
        Ok(Self {
            admin: cluster.url(&name),
        })
    }

    /// Connects as the owner.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn connect(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(self.admin.as_str()).await?)
    }

    /// Runs statements as the owner.
    ///
    /// # Errors
    /// The server refuses one.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    /// The URL for a function's role, as the function gets it.
    ///
    /// # Errors
    /// The manifest does not have such a component.
    pub fn url_of(&self, component: &str) -> Result<String> {
        let variables = variables(&self.admin, "http://x", "http://x", "http://x")?;
        let name = format!("{component}_database_url");
        variables
            .get(&name)
            .cloned()
            .with_context(|| format!("no {name}"))
    }

    /// Runs statements in a transaction that stays open, so that others wait for its locks.
    ///
    /// # Errors
    /// The server refuses one.
    pub async fn hold(&self, sql: &str) -> Result<Held> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(format!("begin; {sql}")))
            .execute(&mut connection)
            .await?;
        Ok(Held(connection))
    }

    /// Locks an account's row, so that signing in to it or changing it waits.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn hold_account(&self, account: Uuid) -> Result<Held> {
        let row = format!("select id from identity.account where id = '{account}' for update");
        self.hold(&row).await
    }

    /// A number of the measures that operators read, of those of this value; `None` if there is none.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn measure(&self, name: &str, value: Option<&str>) -> Result<Option<f64>> {
        let number = sqlx::query_scalar(
            "select number from jobs.measures() where name = $1 and value is not distinct from $2",
        )
        .bind(name)
        .bind(value)
        .fetch_optional(&mut self.connect().await?)
        .await?;
        Ok(number)
    }

    /// Returns once this many statements wait for locks.
    ///
    /// # Errors
    /// They do not within ten seconds.
    pub async fn until_waiting(&self, count: i64) -> Result<()> {
        let mut connection = self.connect().await?;
        for _ in 0..400 {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut connection)
            .await?;
            if waiting >= count {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("{count} statements never waited")
    }

    /// Returns once every job has ended.
    ///
    /// # Errors
    /// They do not within 30 seconds.
    pub async fn until_jobs_ended(&self) -> Result<()> {
        let mut connection = self.connect().await?;
        for _ in 0..600 {
            let left: i64 = sqlx::query_scalar(
                "select count(*) from jobs.job where status not in ('succeeded', 'dead', 'cancelled')",
            )
            .fetch_one(&mut connection)
            .await?;
            if left == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("jobs are left")
    }
}

/// A transaction that keeps its locks until it is released or dropped.
pub struct Held(PgConnection);

impl Held {
    /// Commits the transaction, and lets the waiting statements go on.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn commit(mut self) -> Result<()> {
        sqlx::query("commit").execute(&mut self.0).await?;
        Ok(self.0.close().await?)
    }

    /// Rolls the transaction back, and lets the waiting statements go on.
    ///
    /// # Errors
    /// The server is gone.
    pub async fn release(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}
