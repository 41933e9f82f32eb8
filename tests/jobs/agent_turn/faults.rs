//! Workers that are killed in the middle of a turn: the trace is that of an undisturbed one, and nothing happens twice.

use anyhow::{Result, ensure};
use e2e::models::{Asked, Say};
use e2e::{component_file, process::Process};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use super::summing::sums_up;
use super::world::{World, calls, results, says, says_and_calls};
use crate::jobs::faults::Random;

/// Workers of turns alone, as processes.
pub(super) struct Workers<'a> {
    world: &'a World,
    folder: TempDir,
}

impl<'a> Workers<'a> {
    pub(super) fn new(world: &'a World) -> Result<Self> {
        Self::told(world, "")
    }

    /// The same, with lines of the component's variables.
    pub(super) fn told(world: &'a World, variables: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = component_file("agent-turn");
        let port = world.server.database.admin.port().unwrap_or(5432);
        let (url, egress) = (&world.server.url, &world.server.variables["egress_url"]);
        let manifest = format!(
            r#"
spin_manifest_version = 2
[application]
name = "turns"
[variables]
agent_turn_database_url = {{ required = true, secret = true }}
agent_turn_egress_key = {{ required = true, secret = true }}
agent_turn_exchange_key = {{ required = true, secret = true }}
[component.agent-turn]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "{url}", "{egress}"]
[component.agent-turn.variables]
database_url = "{{{{ agent_turn_database_url }}}}"
egress_key = "{{{{ agent_turn_egress_key }}}}"
egress_url = "{egress}"
exchange_key = "{{{{ agent_turn_exchange_key }}}}"
internal_url = "{url}"
{variables}
[component.agent-turn.tool.gather]
role = "gather_agent_turn"
deadline_ms = 900000
concurrency = 8
egress = true
exchange = ["chat:create", "jobs:manage", "llm:call", "memory:read", "memory:write", "skills:call", "skills:rate", "skills:review", "social:write"]
job = {{ attempts = 25, own_places = true }}
"#
        );
        std::fs::write(folder.path().join("spin.toml"), manifest)?;
        Ok(Self { world, folder })
    }

    pub(super) fn start(&self) -> Result<Process> {
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
        .filter(|step| step["kind"] == "tool" || step["status"] != "failed");
    Ok(kept
        .map(|step| (word(step, "kind"), word(step, "name"), word(step, "status")))
        .collect())
}

/// Lets the writes of turns be counted, and one of them wait for a lock of the test's before it is committed.
pub(super) const FAILPOINTS: &str = "
create table public.failpoint (at bigint);
insert into public.failpoint values (null);
create sequence public.passed;
create function public.pass() returns trigger language plpgsql security definer as $$
begin
    if nextval('public.passed') = (select f.at from public.failpoint f) then
        perform pg_advisory_xact_lock(7);
    end if;
    return null;
end
$$;
create trigger pass after insert or update of status, kind on circles.step for each row execute function public.pass();
create trigger pass after update of status on circles.turn
for each row when (old.status is distinct from new.status) execute function public.pass();
";

/// The server process of PostgreSQL in which a write waits.
const WAITING: &str = "select pid from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())";

/// A circle whose agent posts, searches and, in between, sums up.
pub(super) struct Circle<'a> {
    world: &'a World,
    id: String,
    turns: usize,
}

/// What the model says, by what it is told.
pub(super) fn script(asked: &Asked) -> Say {
    let is_summed = asked
        .body
        .windows(SUMMARY.len())
        .any(|part| part == SUMMARY.as_bytes());
    match results(asked) {
        0 if sums_up(asked) => says(SUMMARY),
        0 if !is_summed => says_and_calls(
            &"I will post it. ".repeat(400),
            &[
                (
                    "create_post",
                    "{\"title\": \"News\", \"body\": \"Something happened.\"}",
                ),
                ("who_am_i", "{}"),
            ],
        ),
        2 => calls(&[("search", "{\"query\": \"news\"}")]),
        _ => says("Done."),
    }
}

