//! `cargo bench --workspace --bench agents`: how soon a message has its model asked and a first word is passed on, turns of
//! many calls beside PyPI's `langgraph` with its PostgreSQL saver on the same durable database in the same run, what a long
//! conversation costs, and how soon claws run and are woken. Prints; never asserts. Names of cases after `--` choose some.
//!
//! Functions, worker, sandbox, way out, model and clients are this process, on the same cores as PostgreSQL.

use anyhow::{Context, Result, ensure};
use bench::figures;
use e2e::{
    Database, Server,
    agents::Agent,
    libraries,
    models::{Asked, Models, Say, calls, says},
    publishing::{approved, manifest},
    sockets::Client,
};
use futures::{StreamExt, TryStreamExt, stream};
use gather::{migrate, postgres::Cluster};
use host::jobs::{JobTimes, JobWorker};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SAMPLES: usize = 200;
/// The first ones plan and fill caches.
const WARMING: usize = 20;
const CALLS: usize = 25;
const AT_ONCE: usize = 16;
const TURNS: usize = 96;
/// An owner has no more.
const CLAWS: usize = 100;
const OWNERS: u8 = 100;

struct World {
    server: Server,
    ada: Agent,
    models: Models,
    _worker: JobWorker,
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
    let world = World::over(Database { admin }).await?;
    if runs("talk") {
        talk(&world).await?;
    }
    if runs("long") {
        long(&world).await?;
    }
    if runs("langgraph") {
        beside_langgraph(&world, &cluster).await?;
    }
    if runs("claws") {
        claws(&world).await?;
        idle(&world).await?;
    }
    drop(world);
    tokio::task::spawn_blocking(move || cluster.close()).await??;
    Ok(())
}

/// What the model says: who was told to add adds one number after another.
fn script(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let results = messages
        .iter()
        .rev()
        .take_while(|message| message["role"] != "user")
        .filter(|message| message["role"] == "tool")
        .count();
    if body["tools"]
        .as_array()
        .is_some_and(|tools| !tools.is_empty())
        && results < CALLS
    {
        return calls(&[("adder__add", &format!("{{\"a\": {results}, \"b\": 1}}"))]);
    }
    says("Done.")
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().with_context(|| format!("a text: {value}"))?;
    Ok(text.to_owned())
}

impl World {
    async fn over(database: Database) -> Result<Self> {
        let models = Models::start(|asked, _| script(asked)).await?;
        let server = Server::over_letting_out(database, &[models.origin()]).await?;
        let mut connection = server.database.connect().await?;
        sqlx::query("select llm.put_platform_provider('llm', 'openai', $1, null)")
            .bind(&models.url)
            .execute(&mut connection)
            .await?;
        sqlx::query("select llm.keep_platform_providers(array['llm'], $1)")
            .bind(json!({"default": {"provider": "llm", "model": "m"}}))
            .execute(&mut connection)
            .await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        // New accounts write little.
        let grown = "update identity.account set created_at = now() - interval '2 days'";
        server.database.execute(grown).await?;
        let worker = server.worker(JobTimes::default()).await?;
        Ok(Self {
            server,
            ada,
            models,
            _worker: worker,
        })
    }

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

    /// A conversation with an agent of its own that has this persona.
    async fn conversation(&self, name: &str, persona: &Value) -> Result<String> {
        self.conversation_after(0, name, persona).await
    }

    /// The same, where so many messages were written before the agent came.
    async fn conversation_after(
        &self,
        messages: usize,
        name: &str,
        persona: &Value,
    ) -> Result<String> {
        let circle = json!({"name": name, "mode": "round_robin"});
        let circle = text(&self.ask("POST", "/api/circles", &circle).await?["id"])?;
        let new = json!({"circle": circle});
        let conversation = text(&self.ask("POST", "/api/conversations", &new).await?["id"])?;
        let path = format!("/api/conversations/{conversation}/messages");
        for number in 0..messages {
            let message = json!({"body": format!("This is message {number}.")});
            self.ask("POST", &path, &message).await?;
        }
        let persona = text(&self.ask("POST", "/api/personas", persona).await?["id"])?;
        let member = json!({"persona": persona, "name": format!("{name}-bot")});
        let members = format!("/api/circles/{circle}/members");
        self.ask("POST", &members, &member).await?;
        Ok(conversation)
    }

    /// Posts a message, and returns the turn that it makes.
    async fn say(&self, conversation: &str) -> Result<String> {
        let path = format!("/api/conversations/{conversation}/messages");
        let posted = self.ask("POST", &path, &json!({"body": "Go on."})).await?;
        text(&posted["turns"][0]["id"])
    }

