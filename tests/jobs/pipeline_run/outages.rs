//! Runs whose worker is stopped for longer than its lease, whose database is killed, and whose sandbox is.

use anyhow::{Context, Result, ensure};
use e2e::{
    Database, Server,
    agents::Agent,
    errands::quick,
    free_address,
    publishing::{approved, manifest},
    receiver::{Answer, Receiver},
    sandboxes::{Front, sandbox},
};
use gather::{migrate, postgres::Cluster};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use uuid::Uuid;

use super::faults::World;
use super::world::{self, transform};

const LIMIT: Duration = Duration::from_secs(120);

/// A number of the metrics of a worker.
fn metric(worker: &JobWorker, name: &str) -> Result<Option<f64>> {
    let text = String::from_utf8(worker.metrics().render())?;
    let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let mut found = lines.filter(|(series, _)| *series == name);
    Ok(found.next().map(|(_, number)| number.parse()).transpose()?)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so().await? {
        ensure!(began.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What stands in the database about all runs and their steps.
async fn rows(database: &mut PgConnection) -> Result<Value> {
    let sql = "select jsonb_agg(jsonb_build_array(r.id, r.status, r.epoch, r.news, (
            select jsonb_agg(to_jsonb(s) order by s.path) from pipelines.step s where s.run_id = r.id)) order by r.id)
        from pipelines.run r";
    Ok(sqlx::query_scalar(sql).fetch_one(database).await?)
}

#[tokio::test]
async fn a_worker_that_was_stopped_for_longer_than_its_lease_changes_nothing() -> Result<()> {
    const RUNS: usize = 6;
    // The first attempts are never answered, so that the worker is stopped within them.
    let silent = Receiver::start(|count| match count < RUNS {
        true => Answer::Silence,
        false => Answer::status(200),
    })
    .await?;
    let world = World::among(&[&silent]).await?;
    let origin = format!("http://{}", silent.address);
    let send = json!({"type": "action", "do": "http", "effect": "repeatable",
        "input": {"method": "POST", "url": format!("{origin}/a"), "body": {}}});
    let wait = |name: &str| json!({"type": "wait", "any": [{"signal": name}]});
    let definition = json!({
        "nodes": {"send": send, "first": wait("go"), "second": wait("go"), "hold": wait("end")},
        "edges": [{"from": "first", "to": "second"}],
        "result": {"$": "[nodes.first.output.data, nodes.second.output.data, nodes.send.output.status]"},
        "permissions": {"http": [origin]},
    });
    let new = json!({"name": "stopped", "definition": definition});
    let made = world
        .ada
        .send(&world.server, "POST", "/api/pipelines", &new)
        .await?;
    ensure!(made.0 == 201, "{made:?}");
    let mut database = world.server.database.connect().await?;
    let runs: Vec<Uuid> = sqlx::query_scalar(
        "select (pipelines.start(p.id, p.owner_id, null, 'null', null, 0, null) ->> 'run')::uuid
         from pipelines.pipeline p, generate_series(1, 6) where p.name = 'stopped'",
    )
    .fetch_all(&mut database)
    .await?;
    let stopped = world.worker()?;
    silent.until(RUNS).await?;
    stopped.signal("STOP")?;
    let signal = async |run: &Uuid, name: &str, body: Value| -> Result<()> {
        let path = format!("/api/runs/{run}/signals/{name}");
        let sent = world.ada.send(&world.server, "POST", &path, &body).await?;
        ensure!(sent.0 == 202, "{sent:?}");
        Ok(())
    };
    for run in &runs {
        signal(run, "go", json!({"id": "1", "data": 1})).await?;
    }
    // Its lease is shorter than that of the other one, which shows the runs before it takes them over.
    let lease = Duration::from_secs(6);
    let other = world.server.worker(JobTimes { lease, ..quick() }).await?;
    let stalled = async |count: f64| {
        let is_so = async || Ok(metric(&other, "gather_pipeline_runs_stalled")? == Some(count));
        until(&format!("{count} are stalled"), is_so).await
    };
    stalled(6.0).await?;
    silent.until(2 * RUNS).await?;
    for run in &runs {
        signal(run, "go", json!({"id": "2", "data": 2})).await?;
    }
    let open = "select count(*) from pipelines.step where finished_at is null";
    until("all but the last wait ends", async || {
        let count: i64 = sqlx::query_scalar(open)
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
        Ok(count == 6)
    })
    .await?;
    stalled(0.0).await?;
    let before = rows(&mut database).await?;
    stopped.signal("CONT")?;
    // Its drivers look for news each second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rows(&mut database).await?, before);
    for run in &runs {
        signal(run, "end", json!({"id": "3"})).await?;
    }
    for run in &runs {
        let path = format!("/api/runs/{run}");
        until("the run ends", async || {
            let (_, run) = world.ada.get(&world.server, &path).await?;
            ensure!(
                run["finished_at"].is_null() || run["result"] == json!([1, 2, 200]),
                "{run}"
            );
            Ok(!run["finished_at"].is_null())
        })
        .await?;
    }
    assert_eq!(silent.count(), 2 * RUNS);
    let told =
        "select count(*) from events.event where type = 'run.succeeded' and topic like 'run:%'";
    let told: i64 = sqlx::query_scalar(told).fetch_one(&mut database).await?;
    assert_eq!(told, 6);
    Ok(())
}