/// What the model says that sums up.
const SUMMARY: &str = "Ada wants the news to be posted.";
/// The steps of an undisturbed turn.
const STEPS: [&str; 7] = ["model", "tool", "tool", "summary", "model", "tool", "model"];

impl<'a> Circle<'a> {
    pub(super) async fn new(world: &'a World) -> Result<Self> {
        let tools = ["api:create_post", "api:who_am_i", "api:search"];
        let tools: Vec<Value> = tools
            .iter()
            .map(|tool| json!({"use": tool, "approval": "never"}))
            .collect();
        let persona = json!({"name": "handy", "tools": tools, "limits": {"window_tokens": 10_000}});
        let new = json!({"name": "circle", "mode": "round_robin"});
        let id = world.circle(&new, &persona, &["bot"]).await?;
        // An account younger than a day may post little.
        world
            .server
            .database
            .execute("update identity.account set created_at = now() - interval '2 days'")
            .await?;
        Ok(Self {
            world,
            id,
            turns: 0,
        })
    }

    /// Begins a turn in a conversation of its own. Returns the conversation and the turn.
    pub(super) async fn begin(&mut self) -> Result<(String, String)> {
        self.turns += 1;
        let talk = json!({"circle": self.id});
        let talk = self.world.conversation(&talk).await?;
        let turn = self
            .world
            .say(&talk, &"Post the news. ".repeat(800))
            .await?;
        Ok((talk, turn))
    }

    /// Checks that a turn did what an undisturbed one does, and that nothing happened twice.
    pub(super) async fn check(&self, talk: &str, turn: &str, what: &str) -> Result<()> {
        let world = self.world;
        let ended = world.ended(turn).await?;
        assert_eq!(ended["status"], "completed", "{what}: {ended:#}");
        let trace = trace(world, turn).await?;
        let kinds: Vec<&str> = trace.iter().map(|(kind, _, _)| kind.as_str()).collect();
        assert_eq!(kinds, STEPS, "{what}: {trace:?}");
        let names: Vec<&str> = trace.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(
            [names[1], names[2], names[5]],
            ["create_post", "who_am_i", "search"],
            "{what}"
        );
        assert!(
            trace.iter().all(|(_, _, status)| status == "succeeded"),
            "{what}: {trace:?}"
        );
        let said = world.messages(talk).await?;
        let replies = said.iter().filter(|(who, _)| who == "bot").count();
        assert_eq!(replies, 1, "{what}: one reply");
        let mut database = world.server.database.connect().await?;
        let (posts, open): (i64, i64) = sqlx::query_as(
            "select (select count(*) from social.post), (
                select count(*) from circles.step where status = 'started' and turn_id = $1::uuid)",
        )
        .bind(uuid::Uuid::parse_str(turn)?)
        .fetch_one(&mut database)
        .await?;
        assert_eq!(
            (posts, open),
            (i64::try_from(self.turns)?, 0),
            "{what}: one post for each turn"
        );
        Ok(())
    }
}

#[tokio::test]
async fn a_turn_whose_worker_is_killed_goes_on_where_it_was() -> Result<()> {
    let world = World::without_worker(|asked, _| script(asked)).await?;
    let mut circle = Circle::new(&world).await?;
    let database = &world.server.database;
    let mut connection = database.connect().await?;
    sqlx::raw_sql(FAILPOINTS).execute(&mut connection).await?;
    let workers = Workers::new(&world)?;
    let mut worker = workers.start()?;
    let (talk, turn) = circle.begin().await?;
    circle.check(&talk, &turn, "undisturbed").await?;
    let calls = world.models.asked().len();
    let writes: i64 = sqlx::query_scalar("select last_value from public.passed")
        .fetch_one(&mut connection)
        .await?;
    assert!(writes >= 2 * 7 + 2, "{writes}");
    // The write is lost with its worker, or made though the worker never hears of it: both, or one in turns.
    let all = number("GATHER_TURN_KILLS", 0) > 0;
    for at in 1..=writes {
        for is_lost in [true, false] {
            if !all && is_lost == (at % 2 == 0) {
                continue;
            }
            let what = format!("write {at} of {writes}, lost: {is_lost}");
            arm(&mut connection, at).await?;
            let asked = world.models.asked().len();
            let (talk, turn) = circle.begin().await?;
            let process = waiting(&mut connection).await?;
            worker.signal("KILL")?;
            if is_lost {
                sqlx::query("select pg_terminate_backend($1, 10000)")
                    .bind(process)
                    .execute(&mut connection)
                    .await?;
            }
            sqlx::query("select pg_advisory_unlock(7)")
                .execute(&mut connection)
                .await?;
            worker = workers.start()?;
            circle.check(&talk, &turn, &what).await?;
            assert_eq!(world.models.asked().len() - asked, calls, "{what}");
        }
    }
    Ok(())
}

