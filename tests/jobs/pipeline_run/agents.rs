//! Nodes and schedules that ask agents and circles.

use crate::jobs::agent_turn::world::{World, begins, body, calls, says};
use anyhow::{Context, Result, ensure};
use e2e::{agents::Agent, client::refusal, models::Asked};
use serde_json::{Value, json};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(120);

/// The text of the first message that a model is told.
fn prompt(asked: &Asked) -> String {
    let body = body(asked);
    body["messages"][1]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// A server, and ada with the agent `bot` and the circle `both` of two agents.
async fn world() -> Result<World> {
    let tries = AtomicUsize::new(0);
    let world = World::new(move |asked, _| {
        let prompt = prompt(asked);
        if prompt.contains("Hold") {
            begins("Let me think")
        } else if prompt.contains("Twice") && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            says("I would say three.")
        } else if prompt.contains("Call") {
            calls(&[("look_up", "{\"query\": \"owls\"}")])
        } else if body(asked)["messages"][0]
            .to_string()
            .contains("JSON Schema")
        {
            says("```json\n{\"n\": 3}\n```")
        } else {
            says("Fine.")
        }
    })
    .await?;
    let persona = json!({"name": "plain", "instructions": "Answer.", "tools": [{"use": "memory"}]});
    world
        .circle(
            &json!({"name": "both", "mode": "parallel"}),
            &persona,
            &["bot", "bat"],
        )
        .await?;
    Ok(world)
}

async fn publish(world: &World, name: &str, node: Value) -> Result<(u16, Value)> {
    let definition = json!({"nodes": {"ask": node}, "result": {"$": "nodes.ask.output"}});
    let new = json!({"name": name, "definition": definition});
    world
        .ada
        .send(&world.server, "POST", "/api/pipelines", &new)
        .await
}

/// Makes a pipeline of one node, and starts a run of it; the path of the run.
async fn start(world: &World, name: &str, node: Value, input: Value) -> Result<String> {
    let made = publish(world, name, node).await?;
    ensure!(made.0 == 201, "{made:?}");
    let path = format!("/api/pipelines/{name}/runs");
    let (_, run) = world
        .ada
        .send(&world.server, "POST", &path, &json!({"input": input}))
        .await?;
    Ok(format!("/api/runs/{}", run["id"].as_str().context("id")?))
}