async fn open(state: &Path) -> Result<Cluster> {
    let state = state.to_owned();
    tokio::task::spawn_blocking(move || Cluster::open(&state)).await?
}

/// Kills the server of a cluster as a crash of the machine would, and starts it again.
async fn killed(cluster: Cluster, state: &Path) -> Result<Cluster> {
    let server = cluster.pid().to_string();
    let done = Command::new("kill")
        .args(["-s", "KILL", &server])
        .status()?;
    ensure!(done.success(), "{done}");
    drop(cluster);
    let began = Instant::now();
    loop {
        match open(state).await {
            Ok(again) => return Ok(again),
            Err(error) if began.elapsed() > LIMIT => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

const SCHEDULES: i64 = 200;

/// Runs of the pipeline `killed`, schedules that are due now, and one that is due each second.
async fn begin(world: &World, runs: i64) -> Result<()> {
    let mut database = world.server.database.connect().await?;
    sqlx::query(
        "select pipelines.start(p.id, p.owner_id, null, jsonb_build_object('n', n), null, 0, null)
         from pipelines.pipeline p, generate_series(1, $1) n where p.name = 'killed'",
    )
    .bind(runs)
    .execute(&mut database)
    .await?;
    let action = json!({"type": "send_notification", "to": [world.ada.id], "title": "Tick"});
    for (name, times) in [
        ("once", json!({"at": ["2099-01-01T00:00:00Z"]})),
        ("ticks", json!({"every_ms": 1_000})),
    ] {
        let mut new = json!({"name": name, "action": action});
        for (field, value) in times.as_object().into_iter().flatten() {
            new[field] = value.clone();
        }
        let made = world
            .ada
            .send(&world.server, "POST", "/api/schedules", &new)
            .await?;
        ensure!(made.0 == 201, "{made:?}");
    }
    sqlx::query(
        "insert into pipelines.schedule (owner_id, name, times, action, due_at, next_at)
         select s.owner_id, 'due', s.times, s.action, d.at, d.at
         from generate_series(1, $1), pipelines.schedule s,
             (select date_trunc('second', clock_timestamp()) as at) d where s.name = 'once'",
    )
    .bind(SCHEDULES)
    .execute(&mut database)
    .await?;
    sqlx::query("select pipelines.plan_dispatch(clock_timestamp())")
        .execute(&mut database)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_killed_loses_no_run_and_no_schedule() -> Result<()> {
    const RUNS: usize = 60;
    let _machine = e2e::MACHINE.lock().await;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let mut cluster = open(&state).await?;
    let admin = cluster.url("gather");
    migrate::run(&admin, &e2e::manifest()?, &e2e::master_key()).await?;
    let world = World::over(Database { admin }, &[]).await?;
    let times = JobTimes {
        lease: Duration::from_secs(10),
        ..quick()
    };
    let _workers = [
        world.server.worker(times.clone()).await?,
        world.server.worker(times).await?,
    ];
    begin(&world, i64::try_from(RUNS)?).await?;
    // In the middle of what is sent and fired.
    for share in 1..=3 {
        let enough = 2 * RUNS * share / 4;
        until("requests are sent", async || {
            Ok(world.target.count() >= enough)
        })
        .await?;
        cluster = killed(cluster, &state).await?;
    }
    let number = async |sql: &'static str| -> Result<i64> {
        let mut database = world.server.database.connect().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut database).await?)
    };
    until("all runs end", async || {
        world
            .resolve(&mut world.server.database.connect().await?)
            .await?;
        Ok(number("select count(*) from pipelines.run where finished_at is null").await? == 0)
    })
    .await?;
    let failed = "select count(*) from pipelines.run r where r.status <> 'succeeded'
        or r.result <> to_jsonb((r.input ->> 'n')::integer + 1)";
    assert_eq!(number(failed).await?, 0);
    let keys = world.keys();
    assert_eq!(keys.len(), 2 * RUNS);
    let twice = keys
        .iter()
        .filter(|(key, count)| key.ends_with("-pay") && **count != 1);
    assert_eq!(twice.collect::<Vec<_>>(), []);
    until("all schedules fire", async || {
        let sql = "select count(*) from pipelines.firing f join pipelines.schedule s on s.id = f.schedule_id
            where s.name = 'due' and f.status = 'succeeded'";
        Ok(number(sql).await? == SCHEDULES)
    })
    .await?;
    let again = "select count(*) from pipelines.firing f join pipelines.schedule s on s.id = f.schedule_id
        where s.name = 'ticks' and f.status = 'succeeded' and f.due_at > now() - interval '3 seconds'";
    until("the schedule fires again", async || {
        Ok(number(again).await? > 0)
    })
    .await?;
    let notes = "select count(*) from inbox.item where kind = 'schedule'";
    let fired = "select count(*) from pipelines.firing where status = 'succeeded'";
    until("each firing has told once", async || {
        Ok(number(notes).await? == number(fired).await?)
    })
    .await?;
    drop(_workers);
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

#[tokio::test]
async fn a_step_that_loses_its_sandbox_is_repeated_only_if_that_is_harmless() -> Result<()> {
    let (first_at, second_at) = (free_address()?, free_address()?);
    let front = Front::open(first_at).await?;
    let server = Server::told(&[("sandbox_url", &front.url)]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let folder = tempfile::tempdir()?;
    let first = sandbox(&server, folder.path(), first_at).await?;
    let second = sandbox(&server, folder.path(), second_at).await?;
    let deadline = json!({"clock": true, "deadline_ms": 20_000});
    for (name, kv) in [
        ("sleeper", Value::Null),
        ("keeper", json!({"max_bytes": 1_000})),
    ] {
        let mut skill = manifest(name, "1.0.0");
        skill["permissions"] = deadline.clone();
        if !kv.is_null() {
            skill["permissions"]["kv"] = kv;
        }
        approved(&server, &ada, &skill, "probe-skill").await?;
    }
    let world = world::World::of(server, ada).await?;
    let sleeps = |skill: &str| {
        let input = json!({"skill": skill, "tool": "sleep", "arguments": {"ms": 1_500}});
        json!({"nodes": {"call": {"type": "action", "do": "skill", "input": input}, "after": transform("1")},
            "edges": [{"from": "call", "to": "after"}], "permissions": {"scopes": ["skills:call"]}})
    };
    let start = async |name: &str| -> Result<String> {
        let before = front.asked();
        let run = world.start(name, sleeps(name), json!(null)).await?;
        until("the skill is called", async || Ok(front.asked() > before)).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(run)
    };
    let step = async |run: &str| -> Result<Value> {
        let path = format!("{run}/steps/call");
        Ok(world.ada.get(&world.server, &path).await?.1)
    };
    let run = start("sleeper").await?;
    front.lead_to(second_at);
    first.signal("KILL")?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let called = step(&run).await?;
    assert!(called["attempts"].as_u64() > Some(1), "{called}");
    let receipt = called["receipt"]["payloadType"].as_str();
    receipt.with_context(|| format!("a signed statement: {called}"))?;

    let run = start("keeper").await?;
    second.signal("KILL")?;
    world.waits(&run, "call").await?;
    let called = step(&run).await?;
    assert_eq!(
        (&called["status"], &called["attempts"], &called["receipt"]),
        (&json!("uncertain"), &json!(1), &json!(null)),
        "{called}"
    );
    Ok(())
}
