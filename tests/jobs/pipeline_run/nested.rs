//! Maps, runs that start others, and runs that are paused.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    agents::Agent,
    client::{read, refusal},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn map(body: Value, more: Value) -> Value {
    let mut node = json!({"type": "map", "items": "input", "body": body});
    for (name, value) in more.as_object().into_iter().flatten() {
        node[name] = value.clone();
    }
    json!({"nodes": {"each": node}, "result": {"$": "nodes.each.output"}})
}

#[tokio::test]
async fn a_map_works_on_each_item_and_keeps_their_order() -> Result<()> {
    let world = World::new().await?;
    let body = json!({
        "nodes": {
            "size": {"type": "condition", "cases": [{"name": "big", "when": "item > 2"}], "else": "small"},
            "ten": transform("item * 10 + index"), "same": transform("item"), "out": {"type": "merge"},
        },
        "edges": [{"from": "size", "to": "ten", "on": "big"}, {"from": "size", "to": "same", "on": "small"},
            {"from": "ten", "to": "out"}, {"from": "same", "to": "out"}],
    });
    let run = world
        .start("maps", map(body, json!({})), json!([1, 2, 3, 4]))
        .await?;
    let ended = world.ended(&run).await?;
    let expected = json!([{"output": {"same": 1}}, {"output": {"same": 2}}, {"output": {"ten": 32}}, {"output": {"ten": 43}}]);
    assert_eq!(ended["result"], expected, "{ended}");
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/each%5B2%5D.ten"))
        .await?;
    assert_eq!(
        (&step["path"], &step["output"]),
        (&json!("each[2].ten"), &json!(32)),
        "{step}"
    );
    let (_, below) = world
        .ada
        .get(&world.server, &format!("{run}/steps?path=each%5B0%5D."))
        .await?;
    assert_eq!(below["items"].as_array().map(Vec::len), Some(4), "{below}");

    let empty = world
        .call("POST", "/api/pipelines/maps/runs", json!({"input": []}))
        .await?
        .1;
    let empty = world
        .ended(&format!(
            "/api/runs/{}",
            empty["id"].as_str().context("id")?
        ))
        .await?;
    assert_eq!(empty["result"], json!([]), "{empty}");
    Ok(())
}

#[tokio::test]
async fn a_failing_item_fails_the_map_or_stands_in_its_place() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"nodes": {"a": transform("12 / item"), "b": transform("nodes.a.output + 1")}, "edges": [{"from": "a", "to": "b"}]});
    for parallel in [1, 8] {
        let name = format!("fails-{parallel}");
        let run = world
            .start(
                &name,
                map(body.clone(), json!({"parallel": parallel})),
                json!([3, 0, 2]),
            )
            .await?;
        let ended = world.ended(&run).await?;
        assert_eq!(
            (
                &ended["status"],
                &ended["error"]["code"],
                &ended["error"]["step"]
            ),
            (
                &json!("failed"),
                &json!("expression-failed"),
                &json!("each[1].a")
            ),
            "{ended}"
        );
        let name = format!("collects-{parallel}");
        let more = json!({"parallel": parallel, "on_item_error": "collect"});
        let run = world
            .start(&name, map(body.clone(), more), json!([3, 0, 2]))
            .await?;
        let ended = world.ended(&run).await?;
        assert_eq!(ended["status"], "succeeded", "{ended}");
        assert_eq!(
            (&ended["result"][0], &ended["result"][2]),
            (&json!({"output": 5}), &json!({"output": 7}))
        );
        assert_eq!(ended["result"][1]["error"]["code"], "expression-failed");
    }
    Ok(())
}

