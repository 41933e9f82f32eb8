//! `cargo bench --workspace --bench webhooks`: how soon a receiver hears of an event, how many deliveries a worker makes with
//! 16 at a time, and what a list of many deliveries costs. Prints; never asserts.
//!
//! `-- latency`, `-- rate` and `-- listing` run one of them; `-- crowd` sends 1,000 events to 100 receivers of which a third
//! is broken, which takes minutes. The worker is a process of its own; functions and receivers are this one, on the same
//! cores as the worker and PostgreSQL.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bench::figures;
use e2e::{
    Database, Server,
    agents::Agent,
    process::Process,
    receiver::{Answer, Receiver, broken, only_deliveries},
};
use gather::{migrate, postgres::Cluster};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 300;
const PLACES: usize = 16;
const WEBHOOKS: usize = 48;
const EVENTS_EACH: usize = 100;
const LISTED: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const LISTINGS: usize = 200;
const CROWD: usize = 100;
const CROWD_BROKEN: usize = 33;
const CROWD_EVENTS: usize = 1_000;

struct World {
    server: Server,
    owners: Vec<Agent>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let chosen: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runs = |name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    rlimit::increase_nofile_limit(u64::MAX)?;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&state)).await??;
    let admin = cluster.url("gather");
    migrate::run(&admin, &e2e::manifest()?, &e2e::master_key()).await?;
    let server = Server::over(Database { admin }).await?;
    let mut owners = vec![];
    for (number, name) in [(1, "ada"), (2, "bob"), (3, "eve")] {
        owners.push(Agent::sign_in(&server, name, number).await?);
    }
    let world = World { server, owners };
    if runs("latency") {
        latency(&world).await?;
    }
    if runs("rate") {
        rate(&world).await?;
    }
    if runs("listing") {
        listing(&world).await?;
    }
    if chosen.iter().any(|one| one == "crowd") {
        crowd(&world).await?;
    }
    drop(world);
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

/// Webhooks of one case: their receivers, and the worker that sends to them.
struct Case {
    receivers: Vec<Receiver>,
    worker: Process,
    _folder: tempfile::TempDir,
}

impl World {
    /// Makes a webhook for each receiver, by the database: the platform lets an account have fewer, and public ones only.
    async fn case(&self, receivers: Vec<Receiver>) -> Result<Case> {
        self.server
            .database
            .execute("delete from webhooks.webhook; delete from events.subscription")
            .await?;
        let mut connection = self.server.database.connect().await?;
        let mut arguments = vec![];
        for (number, receiver) in receivers.iter().enumerate() {
            let owner = &self.owners[number % self.owners.len()];
            let host = format!("r{number}.example");
            arguments.extend([
                "--webhook-host".to_owned(),
                format!("{host}={}", receiver.address),
            ]);
            sqlx::query(
                "select webhooks.create_webhook($1, false, $2, array[$3], array['test.*'])",
            )
            .bind(owner.id)
            .bind(format!("http://{host}/"))
            .bind(format!("account:{}", owner.id))
            .execute(&mut connection)
            .await?;
        }
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("spin.toml");
        std::fs::write(&file, only_deliveries(&self.server.database, PLACES))?;
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let worker = Process::start(
            "worker",
            &self.server.database,
            &file,
            folder.path(),
            &arguments,
        )?;
        Ok(Case {
            receivers,
            worker,
            _folder: folder,
        })
    }

    /// So many events for all of the webhooks, in one transaction.
    async fn emit(&self, count: usize) -> Result<()> {
        let topics: Vec<_> = self
            .owners
            .iter()
            .map(|owner| format!("account:{}", owner.id))
            .collect();
        sqlx::query(
            "select events.emit($1, 'test.number', jsonb_build_object('n', n)) from generate_series(1, $2) n",
        )
        .bind(topics)
        .bind(i32::try_from(count)?)
        .execute(&mut self.server.database.connect().await?)
        .await?;
        Ok(())
    }
}

