//! Pipelines of the tests, their runs, and the worker that drives them.

use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, errands::quick};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub _worker: JobWorker,
}

impl World {
    pub async fn new() -> Result<Self> {
        Self::over(Server::start().await?).await
    }

    pub async fn over(server: Server) -> Result<Self> {
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        Self::of(server, ada).await
    }

    /// A world in which somebody has been before the worker begins.
    pub async fn of(server: Server, ada: Agent) -> Result<Self> {
        // A machine with other work to do must not take the worker for lost.
        let times = JobTimes {
            lease: Duration::from_secs(30),
            ..quick()
        };
        let worker = server.worker(times).await?;
        Ok(Self {
            server,
            ada,
            _worker: worker,
        })
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.ada.send(&self.server, method, path, &body).await
    }

    /// Makes a pipeline, and starts a run of it; the path of the run.
    pub async fn start(&self, name: &str, definition: Value, input: Value) -> Result<String> {
        let made = self
            .call(
                "POST",
                "/api/pipelines",
                json!({"name": name, "definition": definition}),
            )
            .await?;
        assert_eq!(made.0, 201, "{made:?}");
        let (status, run) = self
            .call(
                "POST",
                &format!("/api/pipelines/{name}/runs"),
                json!({"input": input}),
            )
            .await?;
        // A short one may have ended by then.
        assert!([200, 202].contains(&status), "{run}");
        Ok(format!("/api/runs/{}", run["id"].as_str().context("id")?))
    }

    /// Waits until a run is so.
    pub async fn until(&self, run: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        loop {
            let (_, now) = self.ada.get(&self.server, run).await?;
            if fits(&now) {
                return Ok(now);
            }
            ensure!(began.elapsed() < LIMIT, "{now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn ended(&self, run: &str) -> Result<Value> {
        self.until(run, |run| !run["finished_at"].is_null()).await
    }

    pub async fn waits(&self, run: &str, step: &str) -> Result<Value> {
        self.until(run, |run| {
            run["status"] == "waiting" && run["waiting_for"] == json!([step])
        })
        .await
    }

    pub async fn statuses(&self, run: &str) -> Result<Value> {
        let (_, list) = self
            .ada
            .get(&self.server, &format!("{run}/steps?limit=100"))
            .await?;
        let steps = list["items"].as_array().context("items")?.iter();
        Ok(steps
            .map(|step| {
                (
                    step["path"].as_str().unwrap_or_default().to_owned(),
                    step["status"].clone(),
                )
            })
            .collect())
    }

    pub async fn number(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql)
            .fetch_one(&mut self.server.database.connect().await?)
            .await?)
    }
}

/// A node that computes a value.
pub fn transform(text: &str) -> Value {
    json!({"type": "transform", "value": {"$": text}})
}
