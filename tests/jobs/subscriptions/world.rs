//! Subscriptions of the tests, and what they start.

use anyhow::{Context, Result};
use e2e::{Database, Server, agents::Agent, errands::Errands};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

pub const LIMIT: Duration = Duration::from_secs(30);

/// The platform, and a database for workers that do errands.
pub struct World {
    pub server: Server,
    pub errands: Errands,
    pub ada: Agent,
    pub bob: Agent,
}

/// What a subscription asks for.
pub struct Wish<'a> {
    pub topics: &'a [String],
    pub types: Option<&'a [&'a str]>,
    pub condition: Option<Value>,
    pub kind: &'a str,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            topics: &[],
            types: None,
            condition: None,
            kind: "errand",
        }
    }
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let database = Database {
            admin: server.database.admin.clone(),
        };
        let errands = Errands::over(database, "job = {}").await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self {
            server,
            errands,
            ada,
            bob,
        })
    }

    pub async fn subscribe(&self, owner: &Agent, name: &str, wish: Wish<'_>) -> Result<Uuid> {
        let topics = (!wish.topics.is_empty()).then_some(wish.topics);
        let types: Option<Vec<_>> = wish.types.map(|types| types.to_vec());
        let id =
            sqlx::query_scalar("select events.subscribe($1, $2, $3, $4, $5, $6, '{\"a\": 1}')")
                .bind(owner.id)
                .bind(name)
                .bind(topics)
                .bind(types)
                .bind(wish.condition)
                .bind(wish.kind)
                .fetch_one(&self.errands.pool)
                .await?;
        Ok(id)
    }

    pub async fn emit(&self, topics: &[String], data: Value, by_job: Option<Uuid>) -> Result<Uuid> {
        let event = sqlx::query_scalar("select events.emit($1, 'test.number', $2, by_job => $3)")
            .bind(topics)
            .bind(data)
            .bind(by_job)
            .fetch_one(&self.errands.pool)
            .await?;
        Ok(event)
    }

    /// The jobs that a subscription has started.
    pub async fn started(&self, subscription: Uuid) -> Result<Vec<Value>> {
        let rows = sqlx::query_scalar(
            "select to_jsonb(j) from jobs.job j where j.payload ->> 'subscription' = $1 order by id",
        );
        let rows = rows.bind(subscription.to_string());
        Ok(rows.fetch_all(&self.errands.pool).await?)
    }

    /// Waits until a subscription has started so many jobs, and answers them.
    pub async fn until_started(&self, subscription: Uuid, count: usize) -> Result<Vec<Value>> {
        let begin = std::time::Instant::now();
        loop {
            let jobs = self.started(subscription).await?;
            if jobs.len() >= count {
                assert_eq!(jobs.len(), count, "more than once");
                return Ok(jobs);
            }
            if begin.elapsed() > LIMIT {
                anyhow::bail!("{} of {count} started", jobs.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The notes about subscriptions in somebody's inbox.
    pub async fn notes(&self, who: &Agent) -> Result<Vec<Value>> {
        let path = "/api/inbox?kind=subscription";
        let (_, page) = who.get(&self.server, path).await?;
        Ok(page["items"].as_array().context("items")?.clone())
    }
}

pub fn account(who: &Agent) -> String {
    format!("account:{}", who.id)
}
