//! Queued work beside Node's Graphile Worker, on the same durable database in the same run.
//! Prints, never asserts. `cargo bench --workspace --bench jobs`

use anyhow::{Context, Result, bail};
use e2e::{Database, errands::Errands, root};
use gather::{migrate, postgres::Cluster};
use graphile_worker_queries::{
    batch_get_jobs::batch_get_jobs, task_identifiers::get_tasks_details,
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::sleep,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const JOBS: i32 = 20_000;
const SAMPLES: usize = 500;
const WAITING: i32 = 1_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&state)).await??;
    migrate::run(
        &cluster.url("gather"),
        &e2e::manifest()?,
        &e2e::master_key(),
    )
    .await?;
    let database = Database {
        admin: cluster.url("gather"),
    };
    let errands = Errands::over(database, "job = {}").await?;
    let node = install_node().await;
    if let Err(error) = &node {
        println!("without Node: {error:#}");
    }
    let node = node.ok();
    println!("{JOBS} no-op jobs\n");
    println!(
        "| workers | at a time each | ours, jobs/s | Node, jobs/s | ratio | Node with a local queue, jobs/s |"
    );
    println!("|---|---|---|---|---|---|");
    for (workers, concurrency) in [(1, 16), (2, 16), (1, 32), (2, 32)] {
        let ours = throughput(&errands, workers, concurrency).await?;
        let mut theirs = [None; 2];
        if let Some(folder) = &node {
            theirs[0] = Some(node_throughput(&errands, folder, workers, concurrency, None).await?);
            theirs[1] =
                Some(node_throughput(&errands, folder, workers, concurrency, Some(100)).await?);
        }
        let text = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
        let ratio = theirs[0].map_or("-".to_owned(), |node| format!("{:.2}", ours / node));
        println!(
            "| {workers} | {concurrency} | {ours:.0} | {} | {ratio} | {} |",
            text(theirs[0]),
            text(theirs[1])
        );
    }
    latency(&errands).await?;
    if let Some(folder) = &node {
        node_latency(&errands, folder).await?;
    }
    claims(&errands).await?;
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

/// Jobs a second from the first one's start to the last one's end, as the database saw them.
async fn throughput(errands: &Errands, workers: usize, concurrency: usize) -> Result<f64> {
    sqlx::query("delete from jobs.job")
        .execute(&errands.pool)
        .await?;
    fill(
        errands,
        "select jobs.enqueue('errand') from generate_series(1, 500)",
    )
    .await?;
    settle(errands).await?;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(errands.process(&["--jobs", &concurrency.to_string()])?);
    }
    let done = "select count(*) from jobs.job where status = 'succeeded'";
    wait_for(errands, done, JOBS.into()).await?;
    let seconds: f64 = sqlx::query_scalar(
        "select extract(epoch from max(finished_at) - min(started_at))::float8 from jobs.job",
    )
    .fetch_one(&errands.pool)
    .await?;
    if workers == 1 && concurrency == 16 {
        println!("(the instance: {})", instance_cost(errands).await?);
    }
    Ok(f64::from(JOBS) / seconds)
}

