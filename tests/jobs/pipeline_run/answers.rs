//! What comes from elsewhere for a step: results of other runs, decisions, and outputs that people give.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::refusal,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

async fn publish(world: &World, name: &str, definition: Value) -> Result<()> {
    let new = json!({"name": name, "definition": definition});
    let made = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    Ok(())
}

/// A pipeline that runs another one.
fn caller(of: &str, more: Value) -> Value {
    let mut node = json!({"type": "pipeline", "pipeline": of});
    for (name, value) in more.as_object().into_iter().flatten() {
        node[name] = value.clone();
    }
    json!({"nodes": {"call": node}, "result": {"$": "nodes.call.output"}})
}

async fn step(world: &World, run: &str, path: &str) -> Result<Value> {
    let path = format!("{run}/steps/{path}");
    Ok(world.ada.get(&world.server, &path).await?.1)
}

#[tokio::test]
async fn a_run_that_fails_is_repeated_as_its_step_says() -> Result<()> {
    let target = Receiver::start(|count| Answer::status(if count < 2 { 500 } else { 200 })).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let fetch = json!({"type": "action", "do": "http", "input": {"url": format!("{origin}/a")}});
    let inner = json!({"nodes": {"fetch": fetch}, "result": {"$": "nodes.fetch.output.status"},
        "permissions": {"http": [origin]}});
    publish(&world, "inner", inner).await?;
    let retry = json!({"retry": {"attempts": 4, "first_ms": 20}});
    let run = world
        .start("repeats", caller("inner", retry), json!(null))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!(200)),
        "{ended}"
    );
    assert_eq!(step(&world, &run, "call").await?["attempts"], 3);
    let below = format!("/api/runs?parent={}", run.trim_start_matches("/api/runs/"));
    let (_, below) = world.ada.get(&world.server, &below).await?;
    let statuses: Vec<&Value> = below["items"]
        .as_array()
        .context("items")?
        .iter()
        .map(|run| &run["status"])
        .collect();
    assert_eq!(statuses, ["succeeded", "failed", "failed"], "{below}");

    // Not for other errors than those that it names, and not after somebody has cancelled the run.
    publish(&world, "fails", json!({"nodes": {"a": transform("1 / 0")}})).await?;
    let picky = json!({"retry": {"attempts": 4, "first_ms": 20, "on": ["timeout"]}});
    let run = world
        .start("picky", caller("fails", picky), json!(null))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["error"]["code"], "child-failed", "{ended}");
    assert_eq!(step(&world, &run, "call").await?["attempts"], 1);
    let holds = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    publish(&world, "holds", holds).await?;
    let often = json!({"retry": {"attempts": 4, "first_ms": 20}});
    let run = world
        .start("stopped", caller("holds", often), json!(null))
        .await?;
    world.waits(&run, "call").await?;
    let child = step(&world, &run, "call").await?["child"].clone();
    let cancel = format!("/api/runs/{}/cancel", child.as_str().context("child")?);
    world.call("POST", &cancel, json!({})).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["error"]["code"], "child-failed", "{ended}");
    assert_eq!(step(&world, &run, "call").await?["attempts"], 1);
    Ok(())
}

