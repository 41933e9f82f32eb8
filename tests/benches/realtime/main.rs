//! `cargo bench --workspace --bench realtime`: how soon a gateway, as a process of its own, tells many, what a
//! connection costs it, what the outbox and subscriptions cost whoever writes, and whether feed and history take longer
//! the more there is. Prints; never asserts. Names of cases after `--` choose some of them.
//!
//! Functions and clients are this process, on the same cores as the gateway and PostgreSQL.

use anyhow::{Context, Result};
use bench::figures;
use e2e::{
    Database, Server,
    agents::Agent,
    process::Process,
    sockets::{Client, Gateway},
};
use futures::{StreamExt, future::try_join_all, stream};
use gather::{migrate, postgres::Cluster};
use serde_json::json;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{interval, sleep},
};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

mod rows;
mod socketio;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SOCKETS: usize = 1_000;
const POSTS: usize = 300;
const IDLE: usize = 10_000;
const SUBSCRIBERS: usize = 100;
const EVENTS_A_SECOND: usize = 1_000;
const SECONDS: u64 = 10;
const PUBLISHERS: usize = 10;
const WRITERS: usize = 16;
const SUBSCRIPTIONS: i64 = 1_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);

/// The same as the platform's `events.emit`, but nothing is written.
const SILENT: &str = "create or replace function events.emit(
        topics text[], type text, data jsonb, subject text default null, actor uuid default null,
        audience uuid[] default null, by_job uuid default null) returns uuid
    language sql security definer set search_path = pg_catalog, pg_temp as $$ select platform.uuid_v7() $$";

struct World {
    server: Server,
    gateway: Gateway,
    ada: Agent,
}

#[tokio::main]
async fn main() -> Result<()> {
    // Each socket has two ends, and one of them is here.
    let files = rlimit::increase_nofile_limit(u64::MAX)?;
    let folder = tempfile::tempdir()?;
    let state = folder.path().join("state");
    let cluster = tokio::task::spawn_blocking(move || Cluster::open(&state)).await??;
    let admin = cluster.url("gather");
    migrate::run(&admin, &e2e::manifest()?, &e2e::master_key()).await?;
    let server = Server::over(Database { admin }).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let grown = "update identity.account set created_at = now() - interval '2 days'";
    server.database.execute(grown).await?;
    let gateway = Gateway::start(&server, &["--realtime-sockets", "1000000"]).await?;
    let world = World {
        server,
        gateway,
        ada,
    };
    let chosen: Vec<_> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'))
        .collect();
    let is_chosen = |name| chosen.is_empty() || chosen.iter().any(|one| one == name);
    if is_chosen("posts") {
        let before = world.memory()?;
        let after = posts(&world).await?;
        println!(
            "memory of the gateway: {before} kB, with {SOCKETS} sockets {after} kB: {:.1} kB each",
            after.saturating_sub(before) as f64 / SOCKETS as f64
        );
    }
    if is_chosen("fan-out") {
        fan_out(&world).await?;
    }
    if is_chosen("socket.io")
        && let Err(error) = socketio::socket_io(&world.server.database.admin).await
    {
        println!("socket.io can't be measured: {error:#}");
    }
    if is_chosen("idle") {
        idle(&world, usize::try_from(files)?).await?;
    }
    if is_chosen("writers") {
        writers(&world, folder.path()).await?;
    }
    if is_chosen("rows") {
        rows::rows(&world).await?;
    }
    drop(world);
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

impl World {
    /// Resident memory of the gateway in kB.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.gateway.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.context("VmRSS")?.parse()?)
    }

    async fn channel(&self, name: &str) -> Result<String> {
        let new = json!({ "name": name, "private": false, "slow_mode_ms": 0.0 });
        let (_, made) = self
            .ada
            .send(&self.server, "POST", "/api/channels", &new)
            .await?;
        let id = made["id"].as_str();
        Ok(id.with_context(|| made.to_string())?.to_owned())
    }

    /// Sockets that are subscribed to a topic.
    async fn sockets(&self, topic: &str, count: usize) -> Result<Vec<Client>> {
        let opened = stream::iter(0..count).map(async |_| {
            let mut client = Client::signed_in(&self.gateway.url, &self.ada).await?;
            client.subscribe(topic, None).await?;
            anyhow::Ok(client)
        });
        let opened: Vec<_> = opened.buffer_unordered(50).collect().await;
        opened.into_iter().collect()
    }
}

