//! What the contract of pipelines says of requests and answers: waiting, fields that are null, filters and repetitions.

use crate::jobs::pipeline_run::world::{World, transform};
use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::client::{read, refusal};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A pipeline of the world's account.
async fn made(world: &World, name: &str, nodes: Value, more: Value) -> Result<Value> {
    let mut definition = json!({ "nodes": nodes });
    for (field, value) in more.as_object().into_iter().flatten() {
        definition[field] = value.clone();
    }
    let new = json!({"name": name, "definition": definition});
    let (status, made) = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(status, 201, "{made}");
    Ok(made)
}

async fn sent(
    world: &World,
    path: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Result<(u16, Value)> {
    let mut request = world.ada.request(&world.server, "POST", path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    read(request.json(body).send().await?).await
}

#[tokio::test]
async fn who_waits_with_a_key_learns_of_the_end_and_so_does_a_repetition() -> Result<()> {
    let world = World::new().await?;
    let more = json!({"result": {"$": "nodes.a.output"}});
    made(&world, "short", json!({"a": transform("input * 2")}), more).await?;
    let hold = json!({"type": "wait", "any": [{"signal": "go"}]});
    made(&world, "long", json!({"hold": hold}), json!({})).await?;
    let path = "/api/pipelines/short/runs";
    let mut answers = Vec::new();
    for _ in 0..2 {
        let began = Instant::now();
        let headers = [("prefer", "Wait = 25"), ("idempotency-key", "k")];
        let (status, run) = sent(&world, path, &headers, &json!({"input": 4})).await?;
        assert_eq!((status, &run["result"]), (200, &json!(8)), "{run}");
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        answers.push(run);
    }
    assert_eq!(answers[0], answers[1]);
    let headers = [("prefer", "wait=1"), ("idempotency-key", "l")];
    for _ in 0..2 {
        let (status, run) = sent(&world, "/api/pipelines/long/runs", &headers, &json!({})).await?;
        assert_eq!(status, 202, "{run}");
    }
    let (_, list) = world.ada.get(&world.server, "/api/runs").await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
    let again = format!(
        "/api/runs/{}/restart",
        answers[0]["id"].as_str().context("id")?
    );
    let headers = [("prefer", "wait=25"), ("idempotency-key", "m")];
    let (status, run) = sent(&world, &again, &headers, &json!({"from": "a"})).await?;
    assert_eq!((status, &run["result"]), (200, &json!(8)), "{run}");
    let headers = [("idempotency-key", "l")];
    let other = sent(&world, path, &headers, &json!({"input": 5})).await?;
    assert_eq!(refusal(&other), (409, "idempotency-mismatch"));
    Ok(())
}

#[tokio::test]
async fn what_is_null_is_there_and_only_large_values_are_left_out_of_lists() -> Result<()> {
    let world = World::new().await?;
    let nodes = json!({
        "null": transform("null"), "skipped": {"type": "transform", "value": 1, "when": "false"},
        "large": {"type": "transform", "value": "x".repeat(20_000)},
        "fails": {"type": "transform", "value": {"$": "1 / 0"}, "on_error": "continue"},
    });
    made(
        &world,
        "values",
        nodes,
        json!({"result": {"$": "nodes.skipped.output"}}),
    )
    .await?;
    let headers = [("prefer", "wait=25")];
    let (status, run) = sent(&world, "/api/pipelines/values/runs", &headers, &json!({})).await?;
    assert_eq!(
        (status, &run["status"]),
        (200, &json!("succeeded")),
        "{run}"
    );
    let path = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    let (_, one) = world.ada.get(&world.server, &path).await?;
    let (_, list) = world
        .ada
        .get(&world.server, "/api/runs?pipeline=values")
        .await?;
    for shown in [&run, &one, &list["items"][0]] {
        for field in [
            "id",
            "pipeline",
            "version",
            "status",
            "key",
            "input",
            "result",
            "error",
            "cause",
            "actor",
            "usage",
            "waiting_for",
            "restarted_from",
            "created_at",
            "started_at",
            "finished_at",
        ] {
            assert!(shown.get(field).is_some(), "{field} of {shown}");
        }
        assert_eq!(
            shown["usage"],
            json!({"cost": 0, "tokens": 0, "fuel": 0, "steps": 4})
        );
    }
    let (_, steps) = world
        .ada
        .get(&world.server, &format!("{path}/steps"))
        .await?;
    for step in steps["items"].as_array().context("items")? {
        let name = step["path"].as_str().context("path")?;
        let (_, whole) = world
            .ada
            .get(&world.server, &format!("{path}/steps/{name}"))
            .await?;
        for field in [
            "type", "status", "effect", "attempts", "input", "output", "error", "job", "child",
            "wake_at",
        ] {
            assert!(whole.get(field).is_some(), "{field} of {whole}");
            let is_left_out = (name, field) == ("large", "output");
            assert_eq!(step.get(field).is_none(), is_left_out, "{field} of {step}");
        }
        assert_eq!(whole["output"].is_null(), name != "large", "{whole}");
    }
    Ok(())
}

#[tokio::test]
async fn lists_are_filtered_by_names_and_count_runs() -> Result<()> {
    let world = World::new().await?;
    let hold = json!({"type": "wait", "any": [{"signal": "go"}]});
    let nodes = json!({"a": transform("1"), "ab": transform("2"), "hold": hold});
    made(&world, "counted", nodes, json!({})).await?;
    made(&world, "idle", json!({"a": transform("1")}), json!({})).await?;
    let run = sent(&world, "/api/pipelines/counted/runs", &[], &json!({}))
        .await?
        .1;
    let run = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    world.waits(&run, "hold").await?;
    let (_, all) = world.ada.get(&world.server, "/api/pipelines").await?;
    let counts: Vec<_> = all["items"]
        .as_array()
        .context("items")?
        .iter()
        .map(|one| &one["runs"])
        .collect();
    assert_eq!(counts, [&json!({}), &json!({"waiting": 1})]);
    world
        .call("POST", &format!("{run}/cancel"), json!({}))
        .await?;
    world.ended(&run).await?;
    let (_, one) = world
        .ada
        .get(&world.server, "/api/pipelines/counted")
        .await?;
    assert_eq!(one["runs"], json!({"cancelled": 1}));

    for (query, count) in [
        ("pipeline=counted", 1),
        (
            &format!("pipeline={}", one["id"].as_str().context("id")?),
            1,
        ),
        ("pipeline=idle", 0),
        ("pipeline=unknown", 0),
    ] {
        let (status, list) = world
            .ada
            .get(&world.server, &format!("/api/runs?{query}"))
            .await?;
        let found = list["items"].as_array().map(Vec::len);
        assert_eq!((status, found), (200, Some(count)), "{query}");
    }
    let (_, steps) = world
        .ada
        .get(&world.server, &format!("{run}/steps?path=a"))
        .await?;
    assert_eq!(
        steps["items"].as_array().map(Vec::len),
        Some(1),
        "not `ab`: {steps}"
    );
    Ok(())
}

#[tokio::test]
async fn a_trigger_of_events_is_made_once_for_a_key_and_loses_its_expression() -> Result<()> {
    let world = World::new().await?;
    made(&world, "told", json!({"a": transform("1")}), json!({})).await?;
    let path = "/api/pipelines/told/triggers";
    let key = [("idempotency-key", "k")];
    let event = json!({"kind": "event", "type": "custom.a", "where": "event.type == 'x'"});
    let first = sent(&world, path, &key, &event).await?;
    assert_eq!(first.0, 201, "{first:?}");
    assert_eq!(sent(&world, path, &key, &event).await?, first);
    // The secrets of a webhook are not stored.
    let key = [("idempotency-key", "w")];
    let hook = json!({"kind": "webhook", "verify": "github"});
    let one = sent(&world, path, &key, &hook).await?;
    let two = sent(&world, path, &key, &hook).await?;
    assert_eq!((one.0, two.0), (201, 201), "{one:?} {two:?}");
    assert_ne!(one.1["url"], two.1["url"]);
    let kept = "select count(*) from pipelines.idempotency_key where body like '%/api/hooks/%' or body like '%whsec%'";
    assert_eq!(world.number(kept).await?, 0);
    let (_, list) = world.ada.get(&world.server, path).await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3), "{list}");

    let trigger = format!("/api/triggers/{}", first.1["id"].as_str().context("id")?);
    for (change, expected) in [
        (json!({"enabled": false}), json!("event.type == 'x'")),
        (
            json!({"where": "event.type == 'y'"}),
            json!("event.type == 'y'"),
        ),
        (json!({"where": null}), json!(null)),
    ] {
        let (status, changed) = world.call("PATCH", &trigger, change).await?;
        assert_eq!((status, &changed["where"]), (200, &expected), "{changed}");
    }
    for change in [
        json!({"where": ""}),
        json!({"where": "1 +"}),
        json!({"where": 1}),
    ] {
        let refused = world.call("PATCH", &trigger, change).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"));
        assert_eq!(refused.1["errors"][0]["field"], "where", "{refused:?}");
    }
    for (new, field) in [
        (json!({"kind": "event"}), "type"),
        (json!({"kind": "event", "type": "A b"}), "type"),
        (json!({"kind": "webhook", "type": "custom.a"}), "type"),
        (
            json!({"kind": "event", "type": "custom.a", "where": "1 +"}),
            "where",
        ),
    ] {
        let refused = world.call("POST", path, new).await?;
        assert_eq!(refused.1["errors"][0]["field"], field, "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_longest_sum_is_computed_and_one_that_costs_too_much_fails() -> Result<()> {
    let world = World::new().await?;
    let mut nodes = json!({
        "sum": transform(&["input"; 682].join("+")),
        "both": transform(&format!("{} == 0 ? 0 : 1", ["1"; 98].join("-"))),
    });
    // As deep as may be, also when it is evaluated.
    nodes["maps"] = transform(&format!("size([1, 2]{})", ".map(x, x)".repeat(49)));
    nodes["choices"] = transform(&format!("{}3", "false ? 1 : ".repeat(60)));
    let more = json!({"result": {"$": "[nodes.sum, nodes.both, nodes.maps, nodes.choices].map(n, n.output)"}});
    made(&world, "sums", nodes, more).await?;
    let headers = [("prefer", "wait=25")];
    let path = "/api/pipelines/sums/runs";
    let began = Instant::now();
    let (status, run) = sent(&world, path, &headers, &json!({"input": 3})).await?;
    assert_eq!(
        (status, &run["result"]),
        (200, &json!([2_046, 1, 2, 3])),
        "{run}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let text = "x".repeat(500_000);
    let (_, run) = sent(&world, path, &headers, &json!({"input": text})).await?;
    assert_eq!(run["error"]["code"], "expression-cost", "{run}");
    Ok(())
}

#[tokio::test]
async fn nobody_approves_what_it_has_started_nor_does_its_agent() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("update identity.agent set owner_id = $1 where account_id = $2")
        .bind(world.ada.id)
        .bind(bob.id)
        .execute(&mut database)
        .await?;
    let form = json!({"type": "object", "required": ["why"]});
    let ask = json!({"type": "approval", "who": [bob.id, eve.id], "form": form});
    made(&world, "asks", json!({"ask": ask}), json!({})).await?;
    let run = sent(&world, "/api/pipelines/asks/runs", &[], &json!({}))
        .await?
        .1;
    let run = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    world.waits(&run, "ask").await?;
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/ask"))
        .await?;
    let approval = format!(
        "/api/approvals/{}",
        step["approval"].as_str().context("approval")?
    );
    let (_, open) = world.ada.get(&world.server, &approval).await?;
    let mut decision = json!({"decision": "approve", "digest": open["digest"]});
    let path = format!("{approval}/decision");
    let refused = eve.send(&world.server, "POST", &path, &decision).await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    assert_eq!(refused.1["errors"][0]["field"], "form", "{refused:?}");
    decision["form"] = json!({"why": "it is fine"});
    for who in [&world.ada, &bob] {
        let refused = who.send(&world.server, "POST", &path, &decision).await?;
        assert_eq!(refusal(&refused), (403, "self-approval"));
    }
    let decided = eve.send(&world.server, "POST", &path, &decision).await?;
    assert_eq!(decided.0, 200, "{decided:?}");
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_schedule_names_a_version_that_there_is() -> Result<()> {
    let world = World::new().await?;
    made(&world, "planned", json!({"a": transform("1")}), json!({})).await?;
    for (version, status) in [(1, 201), (2, 422), (-1, 422)] {
        let action = json!({"type": "execute_pipeline", "pipeline": "planned", "version": version});
        let new = json!({"name": "n", "every_ms": 3_600_000, "action": action});
        let answer = world.call("POST", "/api/schedules", new).await?;
        assert_eq!(answer.0, status, "{answer:?}");
    }
    for (url, status) in [("/api/search?query=a..b//c", 201), ("/api/../health", 422)] {
        let action = json!({"type": "call_api", "url": url});
        let new = json!({"name": "n", "every_ms": 3_600_000, "action": action});
        let answer = world.call("POST", "/api/schedules", new).await?;
        assert_eq!(answer.0, status, "{answer:?}");
    }
    Ok(())
}
