//! Triggers: events that start runs, and the guard against work that sets itself off.

use crate::jobs::pipeline_run::world::{World, transform};
use anyhow::{Context, Result, ensure};
use e2e::{agents::Agent, client::refusal};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

async fn firings(
    world: &World,
    trigger: &str,
    fits: impl Fn(&[Value]) -> bool,
) -> Result<Vec<Value>> {
    let began = Instant::now();
    loop {
        let (_, list) = world
            .ada
            .get(&world.server, &format!("{trigger}/firings?limit=100"))
            .await?;
        let items = list["items"].as_array().context("items")?;
        if fits(items) {
            return Ok(items.clone());
        }
        ensure!(began.elapsed() < LIMIT, "{list}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn pipeline(world: &World, name: &str, definition: Value) -> Result<String> {
    let (status, made) = world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": name, "definition": definition}),
        )
        .await?;
    ensure!(status == 201, "{made}");
    Ok(made["id"].as_str().context("id")?.to_owned())
}

async fn trigger(world: &World, pipeline: &str, said: Value) -> Result<String> {
    let (status, made) = world
        .call("POST", &format!("/api/pipelines/{pipeline}/triggers"), said)
        .await?;
    ensure!(status == 201, "{made}");
    Ok(format!(
        "/api/triggers/{}",
        made["id"].as_str().context("id")?
    ))
}

#[tokio::test]
async fn an_event_that_fits_starts_a_run_and_nobody_else_s_counts() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let (_, channel) = world
        .call(
            "POST",
            "/api/channels",
            json!({"name": "deploys", "visibility": "public"}),
        )
        .await?;
    let id = channel["id"].as_str().context("id")?;
    pipeline(
        &world,
        "deploy",
        json!({"nodes": {"a": transform("input.text")}, "result": {"$": "nodes.a.output"}}),
    )
    .await?;
    let said = json!({"kind": "event", "type": "message.created", "topic": format!("channel:{id}"),
        "where": "event.data.body.contains('deploy')", "input": {"text": {"$": "event.data.body"}}});
    let path = trigger(&world, "deploy", said).await?;
    for text in ["hello", "deploy {\"$\": \"event.id\"}"] {
        let posted = world
            .call(
                "POST",
                &format!("/api/channels/{id}/messages"),
                json!({"body": text}),
            )
            .await?;
        assert_eq!(posted.0, 201, "{posted:?}");
    }
    let seen = firings(&world, &path, |firings| firings.len() == 2).await?;
    let statuses: Vec<&str> = seen
        .iter()
        .filter_map(|firing| firing["status"].as_str())
        .collect();
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == "filtered")
            .count(),
        1,
        "{seen:?}"
    );
    let started = seen
        .iter()
        .find(|firing| firing["status"] == "started")
        .context("started")?;
    let run = world
        .ended(&format!(
            "/api/runs/{}",
            started["run"].as_str().context("run")?
        ))
        .await?;
    assert_eq!(
        (&run["result"], &run["cause"]),
        (&json!("deploy {\"$\": \"event.id\"}"), &json!("event")),
        "{run}"
    );

    for (method, suffix) in [
        ("GET", ""),
        ("GET", "/firings"),
        ("PATCH", ""),
        ("DELETE", ""),
    ] {
        let answer = bob
            .send(
                &world.server,
                method,
                &format!("{path}{suffix}"),
                &json!({}),
            )
            .await?;
        assert_eq!(refusal(&answer), (404, "not-found"), "{method} {suffix}");
    }
    let (_, off) = world
        .call("PATCH", &path, json!({"enabled": false}))
        .await?;
    assert_eq!(off["enabled"], false);
    world
        .call(
            "POST",
            &format!("/api/channels/{id}/messages"),
            json!({"body": "deploy"}),
        )
        .await?;
    let (_, on) = world
        .call("PATCH", &path, json!({"enabled": true, "where": "true"}))
        .await?;
    assert_eq!(on["enabled"], true);
    world
        .call(
            "POST",
            &format!("/api/channels/{id}/messages"),
            json!({"body": "now"}),
        )
        .await?;
    let seen = firings(&world, &path, |firings| firings.len() == 3).await?;
    assert_eq!(
        seen[0]["status"], "started",
        "what came while it was off does not count: {seen:?}"
    );
    assert_eq!(world.call("DELETE", &path, json!({})).await?.0, 204);
    Ok(())
}