#[tokio::test]
async fn a_question_in_a_map_or_in_another_run_is_waited_for() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let asks = json!({"nodes": {"ask": {"type": "approval", "who": [bob.id]}}, "result": {"$": "nodes.ask.output.decision"}});
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "asks", "definition": asks}),
        )
        .await?;
    let body = json!({
        "nodes": {"ask": {"type": "approval", "who": [bob.id], "question": {"$": "'Item ' + item"}},
            "child": {"type": "pipeline", "pipeline": "asks"}},
        "result": {"own": {"$": "nodes.ask.output.decision"}, "child": {"$": "nodes.child.output"}},
    });
    let run = world
        .start("outer", map(body, json!({})), json!(["a", "b"]))
        .await?;
    let waiting = world
        .until(&run, |run| {
            run["status"] == "waiting"
                && run["waiting_for"]
                    .as_array()
                    .is_some_and(|steps| steps.len() == 5)
        })
        .await?;
    assert!(waiting["finished_at"].is_null(), "{waiting}");
    let decide = async |open: usize, count: usize| -> Result<()> {
        // The runs within ask a moment after they are waited for.
        let open = loop {
            let (_, found) = bob
                .get(&world.server, "/api/approvals?state=pending")
                .await?;
            if found["items"]
                .as_array()
                .is_some_and(|items| items.len() == open)
            {
                break found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        for approval in open["items"]
            .as_array()
            .context("items")?
            .iter()
            .take(count)
        {
            let path = format!(
                "/api/approvals/{}/decision",
                approval["id"].as_str().context("id")?
            );
            let decision = json!({"decision": "approve", "digest": approval["digest"]});
            assert_eq!(
                bob.send(&world.server, "POST", &path, &decision).await?.0,
                200
            );
        }
        Ok(())
    };
    decide(4, 3).await?;
    let still = world
        .until(&run, |run| {
            run["status"] == "waiting"
                && run["waiting_for"]
                    .as_array()
                    .is_some_and(|steps| steps.len() <= 3)
        })
        .await?;
    assert!(still["finished_at"].is_null(), "{still}");
    decide(1, 1).await?;
    let ended = world.ended(&run).await?;
    let each = json!({"output": {"own": "approved", "child": "approved"}});
    assert_eq!(ended["result"], json!([each, each]), "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_run_waits_for_the_one_that_it_started_and_takes_it_along() -> Result<()> {
    let world = World::new().await?;
    let inner = json!({
        "input": {"type": "object", "required": ["n"]},
        "nodes": {"double": transform("input.n * 2"), "hold": {"type": "wait", "any": [{"signal": "go"}], "when": "input.n > 1"}},
        "result": {"$": "nodes.double.output"},
    });
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "inner", "definition": inner}),
        )
        .await?;
    let outer = json!({
        "nodes": {"call": {"type": "pipeline", "pipeline": "inner", "input": {"$": "input"}}},
        "result": {"$": "nodes.call.output"},
    });
    let run = world.start("outer", outer.clone(), json!({"n": 1})).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["result"], 2, "{ended}");

    let start = async |input: Value| -> Result<String> {
        let (status, run) = world
            .call("POST", "/api/pipelines/outer/runs", json!({"input": input}))
            .await?;
        assert_eq!(status, 202, "{run}");
        Ok(format!("/api/runs/{}", run["id"].as_str().context("id")?))
    };
    let refused = world.ended(&start(json!({})).await?).await?;
    assert_eq!(
        (&refused["status"], &refused["error"]["code"]),
        (&json!("failed"), &json!("child-failed")),
        "{refused}"
    );

    let held = start(json!({"n": 2})).await?;
    world.waits(&held, "call").await?;
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{held}/steps/call"))
        .await?;
    let child = format!("/api/runs/{}", step["child"].as_str().context("child")?);
    let below = world
        .ada
        .get(
            &world.server,
            &format!("/api/runs?parent={}", held.trim_start_matches("/api/runs/")),
        )
        .await?;
    assert_eq!(
        below.1["items"].as_array().map(Vec::len),
        Some(1),
        "{below:?}"
    );
    world.waits(&child, "hold").await?;
    assert_eq!(
        world
            .call("POST", &format!("{held}/cancel"), json!({}))
            .await?
            .0,
        202
    );
    assert_eq!(world.ended(&child).await?["status"], "cancelled");
    assert_eq!(world.ended(&held).await?["status"], "cancelled");
    assert_eq!(world.statuses(&held).await?, json!({"call": "cancelled"}));

    // Without waiting it ends with the other run's id, and a cancelled child fails its step.
    let mut detached = outer.clone();
    detached["nodes"]["call"]["wait"] = json!(false);
    let run = world.start("detached", detached, json!({"n": 2})).await?;
    let ended = world.ended(&run).await?;
    let other = format!(
        "/api/runs/{}",
        ended["result"]["run"].as_str().context("run")?
    );
    world.waits(&other, "hold").await?;
    let held = start(json!({"n": 2})).await?;
    world.waits(&held, "call").await?;
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{held}/steps/call"))
        .await?;
    let child = format!("/api/runs/{}", step["child"].as_str().context("child")?);
    world
        .call("POST", &format!("{child}/cancel"), json!({}))
        .await?;
    assert_eq!(world.ended(&held).await?["error"]["code"], "child-failed");

    let unknown = json!({"name": "unknown", "definition": {"nodes": {"a": {"type": "pipeline", "pipeline": "nobody"}}}});
    let answer = world.call("POST", "/api/pipelines", unknown).await?;
    assert_eq!(refusal(&answer), (422, "invalid-definition"));
    assert_eq!(answer.1["problems"][0]["code"], "unknown-pipeline");
    Ok(())
}

