//! Workers that are killed in the middle of a turn: the trace is that of an undisturbed one, and nothing happens twice.

use anyhow::{Context, Result, ensure};
use e2e::{component_file, process::Process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use super::world::{World, calls, results, says};

/// Workers of turns alone, as processes.
struct Workers<'a> {
    world: &'a World,
    folder: TempDir,
}

impl<'a> Workers<'a> {
    fn new(world: &'a World) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = component_file("agent-turn");
        let port = world.server.database.admin.port().unwrap_or(5432);
        let url = &world.server.url;
        let manifest = format!(
            r#"
spin_manifest_version = 2
[application]
name = "turns"
[variables]
agent_turn_database_url = {{ required = true, secret = true }}
agent_turn_exchange_key = {{ required = true, secret = true }}
[component.agent-turn]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "{url}"]
[component.agent-turn.variables]
database_url = "{{{{ agent_turn_database_url }}}}"
exchange_key = "{{{{ agent_turn_exchange_key }}}}"
internal_url = "{url}"
[component.agent-turn.tool.gather]
role = "gather_agent_turn"
deadline_ms = 900000
concurrency = 8
exchange = ["chat:create", "jobs:manage", "llm:call", "skills:call", "skills:rate", "skills:review", "social:write"]
job = {{ attempts = 25, own_places = true }}
"#
        );
        std::fs::write(folder.path().join("spin.toml"), manifest)?;
        Ok(Self { world, folder })
    }

    fn start(&self) -> Result<Process> {
        let folder = self.folder.path();
        Process::start(
            "worker",
            &self.world.server.database,
            &folder.join("spin.toml"),
            folder,
            &["--worker-lease", "1s"],
        )
    }
}

/// What a turn did: the kinds, names and states of its steps, without calls of the model that were cut off.
async fn trace(world: &World, turn: &str) -> Result<Vec<(String, String, String)>> {
    let steps = world.steps(turn).await?;
    let word = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let kept = steps
        .iter()
        .filter(|step| step["kind"] != "model" || step["status"] != "failed");
    Ok(kept
        .map(|step| (word(step, "kind"), word(step, "name"), word(step, "status")))
        .collect())
}

/// Waits until a turn has so many steps, of which the last has the status.
async fn until_steps(world: &World, turn: &str, count: i64, is_ended: bool) -> Result<()> {
    let mut database = world.server.database.connect().await?;
    let begin = Instant::now();
    loop {
        let (steps, ended): (i64, i64) = sqlx::query_as(
            "select count(*), count(*) filter (where ended_at is not null) from circles.step where turn_id = $1::uuid",
        )
        .bind(uuid::Uuid::parse_str(turn)?)
        .fetch_one(&mut database)
        .await?;
        if steps > count || (steps == count && (!is_ended || ended == count)) {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "{steps} of {count} steps"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_turn_whose_worker_is_killed_goes_on_where_it_was() -> Result<()> {
    let world = World::without_worker(|asked, _| match results(asked) {
        0 => calls(&[
            (
                "create_post",
                "{\"title\": \"News\", \"body\": \"Something happened.\"}",
            ),
            ("who_am_i", "{}"),
        ]),
        2 => calls(&[("search", "{\"query\": \"news\"}")]),
        _ => says("Done."),
    })
    .await?;
    let tools = ["api:create_post", "api:who_am_i", "api:search"];
    let tools: Vec<Value> = tools
        .iter()
        .map(|tool| json!({"use": tool, "approval": "never"}))
        .collect();
    let talk = world
        .talk(&json!({"name": "handy", "tools": tools}))
        .await?;
    // An account younger than a day may post little.
    world
        .server
        .database
        .execute("update identity.account set created_at = now() - interval '2 days'")
        .await?;
    let workers = Workers::new(&world)?;
    let mut worker = workers.start()?;
    let mut undisturbed = None;
    // The undisturbed one first; then a kill when each of its steps has begun, and when it has ended.
    let kills = (1..=6).flat_map(|count| [(count, false), (count, true)]);
    for (number, kill) in std::iter::once(None).chain(kills.map(Some)).enumerate() {
        let turn = world
            .say(&talk, &format!("Go on, number {number}."))
            .await?;
        if let Some((count, is_ended)) = kill {
            until_steps(&world, &turn, count, is_ended).await?;
            worker.signal("KILL")?;
            worker = workers.start()?;
        }
        let ended = world.ended(&turn).await?;
        assert_eq!(ended["status"], "completed", "{kill:?}: {ended:#}");
        let trace = trace(&world, &turn).await?;
        let expected = undisturbed.get_or_insert_with(|| trace.clone());
        assert_eq!(&trace, expected, "{kill:?}");
        let page = world.get("/api/posts?limit=100").await?;
        let posts = page["items"].as_array().context("items")?.len();
        assert_eq!(posts, number + 1, "one post for each turn: {kill:?}");
        let said = world.messages(&talk).await?;
        let replies = said.iter().filter(|(who, _)| who == "bot").count();
        assert_eq!(replies, number + 1, "one reply for each turn: {kill:?}");
    }
    let open: i64 =
        sqlx::query_scalar("select count(*) from circles.step where status = 'started'")
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
    assert_eq!(open, 0);
    Ok(())
}

#[tokio::test]
async fn what_a_worker_writes_that_was_taken_for_dead_counts_for_nothing() -> Result<()> {
    let world = World::without_worker(|_, number| match number {
        // The first worker never gets an answer before it is stopped.
        0 => e2e::models::Say::Silence,
        _ => says("From the second worker."),
    })
    .await?;
    let talk = world.talk(&super::world::plain()).await?;
    let workers = Workers::new(&world)?;
    let first = workers.start()?;
    let turn = world.say(&talk, "Hello?").await?;
    world.models.until_asked(1).await?;
    first.signal("STOP")?;
    let _second = workers.start()?;
    let ended = world.ended(&turn).await?;
    first.signal("CONT")?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let after = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(after["reply"], ended["reply"]);
    let said = world.messages(&talk).await?;
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[1].1, "From the second worker.");
    Ok(())
}
