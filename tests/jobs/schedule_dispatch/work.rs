//! What schedules do: runs, calls, notices, and many of them at once.

use super::world::{LIMIT, World, dispatchers, notice, with_status};
use anyhow::{Context, Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn runs_of_a_schedule_do_not_overlap_and_failures_pause_it() -> Result<()> {
    let world = World::new().await?;
    let holds = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    let (status, made) = world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "holds", "definition": holds}),
        )
        .await?;
    assert_eq!(status, 201, "{made}");
    let action = json!({"type": "execute_pipeline", "pipeline": "holds", "input": null});
    let closes = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "never"}]}},
        "finally": {"nodes": {"hold_too": {"type": "wait", "any": [{"signal": "go"}]}}}});
    let new = json!({"name": "closes", "definition": closes});
    let made = world.call("POST", "/api/pipelines", new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    let path = world
        .make(
            json!({"name": "closes", "action": {"type": "execute_pipeline", "pipeline": "closes"},
            "at": ["2099-01-01T00:00:00Z"], "overlap": "cancel"}),
        )
        .await?;
    let run = format!("{path}/run");
    world.call("POST", &run, json!({})).await?;
    let fired = world
        .firings(&path, |firings| firings[0]["status"] == "running")
        .await?;
    let first = format!("/api/runs/{}", fired[0]["run"].as_str().context("run")?);
    let began = Instant::now();
    while world.ada.get(&world.server, &first).await?.1["status"] != "waiting" {
        ensure!(began.elapsed() < LIMIT, "{first}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The run that is cancelled winds up first. Of those that wait for that, the latest begins.
    world.call("POST", &run, json!({})).await?;
    world.call("POST", &run, json!({})).await?;
    let firings = world.firings(&path, |firings| firings.len() == 3).await?;
    let statuses: Vec<&Value> = firings.iter().map(|firing| &firing["status"]).collect();
    assert_eq!(statuses, ["due", "cancelled", "running"], "{firings:?}");
    world
        .call("POST", &format!("{first}/signals/go"), json!({}))
        .await?;
    let firings = world
        .firings(&path, |firings| firings[0]["status"] == "running")
        .await?;
    assert_eq!(
        (&firings[2]["status"], &firings[2]["reason"]),
        (&json!("cancelled"), &json!("overlap")),
        "{firings:?}"
    );

    for (overlap, first, second) in [
        ("skip", "running", "skipped"),
        ("queue", "running", "due"),
        ("cancel", "cancelled", "running"),
        ("allow", "running", "running"),
    ] {
        let path = world
            .make(json!({"name": overlap, "action": action, "at": ["2099-01-01T00:00:00Z"], "overlap": overlap}))
            .await?;
        for _ in 0..2 {
            let fired = world
                .call("POST", &format!("{path}/run"), json!({}))
                .await?;
            assert_eq!(fired.0, 202, "{fired:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let firings = world
            .firings(&path, |firings| {
                firings.len() == 2
                    && firings[1]["status"] == first
                    && (overlap != "cancel" || firings[0]["status"] == second)
            })
            .await?;
        assert_eq!(
            (&firings[1]["status"], &firings[0]["status"]),
            (&json!(first), &json!(second)),
            "{overlap}"
        );
        if overlap == "queue" {
            let run = firings[1]["run"].as_str().context("run")?;
            world
                .call("POST", &format!("/api/runs/{run}/cancel"), json!({}))
                .await?;
            world
                .firings(&path, |firings| {
                    firings[0]["status"] == "running" && firings[1]["status"] == "cancelled"
                })
                .await?;
        }
    }
    let fails = json!({"nodes": {"a": {"type": "transform", "value": {"$": "1 / 0"}}}});
    world
        .call(
            "POST",
            "/api/pipelines",
            json!({"name": "fails", "definition": fails}),
        )
        .await?;
    let path = world
        .make(
            json!({"name": "failing", "action": {"type": "execute_pipeline", "pipeline": "fails"},
            "at": ["2099-01-01T00:00:00Z"], "pause_after_failures": 2}),
        )
        .await?;
    for count in 1..=2 {
        world
            .call("POST", &format!("{path}/run"), json!({}))
            .await?;
        world
            .firings(&path, |firings| with_status(firings, "failed") == count)
            .await?;
    }
    let began = Instant::now();
    loop {
        let (_, known) = world.ada.get(&world.server, &path).await?;
        if known["paused"] == true {
            assert_eq!(
                (&known["pause_reason"], &known["failures"]),
                (&json!("failures"), &json!(2))
            );
            break;
        }
        ensure!(began.elapsed() < LIMIT, "{known}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A pipeline that starts nothing fails the firing, and not the schedule.
    world
        .call("PATCH", "/api/pipelines/fails", json!({"paused": true}))
        .await?;
    let (_, fired) = world
        .call("POST", &format!("{path}/run"), json!({}))
        .await?;
    assert_eq!(
        (&fired["status"], &fired["reason"]),
        (&json!("failed"), &json!("pipeline-paused")),
        "{fired}"
    );
    Ok(())
}

#[tokio::test]
async fn a_schedule_calls_the_api_in_the_name_of_its_owner() -> Result<()> {
    let world = World::new().await?;
    let post = json!({"title": "From a schedule", "body": "Hello"});
    let action = json!({"type": "call_api", "method": "POST", "url": "/api/posts", "body": post});
    let path = world
        .make(json!({"name": "posts", "action": action, "at": ["2099-01-01T00:00:00Z"]}))
        .await?;
    world
        .call("POST", &format!("{path}/run"), json!({}))
        .await?;
    let firings = world
        .firings(&path, |firings| {
            firings.iter().all(|firing| firing["status"] != "running") && !firings.is_empty()
        })
        .await?;
    assert_eq!(firings[0]["status"], "succeeded", "{firings:?}");
    let (_, posts) = world.ada.get(&world.server, "/api/posts").await?;
    assert_eq!(
        (
            &posts["items"][0]["title"],
            &posts["items"][0]["author"]["id"]
        ),
        (&json!("From a schedule"), &json!(world.ada.id)),
        "{posts}"
    );
    let action =
        json!({"type": "call_api", "url": "/api/posts/00000000-0000-7000-8000-000000000000"});
    let path = world
        .make(json!({"name": "fails", "action": action, "at": ["2099-01-01T00:00:00Z"]}))
        .await?;
    world
        .call("POST", &format!("{path}/run"), json!({}))
        .await?;
    let firings = world
        .firings(&path, |firings| with_status(firings, "failed") == 1)
        .await?;
    assert!(
        firings[0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("404")),
        "{firings:?}"
    );
    Ok(())
}

/// `GATHER_TESTS_SCHEDULES` and `GATHER_TESTS_WORKERS` ask for more of them.
#[tokio::test]
async fn many_schedules_of_one_second_fire_once_each_whoever_dispatches() -> Result<()> {
    let world = World::new().await?;
    let asked = |name: &str, usual: i64| {
        let said = std::env::var(name).ok().and_then(|said| said.parse().ok());
        said.unwrap_or(usual)
    };
    let count = asked("GATHER_TESTS_SCHEDULES", 2_000);
    let others = usize::try_from(asked("GATHER_TESTS_WORKERS", 10) - 1)?;
    let folder = tempfile::tempdir()?;
    let _workers = dispatchers(&world.server, folder.path(), others).await?;
    // Of two owners in turns, so that dispatchers meet others' schedules of the same owners.
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    for who in [&world.ada, &bob] {
        let first = json!({"name": "first", "action": notice(&json!(who.id)), "at": ["2099-01-01T00:00:00Z"]});
        let made = who
            .send(&world.server, "POST", "/api/schedules", &first)
            .await?;
        ensure!(made.0 == 201, "{made:?}");
    }
    sqlx::query(
        "insert into pipelines.schedule (owner_id, name, times, action, due_at, next_at)
         select s.owner_id, 'n' || n, s.times, s.action, d.at, d.at
         from generate_series(1, $1 / 2) n, pipelines.schedule s,
             (select date_trunc('second', clock_timestamp()) as at) d",
    )
    .bind(count)
    .execute(&mut world.server.database.connect().await?)
    .await?;
    world
        .sql("select pipelines.plan_dispatch(clock_timestamp()) from generate_series(1, 8)")
        .await?;
    let number = async |sql: &'static str| -> Result<i64> {
        let mut database = world.server.database.connect().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut database).await?)
    };
    let began = Instant::now();
    while number("select count(*) from pipelines.firing where status = 'succeeded'").await? < count
    {
        let fired = "select count(*) from pipelines.firing";
        ensure!(
            began.elapsed() < LIMIT,
            "{} of {count} have fired",
            number(fired).await?
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{count} schedules fired within {:?}", began.elapsed());
    assert_eq!(
        number("select count(*) from pipelines.firing").await?,
        count
    );
    assert_eq!(
        number("select count(*) from inbox.item where kind = 'schedule'").await?,
        count
    );
    let over = "select count(*) from pipelines.schedule where due_at = '2099-01-01T00:00:00Z'";
    assert_eq!(number(over).await?, count + 2);
    Ok(())
}