#[tokio::test]
async fn a_run_that_calls_itself_ends_at_eight_levels() -> Result<()> {
    let world = World::new().await?;
    let plain = json!({"nodes": {"a": transform("1")}});
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "self", "definition": plain}),
        )
        .await?;
    let again = json!({"nodes": {"call": {"type": "pipeline", "pipeline": "self"}}});
    let published = world
        .call(
            "POST",
            "/api/pipelines/self/versions",
            json!({"definition": again, "activate": true}),
        )
        .await?;
    assert_eq!(published.0, 201, "{published:?}");
    let (_, run) = world
        .call("POST", "/api/pipelines/self/runs", json!({}))
        .await?;
    let ended = world
        .ended(&format!("/api/runs/{}", run["id"].as_str().context("id")?))
        .await?;
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("failed"), &json!("child-failed")),
        "{ended}"
    );
    assert_eq!(world.number("select count(*) from pipelines.run").await?, 9);
    Ok(())
}

#[tokio::test]
async fn a_paused_run_does_nothing_until_it_is_resumed() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}, "after": transform("1")},
        "edges": [{"from": "hold", "to": "after"}],
    });
    let run = world.start("pauses", definition, json!(null)).await?;
    world.waits(&run, "hold").await?;
    for _ in 0..2 {
        let paused = world
            .call("POST", &format!("{run}/pause"), json!({}))
            .await?;
        assert_eq!(
            (paused.0, &paused.1["status"]),
            (202, &json!("paused")),
            "{paused:?}"
        );
    }
    world
        .call("POST", &format!("{run}/signals/go"), json!({}))
        .await?;
    let jobs = "select count(*) from jobs.job where kind = 'pipeline-run' and finished_at is null";
    assert_eq!(world.number(jobs).await?, 0, "nothing drives it");
    let (_, still) = world.ada.get(&world.server, &run).await?;
    assert_eq!(still["status"], "paused");
    assert_eq!(
        world
            .call("POST", &format!("{run}/resume"), json!({}))
            .await?
            .0,
        202
    );
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    let late = world
        .call("POST", &format!("{run}/pause"), json!({}))
        .await?;
    assert_eq!(refusal(&late), (409, "run-finished"));
    Ok(())
}

