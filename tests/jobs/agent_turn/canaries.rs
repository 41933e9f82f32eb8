//! What is whispered, what an agent notes for itself and what the vault holds stand nowhere but where they belong.

use anyhow::{Context, Result, anyhow, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{agents::Agent, free_address, process::Process, root, sockets::Client};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing_subscriber::filter::LevelFilter;

use super::faults::Workers;
use super::servers;
use super::world::{World, body, calls, plain, results, says, speaker, text};

const WHISPER: &str = "canary-whisper-7c1e";
const NOTE: &str = "canary-note-90ab";
const CANARIES: [&str; 3] = [WHISPER, NOTE, servers::CANARY];

/// The schemas in whose tables each of the canaries may stand: an event and an item of the inbox have a whisper for those who
/// may read it, and the gateway of models keeps answers for who asks again.
const PLACES: [(&str, &[&str]); 3] = [
    (WHISPER, &["channels", "circles", "events", "inbox", "llm"]),
    (NOTE, &["circles", "memory", "llm"]),
    (servers::CANARY, &[]),
];

/// What this process logs: the server, its functions and its sandbox.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen() -> Result<Self> {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(LevelFilter::INFO)
            .with_writer(move || writer.clone());
        subscriber.try_init().map_err(|error| anyhow!(error))?;
        Ok(log)
    }

    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The tables in which the canaries stand.
async fn places(world: &World) -> Result<BTreeMap<&'static str, BTreeSet<String>>> {
    let mut connection = world.server.database.connect().await?;
    let tables: Vec<(String,)> = sqlx::query_as(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut connection)
    .await?;
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (table,) in tables {
        let rows = sqlx::query(AssertSqlSafe(format!("select t::text from {table} t")));
        for row in rows.fetch_all(&mut connection).await? {
            let row: String = row.try_get(0)?;
            for canary in CANARIES.into_iter().filter(|one| row.contains(one)) {
                found.entry(canary).or_default().insert(table.clone());
            }
        }
    }
    Ok(found)
}

/// What the model and the server of tools say. `one` notes what it was whispered, and asks the server.
fn script(asked: &e2e::models::Asked, _: usize) -> e2e::models::Say {
    if asked.path == "/mcp" {
        return servers::server(asked, 0);
    }
    let note = json!({"content": format!("The code is {NOTE}.")}).to_string();
    let is_whispered = !body(asked).to_string().contains("and you?");
    match (speaker(asked).as_str(), results(asked)) {
        ("one", 0) if is_whispered => calls(&[
            ("remember", &note),
            ("mcp__sky__weather", "{\"city\": \"Rome\"}"),
        ]),
        ("one", 2) => says(&format!("I keep it: {WHISPER}.")),
        (name, _) => says(&format!("I am {name}.")),
    }
}

/// A circle with `one`, who has a memory and a server of tools, with `two`, who is public, and with bob, a stranger.
async fn circle(world: &World, bob: &str) -> Result<String> {
    let secret = json!({"name": "sky-key", "kind": "token", "value": servers::CANARY, "use": {
        "origins": [world.models.url], "place": {"header": "x-key", "format": "{}"}}});
    world
        .ask("POST", "/api/vault/secrets", &secret, 201)
        .await?;
    let source = json!({"name": "sky", "kind": "mcp", "url": format!("{}/mcp", world.models.url),
        "headers": {"x-key": "vault:sky-key"}});
    world.ask("POST", "/api/tool-sources", &source, 201).await?;
    let tools = ["memory", "mcp:sky"].map(|tool| json!({"use": tool, "approval": "never"}));
    let mindful = json!({"name": "mindful", "tools": tools, "memory": {"recall_tokens": 1000}});
    let (mindful, plain) = (
        world.persona(&mindful).await?,
        world.persona(&plain()).await?,
    );
    let new = json!({"name": "table", "mode": "mention", "private": true, "members": [
        {"persona": mindful, "name": "one"}, {"persona": plain, "name": "two", "public": true}, {"account": bob}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    world.conversation(&json!({"circle": "table"})).await
}

/// A gateway as a process of its own, which logs.
async fn gateway(world: &World, folder: &std::path::Path) -> Result<(Process, String)> {
    let at = free_address()?.to_string();
    let arguments = ["--realtime-listen", &at, "--public-url", &world.server.url];
    let manifest = root().join("spin.toml");
    let process = Process::start(
        "realtime",
        &world.server.database,
        &manifest,
        folder,
        &arguments,
    )?;
    let (url, begin) = (format!("http://{at}"), Instant::now());
    let live = format!("{url}/health/live");
    while world.server.http.get(&live).send().await.is_err() {
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "no gateway: {}",
            process.log()?
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((process, url))
}

/// Everything that bob can read which has to do with the conversation.
async fn seen_by_bob(world: &World, bob: &Agent, talk: &str, turn: &str) -> Result<Vec<String>> {
    let circle = text(&world.get("/api/circles/table").await?["id"])?;
    let mut seen = Vec::new();
    for path in [
        format!("/api/conversations/{talk}/messages?limit=100"),
        format!("/api/conversations/{talk}/turns?limit=100"),
        format!("/api/channels/{talk}/messages?limit=100"),
        format!("/api/events?topic=conversation:{talk}"),
        format!("/api/events?topic=circle:{circle}"),
        "/api/events?topic=account:me".to_owned(),
        "/api/search?query=canary".to_owned(),
        "/api/memory/search?query=code".to_owned(),
        "/api/inbox".to_owned(),
        "/api/accounts/me/export".to_owned(),
    ] {
        let answer = bob.request(&world.server, "GET", &path).send().await?;
        assert_eq!(answer.status(), 200, "{path}");
        seen.push(answer.text().await?);
    }
    for gone in ["", "/steps", "/receipt"] {
        let path = format!("/api/turns/{turn}{gone}");
        assert_eq!(bob.get(&world.server, &path).await?.0, 404, "{path}");
    }
    let events = bob
        .get(&world.server, &format!("/api/events?topic=turn:{turn}"))
        .await?;
    assert_eq!(events.0, 404);
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": {
        "messageId": "m1", "role": "ROLE_USER", "parts": [{"text": "What was whispered?"}]}}});
    let answer = bob
        .request(&world.server, "POST", "/a2a/agents/two")
        .header("a2a-version", "1.0")
        .json(&message)
        .send()
        .await?
        .text()
        .await?;
    assert!(answer.contains("I am two."), "{answer}");
    seen.push(answer);
    Ok(seen)
}

