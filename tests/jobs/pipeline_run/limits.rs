//! Limits of runs: concurrency keys, budgets, and breakers of their nodes.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{
    Server,
    client::refusal,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

/// Makes a pipeline whose runs wait for the signal `go`.
async fn publish(world: &World, name: &str, concurrency: Value) -> Result<()> {
    let definition = json!({"concurrency": concurrency,
        "nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    let new = json!({"name": name, "definition": definition});
    let made = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    Ok(())
}

/// Starts a run; its path.
async fn begin(world: &World, name: &str, more: Value) -> Result<String> {
    let path = format!("/api/pipelines/{name}/runs");
    let (status, run) = world.call("POST", &path, more).await?;
    assert_eq!(status, 202, "{run}");
    Ok(format!("/api/runs/{}", run["id"].as_str().context("id")?))
}

#[tokio::test]
async fn runs_with_the_same_key_take_turns() -> Result<()> {
    let world = World::new().await?;
    let key = json!({"key": {"$": "input"}});
    publish(&world, "queued", key).await?;
    let first = begin(&world, "queued", json!({"input": "a"})).await?;
    world.waits(&first, "hold").await?;
    let other = begin(&world, "queued", json!({"input": "b"})).await?;
    world.waits(&other, "hold").await?;
    let late = begin(&world, "queued", json!({"input": "a", "priority": 5})).await?;
    let soon = begin(&world, "queued", json!({"input": "a", "priority": 1})).await?;
    let queued = |run: &Value| run["status"] == "waiting" && run["waiting_for"] == json!([]);
    world.until(&late, queued).await?;
    world.until(&soon, queued).await?;
    // A signal is kept, and does not let it pass.
    let go = |run: &str| format!("{run}/signals/go");
    world.call("POST", &go(&late), json!({})).await?;
    world.until(&late, queued).await?;
    world.call("POST", &go(&first), json!({})).await?;
    world.waits(&soon, "hold").await?;
    let waits = world.until(&late, queued).await?;
    assert!(waits["finished_at"].is_null(), "{waits}");
    world
        .call("POST", &format!("{soon}/cancel"), json!({}))
        .await?;
    assert_eq!(world.ended(&late).await?["status"], "succeeded");

    publish(&world, "skips", json!({"on_limit": "skip"})).await?;
    let first = begin(&world, "skips", json!({})).await?;
    world.waits(&first, "hold").await?;
    let second = begin(&world, "skips", json!({})).await?;
    assert_eq!(world.ended(&second).await?["status"], "cancelled");
    assert_eq!(world.waits(&first, "hold").await?["status"], "waiting");

    publish(&world, "cancels", json!({"on_limit": "cancel", "limit": 2})).await?;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = begin(&world, "cancels", json!({})).await?;
        world.waits(&run, "hold").await?;
        runs.push(run);
    }
    assert_eq!(world.ended(&runs[0]).await?["status"], "cancelled");
    assert_eq!(world.waits(&runs[1], "hold").await?["status"], "waiting");
    let definition =
        json!({"concurrency": {"key": {"$": "run.id"}}, "nodes": {"a": transform("1")}});
    let new = json!({"name": "odd", "definition": definition});
    let refused = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    Ok(())
}

#[tokio::test]
async fn a_spent_budget_pauses_the_run_until_it_has_more() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "budget": {"steps": 2},
        "nodes": {"a": transform("1"), "b": transform("nodes.a.output + 1"), "c": transform("nodes.b.output + 1")},
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "c"}],
        "result": {"$": "nodes.c.output"},
    });
    let run = world.start("spends", definition, json!(null)).await?;
    let paused = world.until(&run, |run| run["status"] == "paused").await?;
    assert_eq!(
        (&paused["usage"]["steps"], &paused["budget"]),
        (&json!(2), &json!({"steps": 2})),
        "{paused}"
    );
    let resume = format!("{run}/resume");
    world.call("POST", &resume, json!({})).await?;
    world.until(&run, |run| run["status"] == "paused").await?;
    let more = json!({"budget": {"steps": 10}});
    assert_eq!(world.call("POST", &resume, more).await?.0, 202);
    assert_eq!(world.ended(&run).await?["result"], 3);
    let (_, inbox) = world.ada.get(&world.server, "/api/inbox?kind=run").await?;
    assert_eq!(inbox["items"][0]["title"], "The budget of a run is spent");
    // Whoever starts a run can give it more.
    let run = begin(&world, "spends", json!({"budget": {"steps": 3}})).await?;
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    let odd = json!({"budget": {"steps": -1}});
    let refused = world
        .call("POST", "/api/pipelines/spends/runs", odd)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    Ok(())
}

