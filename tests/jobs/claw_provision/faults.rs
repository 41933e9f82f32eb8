//! Workers, connections to the database and the provisioner that are lost at every change of a claw's status: the claw comes
//! to what its owner wants, each change is told once, and no container runs that nobody knows.

use anyhow::{Context, Result, bail, ensure};
use e2e::{agents::Agent, component_file, process::Process};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::cases::{Act, CASES, Case, DIAGRAM, FAILPOINTS, PATIENT};
use crate::functions::claws::containers::{
    Containers, LIMIT, Provisioner, beat, enrolled, template,
};
use crate::jobs::agent_turn::world::{World, plain, says, text};

/// The server processes of PostgreSQL in which changes wait, with the numbers of their locks.
const WAITING: &str =
    "select objid::integer, pid from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())";

/// A claw of a case.
struct Subject {
    case: &'static Case,
    number: i32,
    id: String,
    claw: Value,
    agent: Option<Agent>,
    /// The number of changes before.
    before: usize,
}

struct Faults {
    world: World,
    containers: Containers,
    provisioner: Option<Provisioner>,
    connection: PgConnection,
    folder: TempDir,
    worker: Option<Process>,
}

impl Faults {
    async fn new() -> Result<Self> {
        let world = World::without_worker(|_, _| says("Hello.")).await?;
        world.persona(&plain()).await?;
        template(&world.server).await?;
        let containers = Containers::default();
        let provisioner = containers.serve("127.0.0.1:0").await?;
        let database = &world.server.database;
        let mut connection = database.connect().await?;
        for statement in [DIAGRAM, FAILPOINTS, PATIENT] {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        let folder = tempfile::tempdir()?;
        let source = component_file("claw-provision");
        let port = database.admin.port().unwrap_or(5432);
        let url = &provisioner.url;
        let manifest = format!(
            r#"
spin_manifest_version = 2
[application]
name = "claws"
[variables]
claw_provision_database_url = {{ required = true, secret = true }}
claw_provision_provisioner_key = {{ required = true, secret = true }}
claw_enrolment_key = {{ required = true, secret = true }}
[component.claw-provision]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "{url}"]
[component.claw-provision.variables]
database_url = "{{{{ claw_provision_database_url }}}}"
provisioner_url = "{url}"
provisioner_key = "{{{{ claw_provision_provisioner_key }}}}"
secret_key = "{{{{ claw_enrolment_key }}}}"
[component.claw-provision.tool.gather]
role = "gather_claw_provision"
provisioner = true
deadline_ms = 120000
concurrency = 32
job = {{ attempts = 10 }}
"#
        );
        std::fs::write(folder.path().join("spin.toml"), manifest)?;
        Ok(Self {
            world,
            containers,
            provisioner: Some(provisioner),
            connection,
            folder,
            worker: None,
        })
    }

    fn work(&mut self) -> Result<()> {
        let folder = self.folder.path();
        self.worker = Some(Process::start(
            "worker",
            &self.world.server.database,
            &folder.join("spin.toml"),
            folder,
            &["--worker-lease", "1s"],
        )?);
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.worker.take().context("a worker")?.signal("KILL")
    }