#[tokio::test]
async fn what_is_no_trigger_is_refused() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    pipeline(&world, "plain", json!({"nodes": {"a": transform("1")}})).await?;
    for said in [
        json!({"kind": "webhook", "type": "a.b"}),
        json!({"kind": "webhook", "topic": format!("account:{}", world.ada.id)}),
        json!({"kind": "event", "type": "a.b", "verify": "github"}),
        json!({"kind": "event"}),
        json!({"kind": "webhook", "verify": "none"}),
        json!({"kind": "event", "type": "A B"}),
        json!({"kind": "event", "type": "a.b", "topic": "nonsense"}),
        json!({"kind": "event", "type": "a.b", "topic": format!("account:{}", bob.id)}),
        json!({"kind": "event", "type": "a.b", "where": "1 +"}),
        json!({"kind": "event", "type": "a.b", "where": "input.x"}),
        json!({"kind": "event", "type": "a.b", "input": {"x": {"$": "nodes.a.output"}}}),
        json!({"kind": "event", "type": "a.b", "input": "a\u{0}b"}),
    ] {
        let answer = world
            .call("POST", "/api/pipelines/plain/triggers", said.clone())
            .await?;
        assert_eq!(
            refusal(&answer),
            (422, "invalid-input"),
            "{said} {answer:?}"
        );
    }
    // `event` is a name of triggers only.
    let definition = json!({"nodes": {"a": transform("event.id")}});
    let answer = world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "reads", "definition": definition}),
        )
        .await?;
    assert_eq!(refusal(&answer), (422, "invalid-definition"));
    Ok(())
}

#[tokio::test]
async fn work_that_sets_itself_off_is_suppressed() -> Result<()> {
    let definition = |says: &str, topic: &str| {
        json!({"nodes": {"say": {"type": "action", "do": "event",
            "input": {"type": says, "topic": topic, "data": {"n": 1}}}}})
    };
    // Each pipeline: its name, what starts it, and what it says. The second ones feed each other.
    for pipelines in [
        &[("own", "custom.*", "custom.again")][..],
        &[
            ("one", "custom.a", "custom.b"),
            ("two", "custom.b", "custom.a"),
        ],
    ] {
        let world = World::new().await?;
        let own = format!("account:{}", world.ada.id);
        let mut triggers = Vec::new();
        for (name, hears, says) in pipelines {
            pipeline(&world, name, definition(says, &own)).await?;
            let said = json!({"kind": "event", "type": hears, "topic": own});
            triggers.push(trigger(&world, name, said).await?);
        }
        let first = format!("/api/pipelines/{}/runs", pipelines[0].0);
        let (status, run) = world.call("POST", &first, json!({})).await?;
        assert_eq!(status, 202, "{run}");
        let count = "select count(*) from pipelines.trigger_firing where status = 'suppressed'";
        let began = Instant::now();
        while world.number(count).await? == 0 {
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "nothing is suppressed"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Nothing more comes after it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.number(count).await?, 1);
        let mut started = 0;
        for path in &triggers {
            let seen = firings(&world, path, |_| true).await?;
            started += seen.iter().filter(|one| one["status"] == "started").count();
        }
        assert_eq!(started, 8);
        assert_eq!(world.number("select count(*) from pipelines.run").await?, 9);
        let (_, inbox) = world
            .ada
            .get(&world.server, "/api/inbox?kind=subscription")
            .await?;
        assert_eq!(inbox["items"].as_array().map(Vec::len), Some(1), "{inbox}");
        let told = "select count(distinct id) from events.event where type = 'trigger.suppressed'";
        assert_eq!(world.number(told).await?, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_step_emits_events_on_topics_of_its_account_only() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    for (name, kind, topic, code) in [
        (
            "own",
            "custom.done",
            format!("account:{}", world.ada.id),
            Value::Null,
        ),
        (
            "other",
            "custom.done",
            format!("account:{}", bob.id),
            json!("permission-denied"),
        ),
        (
            "faked",
            "message.created",
            format!("account:{}", world.ada.id),
            json!("expression-failed"),
        ),
        (
            "odd",
            "custom.A B",
            format!("account:{}", world.ada.id),
            json!("expression-failed"),
        ),
    ] {
        let definition = json!({"nodes": {"say": {"type": "action", "do": "event",
            "input": {"type": kind, "topic": topic, "data": {"n": 1}}}}});
        let run = world.start(name, definition, json!(null)).await?;
        assert_eq!(world.ended(&run).await?["error"]["code"], code, "{name}");
    }
    Ok(())
}