#[tokio::test]
async fn a_breaker_opens_lets_one_attempt_through_and_closes() -> Result<()> {
    let target = Receiver::start(|count| Answer::status(if count < 3 { 500 } else { 200 })).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let definition = |on_open: &str| {
        json!({
            "nodes": {"ask": {"type": "action", "do": "http", "input": {"url": format!("{origin}/a")},
                "breaker": {"failures": 2, "within_ms": 600_000, "cooldown_ms": 600_000, "on_open": on_open}}},
            "permissions": {"http": [origin]},
        })
    };
    let mut run = world
        .start("breaks", definition("fail"), json!(null))
        .await?;
    for code in ["http-status", "http-status", "circuit-open"] {
        let failed = world.ended(&run).await?;
        assert_eq!(failed["error"]["code"], code, "{failed}");
        run = begin(&world, "breaks", json!({})).await?;
    }
    world.ended(&run).await?;
    assert_eq!(target.count(), 2, "nothing is sent while it is open");

    // At the end of the cooldown one of many is let through, and its failure opens the breaker again.
    let skips = json!({"definition": definition("skip"), "activate": true});
    let path = "/api/pipelines/breaks/versions";
    assert_eq!(world.call("POST", path, skips).await?.0, 201);
    let mut database = world.server.database.connect().await?;
    let cool = "update pipelines.breaker set until = now() - interval '1 second'";
    sqlx::query(cool).execute(&mut database).await?;
    let mut runs = Vec::new();
    for _ in 0..50 {
        runs.push(begin(&world, "breaks", json!({})).await?);
    }
    let mut failed = 0;
    for run in &runs {
        failed += i32::from(world.ended(run).await?["status"] == "failed");
    }
    assert_eq!((failed, target.count()), (1, 3));
    // The next one succeeds, and closes it.
    sqlx::query(cool).execute(&mut database).await?;
    for _ in 0..2 {
        let run = begin(&world, "breaks", json!({})).await?;
        assert_eq!(world.ended(&run).await?["status"], "succeeded");
    }
    assert_eq!(target.count(), 5);

    // One that waits tries again by itself, and what began before the breaker opened does not close it.
    let waits = json!({"definition": definition("wait"), "activate": true});
    assert_eq!(world.call("POST", path, waits).await?.0, 201);
    let open = "update pipelines.breaker set status = 'open', openings = openings + 1, until = now() + interval '1 hour'";
    sqlx::query(open).execute(&mut database).await?;
    let late = "select pipelines.tell_breaker(r, 'ask', '{\"failures\": 2, \"within_ms\": 600000}', b.openings - 1, false)
        from pipelines.run r, pipelines.breaker b limit 1";
    sqlx::query(late).execute(&mut database).await?;
    let run = begin(&world, "breaks", json!({})).await?;
    let held = world.waits(&run, "ask").await?;
    assert_eq!(target.count(), 5, "{held}");
    sqlx::query(cool).execute(&mut database).await?;
    sqlx::query("update pipelines.step set wake_at = now() where status = 'retrying'")
        .execute(&mut database)
        .await?;
    sqlx::query("select pipelines.wake(id) from pipelines.run where finished_at is null")
        .execute(&mut database)
        .await?;
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn stubs_stand_for_steps_and_a_run_is_kept_as_long_as_it_says() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({
        "keep_ms": 3_600_000,
        "examples": [{"name": "One", "input": 1, "result": "x"}],
        "input": {"type": "integer"},
        "nodes": {
            "size": {"type": "condition", "cases": [{"name": "big", "when": "input > 5"}], "else": "small"},
            "pay": {"type": "action", "do": "api", "input": {"method": "POST", "path": "/api/posts"}},
        },
        "edges": [{"from": "size", "to": "pay", "on": "big"}],
        "result": {"$": "nodes.pay.output.id"},
        "permissions": {"scopes": ["social:write"]},
    });
    let new = json!({"name": "tried", "definition": definition});
    let made = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    let stubs = json!({"input": 1, "stubs": {"size": {"case": "big"}, "pay": {"id": "x"}}});
    let run = begin(&world, "tried", stubs).await?;
    assert_eq!(world.ended(&run).await?["result"], "x");
    for more in [json!({"nothing": 1}), json!({"pay": "a\u{0}b"})] {
        let refused = json!({"input": 1, "stubs": more});
        let refused = world
            .call("POST", "/api/pipelines/tried/runs", refused)
            .await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{more}");
    }
    let mut database = world.server.database.connect().await?;
    let later = "update pipelines.run set forgotten_at = forgotten_at - interval '61 minutes'";
    sqlx::query(later).execute(&mut database).await?;
    sqlx::query("select pipelines.sweep(10)")
        .execute(&mut database)
        .await?;
    assert_eq!(world.ada.get(&world.server, &run).await?.0, 404);
    let mut odd = definition;
    odd["examples"] = json!([{"input": "one"}]);
    let refused = json!({"name": "odd", "definition": odd});
    let refused = world.call("POST", "/api/pipelines", refused).await?;
    assert_eq!(refusal(&refused), (422, "invalid-definition"));
    assert_eq!(refused.1["problems"][0]["path"], "examples[0].input");

    // Only the errors that `on` names are worth another attempt.
    let picky = json!({"nodes": {"a": {"type": "action", "do": "http", "retry": {"attempts": 3, "on": ["timeout"]},
        "input": {"url": "http://127.0.0.1:9/"}}}, "permissions": {"http": ["http://127.0.0.1:9"]}});
    let run = world.start("picky", picky, json!(null)).await?;
    let failed = world.ended(&run).await?;
    assert_eq!(failed["error"]["code"], "http-refused", "{failed}");
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/a"))
        .await?;
    assert_eq!(step["attempts"], 1, "{step}");
    Ok(())
}

