//! Schedules of the tests, and the worker that fires them.

use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, component_file, errands::quick, process::Process};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use std::{
    path::Path,
    time::{Duration, Instant},
};

pub const LIMIT: Duration = Duration::from_secs(120);

pub struct World {
    pub server: Server,
    pub ada: Agent,
    _worker: JobWorker,
}

/// A machine with other work to do must not take the worker for lost.
fn times() -> JobTimes {
    JobTimes {
        lease: Duration::from_secs(30),
        ..quick()
    }
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let worker = server.worker(times()).await?;
        Ok(Self {
            server,
            ada,
            _worker: worker,
        })
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.ada.send(&self.server, method, path, &body).await
    }

    pub async fn make(&self, schedule: Value) -> Result<String> {
        let (status, made) = self.call("POST", "/api/schedules", schedule).await?;
        ensure!(status == 201, "{made}");
        Ok(format!(
            "/api/schedules/{}",
            made["id"].as_str().context("id")?
        ))
    }

    /// Waits until the firings of a schedule, the latest first, are so.
    pub async fn firings(
        &self,
        schedule: &str,
        fits: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>> {
        let began = Instant::now();
        loop {
            let path = format!("{schedule}/firings?limit=100");
            let (_, list) = self.ada.get(&self.server, &path).await?;
            let items = list["items"].as_array().context("items")?;
            if fits(items) {
                return Ok(items.clone());
            }
            ensure!(began.elapsed() < LIMIT, "{list}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn sql(&self, sql: &'static str) -> Result<()> {
        let mut database = self.server.database.connect().await?;
        sqlx::query(sql).execute(&mut database).await?;
        Ok(())
    }
}

/// The manifest of a worker that dispatches schedules, and compiles nothing else.
fn only_schedules(port: u16) -> String {
    let source = component_file("schedule-dispatch");
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "schedules"
[variables]
schedule_dispatch_database_url = {{ required = true, secret = true }}
[component.schedule-dispatch]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}"]
[component.schedule-dispatch.variables]
database_url = "{{{{ schedule_dispatch_database_url }}}}"
[component.schedule-dispatch.tool.gather]
role = "gather_schedule_dispatch"
concurrency = 2
job = {{ attempts = 10 }}
"#
    )
}

/// Workers as processes of their own, which all wait for work.
pub async fn dispatchers(server: &Server, folder: &Path, count: usize) -> Result<Vec<Process>> {
    let manifest = folder.join("spin.toml");
    let port = server.database.admin.port().unwrap_or(5432);
    std::fs::write(&manifest, only_schedules(port))?;
    let mut workers = Vec::new();
    while workers.len() < count {
        let lease = ["--worker-lease", "30s"];
        let worker = Process::start("worker", &server.database, &manifest, folder, &lease)?;
        // The first one compiles the component for all.
        if workers.is_empty() {
            worker.says("waiting for jobs", LIMIT).await?;
        }
        workers.push(worker);
    }
    for worker in &workers {
        worker.says("waiting for jobs", LIMIT).await?;
    }
    Ok(workers)
}

pub fn notice(to: &Value) -> Value {
    json!({"type": "send_notification", "to": [to], "title": "Tick"})
}

pub fn with_status(firings: &[Value], status: &str) -> usize {
    firings
        .iter()
        .filter(|firing| firing["status"] == status)
        .count()
}