    async fn execute(&mut self, statement: &str) -> Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        statement.execute(&mut self.connection).await?;
        Ok(())
    }

    /// The statuses that a claw has had, the first first, each after the one before it. Without the server, since a claw
    /// that is gone has none there.
    async fn history(&mut self, id: &str) -> Result<Vec<String>> {
        let rows: Vec<(Option<String>, String)> = sqlx::query_as(
            "select from_status, to_status from claws.change where claw_id = $1::uuid order by id",
        )
        .bind(id)
        .fetch_all(&mut self.connection)
        .await?;
        let mut last = None;
        for (from, to) in &rows {
            ensure!(*from == last, "{rows:?}");
            last = Some(to.clone());
        }
        Ok(rows.into_iter().map(|(_, to)| to).collect())
    }

    async fn until(&mut self, id: &str, status: &str) -> Result<()> {
        let begin = Instant::now();
        loop {
            let history = self.history(id).await?;
            if history.last().is_some_and(|last| last == status) {
                return Ok(());
            }
            ensure!(begin.elapsed() < LIMIT, "not {status}: {history:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Has a container looked at now.
    async fn look(&mut self, id: &str) -> Result<()> {
        self.execute(&format!("select claws.look_again('{id}', '0')"))
            .await
    }

    async fn make(&mut self, number: i32, case: &'static Case) -> Result<Subject> {
        let name = format!("claw-{number}");
        let new = json!({"name": name, "persona": "plain", "template": "shell"});
        let made = self.world.ask("POST", "/api/claws", &new, 202).await?;
        Ok(Subject {
            case,
            number,
            id: text(&made["claw"]["id"])?,
            claw: made["claw"].clone(),
            agent: None,
            before: 0,
        })
    }

    /// Brings a claw to the status from which its case begins, while nothing is disturbed.
    async fn prepare(&mut self, subject: &mut Subject) -> Result<()> {
        let id = subject.id.clone();
        let status = subject.case.from;
        if status == "requested" {
            // What is asked for at once comes before the work that waits.
            let late = format!(
                "update graphile_worker._private_jobs set run_at = now() + interval '1 hour' where id = (
                     select j.queue_id from jobs.job j join claws.claw c on c.job_id = j.id where c.id = '{id}')"
            );
            if subject.case.is_asked_for() {
                self.execute(&late).await?;
            }
            return Ok(());
        }
        let beats = subject.case.to == "running" && status == "provisioning";
        if status == "provisioning" && !beats && subject.case.to != "requested" {
            self.containers.token(&id, 1).await?;
            return self.until(&id, "provisioning").await;
        }
        let key = u8::try_from(subject.number)?;
        let agent = enrolled(&self.world, &self.containers, &subject.claw, 1, key).await?;
        let agent = subject.agent.insert(agent);
        if beats {
            return Ok(());
        }
        beat(&self.world, agent).await?;
        self.until(&id, "running").await?;
        match (status, subject.case.to) {
            ("provisioning", _) => {
                self.containers.end(&id);
                self.look(&id).await?;
                self.containers.token(&id, 2).await?;
                self.until(&id, "provisioning").await
            }
            ("unhealthy", "failed") => {
                let often = format!("update claws.claw set restarts = 5 where id = '{id}'");
                self.execute(&often).await
            }
            ("unhealthy", _) => {
                // So it is not begun anew for a while.
                let often = format!("update claws.claw set restarts = 4 where id = '{id}'");
                self.execute(&often).await?;
                self.containers.end(&id);
                self.look(&id).await?;
                self.until(&id, "unhealthy").await
            }
            ("failed", _) => {
                let often = format!("update claws.claw set restarts = 5 where id = '{id}'");
                self.execute(&often).await?;
                self.containers.end(&id);
                self.look(&id).await?;
                self.until(&id, "failed").await
            }
            ("paused" | "stopped", _) => {
                let what = if status == "paused" { "pause" } else { "stop" };
                self.ask(&id, what).await?;
                self.until(&id, status).await
            }
            _ => Ok(()),
        }
    }

    async fn ask(&self, id: &str, what: &str) -> Result<()> {
        let (method, path) = address(id, what);
        self.world.ask(method, &path, &json!({}), 202).await?;
        Ok(())
    }

    /// Lets happen what a case is about, if a job makes the change.
    async fn act(&mut self, subject: &Subject) -> Result<()> {
        let id = subject.id.clone();
        match subject.case.act {
            Act::Work | Act::Beat => {}
            Act::Ask(what) => self.ask(&id, what).await?,
            Act::Ends | Act::EndsAgain => {
                self.containers.end(&id);
                self.look(&id).await?;
            }
            Act::Waits => {
                let long = format!(
                    "update claws.claw set unwell_since = now() - interval '1 minute' where id = '{id}'"
                );
                self.execute(&long).await?;
                self.look(&id).await?;
            }
            Act::Spoilt => {
                let spoilt = format!(
                    "update jobs.job set payload = '\"x\"' where id = (select job_id from claws.claw where id = '{id}')"
                );
                self.execute(&spoilt).await?;
            }
            Act::Lost => {
                if subject.case.from == "running" {
                    self.ask(&id, "pause").await?;
                }
                self.containers.lose(&id);
                self.ask(&id, "resume").await?;
            }
        }
        Ok(())
    }

    /// Begins a request that waits. Its client goes away with the task.
    fn begin(&self, subject: &Subject) -> Result<JoinHandle<()>> {
        let server = &self.world.server;
        let request = match subject.case.act {
            Act::Ask(what) => {
                let (method, path) = address(&subject.id, what);
                self.world.ada.request(server, method, &path)
            }
            _ => {
                let agent = subject.agent.as_ref().context("it is signed in")?;
                agent.request(server, "PUT", "/api/claws/me/heartbeat")
            }
        };
        let request = request.json(&json!({}));
        Ok(tokio::spawn(async move {
            drop(request.send().await);
        }))
    }

    /// Asks again for what was cut off, as a client does.
    async fn repeat(&self, subject: &Subject) -> Result<()> {
        let server = &self.world.server;
        let begin = Instant::now();
        loop {
            let (status, answer) = match subject.case.act {
                Act::Ask(what) => {
                    let (method, path) = address(&subject.id, what);
                    self.world
                        .ada
                        .send(server, method, &path, &json!({}))
                        .await?
                }
                _ => {
                    let agent = subject.agent.as_ref().context("it is signed in")?;
                    let path = "/api/claws/me/heartbeat";
                    agent.send(server, "PUT", path, &json!({})).await?
                }
            };
            if status < 300 || status == 404 && subject.case.to == "deleting" {
                return Ok(());
            }
            // The server's connections were cut.
            ensure!(
                status >= 500 && begin.elapsed() < LIMIT,
                "{status} {answer:#}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until each change waits for its lock, and returns the server processes in which they do.
    async fn waiting(&mut self, subjects: &[&Subject]) -> Result<BTreeMap<i32, i32>> {
        let begin = Instant::now();
        let mut seen = BTreeSet::new();
        loop {
            let rows: Vec<(i32, i32)> = sqlx::query_as(WAITING)
                .fetch_all(&mut self.connection)
                .await?;
            if rows.len() == subjects.len() {
                return Ok(rows.into_iter().collect());
            }
            seen.extend(rows.iter().map(|(number, _)| *number));
            if begin.elapsed() > LIMIT {
                for subject in subjects.iter().filter(|one| !seen.contains(&one.number)) {
                    let history = self.history(&subject.id).await?;
                    println!("{} to {}: {history:?}", subject.case.from, subject.case.to);
                }
                bail!("only {seen:?} have waited, {rows:?} do");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes claws that are in the statuses from which these changes go out, and lets no work go on.
    async fn subjects(&mut self, first: i32, cases: &[&'static Case]) -> Result<Vec<Subject>> {
        let mut subjects = Vec::new();
        self.work()?;
        for is_new in [false, true] {
            if is_new {
                self.kill()?;
            }
            for (number, case) in (first..).zip(cases) {
                if (case.from == "requested") == is_new {
                    let mut subject = self.make(number, case).await?;
                    self.prepare(&mut subject).await?;
                    subject.before = self.history(&subject.id).await?.len();
                    subjects.push(subject);
                }
            }
        }
        // No look at a container comes in between, however long it takes.
        self.execute("update claws.claw set look_at = null").await?;
        Ok(subjects)
    }

    /// Disturbs these changes at once: of each, the statement is lost, or made though nobody hears of it.
    async fn round(
        &mut self,
        first: i32,
        cases: &[&'static Case],
        is_even_lost: bool,
    ) -> Result<()> {
        let subjects = self.subjects(first, cases).await?;
        for subject in &subjects {
            let Subject {
                id, number, case, ..
            } = subject;
            self.execute(&format!(
                "insert into public.failpoint values ('{id}', '{}', '{}', {number}); select pg_advisory_lock({number})",
                case.from, case.to
            ))
            .await?;
        }
        let (asked, worked): (Vec<&Subject>, Vec<&Subject>) = subjects
            .iter()
            .partition(|subject| subject.case.is_asked_for());
        for subject in &worked {
            self.act(subject).await?;
        }
        // The provisioner is killed too: what it is asked for is asked for again.
        self.containers.cut(true);
        self.work()?;
        self.waiting(&worked).await?;
        let requests = asked.iter().map(|subject| self.begin(subject));
        let requests: Vec<JoinHandle<()>> = requests.collect::<Result<_>>()?;
        let all: Vec<&Subject> = subjects.iter().collect();
        let waiting = self.waiting(&all).await?;
        self.kill()?;
        for request in &requests {
            request.abort();
        }
        for (number, process) in waiting {
            if (number % 2 == 0) == is_even_lost {
                let lost = format!("select pg_terminate_backend({process}, 10000)");
                self.execute(&lost).await?;
            }
        }
        self.execute("delete from public.failpoint; select pg_advisory_unlock_all()")
            .await?;
        self.restart_provisioner().await?;
        self.work()?;
        for subject in &subjects {
            let what = format!("{} to {}", subject.case.from, subject.case.to);
            self.check(subject)
                .await
                .with_context(|| format!("{what}, {is_even_lost}"))?;
        }
        self.kill()
    }

    async fn restart_provisioner(&mut self) -> Result<()> {
        let old = self.provisioner.take().context("a provisioner")?;
        let address = old.url.trim_start_matches("http://").to_owned();
        drop(old);
        self.provisioner = Some(self.containers.serve_again(&address).await?);
        self.containers.cut(false);
        Ok(())
    }

    async fn check(&mut self, subject: &Subject) -> Result<()> {
        let Subject { case, id, .. } = subject;
        if case.is_asked_for() {
            self.repeat(subject).await?;
        }
        let last = case.then.last().context("a status")?;
        let begin = Instant::now();
        loop {
            let history = self.history(id).await?;
            let there = self.containers.all().remove(id);
            let has_ended = match *last {
                "deleting" => history.is_empty() && there.is_none(),
                "provisioning" => there.as_ref().is_some_and(|there| there.state == "running"),
                "paused" => there.as_ref().is_some_and(|there| there.state == "paused"),
                "stopped" => there.as_ref().is_none_or(|there| there.state == "exited"),
                _ => true,
            };
            let tail = history.get(subject.before..).unwrap_or_default();
            if has_ended && (*last == "deleting" || tail == case.then) {
                return Ok(());
            }
            ensure!(begin.elapsed() < LIMIT, "{history:?} {there:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn address(id: &str, what: &str) -> (&'static str, String) {
    match what {
        "delete" => ("DELETE", format!("/api/claws/{id}")),
        _ => ("POST", format!("/api/claws/{id}/{what}")),
    }
}

#[tokio::test]
async fn a_claw_comes_to_what_is_wanted_whatever_is_lost_at_any_change() -> Result<()> {
    let mut faults = Faults::new().await?;
    let known: Vec<String> = sqlx::query_scalar("select public.diagram()")
        .fetch_all(&mut faults.connection)
        .await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    let cases = CASES.iter();
    let tried: BTreeSet<String> = cases
        .map(|case| format!("{} {}", case.from, case.to))
        .collect();
    assert_eq!(
        known, tried,
        "a change without a case, or a case without a change"
    );
    // The end of a job is written with those of others, so it is disturbed apart from them.
    let (apart, together): (Vec<_>, Vec<_>) =
        CASES.iter().partition(|case| case.act == Act::Spoilt);
    for (first, is_even_lost) in [(10, true), (110, false)] {
        faults.round(first, &together, is_even_lost).await?;
        faults.round(first + 50, &apart, is_even_lost).await?;
    }
    // Nothing runs but the containers of claws, of their newest generation.
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select id::text, instance::bigint from claws.claw where instance is not null",
    )
    .fetch_all(&mut faults.connection)
    .await?;
    let claws: BTreeMap<String, i64> = rows.into_iter().collect();
    for (id, there) in faults.containers.all() {
        assert_eq!(claws.get(&id), Some(&there.generation), "{there:?}");
    }
    Ok(())
}