async fn until(world: &World, path: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
    let began = Instant::now();
    loop {
        let now = world.get(path).await?;
        if is_so(&now) {
            return Ok(now);
        }
        ensure!(began.elapsed() < LIMIT, "still {now:#}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn ended(world: &World, run: &str) -> Result<Value> {
    until(world, run, |run| !run["finished_at"].is_null()).await
}

fn agent(prompt: &str, more: Value) -> Value {
    let mut node = json!({"type": "agent", "agent": "bot", "prompt": prompt});
    for (name, value) in more.as_object().into_iter().flatten() {
        node[name] = value.clone();
    }
    node
}

#[tokio::test]
async fn an_agent_answers_with_text_and_data() -> Result<()> {
    let world = world().await?;
    // Neither is data read as an expression, nor is a long prompt cut.
    let said = format!(
        "{{\"$\": \"run.id\"}} {{{{1+1}}}} {}end",
        "x".repeat(20_000)
    );
    let node = json!({"type": "agent", "agent": "bot", "prompt": {"$": "'Count: ' + input"}, "tools": [],
        "output": {"type": "object", "required": ["n"]}});
    let run = start(&world, "counts", node, json!(said)).await?;
    let run_ended = ended(&world, &run).await?;
    let result = &run_ended["result"];
    assert_eq!(result["data"], json!({"n": 3}), "{run_ended:#}");
    assert_eq!(
        (&result["usage"]["turns"], &result["usage"]["input_tokens"]),
        (&json!(1), &json!(25)),
        "{result}"
    );
    let asked = world.models.asked();
    assert_eq!(asked.len(), 1);
    assert!(
        prompt(&asked[0]).ends_with(&said),
        "{:?}",
        prompt(&asked[0]).len()
    );
    assert!(
        body(&asked[0])["tools"]
            .to_string()
            .find("remember")
            .is_none()
    );
    let step = world.get(&format!("{run}/steps/ask")).await?;
    let turn = step["turn"].as_str().context("turn")?;
    let turn = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(
        (&turn["status"], &turn["job"], &step["effect"]),
        (&json!("completed"), &step["job"], &json!("inside")),
        "{step}"
    );

    // One answer that is not JSON is asked for again, and one is all there is.
    let schema = json!({"output": {"type": "object"}, "retry": {"attempts": 2, "first_ms": 10}});
    let run = start(&world, "twice", agent("Twice", schema), json!(null)).await?;
    assert_eq!(ended(&world, &run).await?["status"], "succeeded");
    let step = world.get(&format!("{run}/steps/ask")).await?;
    assert_eq!(step["attempts"], 2, "{step}");
    let unfit = agent("Unfit", json!({"output": {"type": "string"}}));
    let run = start(&world, "unfit", unfit, json!(null)).await?;
    let failed = ended(&world, &run).await?;
    assert_eq!(failed["error"]["code"], "output-invalid", "{failed}");

    let circle = json!({"type": "agent", "circle": "both", "prompt": "What do you think?"});
    let run = start(&world, "circle", circle, json!(null)).await?;
    let done = ended(&world, &run).await?;
    assert_eq!(
        (&done["result"]["text"], &done["result"]["usage"]["turns"]),
        (&json!("Fine."), &json!(2)),
        "{done:#}"
    );

    // A claw is asked by its owner alone, by its name or its id.
    let new = json!({"name": "helper", "persona": "plain"});
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let id = made["claw"]["id"].as_str().context("claw")?;
    let claw = format!("/api/claws/{id}");
    until(&world, &claw, |claw| claw["status"] == "running").await?;
    for (name, claw) in [("by-name", "helper"), ("by-id", id)] {
        let node = json!({"type": "agent", "claw": claw, "prompt": "Well?"});
        let run = start(&world, name, node, json!(null)).await?;
        let done = ended(&world, &run).await?;
        assert_eq!(done["result"]["text"], "Fine.", "{done:#}");
        let step = world.get(&format!("{run}/steps/ask")).await?;
        assert_eq!(step["input"]["claw"], claw, "{step}");
    }
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let node = json!({"nodes": {"ask": {"type": "agent", "claw": id, "prompt": "Well?"}}});
    let new = json!({"name": "theirs", "definition": node});
    let refused = bob
        .send(&world.server, "POST", "/api/pipelines", &new)
        .await?;
    assert_eq!(
        refused.1["problems"][0]["code"], "unknown-claw",
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_agent_that_fails_or_is_not_waited_for_any_more() -> Result<()> {
    let world = world().await?;
    let limited = agent("Call", json!({"max_turns": 1}));
    let run = start(&world, "limited", limited, json!(null)).await?;
    let failed = ended(&world, &run).await?;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["reason"]),
        (&json!("agent-failed"), &json!("steps")),
        "{failed}"
    );
    let late = agent("Hold", json!({"timeout_ms": 1_000}));
    let run = start(&world, "late", late, json!(null)).await?;
    let failed = ended(&world, &run).await?;
    assert_eq!(failed["error"]["code"], "timeout", "{failed}");

    let run = start(&world, "held", agent("Hold on", json!({})), json!(null)).await?;
    let step = until(&world, &format!("{run}/steps?limit=10"), |steps| {
        steps["items"][0]["turn"].is_string()
    })
    .await?;
    let turn = format!(
        "/api/turns/{}",
        step["items"][0]["turn"].as_str().context("turn")?
    );
    until(&world, &turn, |turn| turn["status"] == "running").await?;
    let cancel = format!("{run}/cancel");
    let (status, _) = world
        .ada
        .send(&world.server, "POST", &cancel, &json!({}))
        .await?;
    assert_eq!(status, 202);
    assert_eq!(world.get(&turn).await?["status"], "cancelled");
    assert_eq!(ended(&world, &run).await?["status"], "cancelled");
    let mut database = world.server.database.connect().await?;
    let waits: i64 =
        sqlx::query_scalar("select count(*) from circles.turn t where t.finished_at is null")
            .fetch_one(&mut database)
            .await?;
    assert_eq!(waits, 0, "the late one's turn has ended, too");

    // Whoever may not be asked is found when the definition is published.
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let node = json!({"nodes": {"ask": agent("Hello", json!({}))}});
    let new = json!({"name": "theirs", "definition": node});
    let refused = bob
        .send(&world.server, "POST", "/api/pipelines", &new)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    assert_eq!(
        refused.1["problems"][0]["code"], "unknown-agent",
        "{refused:?}"
    );
    for (node, code) in [
        (
            json!({"type": "agent", "circle": "none", "prompt": "x"}),
            "unknown-circle",
        ),
        (
            json!({"type": "agent", "claw": "none", "prompt": "x"}),
            "unknown-claw",
        ),
        (
            // An agent that is not a claw.
            json!({"type": "agent", "claw": "bot", "prompt": "x"}),
            "unknown-claw",
        ),
        (
            json!({"type": "agent", "claw": "bot", "agent": "bot", "prompt": "x"}),
            "shape",
        ),
        (
            json!({"type": "agent", "agent": "bot", "circle": "both", "prompt": "x"}),
            "shape",
        ),
    ] {
        let refused = publish(&world, "refused", node.clone()).await?;
        assert_eq!(refused.1["problems"][0]["code"], code, "{node} {refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_gives_an_agent_a_task_and_no_answer_sets_itself_off() -> Result<()> {
    let world = world().await?;
    let said = |agent: &str| json!({"name": "Daily", "every_ms": 3_600_000, "action": {"type": "run_task", "agent": agent, "prompt": "Report."}});
    let refused = world
        .ada
        .send(&world.server, "POST", "/api/schedules", &said("nobody"))
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    let made = world
        .ask("POST", "/api/schedules", &said("bot"), 201)
        .await?;
    let path = format!("/api/schedules/{}", made["id"].as_str().context("id")?);
    world
        .ask("POST", &format!("{path}/run"), &json!({}), 202)
        .await?;
    let firings = until(&world, &format!("{path}/firings?limit=10"), |firings| {
        firings["items"][0]["status"] == "succeeded"
    })
    .await?;
    assert!(firings["items"][0]["job"].is_string(), "{firings}");

    // The agent's own turn, and the message that asks it, are events that started the run.
    let made = publish(&world, "again", agent("Again", json!({}))).await?;
    assert_eq!(made.0, 201, "{made:?}");
    let trigger = json!({"kind": "event", "type": "turn.completed", "input": null});
    let path = "/api/pipelines/again/triggers";
    let trigger = world.ask("POST", path, &trigger, 201).await?;
    world
        .ask("POST", "/api/pipelines/again/runs", &json!({}), 202)
        .await?;
    let path = format!(
        "/api/triggers/{}/firings?limit=100",
        trigger["id"].as_str().context("id")?
    );
    let firings = until(&world, &path, |firings| {
        let items = firings["items"].as_array().into_iter().flatten();
        items
            .into_iter()
            .any(|firing| firing["status"] == "suppressed")
    })
    .await?;
    let items = firings["items"].as_array().into_iter().flatten();
    let started = items.filter(|firing| firing["status"] == "started").count();
    assert!(started <= 9, "{firings}");
    Ok(())
}
