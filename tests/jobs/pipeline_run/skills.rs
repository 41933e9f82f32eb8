//! Nodes that have skills compute, and actions that call them: in the versions of their publication, whatever becomes of these.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::refusal,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

/// Publishes a version of the skill `adder`, which may use what is given.
async fn adder(server: &Server, ada: &Agent, version: &str, permissions: Value) -> Result<()> {
    let mut manifest = manifest("adder", version);
    manifest["permissions"] = permissions;
    approved(server, ada, &manifest, "adder").await
}

async fn yank(world: &World, version: &str) -> Result<()> {
    let path = format!("/api/skills/adder/versions/{version}");
    let yanked = world.call("DELETE", &path, Value::Null).await?;
    assert!((200..300).contains(&yanked.0), "{yanked:?}");
    Ok(())
}

/// A transformation by the skill.
fn adds(a: &str, b: Value) -> Value {
    json!({"type": "transform", "skill": "adder", "tool": "add", "arguments": {"a": {"$": a}, "b": b}})
}

async fn step(world: &World, run: &str, path: &str) -> Result<Value> {
    let path = format!("{run}/steps/{path}");
    Ok(world.ada.get(&world.server, &path).await?.1)
}

#[tokio::test]
async fn a_skill_that_only_computes_transforms_a_value() -> Result<()> {
    // No worker reviews the skills.
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    adder(&server, &ada, "1.0.0", json!({})).await?;
    let definition = json!({
        "nodes": {
            "hold": {"type": "wait", "any": [{"signal": "go"}]},
            "sum": adds("input.a", json!(2)),
            "each": {"type": "map", "items": "[1, 2, 3]", "body": {"nodes": {"more": adds("item", json!({"$": "nodes.sum.output"}))}}},
            "call": {"type": "action", "do": "skill", "input": {"skill": "adder", "tool": "add", "arguments": {"a": 1, "b": 1}}},
        },
        "edges": [{"from": "hold", "to": "sum"}, {"from": "sum", "to": "each"}, {"from": "hold", "to": "call"}],
        "result": {"$": "[nodes.sum.output, nodes.each.output[2].output, nodes.call.output]"},
        "permissions": {"scopes": ["skills:call"]},
    });
    let new = json!({"name": "adds", "definition": definition});
    let made = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    // Neither a newer version nor that it is yanked changes what a published definition calls.
    adder(&server, &ada, "2.0.0", json!({"clock": true})).await?;
    let world = World::of(server, ada).await?;
    let start = json!({"input": {"a": 40}});
    let (_, run) = world
        .call("POST", "/api/pipelines/adds/runs", start)
        .await?;
    let run = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    world.waits(&run, "hold").await?;
    yank(&world, "1.0.0").await?;
    world
        .call("POST", &format!("{run}/signals/go"), json!({}))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["result"], json!([42, 45, 2]), "{ended}");
    assert!(ended["usage"]["fuel"].as_u64() > Some(0), "{ended}");
    let sum = step(&world, &run, "sum").await?;
    assert_eq!(
        (&sum["type"], &sum["effect"], &sum["input"]),
        (
            &json!("transform"),
            &json!("pure"),
            &json!({"skill": "adder", "version": "1.0.0", "tool": "add", "arguments": {"a": 40, "b": 2}})
        ),
        "{sum}"
    );
    let call = step(&world, &run, "call").await?;
    assert_eq!(
        (&call["effect"], &call["input"]["version"]),
        (&json!("repeatable"), &json!("1.0.0")),
        "{call}"
    );

    // What is computed again has to come out again.
    let restart = json!({"from": "sum", "outputs": {}});
    let path = format!("{run}/restart");
    let (_, again) = world.call("POST", &path, restart.clone()).await?;
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    assert_eq!(world.ended(&again).await?["result"], ended["result"]);
    let mut database = world.server.database.connect().await?;
    sqlx::query("update pipelines.step set output = '41' where path = 'sum'")
        .execute(&mut database)
        .await?;
    let (_, again) = world.call("POST", &path, restart).await?;
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    let failed = world.ended(&again).await?;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["step"]),
        (&json!("skill-differs"), &json!("sum")),
        "{failed}"
    );

    // What it has used counts.
    let mut spends = json!({"budget": {"fuel": 1}, "nodes": {"one": adds("1", json!(1)), "two": adds("nodes.one.output", json!(1))},
        "edges": [{"from": "one", "to": "two"}]});
    for node in ["one", "two"] {
        spends["nodes"][node]["version"] = json!("1.0.0");
    }
    let run = world.start("spends", spends, json!(null)).await?;
    world.until(&run, |run| run["status"] == "paused").await?;
    assert_eq!(world.statuses(&run).await?, json!({"one": "succeeded"}));

    // Its own error fails the step, and so do arguments that it does not know.
    for (node, code) in [
        (
            json!({"type": "transform", "skill": "adder", "version": "1.0.0", "tool": "greet", "arguments": {"name": ""}}),
            "skill-failed",
        ),
        (
            json!({"type": "transform", "skill": "adder", "version": "1.0.0", "tool": "add"}),
            "http-status",
        ),
    ] {
        let name = format!("fails-{code}");
        let run = world
            .start(&name, json!({"nodes": {"sum": node}}), json!(null))
            .await?;
        let failed = world.ended(&run).await?;
        assert_eq!(failed["error"]["code"], code, "{failed}");
    }

    // What may do more than compute, and what does not exist, is found when the definition is published.
    for (more, path, code) in [
        (json!({}), "nodes.sum.skill", "permission"),
        (
            json!({"version": "9.0.0"}),
            "nodes.sum.skill",
            "unknown-skill",
        ),
        (
            json!({"version": "1.0.0", "tool": "multiply"}),
            "nodes.sum.tool",
            "unknown-tool",
        ),
        (
            json!({"version": "1.0.0", "value": 1}),
            "nodes.sum",
            "shape",
        ),
        (
            json!({"version": "1.0.0", "arguments": {"a": {"$": "nodes.none.output"}}}),
            "nodes.sum.arguments.a",
            "reference",
        ),
    ] {
        let mut node = adds("1", json!(1));
        for (name, value) in more.as_object().into_iter().flatten() {
            node[name] = value.clone();
        }
        let new = json!({"name": "refused", "definition": {"nodes": {"sum": node, "one": transform("1")}}});
        let refused = world.call("POST", "/api/pipelines", new).await?;
        assert_eq!(refusal(&refused), (422, "invalid-definition"), "{more}");
        let problem = &refused.1["problems"][0];
        let at = problem["path"].as_str().unwrap_or_default();
        assert!(
            at.starts_with(path) && problem["code"] == code,
            "{more} {refused:?}"
        );
    }
    Ok(())
}
