//! Runs whose workers are killed again and again, against a stand-in that counts by key: nothing is lost, nothing that
//! must not be sent twice is, and nothing is stuck.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    component_file,
    process::Process,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const RUNS: usize = 16;
const KILLS: usize = 4;
const LIMIT: Duration = Duration::from_secs(240);

pub(super) struct World {
    pub server: Server,
    pub ada: Agent,
    pub target: Receiver,
    folder: TempDir,
}

/// The manifest of a worker that drives runs, and compiles nothing else.
fn only_runs(port: u16) -> String {
    let source = component_file("pipeline-run");
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "runs"
[variables]
egress_url = {{ required = true }}
internal_url = {{ required = true }}
pipeline_run_egress_key = {{ required = true, secret = true }}
pipeline_run_exchange_key = {{ required = true, secret = true }}
pipeline_run_database_url = {{ required = true, secret = true }}
[component.pipeline-run]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "{{{{ egress_url }}}}", "{{{{ internal_url }}}}"]
[component.pipeline-run.variables]
database_url = "{{{{ pipeline_run_database_url }}}}"
egress_url = "{{{{ egress_url }}}}"
egress_key = "{{{{ pipeline_run_egress_key }}}}"
internal_url = "{{{{ internal_url }}}}"
exchange_key = "{{{{ pipeline_run_exchange_key }}}}"
[component.pipeline-run.tool.gather]
role = "gather_pipeline_run"
memory_bytes = 536870912
concurrency = 8
egress = true
exchange = ["asset:generate", "chat:create", "kb:read", "kb:write", "llm:call", "skills:call", "social:write"]
job = {{ attempts = 20 }}
"#
    )
}

impl World {
    pub async fn new() -> Result<Self> {
        let target = Receiver::start(|_| Answer::status(200)).await?;
        let origin = format!("http://{}", target.address);
        let server = Server::letting_out(&[&origin]).await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let folder = tempfile::tempdir()?;
        let port = server.database.admin.port().unwrap_or(5432);
        std::fs::write(folder.path().join("spin.toml"), only_runs(port))?;
        let send = |name: &str, effect: &str| {
            json!({"type": "action", "do": "http", "effect": effect, "retry": {"attempts": 50, "first_ms": 50, "max_ms": 500},
                "input": {"method": "POST", "url": format!("{origin}/{name}"), "body": {"$": "nodes.begin.output"}}})
        };
        let definition = json!({
            "nodes": {
                "begin": {"type": "transform", "value": {"$": "input.n + 1"}},
                "again": send("again", "repeatable"), "pay": send("pay", "once"),
                "pause": {"type": "wait", "any": [{"for_ms": 200}]},
                "end": {"type": "merge"},
            },
            "edges": [{"from": "begin", "to": "again"}, {"from": "begin", "to": "pay"}, {"from": "again", "to": "pause"},
                {"from": "pause", "to": "end"}, {"from": "pay", "to": "end"}],
            "result": {"$": "nodes.begin.output"},
            "permissions": {"http": [origin]},
        });
        let new = json!({"name": "killed", "definition": definition});
        let made = ada.send(&server, "POST", "/api/pipelines", &new).await?;
        ensure!(made.0 == 201, "{made:?}");
        Ok(Self {
            server,
            ada,
            target,
            folder,
        })
    }

    pub fn worker(&self) -> Result<Process> {
        let variables = &self.server.variables;
        let platform: Value = variables
            .get("platform")
            .map_or(Ok(Value::Null), |json| serde_json::from_str(json))?;
        let named = variables.get("egress_url").map(String::as_str);
        let egress = named
            .or_else(|| platform["egress_url"].as_str())
            .context("the way out")?;
        let arguments = [
            "--worker-lease",
            "2s",
            "--egress-url",
            egress,
            "--internal-url",
            &self.server.url,
        ];
        let folder = self.folder.path();
        Process::start(
            "worker",
            &self.server.database,
            &folder.join("spin.toml"),
            folder,
            &arguments,
        )
    }

    /// How often the stand-in was asked with each key.
    pub fn keys(&self) -> BTreeMap<String, usize> {
        let mut keys = BTreeMap::new();
        for taken in self.target.taken() {
            *keys
                .entry(
                    taken
                        .headers
                        .get("idempotency-key")
                        .cloned()
                        .unwrap_or_default(),
                )
                .or_default() += 1;
        }
        keys
    }

    /// Decides about steps in doubt as a person does who asks the stand-in.
    async fn resolve(&self, run: &str) -> Result<()> {
        let path = format!("{run}/steps/pay");
        let (status, step) = self.ada.get(&self.server, &path).await?;
        if status != 200 || step["status"] != "uncertain" {
            return Ok(());
        }
        let key = format!("run-{}-pay", run.trim_start_matches("/api/runs/"));
        let outcome = if self.keys().contains_key(&key) {
            "succeeded"
        } else {
            "retry"
        };
        let decision = json!({"outcome": outcome});
        // A kill may have come in between, so that a refusal only means to look again.
        self.ada
            .send(&self.server, "POST", &format!("{path}/resolve"), &decision)
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_stuck_when_workers_are_killed() -> Result<()> {
    let world = World::new().await?;
    let mut runs = vec![];
    for n in 0..RUNS {
        let start = json!({"input": {"n": n}});
        let (status, run) = world
            .ada
            .send(&world.server, "POST", "/api/pipelines/killed/runs", &start)
            .await?;
        ensure!(status == 202, "{run}");
        runs.push(format!("/api/runs/{}", run["id"].as_str().context("id")?));
    }
    let began = Instant::now();
    for kill in 0..KILLS {
        let worker = world.worker()?;
        // In the middle of what is sent: after some more requests have arrived.
        let enough = (kill + 1) * RUNS / 4;
        while world.target.count() < enough {
            ensure!(began.elapsed() < LIMIT, "{:?}", world.keys());
            tokio::time::sleep(Duration::from_millis(2)).await;
            for run in &runs {
                if world.target.count() < enough && kill > 0 {
                    world.resolve(run).await?;
                }
            }
        }
        worker.signal("KILL")?;
    }
    let _worker = world.worker()?;
    for (n, run) in runs.iter().enumerate() {
        loop {
            let (_, now) = world.ada.get(&world.server, run).await?;
            if !now["finished_at"].is_null() {
                assert_eq!(
                    (&now["status"], &now["result"]),
                    (&json!("succeeded"), &json!(n + 1)),
                    "{now}"
                );
                break;
            }
            ensure!(began.elapsed() < LIMIT, "{now}");
            world.resolve(run).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let keys = world.keys();
    for run in &runs {
        let id = run.trim_start_matches("/api/runs/");
        assert!(
            keys.contains_key(&format!("run-{id}-again")),
            "lost: {keys:?}"
        );
        assert_eq!(keys.get(&format!("run-{id}-pay")), Some(&1), "{keys:?}");
    }
    assert_eq!(keys.len(), 2 * RUNS, "{keys:?}");
    Ok(())
}