#[tokio::test]
async fn what_is_hidden_stands_nowhere_but_where_it_belongs() -> Result<()> {
    let log = Log::listen()?;
    let world = World::without_worker(script).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let folder = tempfile::tempdir()?;
    let (gateway, gateway_url) = gateway(&world, folder.path()).await?;
    let workers = Workers::new(&world)?;
    let worker = workers.start()?;
    let talk = circle(&world, "bob").await?;
    let mut socket = Client::signed_in(&gateway_url, &bob).await?;
    socket
        .subscribe(&format!("conversation:{talk}"), None)
        .await?;

    let whisper = json!({"body": format!("Note it: {WHISPER}."), "visible_to": ["one"]});
    let posted = world.post(&talk, &whisper).await?;
    let hidden = text(&posted["turns"][0]["id"])?;
    let ended = world.ended(&hidden).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = json!(world.steps(&hidden).await?).to_string();
    assert!(steps.contains(NOTE) && steps.contains("***"), "{steps}");
    for question in ["@two, what was whispered?", "@one, and you?"] {
        let turn = world.say(&talk, question).await?;
        assert_eq!(world.ended(&turn).await?["status"], "completed");
    }

    // Prompts: who was whispered to knows it, and nobody knows the secret.
    let asked = world.models.asked();
    let prompts: Vec<_> = asked.iter().filter(|one| one.path != "/mcp").collect();
    for prompt in &prompts {
        let told = body(prompt).to_string();
        let is_one = speaker(prompt) == "one";
        assert!(!told.contains(servers::CANARY), "{told}");
        assert!(
            is_one || !told.contains(WHISPER) && !told.contains(NOTE),
            "{told}"
        );
    }
    // What it noted of the whisper is recalled where its owner alone hears it.
    let last = || world.models.asked().last().map(body).unwrap_or_default();
    assert!(!last().to_string().contains(NOTE), "bob hears it");
    let again = json!({"body": "And what did you note?", "visible_to": ["one"]});
    let posted = world.post(&talk, &again).await?;
    let turn = text(&posted["turns"][0]["id"])?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert!(last().to_string().contains(NOTE), "it is recalled");

    // What bob is told, by whatever way.
    let mut shown = seen_by_bob(&world, &bob, &talk, &hidden).await?;
    let mut frames = 0;
    while frames < 2 {
        let frame = socket.frame().await?;
        frames += usize::from(frame["type"] == "turn.completed");
        shown.push(frame.to_string());
    }
    // Logs and metrics, of which the worker's and the gateway's are those of processes.
    let logged = log.text();
    assert!(logged.contains("/api/conversations"), "it logs requests");
    shown.extend([worker.log()?, gateway.log()?, logged]);
    for url in [
        &world.server.url,
        &world.server.variables["egress_url"],
        &gateway_url,
    ] {
        let metrics = world.server.http.get(format!("{url}/metrics"));
        shown.push(metrics.send().await?.text().await?);
    }
    // A receipt has digests.
    let receipt = world.get(&format!("/api/turns/{hidden}/receipt")).await?;
    let payload = receipt["payload"].as_str().context("payload")?;
    shown.push(String::from_utf8(BASE64_STANDARD.decode(payload)?)?);
    for text in &shown {
        for canary in CANARIES {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    // Events of the turn have neither what tools were given nor what they answered.
    let events = world
        .get(&format!("/api/events?topic=turn:{hidden}"))
        .await?;
    assert!(!events.to_string().contains("canary"), "{events:#}");

    let found = places(&world).await?;
    for (canary, allowed) in PLACES {
        let tables = found.get(canary).cloned().unwrap_or_default();
        let misplaced: Vec<&String> = tables
            .iter()
            .filter(|table| {
                !table
                    .split('.')
                    .next()
                    .is_some_and(|schema| allowed.contains(&schema))
            })
            .collect();
        assert!(misplaced.is_empty(), "{canary} in {misplaced:?}");
        assert_eq!(tables.is_empty(), allowed.is_empty(), "{canary}");
    }
    let mut connection = world.server.database.connect().await?;
    // They have an audience, or are on the own topic of one of its readers.
    let open: Vec<String> = sqlx::query_scalar(
        "select format('%s on %s for %s', e.type, e.topic, e.audience) from events.event e
         where e::text like '%canary-whisper%' and not exists (
             select from identity.account a where a.name in ('ada', 'one') and e.topic = 'account:' || a.id)
         and not exists (
             select from identity.account a where a.id = any (e.audience)
             having count(*) filter (where a.name in ('ada', 'one')) = count(*) and count(*) > 0)",
    )
    .fetch_all(&mut connection)
    .await?;
    assert_eq!(
        open, [""; 0],
        "a whisper's events are for its readers alone"
    );
    Ok(())
}
