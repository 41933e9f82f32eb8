//! Schedules: what they say, when they fire, and who sees them.

use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, client::refusal, errands::quick};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

struct World {
    server: Server,
    ada: Agent,
    _worker: JobWorker,
}

/// A machine with other work to do must not take the worker for lost.
fn times() -> JobTimes {
    JobTimes {
        lease: Duration::from_secs(30),
        ..quick()
    }
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let worker = server.worker(times()).await?;
        Ok(Self {
            server,
            ada,
            _worker: worker,
        })
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Result<(u16, Value)> {
        self.ada.send(&self.server, method, path, &body).await
    }

    async fn make(&self, schedule: Value) -> Result<String> {
        let (status, made) = self.call("POST", "/api/schedules", schedule).await?;
        ensure!(status == 201, "{made}");
        Ok(format!(
            "/api/schedules/{}",
            made["id"].as_str().context("id")?
        ))
    }

    /// Waits until the firings of a schedule, the latest first, are so.
    async fn firings(&self, schedule: &str, fits: impl Fn(&[Value]) -> bool) -> Result<Vec<Value>> {
        let began = Instant::now();
        loop {
            let path = format!("{schedule}/firings?limit=100");
            let (_, list) = self.ada.get(&self.server, &path).await?;
            let items = list["items"].as_array().context("items")?;
            if fits(items) {
                return Ok(items.clone());
            }
            ensure!(began.elapsed() < LIMIT, "{list}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn sql(&self, sql: &'static str) -> Result<()> {
        let mut database = self.server.database.connect().await?;
        sqlx::query(sql).execute(&mut database).await?;
        Ok(())
    }
}

fn notice(to: &Value) -> Value {
    json!({"type": "send_notification", "to": [to], "title": "Tick"})
}

fn with_status(firings: &[Value], status: &str) -> usize {
    firings
        .iter()
        .filter(|firing| firing["status"] == status)
        .count()
}

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
    let count = asked("GATHER_TESTS_SCHEDULES", 400);
    let mut workers = Vec::new();
    for _ in 1..asked("GATHER_TESTS_WORKERS", 4) {
        workers.push(world.server.worker(times()).await?);
    }
    world
        .make(json!({"name": "first", "action": notice(&json!(world.ada.id)), "at": ["2099-01-01T00:00:00Z"]}))
        .await?;
    sqlx::query(
        "insert into pipelines.schedule (owner_id, name, times, action, due_at, next_at)
         select s.owner_id, 'n' || n, s.times, s.action, d.at, d.at
         from pipelines.schedule s, generate_series(1, $1) n, (select date_trunc('second', clock_timestamp()) as at) d",
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
        ensure!(began.elapsed() < LIMIT, "not all have fired");
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
    assert_eq!(number(over).await?, count + 1);
    Ok(())
}