impl Case {
    /// Waits until these receivers have so many requests together.
    async fn until(&self, receivers: std::ops::Range<usize>, count: usize) {
        loop {
            let taken = self.receivers[receivers.clone()]
                .iter()
                .map(Receiver::count);
            if taken.sum::<usize>() >= count {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn healthy(count: usize) -> Result<Vec<Receiver>> {
    let mut receivers = vec![];
    for _ in 0..count {
        receivers.push(Receiver::start(|_| Answer::status(204)).await?);
    }
    Ok(receivers)
}

/// From the beginning of an event's statement to its first byte at the receiver.
async fn latency(world: &World) -> Result<()> {
    let case = world.case(healthy(1).await?).await?;
    world.emit(1).await?;
    case.until(0..1, 1).await;
    let mut times = vec![];
    let topic = format!("account:{}", world.owners[0].id);
    let mut connection = world.server.database.connect().await?;
    for number in 0..EVENTS {
        let begun = Instant::now();
        sqlx::query("select events.emit(array[$1], 'test.number', '{}')")
            .bind(&topic)
            .execute(&mut connection)
            .await?;
        case.until(0..1, number + 2).await;
        let taken = case.receivers[0].taken();
        let last = taken.last().context("a request")?;
        times.push(last.at.duration_since(begun));
        // Once in a while the worker sleeps before.
        let pause = if number % 20 == 0 { 700 } else { 30 };
        sleep(Duration::from_millis(pause)).await;
    }
    println!("event → first byte at a receiver: {}", figures(times));
    case.worker.signal("TERM")?;
    Ok(())
}

/// Deliveries that wait when the clock begins to run.
async fn rate(world: &World) -> Result<()> {
    let case = world.case(healthy(WEBHOOKS).await?).await?;
    world.emit(1).await?;
    case.until(0..WEBHOOKS, WEBHOOKS).await;
    let begun = Instant::now();
    world.emit(EVENTS_EACH).await?;
    case.until(0..WEBHOOKS, WEBHOOKS * (EVENTS_EACH + 1)).await;
    let rate = (WEBHOOKS * EVENTS_EACH) as f64 / begun.elapsed().as_secs_f64();
    println!("deliveries to {WEBHOOKS} receivers, {PLACES} at a time: {rate:.0}/s");
    case.worker.signal("TERM")?;
    Ok(())
}

/// The first page and one in the middle of a webhook's deliveries, however many there are.
async fn listing(world: &World) -> Result<()> {
    let ada = &world.owners[0];
    let new = json!({ "url": "https://example.org/", "topics": ["account:me"] });
    let (status, made) = ada
        .send(&world.server, "POST", "/api/webhooks", &new)
        .await?;
    ensure!(status == 201, "{made}");
    let id: Uuid = made["id"].as_str().context("id")?.parse()?;
    let mut connection = world.server.database.connect().await?;
    let mut there = 0;
    for count in LISTED {
        sqlx::query(
            "insert into webhooks.delivery (webhook_id, event_id, type, topic, state, attempts, status, reply, ended_at)
             select $1, platform.uuid_v7(), 'message.created', 'channel:x', 'delivered', 1, 200, 'taken', now()
             from generate_series($2::bigint + 1, $3)",
        )
        .bind(id)
        .bind(there)
        .bind(count)
        .execute(&mut connection)
        .await?;
        there = count;
        world
            .server
            .database
            .execute("vacuum analyze webhooks.delivery")
            .await?;
        let middle: Uuid = sqlx::query_scalar(
            "select id from webhooks.delivery where webhook_id = $1 order by id offset $2 limit 1",
        )
        .bind(id)
        .bind(count / 2)
        .fetch_one(&mut connection)
        .await?;
        let path = format!("/api/webhooks/{id}/deliveries");
        let after = cursor(world, ada, &path, middle).await?;
        for (name, path) in [
            ("first page", path.clone()),
            ("first page of one state", format!("{path}?state=delivered")),
            ("page in the middle", format!("{path}?after={after}")),
        ] {
            let mut times = vec![];
            // The first ones find caches cold.
            for number in 0..2 * LISTINGS {
                let begun = Instant::now();
                let (status, page) = ada.send(&world.server, "GET", &path, &json!({})).await?;
                if number >= LISTINGS {
                    times.push(begun.elapsed());
                }
                ensure!(status == 200, "{page}");
            }
            println!("{count} deliveries, {name}: {}", figures(times));
        }
    }
    Ok(())
}

/// The cursor of the page behind a delivery: that of the first page with another position, which is JSON behind eight bytes
/// that name the list.
async fn cursor(world: &World, ada: &Agent, path: &str, delivery: Uuid) -> Result<String> {
    let (_, page) = ada.send(&world.server, "GET", path, &json!({})).await?;
    let next = page["next"].as_str().with_context(|| page.to_string())?;
    let name = &BASE64_URL_SAFE_NO_PAD.decode(next)?[..8];
    let position = json!(delivery).to_string();
    Ok(BASE64_URL_SAFE_NO_PAD.encode([name, position.as_bytes()].concat()))
}

/// Many events to many receivers, a third of them broken.
async fn crowd(world: &World) -> Result<()> {
    let mut receivers = vec![];
    for number in 0..CROWD_BROKEN {
        receivers.push(Receiver::start(move |_| broken(number)).await?);
    }
    receivers.extend(healthy(CROWD - CROWD_BROKEN).await?);
    let case = world.case(receivers).await?;
    let begun = Instant::now();
    world.emit(CROWD_EVENTS).await?;
    let deliveries = (CROWD - CROWD_BROKEN) * CROWD_EVENTS;
    case.until(CROWD_BROKEN..CROWD, deliveries).await;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "{CROWD_EVENTS} events to {CROWD} receivers, {CROWD_BROKEN} of them broken: {took:.0} s until the others had all, {:.0}/s",
        deliveries as f64 / took
    );
    case.worker.signal("TERM")?;
    Ok(())
}