#[tokio::test]
async fn only_an_item_and_what_follows_runs_again() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"nodes": {"a": transform("item"), "b": transform("nodes.a.output * 2")}, "edges": [{"from": "a", "to": "b"}]});
    let mut definition = map(body, json!({}));
    definition["nodes"]["sum"] = transform("nodes.each.output.map(x, x.output)");
    definition["edges"] = json!([{"from": "each", "to": "sum"}]);
    definition["result"] = json!({"$": "nodes.sum.output"});
    let run = world.start("again", definition, json!([1, 2, 3])).await?;
    assert_eq!(world.ended(&run).await?["result"], json!([2, 4, 6]));
    let restart = json!({"from": "each[1].b", "outputs": {"each[1].a": 50, "each[0].b": 7}});
    let (status, again) = world
        .call("POST", &format!("{run}/restart"), restart)
        .await?;
    assert_eq!(status, 202, "{again}");
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    assert_eq!(world.ended(&again).await?["result"], json!([7, 100, 6]));
    let unknown = json!({"from": "each[1].c"});
    let answer = world
        .call("POST", &format!("{run}/restart"), unknown)
        .await?;
    assert_eq!(refusal(&answer), (404, "unknown-step"));
    Ok(())
}

/// The paths of the problems that a definition has.
async fn problem_paths(world: &World, definition: Value) -> Result<BTreeSet<String>> {
    let definition = json!({"definition": definition});
    let (_, checked) = world
        .call("POST", "/api/pipelines/validate", definition)
        .await?;
    let problems = checked["problems"].as_array().context("problems")?;
    let paths = problems
        .iter()
        .filter_map(|problem| problem["path"].as_str());
    Ok(paths.map(str::to_owned).collect())
}

#[tokio::test]
async fn a_map_s_definition_is_checked_to_its_depth() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({"nodes": {
        "first": transform("1"),
        "each": {"type": "map", "items": "[", "parallel": 65, "body": {
            "nodes": {"first": transform("1"), "x": transform("nodes.y.output"), "y": {"type": "nonsense"}}, "input": {}}},
        "none": {"type": "map", "items": "[]"},
    }});
    let problems = problem_paths(&world, definition).await?;
    for path in [
        "nodes.each.body.input",
        "nodes.each.body.nodes.y.type",
        "nodes.none.body",
    ] {
        assert!(problems.contains(path), "{path} in {problems:?}");
    }
    let definition = json!({"nodes": {
        "first": transform("1"),
        "each": {"type": "map", "items": "[", "parallel": 65, "body": {
            "nodes": {"first": transform("1"), "x": transform("nodes.y.output"), "y": transform("nodes.first.output")}}},
    }, "edges": [{"from": "first", "to": "each"}]});
    let problems = problem_paths(&world, definition).await?;
    for path in [
        "nodes.each.items",
        "nodes.each.parallel",
        "nodes.each.body.nodes.first",
        "nodes.each.body.nodes.x.value",
    ] {
        assert!(problems.contains(path), "{path} in {problems:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_client_can_wait_for_the_end_of_a_short_run() -> Result<()> {
    let world = World::new().await?;
    let definition =
        json!({"nodes": {"a": transform("input * 2")}, "result": {"$": "nodes.a.output"}});
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "short", "definition": definition}),
        )
        .await?;
    let holds = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "long", "definition": holds}),
        )
        .await?;
    let start = async |name: &str, wait: &str, input: Value| -> Result<(u16, Value)> {
        let path = format!("/api/pipelines/{name}/runs");
        let request = world
            .ada
            .request(&world.server, "POST", &path)
            .header("prefer", wait);
        read(request.json(&json!({"input": input})).send().await?).await
    };
    let (status, run) = start("short", "respond-async, wait=25", json!(21)).await?;
    assert_eq!(
        (status, &run["status"], &run["result"]),
        (200, &json!("succeeded"), &json!(42)),
        "{run}"
    );
    let (status, run) = start("long", "wait=1", json!(null)).await?;
    assert_eq!(status, 202, "{run}");
    let (status, graph) = world
        .ada
        .get(
            &world.server,
            &format!("/api/runs/{}/graph", run["id"].as_str().context("id")?),
        )
        .await?;
    assert_eq!(
        (
            status,
            &graph["nodes"][0]["id"],
            &graph["nodes"][0]["column"]
        ),
        (200, &json!("hold"), &json!(0)),
        "{graph}"
    );
    Ok(())
}