/// What a fresh instance and the call in it cost, without queue and database.
async fn instance_cost(errands: &Errands) -> Result<String> {
    let worker = errands.worker(JobTimes::default()).await?;
    sqlx::query("select jobs.enqueue('errand') from generate_series(1, 500)")
        .execute(&errands.pool)
        .await?;
    let done = "select count(*) from jobs.job where status in ('queued', 'running', 'failed')";
    errands
        .until_number(done, 0, Duration::from_secs(30))
        .await?;
    let text = String::from_utf8(worker.metrics().render())?;
    let mean = |name: &str, labels: &str| -> Option<f64> {
        let value = |what: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name}_{what}{{{labels}")))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        Some(value("sum")? / value("count")? * 1e6)
    };
    let instance = mean(
        "gather_function_instantiation_seconds",
        "component=\"errand\"",
    );
    let run = mean("gather_job_duration_seconds", "kind=\"errand\"");
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(format!(
        "mean {:.0} µs to make one, {:.0} µs with the call, its end included",
        instance.context("no figure")?,
        run.context("no figure")?
    ))
}

/// Looks rarely, so as not to be part of what is measured.
async fn wait_for(errands: &Errands, sql: &'static str, expected: i64) -> Result<()> {
    let started = Instant::now();
    while errands.number(sql).await? != expected {
        if started.elapsed() > Duration::from_secs(300) {
            bail!("{sql} is not {expected} after 300 s");
        }
        sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

async fn settle(errands: &Errands) -> Result<()> {
    maintain(
        errands,
        [
            "vacuum analyze jobs.job",
            "vacuum analyze graphile_worker._private_jobs",
            "checkpoint",
        ],
    )
    .await
}

/// Statements that each want to be alone.
async fn maintain<const N: usize>(errands: &Errands, statements: [&'static str; N]) -> Result<()> {
    for statement in statements {
        sqlx::raw_sql(statement).execute(&errands.pool).await?;
    }
    Ok(())
}

/// Runs a statement that adds 500 jobs as often as needed.
async fn fill(errands: &Errands, statement: &'static str) -> Result<()> {
    for _ in 0..JOBS / 500 {
        sqlx::query(statement).execute(&errands.pool).await?;
    }
    Ok(())
}

/// From before the call that asks until the job ran, and until its end is written down.
async fn latency(errands: &Errands) -> Result<()> {
    let worker = errands.worker(JobTimes::default()).await?;
    sleep(Duration::from_secs(1)).await;
    let (mut started, mut finished) = (Vec::new(), Vec::new());
    for _ in 0..SAMPLES {
        let asked = now();
        let id = errands.errand(json!([])).await?;
        errands.until(id, "succeeded").await?;
        let (began, ended): (f64, f64) = sqlx::query_as(
            "select extract(epoch from started_at)::float8 * 1000, extract(epoch from finished_at)::float8 * 1000
             from jobs.job where id = $1",
        )
        .bind(id)
        .fetch_one(&errands.pool)
        .await?;
        started.push(began - asked);
        finished.push(ended - asked);
        sleep(Duration::from_millis(5)).await;
    }
    worker.shutdown(Duration::from_secs(5)).await;
    println!(
        "\nidle worker, from asking: started {}, finished {}",
        quantiles(started),
        quantiles(finished)
    );
    Ok(())
}

async fn node_latency(errands: &Errands, folder: &Path) -> Result<()> {
    let mut node = Node::start(errands, folder, 1, None).await?;
    let mut started = Vec::new();
    for n in 0..SAMPLES {
        let asked = now();
        sqlx::query("select node_worker.add_job('timed', $1::text::json)")
            .bind(json!({ "n": n }).to_string())
            .execute(&errands.pool)
            .await?;
        let line = node.line().await?;
        started.push(line["started"].as_f64().context("started")? - asked);
        sleep(Duration::from_millis(5)).await;
    }
    node.stop().await?;
    println!("Node's, the same: started {}", quantiles(started));
    Ok(())
}

fn now() -> f64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_secs_f64() * 1000.0
}

fn quantiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    format!("p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99))
}

/// How long a claim takes with few and with many waiting jobs.
async fn claims(errands: &Errands) -> Result<()> {
    let mut medians = Vec::new();
    for waiting in [100, WAITING] {
        sqlx::raw_sql("truncate jobs.job cascade; delete from graphile_worker._private_jobs")
            .execute(&errands.pool)
            .await?;
        // Past `enqueue`, which takes a while a million times.
        sqlx::query(
            "with queued as (
                insert into graphile_worker._private_jobs (task_id, payload, max_attempts)
                select t.id, '{\"job\": 1}', 32767 from graphile_worker._private_tasks t, generate_series(1, $1)
                where t.identifier = 'errand' returning id)
             insert into jobs.job (kind, max_attempts, queue_id) select 'errand', 3, id from queued",
        )
        .bind(waiting)
        .execute(&errands.pool)
        .await?;
        settle(errands).await?;
        let database = graphile_worker_database::Database::from(errands.pool.clone());
        let schema = graphile_worker_database::Schema::default();
        let tasks = get_tasks_details(&database, schema.clone(), vec!["errand".to_owned()]).await?;
        let mut times = Vec::new();
        for round in 0..60 {
            let started = Instant::now();
            let rows =
                batch_get_jobs(&database, &tasks, schema.clone(), "bench", &[], 1, None).await?;
            let claimed: Vec<_> = rows.iter().map(|row| json!({ "queue_id": row.id(), "kind": "errand", "payload": row.payload() })).collect();
            let begun: Vec<Value> = sqlx::query_scalar("select jobs.begin('bench', $1)")
                .bind(json!(claimed))
                .fetch_all(&errands.pool)
                .await?;
            assert_eq!(begun.len(), 1);
            // The first ones plan and fill caches.
            if round >= 20 {
                times.push(started.elapsed().as_secs_f64() * 1000.0);
            }
        }
        println!(
            "claiming one of {waiting} waiting jobs: {}",
            quantiles(times.clone())
        );
        times.sort_by(f64::total_cmp);
        medians.push(times[times.len() / 2]);
    }
    println!("ratio of the medians: {:.2}", medians[1] / medians[0]);
    Ok(())
}

/// Node's worker with its packages, under `target/`.
async fn install_node() -> Result<PathBuf> {
    let folder = root().join("target/node-graphile-worker");
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "worker.mjs"] {
        std::fs::copy(
            root().join("tests/benches/node").join(file),
            folder.join(file),
        )?;
    }
    if !folder.join("node_modules/graphile-worker").exists() {
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .status()
            .await
            .context("npm is not there")?;
        if !installed.success() {
            bail!("npm install: {installed}");
        }
    }
    Ok(folder)
}

struct Node {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Node {
    async fn start(
        errands: &Errands,
        folder: &Path,
        concurrency: usize,
        local_queue: Option<u32>,
    ) -> Result<Self> {
        let mut command = Command::new("node");
        command
            .args([
                "worker.mjs",
                errands.database.admin.as_str(),
                "0",
                &concurrency.to_string(),
            ])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(size) = local_queue {
            command.arg(size.to_string());
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("stdout")?;
        let mut node = Self {
            child,
            lines: BufReader::new(stdout).lines(),
        };
        node.line().await?;
        Ok(node)
    }

    async fn line(&mut self) -> Result<Value> {
        let line = self.lines.next_line().await?.context("node ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    async fn stop(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let line = self.line().await?;
        self.child.wait().await?;
        Ok(line)
    }
}

async fn node_throughput(
    errands: &Errands,
    folder: &Path,
    workers: usize,
    concurrency: usize,
    local_queue: Option<u32>,
) -> Result<f64> {
    // The first start makes its schema.
    Node::start(errands, folder, 1, None).await?.stop().await?;
    fill(
        errands,
        "select node_worker.add_job('noop', '{}') from generate_series(1, 500)",
    )
    .await?;
    maintain(
        errands,
        ["vacuum analyze node_worker._private_jobs", "checkpoint"],
    )
    .await?;
    let mut running = Vec::new();
    for _ in 0..workers {
        running.push(Node::start(errands, folder, concurrency, local_queue).await?);
    }
    wait_for(errands, "select count(*) from node_worker._private_jobs", 0).await?;
    let (mut first, mut last) = (f64::MAX, 0.0_f64);
    for node in running {
        let report = node.stop().await?;
        if report["done"].as_u64() > Some(0) {
            first = first.min(report["first"].as_f64().context("first")?);
            last = last.max(report["last"].as_f64().context("last")?);
        }
    }
    Ok(f64::from(JOBS) / ((last - first) / 1000.0))
}
