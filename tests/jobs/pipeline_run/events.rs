//! The events of runs and steps, held against their rows.

use super::world::{World, transform};
use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

use crate::jobs::faults::Random;

const RUNS: i64 = 300;

/// The steps of ended runs that do not have exactly one event of their end, or whose last event is not about it, and the
/// ended runs of which that holds. Steps of maps have no events unless they have waited.
const ODD: &str = "
with told as (
    select e.topic, e.data ->> 'path' as path, array_agg(e.type order by e.number) as types
    from events.event e where e.topic like 'run:%' and (e.type like 'step.%' or e.type like 'run.%')
    and e.type <> 'step.progress' group by 1, 2
), row as (
    select 'run:' || s.run_id as topic, s.path, 'step.' || replace(s.status, '_', '-') as last from pipelines.step s
    where strpos(s.path, '[') = 0
    union all
    select 'run:' || r.id, null, 'run.' || replace(r.status, '_', '-') from pipelines.run r
)
select concat_ws(' ', row.topic, row.path, row.last, array_to_string(told.types, ','))
from row left join told on told.topic = row.topic and told.path is not distinct from row.path
where told.types is null or row.last <> told.types[cardinality(told.types)] or 1 <> (
    select count(*) from unnest(told.types) t
    where t ~ '(succeeded|failed|skipped|cancelled|timed-out)$')";

async fn odd(world: &World) -> Result<Vec<String>> {
    let mut database = world.server.database.connect().await?;
    Ok(sqlx::query_scalar(ODD).fetch_all(&mut database).await?)
}

/// The types of a run's events, by the steps that they are about.
async fn told(world: &World, run: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let topic = run.replace("/api/runs/", "run:");
    let path = format!("/api/events?topic={topic}&limit=1000");
    let (_, page) = world.ada.get(&world.server, &path).await?;
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for event in page["items"].as_array().context("items")? {
        let path = event["data"]["path"].as_str().unwrap_or_default();
        let kind = event["type"].as_str().context("type")?;
        let types = found.entry(path.to_owned()).or_default();
        types.push(kind.to_owned());
    }
    Ok(found)
}