/// A number of the environment.
pub(super) fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Lets the write of this number, counted from now on, wait for a lock of the connection's.
pub async fn arm(connection: &mut PgConnection, at: i64) -> Result<()> {
    sqlx::raw_sql("alter sequence public.passed restart")
        .execute(&mut *connection)
        .await?;
    sqlx::query("update public.failpoint set at = $1")
        .bind(at)
        .execute(&mut *connection)
        .await?;
    sqlx::query("select pg_advisory_lock(7)")
        .execute(connection)
        .await?;
    Ok(())
}

/// The server process in which a write waits, when one does.
pub(super) async fn waiting(connection: &mut PgConnection) -> Result<i32> {
    let begin = Instant::now();
    loop {
        let found: Option<i32> = sqlx::query_scalar(WAITING)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(process) = found {
            return Ok(process);
        }
        ensure!(begin.elapsed() < Duration::from_secs(60), "no write waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The number of turns that run side by side when something is killed.
const SIDE_BY_SIDE: usize = 8;

/// Workers are killed at random moments, or all connections to the database are, while turns run side by side.
/// `GATHER_TURN_KILLS` sets how often (by default a few times; 63 times are 504 turns), `GATHER_TURN_SEED` repeats a sequence
/// of moments.
#[tokio::test]
async fn random_kills_change_nothing_that_a_turn_does() -> Result<()> {
    let kills = number("GATHER_TURN_KILLS", 2);
    let seed = number("GATHER_TURN_SEED", 1);
    println!("{kills} kills, GATHER_TURN_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let world = World::without_worker(|asked, _| script(asked)).await?;
    let mut circle = Circle::new(&world).await?;
    let mut connection = world.server.database.connect().await?;
    let workers = Workers::new(&world)?;
    let mut worker = workers.start()?;
    for kill in 0..kills {
        let mut turns = Vec::new();
        for _ in 0..SIDE_BY_SIDE {
            turns.push(circle.begin().await?);
        }
        tokio::time::sleep(Duration::from_millis(random.below(600))).await;
        let is_database = random.below(3) == 0;
        if is_database {
            sqlx::query(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid()",
            )
            .execute(&mut connection)
            .await?;
        } else {
            worker.signal("KILL")?;
            worker = workers.start()?;
        }
        let mut at = Instant::now();
        for (_, turn) in &turns {
            ended(&mut connection, turn, &mut at).await?;
        }
        for (talk, turn) in &turns {
            let what = format!("kill {kill}, of the database: {is_database}");
            circle.check(talk, turn, &what).await?;
        }
    }
    println!("{} turns", circle.turns);
    Ok(())
}

/// Waits until a turn has ended, without the server, whose connections may be broken.
async fn ended(connection: &mut PgConnection, turn: &str, begin: &mut Instant) -> Result<()> {
    let id = uuid::Uuid::parse_str(turn)?;
    loop {
        let is_over: bool =
            sqlx::query_scalar("select finished_at is not null from circles.turn where id = $1")
                .bind(id)
                .fetch_one(&mut *connection)
                .await?;
        if is_over {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(90), "{turn} goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
