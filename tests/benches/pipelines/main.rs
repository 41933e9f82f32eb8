//! `cargo bench --workspace --bench pipelines`: runs of five recorded steps beside PyPI's `dbos` on the same durable database
//! in the same run, how soon a run begins, a large map, schedules of one second, and whether it all takes longer the more
//! runs there are. Prints; never asserts. Names of cases after `--` choose some of them.
//!
//! Functions, worker and clients are this process, on the same cores as PostgreSQL.

use anyhow::{Context, Result, ensure};
use bench::{figures, median};
use e2e::{
    Database, Server,
    agents::Agent,
    libraries,
    receiver::{Answer, Receiver},
};
use futures::{StreamExt, TryStreamExt, stream};
use gather::{migrate, postgres::Cluster};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: usize = 16;
/// No more may be unfinished of one account.
const RUNS: usize = 960;
const SAMPLES: usize = 200;
const ITEMS: usize = 10_000;
const SCHEDULES: i32 = 10_000;
const SECONDS: i64 = 60;
const ROWS: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];

struct World {
    server: Server,
    ada: Agent,
    receiver: Receiver,
    _worker: JobWorker,
}

#[tokio::main]
async fn main() -> Result<()> {
    let chosen: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runs = |name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&state)).await??;
    let admin = cluster.url("gather");
    migrate::run(&admin, &e2e::manifest()?, &e2e::master_key()).await?;
    let receiver = Receiver::start(|_| Answer::status(200)).await?;
    let origin = format!("http://{}", receiver.address);
    let server = Server::over_letting_out(Database { admin }, &[&origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let worker = server.worker(JobTimes::default()).await?;
    let world = World {
        server,
        ada,
        receiver,
        _worker: worker,
    };
    if runs("start") {
        start(&world).await?;
    }
    if runs("dbos") {
        beside_dbos(&world, &cluster).await?;
    }
    if runs("map") {
        map(&world).await?;
    }
    if runs("schedules") {
        schedules(&world).await?;
    }
    if runs("rows") {
        rows(&world).await?;
    }
    drop(world);
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

impl World {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.ada.send(&self.server, method, path, body).await?;
        ensure!(status < 300, "{method} {path}: {status} {answer}");
        Ok(answer)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let (status, answer) = self.ada.get(&self.server, path).await?;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }

    async fn publish(&self, name: &str, definition: Value) -> Result<()> {
        let body = json!({"name": name, "definition": definition});
        self.ask("POST", "/api/pipelines", &body).await?;
        Ok(())
    }

    async fn run(&self, name: &str) -> Result<Value> {
        let path = format!("/api/pipelines/{name}/runs");
        self.ask("POST", &path, &json!({})).await
    }

    async fn number(&self, sql: &'static str) -> Result<i64> {
        let mut connection = self.server.database.connect().await?;
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }

    /// Looks rarely, so as not to be part of what is measured.
    async fn until(&self, sql: &'static str, expected: i64) -> Result<()> {
        let began = Instant::now();
        while self.number(sql).await? != expected {
            ensure!(
                began.elapsed() < Duration::from_secs(600),
                "{sql} is not {expected}"
            );
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Lets the database forget what cases before have left it to do.
    async fn settle(&self) -> Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            self.server.database.execute(statement).await?;
        }
        Ok(())
    }

    /// A GET of the stand-in.
    fn call(&self) -> Value {
        let url = format!("http://{}/", self.receiver.address);
        json!({"type": "action", "do": "http", "input": {"url": url}})
    }

    fn permissions(&self) -> Value {
        json!({"http": [format!("http://{}", self.receiver.address)]})
    }
}

/// Five nodes, one after the other.
fn five(node: &Value, permissions: &Value) -> Value {
    let ids = ["a", "b", "c", "d", "e"];
    let nodes: serde_json::Map<_, _> = ids
        .iter()
        .map(|id| ((*id).to_owned(), node.clone()))
        .collect();
    let edges: Vec<_> = ids
        .windows(2)
        .map(|pair| json!({"from": pair[0], "to": pair[1]}))
        .collect();
    json!({"nodes": nodes, "edges": edges, "permissions": permissions})
}

/// From before the request that starts a run until the request of its first step arrives.
async fn start(world: &World) -> Result<()> {
    let definition = json!({"nodes": {"a": world.call()}, "permissions": world.permissions()});
    world.publish("one", definition).await?;
    let (mut begun, mut over) = (vec![], vec![]);
    for sample in 0..SAMPLES + 20 {
        let before = world.receiver.count();
        let asked = Instant::now();
        let run = world.run("one").await?;
        let taken = loop {
            let taken = world.receiver.taken();
            if taken.len() > before {
                break taken;
            }
            sleep(Duration::from_micros(200)).await;
        };
        let path = format!("/api/runs/{}", run["id"].as_str().context("id")?);
        while world.get(&path).await?["finished_at"].is_null() {
            sleep(Duration::from_millis(1)).await;
        }
        // The first ones plan and fill caches.
        if sample >= 20 {
            begun.push(taken[before].at - asked);
            over.push(asked.elapsed());
        }
    }
    println!(
        "start of a run to the request of its first step, idle: {}; to its end: {}",
        figures(begun),
        figures(over)
    );
    Ok(())
}

/// Runs of five steps a second, with steps that call the stand-in and with steps that compute.
async fn beside_dbos(world: &World, cluster: &Cluster) -> Result<()> {
    let packages = ["dbos==3.4.0"];
    let folder = libraries::installed("dbos", "tests/benches/pipelines/python", &packages).await?;
    let computes = json!({"type": "transform", "value": {"$": "1 + 1"}});
    let notes = json!({"type": "action", "do": "event", "input":
        {"type": "custom.step", "topic": format!("account:{}", world.ada.id), "data": {}}});
    world
        .publish("calls", five(&world.call(), &world.permissions()))
        .await?;
    world.publish("notes", five(&notes, &json!({}))).await?;
    world
        .publish("computes", five(&computes, &json!({})))
        .await?;
    println!("\n{RUNS} runs of five steps, {AT_ONCE} at a time");
    println!("| a step | ours, runs/s | dbos, runs/s | ratio |");
    println!("|---|---|---|---|");
    for (name, target) in [
        ("calls", format!("http://{}/", world.receiver.address)),
        ("notes", String::new()),
        ("computes", String::new()),
    ] {
        world.settle().await?;
        let ours = rate(world, name).await?;
        let theirs = match &folder {
            Some(folder) => {
                world.settle().await?;
                let database = cluster.url("dbos");
                let arguments = [
                    database.as_str(),
                    &target,
                    &RUNS.to_string(),
                    &AT_ONCE.to_string(),
                ];
                let told = libraries::run(folder, "five.py", &arguments).await?;
                Some(told.trim().parse::<f64>().context(told)?)
            }
            None => None,
        };
        let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
        println!(
            "| {name} | {ours:.1} | {} | {} |",
            text(theirs),
            text(theirs.map(|theirs| ours / theirs))
        );
    }
    Ok(())
}

/// Runs a second from the first request until all have ended. The worker drives so many at a time as `spin.toml` says.
async fn rate(world: &World, name: &str) -> Result<f64> {
    let path = format!("/api/pipelines/{name}/runs");
    let start = async || world.ask("POST", &path, &json!({})).await.map(drop);
    let unfinished = "select count(*) from pipelines.run where finished_at is null";
    for _ in 0..AT_ONCE {
        start().await?;
    }
    world.until(unfinished, 0).await?;
    let began = Instant::now();
    stream::iter(0..RUNS)
        .map(|_| start())
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    world.until(unfinished, 0).await?;
    let elapsed = began.elapsed();
    let failed = "select count(*) from pipelines.run where status <> 'succeeded'";
    ensure!(world.number(failed).await? == 0, "a run has failed");
    Ok(RUNS as f64 / elapsed.as_secs_f64())
}

/// A map of many items that compute.
async fn map(world: &World) -> Result<()> {
    let body = json!({"nodes": {"a": {"type": "transform", "value": {"$": "item + 1"}}}});
    let each = json!({"type": "map", "items": "input.items", "body": body, "parallel": 64});
    world
        .publish("map", json!({"nodes": {"each": each}}))
        .await?;
    let items: Vec<_> = (0..ITEMS).collect();
    let began = Instant::now();
    let body = json!({"input": {"items": items}});
    let run = world.ask("POST", "/api/pipelines/map/runs", &body).await?;
    let path = format!("/api/runs/{}", run["id"].as_str().context("id")?);
    let over = loop {
        let run = world.get(&path).await?;
        if !run["finished_at"].is_null() {
            break run;
        }
        sleep(Duration::from_millis(20)).await;
    };
    ensure!(over["status"] == "succeeded", "{over}");
    println!(
        "\na map of {ITEMS} items that compute: {:?}",
        began.elapsed()
    );
    Ok(())
}

/// Many schedules of one second, and how late one is that fires each second.
async fn schedules(world: &World) -> Result<()> {
    let notice = json!({"type": "send_notification", "to": [world.ada.id], "title": "Tick"});
    let schedule = json!({"name": "first", "action": notice, "at": ["2099-01-01T00:00:00Z"], "overlap": "allow"});
    world.ask("POST", "/api/schedules", &schedule).await?;
    sqlx::query(
        "insert into pipelines.schedule (owner_id, name, times, action, due_at, next_at)
         select s.owner_id, 'n' || n, s.times, s.action, d.at, d.at
         from pipelines.schedule s, generate_series(1, $1) n,
             (select date_trunc('second', clock_timestamp()) + interval '2 s' as at) d",
    )
    .bind(SCHEDULES)
    .execute(&mut world.server.database.connect().await?)
    .await?;
    let plan =
        "select pipelines.plan_dispatch(s.next_at) from pipelines.schedule s where s.name = 'n1'";
    world.server.database.execute(plan).await?;
    let fired = "select count(*) from pipelines.firing where status = 'succeeded'";
    world.until(fired, SCHEDULES.into()).await?;
    let spread = "select (extract(epoch from max(f.fired_at) - min(f.due_at)) * 1000)::bigint from pipelines.firing f";
    println!(
        "\n{SCHEDULES} schedules of one second, one worker: all have fired {} ms after it",
        world.number(spread).await?
    );
    world
        .server
        .database
        .execute("delete from pipelines.schedule")
        .await?;
    world.settle().await?;
    let schedule = json!({"name": "each", "action": notice, "every_ms": 1000, "overlap": "allow"});
    world.ask("POST", "/api/schedules", &schedule).await?;
    let fired = "select count(*) filter (where status = 'succeeded') from pipelines.firing";
    while world.number(fired).await? < SECONDS {
        sleep(Duration::from_secs(1)).await;
    }
    let late: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from f.fired_at - f.due_at)::float8 from pipelines.firing f where f.fired_at is not null",
    )
    .fetch_all(&mut world.server.database.connect().await?)
    .await?;
    world
        .server
        .database
        .execute("delete from pipelines.schedule")
        .await?;
    let late = late
        .into_iter()
        .map(|late| Duration::from_secs_f64(late.max(0.0)));
    println!(
        "lateness of one each second, idle: {}",
        figures(late.collect())
    );
    Ok(())
}