    async fn ended(&self, turn: &str, look: Duration) -> Result<Value> {
        let path = format!("/api/turns/{turn}");
        loop {
            let turn = self.get(&path).await?;
            if !turn["finished_at"].is_null() {
                ensure!(turn["status"] == "completed", "{turn}");
                return Ok(turn);
            }
            sleep(look).await;
        }
    }

    /// When the model is asked next, after so many requests.
    async fn asked(&self, before: usize) -> Instant {
        loop {
            if let Some(asked) = self.models.asked().get(before) {
                return asked.at;
            }
            sleep(Duration::from_micros(300)).await;
        }
    }

    async fn settle(&self) -> Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            self.server.database.execute(statement).await?;
        }
        Ok(())
    }

    async fn bytes(&self) -> Result<i64> {
        let mut connection = self.server.database.connect().await?;
        let sql = "select pg_database_size(current_database())";
        Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
    }
}

fn plain(name: &str) -> Value {
    json!({"name": name, "instructions": "Answer in one sentence."})
}

/// From before a message until the model is asked, and from then until its first word is at a client's socket.
async fn talk(world: &World) -> Result<()> {
    let conversation = world.conversation("talk", &plain("talker")).await?;
    let bearer = format!("Bearer {}", world.ada.token);
    let path = format!("/ws/conversations/{conversation}");
    let headers = [("authorization", bearer.as_str())];
    let mut socket = Client::connect(&world.server.url, &path, &headers).await?;
    let (mut asked, mut told) = (vec![], vec![]);
    for sample in 0..SAMPLES + WARMING {
        let before = world.models.asked().len();
        let began = Instant::now();
        let turn = world.say(&conversation).await?;
        let at = world.asked(before).await;
        while !has_delta(&socket.frame().await?) {}
        let first = Instant::now();
        world.ended(&turn, Duration::from_millis(2)).await?;
        if sample >= WARMING {
            asked.push(at - began);
            told.push(first - at);
        }
    }
    println!("a message to the model asked, idle: {}", figures(asked));
    println!("from then to its first word at a socket: {}", figures(told));
    Ok(())
}

fn has_delta(frame: &Value) -> bool {
    let is_delta = |event: &Value| event["type"] == "turn.delta";
    is_delta(frame) || is_delta(&frame["event"])
}

/// The same in a conversation with 10 messages and with 1,000 before it.
async fn long(world: &World) -> Result<()> {
    let mut medians = vec![];
    for count in [10, 1_000] {
        let name = format!("long-{count}");
        let conversation = world
            .conversation_after(count, &name, &plain(&name))
            .await?;
        world.settle().await?;
        let mut times = vec![];
        for sample in 0..60 {
            let before = world.models.asked().len();
            let began = Instant::now();
            let turn = world.say(&conversation).await?;
            let at = world.asked(before).await;
            world.ended(&turn, Duration::from_millis(2)).await?;
            if sample >= WARMING {
                times.push(at - began);
            }
        }
        let median = bench::median(&times);
        println!("after {count} messages: {}", figures(times));
        medians.push(median.as_secs_f64());
    }
    println!("ratio of the medians: {:.2}", medians[1] / medians[0]);
    Ok(())
}

