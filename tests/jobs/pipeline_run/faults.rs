//! Runs whose workers are killed again and again, against a stand-in that counts by key: nothing is lost, nothing that
//! must not be sent twice is, and nothing is stuck.

use anyhow::{Context, Result, ensure};
use e2e::{
    Database, Server,
    agents::Agent,
    component_file,
    process::Process,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::jobs::faults::Random;

const RUNS: u64 = 1_000;
const KILLS: u64 = 8;
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
concurrency = 28
egress = true
exchange = ["asset:generate", "chat:create", "kb:read", "kb:write", "llm:call", "skills:call", "social:write"]
job = {{ attempts = 20 }}
"#
    )
}

impl World {
    pub async fn new() -> Result<Self> {
        Self::among(&[]).await
    }

    /// A world in which runs may ask these receivers, too.
    pub async fn among(others: &[&Receiver]) -> Result<Self> {
        Self::over(Database::create().await?, others).await
    }

    /// The same over a database that is migrated.
    pub async fn over(database: Database, others: &[&Receiver]) -> Result<Self> {
        let target = Receiver::start(|_| Answer::status(200)).await?;
        let origin = format!("http://{}", target.address);
        let mut origins = vec![origin.clone()];
        origins.extend(
            others
                .iter()
                .map(|other| format!("http://{}", other.address)),
        );
        let origins: Vec<&str> = origins.iter().map(String::as_str).collect();
        let server = Server::over_letting_out(database, &origins).await?;
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

    /// Decides about all steps in doubt as a person does who asks the stand-in.
    pub async fn resolve(&self, database: &mut PgConnection) -> Result<()> {
        let runs: Vec<Uuid> =
            sqlx::query_scalar("select run_id from pipelines.step where status = 'uncertain'")
                .fetch_all(database)
                .await?;
        if runs.is_empty() {
            return Ok(());
        }
        let keys = self.keys();
        for run in runs {
            let outcome = if keys.contains_key(&format!("run-{run}-pay")) {
                "succeeded"
            } else {
                "retry"
            };
            let decision = json!({"outcome": outcome});
            let path = format!("/api/runs/{run}/steps/pay/resolve");
            // A kill may have come in between, so that a refusal only means to look again.
            self.ada
                .send(&self.server, "POST", &path, &decision)
                .await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_stuck_when_workers_are_killed() -> Result<()> {
    let number = |name: &str, default: u64| -> u64 {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (count, kills) = (
        number("GATHER_RUNS", RUNS),
        number("GATHER_RUN_KILLS", KILLS),
    );
    let seed = number("GATHER_RUN_SEED", 1);
    println!("{count} runs, {kills} kills, GATHER_RUN_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let world = World::new().await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query(
        "select pipelines.start(p.id, p.owner_id, null, jsonb_build_object('n', n), null, 0, null)
         from pipelines.pipeline p, generate_series(1, $1) n where p.name = 'killed'",
    )
    .bind(i64::try_from(count)?)
    .execute(&mut database)
    .await?;
    let began = Instant::now();
    let all = 2 * usize::try_from(count)?;
    for kill in 0..kills {
        let worker = world.worker()?;
        // In the middle of what is sent: after some more requests have arrived.
        let share = all / usize::try_from(kills + 1)?;
        let part = usize::try_from(random.below(u64::try_from(share)?))?;
        let enough = usize::try_from(kill)? * share + part;
        while world.target.count() < enough {
            ensure!(began.elapsed() < LIMIT, "{} of {all}", world.target.count());
            tokio::time::sleep(Duration::from_millis(2)).await;
            world.resolve(&mut database).await?;
        }
        worker.signal("KILL")?;
    }
    let _worker = world.worker()?;
    loop {
        let sql = "select count(*) from pipelines.run where finished_at is null";
        let left: i64 = sqlx::query_scalar(sql).fetch_one(&mut database).await?;
        if left == 0 {
            break;
        }
        ensure!(began.elapsed() < LIMIT, "{left} of {count} are left");
        world.resolve(&mut database).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{:?}", began.elapsed());
    let runs: Vec<(Uuid, String, Value, Option<Value>)> =
        sqlx::query_as("select id, status, input -> 'n', result from pipelines.run")
            .fetch_all(&mut database)
            .await?;
    assert_eq!(runs.len(), usize::try_from(count)?);
    let keys = world.keys();
    for (id, status, n, result) in runs {
        let expected = n.as_u64().map(|n| json!(n + 1));
        assert_eq!((status.as_str(), result), ("succeeded", expected), "{id}");
        let again = keys.get(&format!("run-{id}-again"));
        assert!(again.is_some(), "lost: {id}");
        let paid = keys.get(&format!("run-{id}-pay"));
        assert_eq!(paid, Some(&1), "{id}");
    }
    assert_eq!(keys.len(), all);
    Ok(())
}