/// Reads a socket's frames, and tells for each that has it the number behind a name, with when it came.
fn listen(
    mut client: Client,
    name: &'static str,
    told: mpsc::UnboundedSender<(u64, Instant)>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(Ok(message)) = client.0.next().await {
            let came = Instant::now();
            let Message::Text(text) = message else {
                continue;
            };
            let number = text.find(name).map(|at| &text[at + name.len()..]);
            let digits = number.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
            if let Some(Ok(number)) = digits.map(str::parse)
                && told.send((number, came)).is_err()
            {
                return;
            }
        }
    })
}

/// From the beginning of a POST to each of the sockets. Answers the gateway's memory then.
async fn posts(world: &World) -> Result<u64> {
    let id = world.channel("posts").await?;
    let sockets = world.sockets(&format!("channel:{id}"), SOCKETS).await?;
    let (told, mut heard) = mpsc::unbounded_channel();
    let listeners: Vec<_> = sockets
        .into_iter()
        .map(|client| listen(client, "\"body\":\"", told.clone()))
        .collect();
    let path = format!("/api/channels/{id}/messages");
    let (mut answers, mut deliveries) = (Vec::new(), Vec::new());
    for number in 0..POSTS as u64 {
        let begun = Instant::now();
        let new = json!({ "body": number.to_string() });
        let (status, answer) = world.ada.send(&world.server, "POST", &path, &new).await?;
        anyhow::ensure!(status == 201, "{answer}");
        answers.push(begun.elapsed());
        for _ in 0..SOCKETS {
            let (_, came) = heard.recv().await.context("a frame")?;
            deliveries.push(came.duration_since(begun));
        }
        sleep(pace(number)).await;
    }
    println!(
        "post → {SOCKETS} sockets of one gateway: {} (the POST's own answer: {})",
        figures(deliveries),
        figures(answers)
    );
    let memory = world.memory()?;
    listeners.iter().for_each(JoinHandle::abort);
    Ok(memory)
}

/// The pause after a post. Once in a while the gateway sleeps before the next one.
fn pace(number: u64) -> Duration {
    Duration::from_millis(if number.is_multiple_of(20) { 700 } else { 30 })
}

/// The middle one of some figures.
fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_micros() as u64)
}

/// Many events a second, each to many.
async fn fan_out(world: &World) -> Result<()> {
    let topic = format!("channel:{}", world.channel("many").await?);
    let sockets = world.sockets(&topic, SUBSCRIBERS).await?;
    let (told, mut heard) = mpsc::unbounded_channel();
    let listeners: Vec<_> = sockets
        .into_iter()
        .map(|client| listen(client, "\"at\":", told.clone()))
        .collect();
    let (clock, clock_us) = (Instant::now(), now_us());
    let each = EVENTS_A_SECOND * SECONDS as usize / PUBLISHERS;
    let publishers = (0..PUBLISHERS).map(async |_| {
        let mut connection = world.server.database.connect().await?;
        let pause = Duration::from_secs(SECONDS) / each as u32;
        let mut ticks = interval(pause);
        for _ in 0..each {
            ticks.tick().await;
            sqlx::query("select events.emit(array[$1], 'test.at', jsonb_build_object('at', $2))")
                .bind(&topic)
                .bind(now_us() as i64)
                .execute(&mut connection)
                .await?;
        }
        anyhow::Ok(())
    });
    let collected = async {
        let mut times = Vec::new();
        while times.len() < each * PUBLISHERS * SUBSCRIBERS {
            let (at_us, came) = heard.recv().await.context("a frame")?;
            let sent = clock + Duration::from_micros(at_us.saturating_sub(clock_us));
            times.push(came.saturating_duration_since(sent));
        }
        anyhow::Ok(times)
    };
    let (published, times) = tokio::join!(try_join_all(publishers), collected);
    published?;
    let rate = (each * PUBLISHERS) as f64 / clock.elapsed().as_secs_f64();
    println!(
        "{rate:.0} events/s to {SUBSCRIBERS} subscribers each: {}",
        figures(times?)
    );
    listeners.iter().for_each(JoinHandle::abort);
    Ok(())
}