#[tokio::test]
async fn a_restart_takes_over_stubs_budget_and_priority() -> Result<()> {
    let target = Receiver::start(|_| Answer::status(200)).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let pay = json!({"type": "action", "do": "http", "input": {"method": "POST", "url": format!("{origin}/pay")}});
    let definition = json!({
        "nodes": {"begin": transform("1 / input"), "pay": pay},
        "edges": [{"from": "begin", "to": "pay"}], "result": {"$": "nodes.pay.output.id"},
        "permissions": {"http": [origin]},
    });
    let new = json!({"name": "dry", "definition": definition});
    assert_eq!(world.call("POST", "/api/pipelines", new).await?.0, 201);
    let dry =
        json!({"input": 0, "stubs": {"pay": {"id": "x"}}, "budget": {"steps": 7}, "priority": 5});
    let run = begin(&world, "dry", dry).await?;
    assert_eq!(world.ended(&run).await?["status"], "failed");
    let restart = json!({"from": "begin", "input": 1});
    let (status, again) = world
        .call("POST", &format!("{run}/restart"), restart)
        .await?;
    assert_eq!(
        (status, &again["budget"]),
        (202, &json!({"steps": 7})),
        "{again}"
    );
    let again = format!("/api/runs/{}", again["id"].as_str().context("id")?);
    let ended = world.ended(&again).await?;
    assert_eq!(
        (&ended["result"], target.count()),
        (&json!("x"), 0),
        "{ended}"
    );
    let usage = json!({"steps": 2, "cost": 0, "tokens": 0, "fuel": 0});
    assert_eq!(ended["usage"], usage);
    let urgent = "select count(*) from pipelines.run where priority = 5";
    assert_eq!(world.number(urgent).await?, 2);
    let (_, list) = world
        .ada
        .get(&world.server, "/api/runs?cause=restart")
        .await?;
    let listed = list["items"].as_array().context("items")?;
    assert_eq!(
        (listed.len(), &listed[0]["id"]),
        (1, &ended["id"]),
        "{list}"
    );
    Ok(())
}
