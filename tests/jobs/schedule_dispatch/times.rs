//! When schedules fire, what is skipped or made up for, and who sees them.

use super::world::{World, notice, with_status};
use anyhow::{Context, Result};
use calendar::Plan;
use e2e::{agents::Agent, client::refusal};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

#[tokio::test]
async fn a_preview_points_out_changes_of_the_clock_and_what_is_no_plan_is_refused() -> Result<()> {
    let world = World::new().await?;
    let base = json!({"name": "n", "action": notice(&json!(world.ada.id))});
    let with = |more: Value| {
        let mut said = base.clone();
        for (name, value) in more.as_object().into_iter().flatten() {
            said[name] = value.clone();
        }
        said
    };
    let spring = with(json!({"cron": ["30 2 * * *"], "timezone": "Europe/Berlin",
        "starts_at": "2031-03-29T00:00:00Z"}));
    let (status, preview) = world.call("POST", "/api/schedules/preview", spring).await?;
    assert_eq!(status, 200, "{preview}");
    assert_eq!(preview["next"][0]["local"], "2031-03-29T02:30:00+01:00");
    assert_eq!(preview["next"][1]["local"], "2031-03-30T03:00:00+02:00");
    assert_eq!(preview["next"][1]["utc"], "2031-03-30T01:00:00Z");
    assert_eq!(
        preview["notes"].as_array().map(Vec::len),
        Some(1),
        "{preview}"
    );
    for (more, code) in [
        (json!({"cron": ["99 * * * *"]}), "invalid-cron"),
        (
            json!({"cron": ["* * * * *"], "timezone": "Mars/Base"}),
            "invalid-timezone",
        ),
        (
            json!({"at": ["2001-01-01T00:00:00Z"]}),
            "schedule-in-the-past",
        ),
        (json!({"cron": ["0 0 30 2 *"]}), "schedule-in-the-past"),
        (json!({"every_ms": 10}), "invalid-input"),
        (
            json!({"every_ms": 1000, "cron": ["* * * * *"]}),
            "invalid-input",
        ),
        (json!({}), "invalid-input"),
        (
            json!({"every_ms": 1000, "name": "a\u{0}b"}),
            "invalid-input",
        ),
        (
            json!({"every_ms": 1000, "action": {"type": "run_task", "agent": "none", "prompt": "x"}}),
            "invalid-input",
        ),
        (
            json!({"every_ms": 1000, "action": {"type": "call_api", "url": "/api/../x"}}),
            "invalid-input",
        ),
        (
            json!({"every_ms": 1000, "action": {"type": "execute_pipeline", "pipeline": "none"}}),
            "invalid-input",
        ),
    ] {
        let answer = world
            .call("POST", "/api/schedules", with(more.clone()))
            .await?;
        assert_eq!(refusal(&answer), (422, code), "{more} {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_schedule_fires_once_for_each_time_and_nobody_else_sees_it() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let path = world
        .make(json!({"name": "ticks", "action": notice(&json!(world.ada.id)), "every_ms": 1000}))
        .await?;
    let firings = world
        .firings(&path, |firings| with_status(firings, "succeeded") >= 2)
        .await?;
    let mut due: Vec<&str> = firings
        .iter()
        .filter_map(|firing| firing["due_at"].as_str())
        .collect();
    let all = due.len();
    due.dedup();
    assert_eq!(due.len(), all, "one firing for each time: {firings:?}");
    let (_, inbox) = world
        .ada
        .get(&world.server, "/api/inbox?kind=schedule")
        .await?;
    assert_eq!(inbox["items"][0]["title"], "Tick", "{inbox}");
    for (method, suffix) in [
        ("GET", ""),
        ("GET", "/firings"),
        ("POST", "/pause"),
        ("POST", "/run"),
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
    let of_ada = format!("/api/schedules?owner={}", world.ada.id);
    for path in ["/api/schedules", &of_ada] {
        let (status, list) = bob.get(&world.server, path).await?;
        assert_eq!((status, &list["items"]), (200, &json!([])), "{path}");
    }
    let (_, list) = world.ada.get(&world.server, &of_ada).await?;
    assert_eq!(list["items"][0]["name"], "ticks", "{list}");
    let of_bob = format!("/api/schedules?owner={}", bob.id);
    let (_, list) = world.ada.get(&world.server, &of_bob).await?;
    assert_eq!(list["items"], json!([]));
    assert_eq!(world.call("DELETE", &path, json!({})).await?.0, 204);
    assert_eq!(world.ada.get(&world.server, &path).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn what_falls_due_while_it_is_paused_is_skipped_and_a_change_moves_the_next_time()
-> Result<()> {
    let world = World::new().await?;
    let path = world
        .make(json!({"name": "hourly", "action": notice(&json!(world.ada.id)), "every_ms": 3_600_000}))
        .await?;
    let (status, paused) = world
        .call("POST", &format!("{path}/pause"), json!({}))
        .await?;
    assert_eq!(
        (status, &paused["paused"], &paused["pause_reason"]),
        (200, &json!(true), &json!("by-hand"))
    );
    world
        .sql("update pipelines.schedule set due_at = due_at - interval '3 hours', next_at = next_at - interval '3 hours'")
        .await?;
    let (status, resumed) = world
        .call("POST", &format!("{path}/resume"), json!({}))
        .await?;
    assert_eq!(
        (status, &resumed["paused"]),
        (200, &json!(false)),
        "{resumed}"
    );
    let firings = world.firings(&path, |firings| !firings.is_empty()).await?;
    assert_eq!(
        with_status(&firings, "skipped"),
        firings.len(),
        "{firings:?}"
    );
    assert_eq!(
        (firings.len(), &firings[0]["reason"]),
        (3, &json!("paused"))
    );
    let change = json!({"at": ["2099-01-01T00:00:00Z"], "overlap": "allow"});
    let (status, changed) = world.call("PATCH", &path, change).await?;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (
            &changed["next"],
            &changed["every_ms"],
            &changed["overlap"],
            &changed["name"]
        ),
        (
            &json!(["2099-01-01T00:00:00Z"]),
            &json!(null),
            &json!("allow"),
            &json!("hourly")
        )
    );
    // Beside its plan it fires at once.
    let (status, fired) = world
        .call("POST", &format!("{path}/run"), json!({}))
        .await?;
    assert_eq!(
        (status, &fired["status"]),
        (202, &json!("succeeded")),
        "{fired}"
    );
    let (_, known) = world.ada.get(&world.server, &path).await?;
    assert_eq!(known["next"], json!(["2099-01-01T00:00:00Z"]));
    Ok(())
}

#[tokio::test]
async fn missed_times_are_made_up_for_within_bounds() -> Result<()> {
    let world = World::new().await?;
    let path = world
        .make(
            json!({"name": "slept", "action": notice(&json!(world.ada.id)), "every_ms": 3_600_000,
            "catch_up": {"max": 2, "within_ms": 86_400_000}}),
        )
        .await?;
    // As after ten hours of sleep. Its job is gone, too, so that the sweep has to find it.
    world
        .sql("delete from jobs.job where kind = 'schedule-dispatch'")
        .await?;
    world
        .sql("update pipelines.schedule set due_at = due_at - interval '10 hours', next_at = next_at - interval '10 hours'")
        .await?;
    world.sql("select pipelines.sweep(1000)").await?;
    let firings = world
        .firings(&path, |firings| {
            firings.len() == 10 && with_status(firings, "due") == 0
        })
        .await?;
    assert_eq!(
        (
            with_status(&firings, "succeeded"),
            with_status(&firings, "missed")
        ),
        (2, 8),
        "{firings:?}"
    );
    let fired = firings
        .iter()
        .position(|firing| firing["status"] == "missed");
    assert_eq!(fired, Some(2), "the latest fire: {firings:?}");
    Ok(())
}

#[tokio::test]
async fn the_first_delays_are_those_of_all_others_and_differ_between_schedules() -> Result<()> {
    let world = World::new().await?;
    let hour = 3_600_000;
    let mut delays = BTreeSet::new();
    for number in 0..20 {
        let said = json!({"name": format!("s{number}"), "action": notice(&json!(world.ada.id)), "every_ms": hour,
            "jitter_ms": hour, "catch_up": {"max": 0}});
        let path = world.make(said).await?;
        let (_, made) = world.ada.get(&world.server, &path).await?;
        delays.insert(made["next_at"].as_str().context("next_at")?.to_owned());
    }
    assert!(delays.len() > 15, "{delays:?}");
    // Whoever dispatches counts the same delay, or a first time would be late that is not.
    let mut database = world.server.database.connect().await?;
    let rows: Vec<(Uuid, Value, i64, i64)> = sqlx::query_as(
        "select id, times, pipelines.ms_of(due_at), pipelines.ms_of(next_at) from pipelines.schedule",
    )
    .fetch_all(&mut database)
    .await?;
    for (id, times, due, next) in rows {
        let plan = Plan::new(serde_json::from_value(times)?);
        let plan = plan.map_err(|refusal| anyhow::anyhow!("{}", refusal.detail))?;
        assert_eq!(next - due, plan.delay(&id.to_string(), due), "{id}");
    }
    Ok(())
}