#[tokio::test]
async fn results_of_other_runs_and_decisions_have_to_fit_the_schema_of_the_output() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let inner = json!({"nodes": {"a": transform("input")}, "result": {"$": "nodes.a.output"}});
    publish(&world, "inner", inner).await?;
    let more = json!({"input": {"$": "input"}, "output": {"type": "integer"}});
    let run = world
        .start("fits", caller("inner", more.clone()), json!(7))
        .await?;
    assert_eq!(world.ended(&run).await?["result"], 7);
    let run = world
        .start("misfits", caller("inner", more), json!("seven"))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["error"]["code"], "output-invalid", "{ended}");
    let detached = json!({"wait": false, "output": {"type": "integer"}});
    let run = world
        .start("detached", caller("inner", detached), json!(null))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["error"]["code"], "output-invalid", "{ended}");

    let ask = json!({"type": "approval", "who": [bob.id], "on_error": "continue",
        "output": {"properties": {"form": {"type": "object", "required": ["sum"]}}}});
    let definition = json!({"nodes": {"ask": ask}, "result": {"$": "nodes.ask.error.code"}});
    let run = world.start("asks", definition, json!(null)).await?;
    world.waits(&run, "ask").await?;
    let (_, open) = bob
        .get(&world.server, "/api/approvals?state=pending")
        .await?;
    let approval = &open["items"][0];
    let path = format!(
        "/api/approvals/{}/decision",
        approval["id"].as_str().context("id")?
    );
    let decision =
        json!({"decision": "approve", "digest": approval["digest"], "form": {"other": 1}});
    let decided = bob.send(&world.server, "POST", &path, &decision).await?;
    assert_eq!(decided.0, 200, "{decided:?}");
    let ended = world.ended(&run).await?;
    assert_eq!(ended["result"], "output-invalid", "{ended}");
    Ok(())
}

#[tokio::test]
async fn an_output_that_somebody_gives_has_to_fit_the_schema_of_its_step() -> Result<()> {
    let target = Receiver::start(|_| Answer::Reset).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let pay = json!({"type": "action", "do": "http", "output": {"type": "integer"},
        "input": {"method": "POST", "url": format!("{origin}/pay"), "body": {"sum": 1}}});
    let definition = json!({"nodes": {"pay": pay, "after": transform("nodes.pay.output + 1")},
        "edges": [{"from": "pay", "to": "after"}], "result": {"$": "nodes.after.output"},
        "permissions": {"http": [origin]}});
    let run = world.start("pays", definition, json!(null)).await?;
    world.waits(&run, "pay").await?;
    let path = format!("{run}/steps/pay/resolve");
    for output in [json!("one"), json!(null)] {
        let said = json!({"outcome": "succeeded", "output": output});
        let refused = world.call("POST", &path, said).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{refused:?}");
    }
    let said = json!({"outcome": "succeeded", "output": 41});
    let resolved = world.call("POST", &path, said).await?;
    assert_eq!(resolved.0, 200, "{resolved:?}");
    assert_eq!(world.ended(&run).await?["result"], 42);

    let restart = |output: Value| json!({"from": "after", "outputs": {"pay": output}});
    let path = format!("{run}/restart");
    let refused = world.call("POST", &path, restart(json!("one"))).await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"), "{refused:?}");
    let (status, again) = world.call("POST", &path, restart(json!(1))).await?;
    assert_eq!(status, 202, "{again}");
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    assert_eq!(world.ended(&again).await?["result"], 2);
    Ok(())
}

#[tokio::test]
async fn an_output_that_somebody_gives_counts_for_the_size_of_the_run() -> Result<()> {
    let target = Receiver::start(|_| Answer::Reset).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let pay = json!({"type": "action", "do": "http",
        "input": {"method": "POST", "url": format!("{origin}/pay"), "body": {"sum": 1}}});
    let mut nodes = json!({"pay": pay});
    for number in 0..16 {
        nodes[format!("large_{number}")] = transform("input + input");
    }
    let definition = json!({"nodes": nodes, "permissions": {"http": [origin]}});
    let large = "x".repeat(523_000);
    let run = world.start("large", definition, json!(large)).await?;
    world.waits(&run, "pay").await?;
    let path = format!("{run}/steps/pay/resolve");
    let said = |size: usize| json!({"outcome": "succeeded", "output": "x".repeat(size)});
    let refused = world.call("POST", &path, said(50_000)).await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"), "{refused:?}");
    let resolved = world.call("POST", &path, said(10_000)).await?;
    assert_eq!(resolved.0, 200, "{}", resolved.1["detail"]);
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    Ok(())
}