#[tokio::test]
async fn each_end_of_a_step_is_told_once_and_as_it_is() -> Result<()> {
    let target = Receiver::start(|_| Answer::Reset).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let leaf = json!({"nodes": {"a": transform("1")}});
    let new = json!({"name": "leaf", "definition": leaf});
    assert_eq!(world.call("POST", "/api/pipelines", new).await?.0, 201);
    let ask = |who: Value| json!({"type": "approval", "who": [who], "on_error": "continue"});
    let nobody = json!("00000000-0000-7000-8000-000000000000");
    let child = |wait: bool| json!({"type": "pipeline", "pipeline": "leaf", "wait": wait});
    let definition = json!({
        "nodes": {
            "asked": ask(json!(bob.id)), "refused": ask(nobody), "child": child(true), "apart": child(false),
            "off": {"type": "transform", "value": 1, "when": "false"},
            "each": {"type": "map", "items": "[1]", "body": {"nodes": {"ask": ask(json!(bob.id))}}},
            "pay": {"type": "action", "do": "http", "input": {"method": "POST", "url": format!("{origin}/pay")}},
            "late": {"type": "wait", "any": [{"signal": "never"}], "timeout_ms": 100, "on_error": "continue"},
            "hold": {"type": "wait", "any": [{"signal": "never"}]},
        },
        "permissions": {"http": [origin]},
    });
    let run = world.start("tells", definition, json!(null)).await?;
    let waits = json!(["asked", "each", "each[0].ask", "hold", "pay"]);
    let is_held = |run: &Value| run["status"] == "waiting" && run["waiting_for"] == waits;
    world.until(&run, is_held).await?;
    let (_, open) = bob
        .get(&world.server, "/api/approvals?state=pending")
        .await?;
    for approval in open["items"].as_array().context("items")? {
        let id = approval["id"].as_str().context("id")?;
        let path = format!("/api/approvals/{id}/decision");
        let decision = json!({"decision": "approve", "digest": approval["digest"]});
        let decided = bob.send(&world.server, "POST", &path, &decision).await?;
        assert_eq!(decided.0, 200, "{decided:?}");
    }
    let path = format!("{run}/steps/pay/resolve");
    let resolved = json!({"outcome": "succeeded", "output": 1});
    assert_eq!(world.call("POST", &path, resolved).await?.0, 200);
    world.waits(&run, "hold").await?;
    world
        .call("POST", &format!("{run}/cancel"), json!({}))
        .await?;
    world.ended(&run).await?;
    let told = told(&world, &run).await?;
    for (path, types) in [
        ("asked", &["waiting", "succeeded"][..]),
        ("refused", &["waiting", "failed"]),
        ("child", &["waiting", "succeeded"]),
        ("apart", &["waiting", "succeeded"]),
        ("off", &["skipped"]),
        ("each[0].ask", &["waiting", "succeeded"]),
        ("pay", &["running", "uncertain", "succeeded"]),
        ("late", &["waiting", "timed-out"]),
        ("hold", &["waiting", "cancelled"]),
    ] {
        let types: Vec<String> = types.iter().map(|kind| format!("step.{kind}")).collect();
        assert_eq!(told.get(path), Some(&types), "{path}: {told:?}");
    }
    let late = json!({"timeout_ms": 100, "nodes": {"hold": {"type": "wait", "any": [{"signal": "never"}]}}});
    let late = world.start("late", late, json!(null)).await?;
    assert_eq!(world.ended(&late).await?["status"], "timed_out");
    assert_eq!(odd(&world).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_run_that_is_cancelled_at_any_moment_keeps_its_end_and_tells_it() -> Result<()> {
    let seed = match std::env::var("GATHER_CANCEL_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 3,
    };
    println!("GATHER_CANCEL_SEED={seed}");
    let mut random = Random(seed);
    let world = World::new().await?;
    let definition = json!({
        "nodes": {"a": transform("1"), "pause": {"type": "wait", "any": [{"for_ms": 20}]}, "b": transform("nodes.a.output")},
        "edges": [{"from": "a", "to": "pause"}, {"from": "pause", "to": "b"}],
    });
    let new = json!({"name": "short", "definition": definition});
    assert_eq!(world.call("POST", "/api/pipelines", new).await?.0, 201);
    let mut database = world.server.database.connect().await?;
    let mut ends = BTreeMap::<String, usize>::new();
    for _ in 0..RUNS / 10 {
        let runs: Vec<Uuid> = sqlx::query_scalar(
            "select (pipelines.start(p.id, p.owner_id, null, 'null', null, 0, null) ->> 'run')::uuid
             from pipelines.pipeline p, generate_series(1, 10) where p.name = 'short'",
        )
        .fetch_all(&mut database)
        .await?;
        let mut answers = Vec::new();
        for run in &runs {
            tokio::time::sleep(Duration::from_millis(random.below(20))).await;
            let path = format!("/api/runs/{run}/cancel");
            let (status, answer) = world.call("POST", &path, json!({})).await?;
            ensure!([202, 409].contains(&status), "{answer}");
            answers.push(status);
        }
        for (run, status) in runs.iter().zip(answers) {
            // A run that had ended before stays as it was.
            let ended = world.ended(&format!("/api/runs/{run}")).await?;
            let expected = if status == 202 {
                "cancelled"
            } else {
                "succeeded"
            };
            assert_eq!(ended["status"], expected, "{ended}");
            *ends.entry(expected.to_owned()).or_default() += 1;
        }
    }
    println!("{ends:?}");
    assert_eq!(ends.len(), 2, "both have to happen: {ends:?}");
    let changed =
        "select count(*) from pipelines.run where status not in ('cancelled', 'succeeded')";
    assert_eq!(world.number(changed).await?, 0);
    assert_eq!(odd(&world).await?, [""; 0]);
    Ok(())
}