/// Turns of many calls, so many at once: steps a second, and bytes of the database a turn.
async fn beside_langgraph(world: &World, cluster: &Cluster) -> Result<()> {
    approved(
        &world.server,
        &world.ada,
        &manifest("adder", "1.0.0"),
        "adder",
    )
    .await?;
    let packages = [
        "langgraph==1.2.24",
        "langgraph-checkpoint-postgres==3.2.0",
        "psycopg[binary,pool]==3.3.9",
    ];
    let folder =
        libraries::installed("langgraph", "tests/benches/agents/python", &packages).await?;
    let mut conversations = vec![];
    for number in 0..AT_ONCE {
        let name = format!("adding-{number}");
        let persona = json!({"name": name, "instructions": "Add.", "tools": [{"use": "skill:adder"}],
            "limits": {"steps": 2 * CALLS + 2}});
        conversations.push(world.conversation(&name, &persona).await?);
    }
    let one = async |number: usize| -> Result<u64> {
        let turn = world.say(&conversations[number % AT_ONCE]).await?;
        let ended = world.ended(&turn, Duration::from_millis(50)).await?;
        ended["steps"].as_u64().context("steps")
    };
    for number in 0..AT_ONCE {
        one(number).await?;
    }
    world.settle().await?;
    let (began, bytes) = (Instant::now(), world.bytes().await?);
    let each: Vec<_> = stream::iter(0..AT_ONCE)
        .map(|number| async move {
            let mut steps = 0;
            for _ in 0..TURNS / AT_ONCE {
                steps += one(number).await?;
            }
            anyhow::Ok(steps)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let steps: u64 = each.iter().sum();
    let ours = steps as f64 / began.elapsed().as_secs_f64();
    let our_bytes = (world.bytes().await? - bytes) / i64::try_from(TURNS)?;
    println!(
        "\n{TURNS} turns of {CALLS} calls, {AT_ONCE} at once, {} steps each: {ours:.0} steps/s, {our_bytes} bytes a turn",
        steps / TURNS as u64
    );
    let Some(folder) = folder else { return Ok(()) };
    world.settle().await?;
    let database = cluster.url("langgraph");
    world
        .server
        .database
        .execute("create database langgraph")
        .await?;
    let arguments = [
        database.as_str(),
        &TURNS.to_string(),
        &AT_ONCE.to_string(),
        &CALLS.to_string(),
    ];
    let told = libraries::run(&folder, "adding.py", &arguments).await?;
    let told: Value = serde_json::from_str(&told)?;
    let (theirs, their_bytes) = (
        told["steps_a_second"].as_f64().context("steps")?,
        told["bytes_a_turn"].as_f64().context("bytes")?,
    );
    println!(
        "langgraph, the same, its model and tool within its process: {theirs:.0} steps/s, {their_bytes:.0} bytes a turn"
    );
    println!(
        "ratios: {:.2} of its steps/s, {:.2} of its bytes",
        ours / theirs,
        our_bytes as f64 / their_bytes
    );
    Ok(())
}

/// From before the request that makes a claw until it runs, and from an event until its model is asked.
async fn claws(world: &World) -> Result<()> {
    world.ask("POST", "/api/personas", &plain("plain")).await?;
    let mut times = vec![];
    for number in 0..CLAWS - 1 {
        let began = Instant::now();
        let new = json!({"name": format!("claw-{number}"), "persona": "plain"});
        let made = world.ask("POST", "/api/claws", &new).await?;
        let path = format!("/api/claws/{}", text(&made["claw"]["id"])?);
        while world.get(&path).await?["status"] != "running" {
            sleep(Duration::from_millis(2)).await;
        }
        times.push(began.elapsed());
    }
    println!(
        "\na claw from its request until it runs: {}",
        figures(times)
    );
    let channel = world
        .ask("POST", "/api/channels", &json!({"name": "lab"}))
        .await?;
    let channel = text(&channel["id"])?;
    let trigger = json!({"on": "event", "topic": format!("channel:{channel}"), "type": "message.created",
        "prompt": "Say what is new."});
    let new =
        json!({"name": "woken", "persona": "plain", "channels": ["lab"], "triggers": [trigger]});
    world.ask("POST", "/api/claws", &new).await?;
    while world.get("/api/claws/woken").await?["status"] != "running" {
        sleep(Duration::from_millis(20)).await;
    }
    let path = format!("/api/channels/{channel}/messages");
    let mut times = vec![];
    for sample in 0..30 + WARMING {
        let before = world.models.asked().len();
        let began = Instant::now();
        world.ask("POST", &path, &json!({"body": "News."})).await?;
        let at = world.asked(before).await;
        // So that the next event meets an idle claw, which is woken by 60 a minute at most.
        sleep(Duration::from_millis(1_100)).await;
        if sample >= WARMING {
            times.push(at - began);
        }
    }
    println!(
        "an event until its claw's model is asked: {}",
        figures(times)
    );
    Ok(())
}

/// What many idle claws cost this process, in which functions and worker are.
async fn idle(world: &World) -> Result<()> {
    world.settle().await?;
    sleep(Duration::from_secs(5)).await;
    let before = memory()?;
    for number in 0..OWNERS {
        let owner = Agent::sign_in(&world.server, &format!("owner-{number}"), number + 2).await?;
        let persona = plain("plain");
        let made = owner
            .send(&world.server, "POST", "/api/personas", &persona)
            .await?;
        ensure!(made.0 == 201, "{made:?}");
        stream::iter(0..CLAWS)
            .map(|claw| {
                let (owner, server) = (&owner, &world.server);
                async move {
                    let new = json!({"name": format!("idle-{number}-{claw}"), "persona": "plain"});
                    let made = owner.send(server, "POST", "/api/claws", &new).await?;
                    ensure!(made.0 == 202, "{made:?}");
                    Ok(())
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    let sql = "select count(*) from claws.claw where status <> 'running'";
    let mut connection = world.server.database.connect().await?;
    while sqlx::query_scalar::<_, i64>(sql)
        .fetch_one(&mut connection)
        .await?
        > 0
    {
        sleep(Duration::from_millis(500)).await;
    }
    sleep(Duration::from_secs(5)).await;
    println!(
        "{} idle claws: {} MB more than without",
        CLAWS * usize::from(OWNERS),
        memory()?.saturating_sub(before)
    );
    Ok(())
}

/// Resident memory of this process in MB.
fn memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("VmRSS")?
        .parse()?;
    Ok(kilobytes / 1000)
}