/// Lists, and a run from its start to its end, over more and more runs that have ended.
async fn rows(world: &World) -> Result<()> {
    let most = std::env::var("GATHER_BENCH_ROWS").ok();
    let most = most.map_or(Ok(i64::MAX), |most| most.parse())?;
    let computes = json!({"nodes": {"a": {"type": "transform", "value": 1}}});
    world.publish("rows", computes).await?;
    world.run("rows").await?;
    println!(
        "\n| runs | GET /api/runs | …?status=failed | of the pipeline | a run, start to end |"
    );
    println!("|---|---|---|---|---|");
    for rows in ROWS.into_iter().filter(|rows| *rows <= most) {
        sqlx::query(
            "insert into pipelines.run (pipeline_id, version, account_id, status, input, created_at, started_at, finished_at)
             select p.id, 1, p.owner_id, case n % 3 when 0 then 'failed' else 'succeeded' end, '{}', now(), now(), now()
             from pipelines.pipeline p,
                 generate_series((select count(*) from pipelines.run r where r.pipeline_id = p.id) + 1, $1) n
             where p.name = 'rows'",
        )
        .bind(rows)
        .execute(&mut world.server.database.connect().await?)
        .await?;
        world.settle().await?;
        let mut cells = vec![];
        for path in [
            "/api/runs?limit=50",
            "/api/runs?limit=50&status=failed",
            "/api/runs?limit=50&pipeline=rows",
        ] {
            let mut times = vec![];
            for _ in 0..SAMPLES {
                let began = Instant::now();
                world.get(path).await?;
                times.push(began.elapsed());
            }
            cells.push(median(&times));
        }
        let mut times = vec![];
        for _ in 0..SAMPLES {
            let began = Instant::now();
            let request = world
                .ada
                .request(&world.server, "POST", "/api/pipelines/rows/runs");
            let answer = request.header("prefer", "wait=25").json(&json!({}));
            ensure!(answer.send().await?.status() == 200, "a run did not end");
            times.push(began.elapsed());
        }
        cells.push(median(&times));
        let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:.1?}")).collect();
        println!("| {rows} | {} |", cells.join(" | "));
    }
    Ok(())
}
