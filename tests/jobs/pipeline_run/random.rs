//! Random graphs whose workers are killed at random moments, against an evaluator that knows all outcomes beforehand.

use anyhow::{Context, Result, ensure};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::faults::World;
use plans::{End, Kind, Plan, document, name, plans, reference, unhandled};

#[path = "../../../crates/pipeline/tests/plans/mod.rs"]
mod plans;

const RUNS: usize = 12;
const KILLS: usize = 3;
const LIMIT: Duration = Duration::from_secs(240);

/// A run of a random graph.
struct Run {
    plans: Vec<Plan>,
    path: String,
}

/// The definition of a plan: a step computes, waits, or asks the stand-in. What fails does so by its expressions.
fn definition(plans: &[Plan], origin: &str) -> Value {
    let work = |at: usize| match at % 3 {
        _ if plans[at].fails => json!({"type": "transform", "value": {"$": "1 / 0"}}),
        0 => json!({"type": "transform", "value": {"$": "input.n"}}),
        1 => json!({"type": "wait", "any": [{"for_ms": 20}]}),
        _ => json!({"type": "action", "do": "http", "effect": "repeatable",
            "retry": {"attempts": 50, "first_ms": 50, "max_ms": 500},
            "input": {"method": "POST", "url": format!("{origin}/{at}"), "body": {"$": "input"}}}),
    };
    let mut definition = document(plans, work);
    for (at, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.fails) {
        let node = &mut definition["nodes"][name(at)];
        match plan.kind {
            Kind::Step => {}
            Kind::Condition(_) => node["cases"][0]["when"] = json!("1 / 0 > 0"),
            _ => node["value"] = json!({"$": "1 / 0"}),
        }
    }
    definition["permissions"] = json!({"http": [origin]});
    definition
}

/// Makes a pipeline of each of the random graphs, and starts a run of it.
async fn start(world: &World, seed: u8) -> Result<Vec<Run>> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let origin = format!("http://{}", world.target.address);
    let mut runs = Vec::new();
    for number in 0..RUNS {
        let drawn = plans().new_tree(&mut runner);
        let plans = drawn.map_err(|error| anyhow::anyhow!("{error}"))?.current();
        let pipeline = format!("random-{number}");
        let new = json!({"name": pipeline, "definition": definition(&plans, &origin)});
        let made = world
            .ada
            .send(&world.server, "POST", "/api/pipelines", &new);
        let (status, made) = made.await?;
        ensure!(status == 201, "{made}");
        let path = format!("/api/pipelines/{pipeline}/runs");
        let input = json!({"input": {"n": number}});
        let (status, run) = world.ada.send(&world.server, "POST", &path, &input).await?;
        ensure!(status == 202, "{run}");
        let path = format!("/api/runs/{}", run["id"].as_str().context("an id")?);
        runs.push(Run { plans, path });
    }
    Ok(runs)
}

impl Run {
    /// Waits for the end of the run, and holds it against the reference.
    async fn hold(&self, world: &World, began: Instant) -> Result<()> {
        let run = loop {
            let (_, run) = world.ada.get(&world.server, &self.path).await?;
            if !run["finished_at"].is_null() {
                break run;
            }
            ensure!(began.elapsed() < LIMIT, "{run}: {:#?}", self.plans);
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let steps = format!("{}/steps?limit=100", self.path);
        let (_, steps) = world.ada.get(&world.server, &steps).await?;
        let status = |id: &str| {
            let mut all = steps["items"].as_array().into_iter().flatten();
            let step = all.find(|step| step["path"] == id);
            step.and_then(|step| step["status"].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let expected = reference(&self.plans);
        let unhandled = unhandled(&self.plans, &expected);
        let fails = !unhandled.is_empty();
        let ended = if fails { "failed" } else { "succeeded" };
        ensure!(run["status"] == ended, "{run}: {steps:#} {:#?}", self.plans);
        let is_any_failed = unhandled.iter().any(|id| status(id) == "failed");
        ensure!(is_any_failed == fails, "{unhandled:?}: {steps:#}");
        let keys = world.keys();
        for (at, (plan, end)) in self.plans.iter().zip(&expected).enumerate() {
            let id = name(at);
            let expected = match end {
                End::Succeeded(_) => "succeeded",
                End::Failed => "failed",
                End::Skipped => "skipped",
            };
            // A run that fails leaves alone what has not ended by then.
            ensure!(
                fails || status(&id) == expected,
                "{id} is not {expected}: {steps:#} {:#?}",
                self.plans
            );
            let key = format!("run-{}-{id}", self.path.trim_start_matches("/api/runs/"));
            let is_sent = keys.contains_key(&key);
            let sends =
                plan.kind == Kind::Step && at % 3 == 2 && !plan.fails && *end != End::Skipped;
            ensure!(
                sends || !is_sent,
                "{id} must not be sent: {keys:?} {:#?}",
                self.plans
            );
            ensure!(
                fails || sends == is_sent,
                "{id} is lost: {keys:?} {:#?}",
                self.plans
            );
        }
        Ok(())
    }
}

/// The number of steps that have ended.
async fn ended(world: &World) -> Result<i64> {
    let count =
        sqlx::query_scalar("select count(*) from pipelines.step where finished_at is not null");
    Ok(count
        .fetch_one(&mut world.server.database.connect().await?)
        .await?)
}

#[tokio::test]
async fn random_graphs_end_as_the_reference_says_though_workers_are_killed() -> Result<()> {
    let seed = match std::env::var("GATHER_GRAPH_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 7,
    };
    let world = World::new().await?;
    let runs = start(&world, seed).await?;
    let nodes: usize = runs.iter().map(|run| run.plans.len()).sum();
    let began = Instant::now();
    for kill in 1..=KILLS {
        let worker = world.worker()?;
        let enough = i64::try_from(nodes * kill / (2 * (KILLS + 1)))?;
        while ended(&world).await? < enough {
            ensure!(
                began.elapsed() < LIMIT,
                "{} of {nodes}",
                ended(&world).await?
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        worker.signal("KILL")?;
    }
    let _worker = world.worker()?;
    for run in &runs {
        run.hold(&world, began).await?;
    }
    Ok(())
}