/// As many as the machine's limits allow, which do nothing.
async fn idle(world: &World, files: usize) -> Result<()> {
    sleep(Duration::from_secs(2)).await;
    let before = world.memory()?;
    let count = IDLE.min(files.saturating_sub(2_000));
    let held = world.sockets("account:me", count).await?;
    let after = world.memory()?;
    println!(
        "{} idle sockets held: {:.1} kB each",
        held.len(),
        after.saturating_sub(before) as f64 / held.len() as f64
    );
    Ok(())
}

/// Messages a second that are posted by SQL, each writer in a channel of its own.
async fn messages(world: &World, channels: &Arc<Vec<String>>) -> Result<f64> {
    let begun = Instant::now();
    let writers = (0..WRITERS).map(async |writer| {
        let mut connection = world.server.database.connect().await?;
        let mut count = 0;
        while begun.elapsed() < ROUND {
            let new = json!({
                "body": "text", "html": "<p>text</p>", "plain": "text", "words": "text", "names": [], "all": false,
                "reply_to": null, "client_id": Uuid::now_v7(),
            });
            sqlx::query("select channels.post_message($1, $2, $3)")
                .bind(world.ada.id)
                .bind(&channels[writer])
                .bind(new)
                .execute(&mut connection)
                .await?;
            count += 1;
        }
        anyhow::Ok(count)
    });
    let counts: Vec<u32> = try_join_all(writers).await?;
    Ok(f64::from(counts.iter().sum::<u32>()) / begun.elapsed().as_secs_f64())
}

/// The same writers with the outbox and without, in turn, while a gateway reads it and a worker matches what is new
/// against subscriptions.
async fn writers(world: &World, folder: &Path) -> Result<()> {
    let manifest = e2e::root().join("spin.toml");
    let worker = Process::start("worker", &world.server.database, &manifest, folder, &[])?;
    let subscribe = "select count(events.subscribe($1, 'bench:' || n, array['channel:' || gen_random_uuid()], null,
        null, 'webhook-delivery')) from generate_series(1, $2) n";
    let mut channels = Vec::new();
    for writer in 0..WRITERS {
        channels.push(world.channel(&format!("writer-{writer}")).await?);
    }
    let channels = Arc::new(channels);
    let mut admin = world.server.database.connect().await?;
    sqlx::query(subscribe)
        .bind(world.ada.id)
        .bind(SUBSCRIPTIONS)
        .execute(&mut admin)
        .await?;
    let emit: String = sqlx::query_scalar("select pg_get_functiondef('events.emit'::regproc)")
        .fetch_one(&mut admin)
        .await?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    messages(world, &channels).await?;
    for _ in 0..ROUNDS {
        with.push(messages(world, &channels).await?);
        world.server.database.execute(SILENT).await?;
        without.push(messages(world, &channels).await?);
        world.server.database.execute(&emit).await?;
    }
    let (with, without) = (median(&mut with), median(&mut without));
    println!(
        "{WRITERS} writers of messages: {with:.0}/s with the outbox, {without:.0}/s without: ratio {:.2}",
        with / without
    );
    drop(worker);
    Ok(())
}
