//! Queued work survives whatever happens to workers and to the database.

use anyhow::{Context, Result, bail};
use e2e::{
    Database,
    errands::{Errands, quick},
};
use futures::future::try_join_all;
use gather::{migrate, postgres::Cluster};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};

const LEASE: [&str; 2] = ["--worker-lease", "1s"];
const SUCCEEDED: &str = "select count(*) from jobs.job where status = 'succeeded'";

/// Asks for `count` errands in one statement.
async fn ask_many(errands: &Errands, count: i32, steps: Value) -> Result<()> {
    sqlx::query("select jobs.enqueue('errand', $1) from generate_series(1, $2)")
        .bind(json!({ "steps": steps }))
        .bind(count)
        .execute(&errands.pool)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_killed_workers_job_runs_again_within_the_lease() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let first = errands.process(&LEASE)?;
    let id = errands
        .errand(json!(["note", "effect", { "sleep_ms": 1500 }]))
        .await?;
    errands
        .until_number("select count(*) from effect", 1, Duration::from_secs(20))
        .await?;
    let _second = errands.process(&LEASE)?;
    errands
        .until_number(
            "select count(*) from graphile_worker._private_workers",
            2,
            Duration::from_secs(20),
        )
        .await?;
    first.signal("KILL")?;
    let killed = Instant::now();
    errands
        .until_number("select count(*) from run", 2, Duration::from_secs(20))
        .await?;
    // The lease, a heartbeat of the other one, and the time to begin.
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "{:?}",
        killed.elapsed()
    );
    let job = errands.until(id, "succeeded").await?;
    assert_eq!(job["attempts"], 2);
    assert_eq!(
        errands.number("select attempt from effect").await?,
        1,
        "the effect is there once"
    );
    let lost = errands
        .number("select count(*) from jobs.attempt where outcome = 'lost'")
        .await?;
    assert_eq!(lost, 1);
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn who_was_taken_for_dead_can_end_nothing() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let first = errands.process(&LEASE)?;
    let id = errands
        .errand(json!(["note", { "sleep_ms": 700 }, { "return": "1" }]))
        .await?;
    errands
        .until_number("select count(*) from run", 1, Duration::from_secs(20))
        .await?;
    first.signal("STOP")?;
    let _second = errands
        .worker(JobTimes {
            lease: Duration::from_secs(1),
            ..quick()
        })
        .await?;
    errands
        .until_number("select count(*) from run", 2, Duration::from_secs(10))
        .await?;
    // It wakes up in the middle of the other's attempt, and its own ends at once.
    first.signal("CONT")?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let job = errands.until(id, "succeeded").await?;
    assert_eq!(job["attempts"], 2, "{job:#}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(errands.job(id).await?, job);
    assert_eq!(errands.number("select count(*) from run").await?, 2);
    // The one that woke up works on.
    let before = errands
        .number("select count(*) from graphile_worker._private_workers")
        .await?;
    assert_eq!(before, 2);
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn a_job_that_loses_all_its_workers_is_dead() -> Result<()> {
    let errands = Errands::new("job = { attempts = 2 }").await?;
    let id = errands
        .ask("special", json!(["note", { "sleep_ms": 60000 }]))
        .await?;
    for attempt in 1..=2 {
        let worker = errands.process(&LEASE)?;
        errands
            .until_number("select count(*) from run", attempt, Duration::from_secs(20))
            .await?;
        worker.signal("KILL")?;
    }
    let _worker = errands.worker(quick()).await?;
    let job = errands.until(id, "dead").await?;
    assert!(
        job["error"]
            .as_str()
            .is_some_and(|error| error.contains("lost")),
        "{job:#}"
    );
    assert_eq!(errands.number("select count(*) from run").await?, 2);
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_asked_to_stop_finishes_or_gives_back() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let mut worker = errands.process(&["--grace", "1s"])?;
    let short = errands
        .errand(json!(["note", { "sleep_ms": 500 }, "effect"]))
        .await?;
    let long = errands
        .errand(json!(["note", { "sleep_ms": 60000 }]))
        .await?;
    errands
        .until_number("select count(*) from run", 2, Duration::from_secs(20))
        .await?;
    worker.signal("TERM")?;
    worker.says("stopping", Duration::from_secs(10)).await?;
    // A question for jobs that was under way may still bring one; later, none is taken.
    errands.until(short, "succeeded").await?;
    let late = errands.errand(json!(["effect"])).await?;
    let started = Instant::now();
    assert!(worker.ended(Duration::from_secs(10)).await?.success());
    assert!(started.elapsed() < Duration::from_secs(8));
    assert_eq!(errands.job(short).await?["status"], "succeeded");
    let given_back = errands.job(long).await?;
    assert_eq!(
        (&given_back["status"], &given_back["attempts"]),
        (&json!("queued"), &json!(0)),
        "{given_back:#}"
    );
    assert_eq!(
        errands.job(late).await?["status"],
        "queued",
        "it takes no more"
    );
    assert_eq!(
        errands
            .number("select count(*) from graphile_worker._private_workers")
            .await?,
        0
    );
    assert_eq!(
        errands
            .number(
                "select count(*) from graphile_worker._private_jobs where locked_at is not null"
            )
            .await?,
        0
    );
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn two_workers_do_ten_thousand_jobs_once_each() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    ask_many(&errands, 10_000, json!(["note", "effect"])).await?;
    let lease = Duration::from_secs(20);
    let _workers = try_join_all([
        errands.worker(JobTimes { lease, ..quick() }),
        errands.worker(JobTimes { lease, ..quick() }),
    ])
    .await?;
    errands
        .until_number(SUCCEEDED, 10_000, Duration::from_secs(120))
        .await?;
    assert_eq!(errands.number("select count(*) from effect").await?, 10_000);
    assert_eq!(errands.number("select count(*) from run").await?, 10_000);
    let busy = errands
        .number("select count(distinct worker) from jobs.job")
        .await?;
    assert_eq!(busy, 2, "both worked");
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn a_restarted_database_loses_no_job() -> Result<()> {
    let _machine = e2e::MACHINE.lock().await;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let open = async || {
        let state = state.clone();
        tokio::task::spawn_blocking(move || Cluster::open(&state)).await?
    };
    let cluster = open().await?;
    migrate::run(
        &cluster.url("gather"),
        &e2e::manifest()?,
        &e2e::master_key(),
    )
    .await?;
    let errands = Errands::over(
        Database {
            admin: cluster.url("gather"),
        },
        "job = {}",
    )
    .await?;
    let times = JobTimes {
        lease: Duration::from_secs(10),
        ..quick()
    };
    let _workers = try_join_all([errands.worker(times.clone()), errands.worker(times)]).await?;
    ask_many(&errands, 2000, json!(["effect", { "sleep_ms": 5 }])).await?;
    let mut cluster = Some(cluster);
    for signal in ["INT", "KILL"] {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let server = cluster.take().context("a cluster")?;
        let done = Command::new("kill")
            .args(["-s", signal, &server.pid().to_string()])
            .status()?;
        assert!(done.success());
        drop(server);
        let started = Instant::now();
        cluster = loop {
            match open().await {
                Ok(again) => break Some(again),
                Err(error) if started.elapsed() > Duration::from_secs(20) => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
    }
    let started = Instant::now();
    // The test's own connections were cut, too.
    while errands.number(SUCCEEDED).await.unwrap_or(0) < 2000 {
        if started.elapsed() > Duration::from_secs(120) {
            let left: Option<Value> = sqlx::query_scalar(
                "select jsonb_agg(to_jsonb(j) - 'payload') from (
                     select * from jobs.job where status <> 'succeeded' limit 5) j",
            )
            .fetch_one(&mut errands.database.connect().await?)
            .await?;
            bail!("some do not end: {left:#?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(errands.number("select count(*) from effect").await?, 2000);
    errands.check_consistent().await?;
    // It outlives who started it.
    let cluster = cluster.context("a cluster")?;
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

#[tokio::test]
async fn a_clock_that_jumps_loses_nothing() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let worker = errands.process(&LEASE)?;
    let id = errands
        .errand(json!(["note", { "sleep_ms": 1000 }, "effect"]))
        .await?;
    errands
        .until_number("select count(*) from run", 1, Duration::from_secs(20))
        .await?;
    // Forward: every heartbeat is an hour old. Whoever looks first takes the job over, or it renews in time.
    errands
        .database
        .execute("update graphile_worker._private_workers set last_heartbeat_at = last_heartbeat_at - interval '1 hour';
                  update graphile_worker._private_jobs set locked_at = locked_at - interval '1 hour' where locked_at is not null")
        .await?;
    let _second = errands.worker(quick()).await?;
    errands.until(id, "succeeded").await?;
    assert_eq!(errands.number("select count(*) from effect").await?, 1);
    // Backward: the heartbeat of a worker that dies now lies an hour ahead.
    let other = errands
        .errand(json!(["note", { "sleep_ms": 1500 }, "effect"]))
        .await?;
    errands.until(other, "running").await?;
    errands
        .database
        .execute("update graphile_worker._private_workers set last_heartbeat_at = now() + interval '1 hour'")
        .await?;
    worker.signal("KILL")?;
    errands.until(other, "succeeded").await?;
    assert_eq!(errands.number("select count(*) from effect").await?, 2);
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn an_old_transaction_elsewhere_does_not_stop_the_queue() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    // A partition is missing, so that the workers want the table of events for themselves.
    let partition = "select count(*) from pg_class where relname = 'event_' || to_char(current_date + 3, 'YYYYMMDD')";
    errands
        .database
        .execute("do $$ begin execute format('drop table events.event_%s', to_char(current_date + 3, 'YYYYMMDD')); end $$")
        .await?;
    let mut old = errands.database.connect().await?;
    sqlx::raw_sql(
        "begin isolation level repeatable read;
         select count(*) from jobs.job; select count(*) from events.event",
    )
    .execute(&mut old)
    .await?;
    let _worker = errands.worker(quick()).await?;
    let mut times = Vec::new();
    for round in 1..=4 {
        let started = Instant::now();
        sqlx::query(
            "select jobs.enqueue('errand', $1, platform.uuid_v7()) from generate_series(1, 500)",
        )
        .bind(json!({ "steps": ["effect"] }))
        .execute(&errands.pool)
        .await?;
        errands
            .until_number(SUCCEEDED, round * 500, Duration::from_secs(30))
            .await?;
        times.push(started.elapsed());
    }
    println!("500 jobs each, under one old transaction: {times:?}");
    assert_eq!(errands.number(partition).await?, 0);
    sqlx::raw_sql("rollback").execute(&mut old).await?;
    errands
        .until_number(partition, 1, Duration::from_secs(5))
        .await?;
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn a_worker_waits_for_its_database() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let id = errands.errand(json!(["effect"])).await?;
    let refuse = async |allowed: bool| {
        let name = errands
            .database
            .admin
            .path()
            .trim_start_matches('/')
            .to_owned();
        let mut postgres = errands.database.admin.clone();
        postgres.set_path("postgres");
        let server = Database { admin: postgres };
        server
            .execute(&format!(
                "alter database {name} allow_connections {allowed};
                 select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and usename = 'gather_worker'"
            ))
            .await
    };
    refuse(false).await?;
    let _worker = errands.worker(quick()).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    refuse(true).await?;
    errands.until(id, "succeeded").await?;
    // Away for longer than the lease, in the middle of a job.
    let held = errands
        .errand(json!(["note", { "sleep_ms": 60000 }]))
        .await?;
    errands
        .until_number("select count(*) from run", 1, Duration::from_secs(10))
        .await?;
    refuse(false).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    refuse(true).await?;
    errands
        .until_number("select count(*) from run", 2, Duration::from_secs(20))
        .await?;
    assert_eq!(errands.job(held).await?["status"], "running");
    errands.check_consistent().await?;
    Ok(())
}

/// Workers are killed at random moments while jobs run. `GATHER_JOB_KILLS` sets how often (by default a
/// few times), `GATHER_JOB_SEED` repeats a sequence of moments.
#[tokio::test]
async fn random_kills_lose_nothing_and_do_nothing_twice() -> Result<()> {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let kills = number("GATHER_JOB_KILLS", 5);
    let seed = number("GATHER_JOB_SEED", 1);
    println!("{kills} kills, GATHER_JOB_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let errands = Errands::new("job = { attempts = 100 }").await?;
    let mut asked = 0;
    let mut workers = [errands.process(&LEASE)?, errands.process(&LEASE)?];
    let started = Instant::now();
    for kill in 0..kills {
        let steps = json!({ "steps": ["note", { "sleep_ms": random.below(60) }, "effect", { "sleep_ms": random.below(60) }] });
        sqlx::query("select jobs.enqueue('special', $1) from generate_series(1, 40)")
            .bind(steps)
            .execute(&errands.pool)
            .await?;
        asked += 40;
        tokio::time::sleep(Duration::from_millis(50 + random.below(400))).await;
        let victim = usize::try_from(random.below(2))?;
        workers[victim].signal("KILL")?;
        workers[victim] = errands.process(&LEASE)?;
        if kill % 100 == 99 {
            println!("{} kills after {:?}", kill + 1, started.elapsed());
        }
    }
    errands
        .until_number(SUCCEEDED, asked, Duration::from_secs(120))
        .await?;
    assert_eq!(
        errands.number("select count(*) from effect").await?,
        asked,
        "one effect each"
    );
    let again = errands
        .number("select count(*) - count(distinct job) from run")
        .await?;
    let lost = errands
        .number("select count(*) from jobs.attempt where outcome = 'lost'")
        .await?;
    println!("{asked} jobs, {again} ran again, {lost} attempts were lost with their worker");
    assert_eq!(
        errands
            .number("select count(*) from jobs.job where status <> 'succeeded'")
            .await?,
        0
    );
    errands.check_consistent().await?;
    Ok(())
}

/// Xorshift (Marsaglia 2003): a sequence of moments that a seed repeats.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
