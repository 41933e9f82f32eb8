//! Workers that are killed, and connections that are cut, at each change of the state of a run or a step: the run ends as an
//! undisturbed one does.

use anyhow::{Context, Result, bail, ensure};
use e2e::{
    process::Process,
    receiver::{Answer, Receiver},
};
use serde_json::json;
use sqlx::PgConnection;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use uuid::Uuid;

use super::faults::World;
use super::scenarios::{Others, Scenario, scenarios};
use super::world::transform;

const LIMIT: Duration = Duration::from_secs(240);

/// Notes the changes that drivers make, and lets those that are armed wait for a lock of the test's before they are
/// committed, for as long as it takes. A waiting session has the run as its name.
const FAILPOINTS: &str = "
do $$ begin
    execute format('alter role gather_pipeline_run in database %I set statement_timeout = 0', current_database());
end $$;
create table public.passed (run_id uuid, change text);
create table public.armed (run_id uuid, change text);
create function public.pass(of_run uuid, change text) returns void language plpgsql security definer as $$
begin
    if session_user <> 'gather_pipeline_run' then
        return;
    end if;
    insert into public.passed values (of_run, pass.change);
    if exists (select from public.armed a where a.run_id = of_run and a.change = pass.change) then
        perform set_config('application_name', of_run::text, true);
        perform pg_advisory_xact_lock_shared(7);
    end if;
end
$$;
create function public.pass_run() returns trigger language plpgsql security definer as $$
begin
    perform public.pass(new.id, concat_ws(' ', 'run', old.status, new.status));
    return null;
end
$$;
create function public.pass_step() returns trigger language plpgsql security definer as $$
begin
    perform public.pass(new.run_id, concat_ws(' ', 'step', case tg_op when 'UPDATE' then old.status end, new.status));
    return null;
end
$$;
create trigger pass after update of status on pipelines.run
for each row when (old.status is distinct from new.status) execute function public.pass_run();
create trigger pass after update of status on pipelines.step
for each row when (old.status is distinct from new.status) execute function public.pass_step();
create trigger pass_new after insert on pipelines.step for each row execute function public.pass_step();
";

/// All changes that the database accepts.
const LEGAL: &str = "
with known as (
    select case c.conname when 'run_status_known' then 'run' else 'step' end as what, m[1] as status
    from pg_constraint c, regexp_matches(pg_get_constraintdef(c.oid), '''([a-z_]+)''', 'g') m
    where c.conname in ('run_status_known', 'step_status_known') and c.connamespace = 'pipelines'::regnamespace
)
select concat_ws(' ', a.what, a.status, b.status) from known a join known b on a.what = b.what
where case a.what when 'run' then pipelines.run_may_become(a.status, b.status)
    else pipelines.step_may_become(a.status, b.status) end";

/// The changes that only requests of people make, in one statement each.
const BY_REQUEST: [&str; 12] = [
    "run paused cancelled",
    "run paused cancelling",
    "run paused queued",
    "run paused waiting",
    "run queued cancelled",
    "run queued paused",
    "run running cancelled",
    "run running cancelling",
    "run waiting cancelled",
    "run waiting cancelling",
    "run waiting paused",
    "step uncertain ready",
];
/// The changes of runs whose drivers were all lost, and of breakers and time-outs that come
/// between a decision and its consequence.
const RARE: [&str; 9] = [
    "run queued failed",
    "run waiting failed",
    "step ready cancelled",
    "step ready failed",
    "step ready retrying",
    "step ready skipped",
    "step ready timed_out",
    "step uncertain retrying",
    "step uncertain skipped",
];

/// How a run has ended: its status, and those of its steps.
type Ending = (String, BTreeMap<String, String>);

/// A run of a scenario.
struct Begun<'a> {
    scenario: &'a Scenario,
    id: Uuid,
    /// The change at which it is disturbed.
    change: String,
}

impl Begun<'_> {
    /// What is known about the run, for whoever reads that it does not end.
    async fn state(&self, database: &mut PgConnection) -> Result<String> {
        let state: String = sqlx::query_scalar(
            "select concat_ws(E'\\n', now(), to_jsonb(r), to_jsonb(j), (
                select to_jsonb(q) from graphile_worker._private_jobs q where q.id = j.queue_id), (
                select jsonb_agg(w) from graphile_worker._private_workers w), (
                select jsonb_agg(jsonb_build_array(a.pid, a.state, a.wait_event, a.application_name, left(a.query, 60)))
                from pg_stat_activity a where a.datname = current_database() and a.state <> 'idle'), (
                select jsonb_agg(jsonb_build_array(s.path, s.status, s.wake_at, s.deadline_at)) from pipelines.step s
                where s.run_id = r.id))
             from pipelines.run r left join jobs.job j on j.id = r.job_id where r.id = $1",
        )
        .bind(self.id)
        .fetch_one(database)
        .await?;
        let what = (self.scenario.name, &self.change);
        Ok(format!("{what:?} goes on: {state}"))
    }

    /// Does what people do for the run as it is now. A request that waits for a disturbed run is given up.
    async fn nudge(&self, world: &World) -> Result<()> {
        let run = format!("/api/runs/{}", self.id);
        let (_, now) = world.ada.get(&world.server, &run).await?;
        let waiting = now["waiting_for"].as_array().cloned().unwrap_or_default();
        let waits = |step: &str| waiting.iter().any(|path| path == step);
        let (what, body) = if now["status"] == "paused" {
            ("resume".to_owned(), json!({"budget": {"steps": 100}}))
        } else if waits("hold") {
            ("signals/go".to_owned(), json!({"id": "go"}))
        } else if self.scenario.cancels.is_some_and(waits) {
            match now["status"].as_str() {
                Some("cancelling") => ("signals/done".to_owned(), json!({"id": "done"})),
                _ => ("cancel".to_owned(), json!({})),
            }
        } else if !self.scenario.outcome.is_empty() && waits("a") {
            let (_, step) = world
                .ada
                .get(&world.server, &format!("{run}/steps/a"))
                .await?;
            if step["status"] != "uncertain" {
                return Ok(());
            }
            let outcome = match self.scenario.outcome {
                "retry" if step["attempts"] != 1 => "failed",
                outcome => outcome,
            };
            ("steps/a/resolve".to_owned(), json!({"outcome": outcome}))
        } else {
            return Ok(());
        };
        let path = format!("{run}/{what}");
        let sent = world.ada.send(&world.server, "POST", &path, &body);
        drop(tokio::time::timeout(Duration::from_secs(2), sent).await);
        Ok(())
    }
}

/// Starts a run of a pipeline of its own, since breakers are their pipelines'.
async fn begin<'a>(
    world: &World,
    database: &mut PgConnection,
    scenario: &'a Scenario,
    change: &str,
) -> Result<Begun<'a>> {
    let name = format!("{}-{}", scenario.name, Uuid::now_v7().simple());
    let new = json!({"name": name, "definition": scenario.definition});
    let made = world
        .ada
        .send(&world.server, "POST", "/api/pipelines", &new)
        .await?;
    ensure!(made.0 == 201, "{made:?}");
    let pipeline: Uuid = made.1["id"].as_str().context("id")?.parse()?;
    let id: Uuid = sqlx::query_scalar(
        "with made as materialized (
            select (pipelines.start($1, $2, null, 'null', null, 0, null) ->> 'run')::uuid as id
        ), armed as (
            insert into public.armed select id, $3 from made
        )
        select id from made",
    )
    .bind(pipeline)
    .bind(world.ada.id)
    .bind(change)
    .fetch_one(database)
    .await?;
    Ok(Begun {
        scenario,
        id,
        change: change.to_owned(),
    })
}

/// Waits until all runs have ended; how they have.
async fn ended(
    world: &World,
    database: &mut PgConnection,
    runs: &[Begun<'_>],
) -> Result<Vec<Ending>> {
    let began = Instant::now();
    loop {
        let mut endings = Vec::new();
        for run in runs {
            let status: Option<String> = sqlx::query_scalar(
                "select status from pipelines.run where id = $1 and finished_at is not null",
            )
            .bind(run.id)
            .fetch_optional(&mut *database)
            .await?;
            let Some(status) = status else {
                if began.elapsed() > LIMIT {
                    bail!("{}", run.state(database).await?);
                }
                run.nudge(world).await?;
                continue;
            };
            let steps: Vec<(String, String)> =
                sqlx::query_as("select path, status from pipelines.step where run_id = $1")
                    .bind(run.id)
                    .fetch_all(&mut *database)
                    .await?;
            endings.push((status, steps.into_iter().collect()));
        }
        if endings.len() == runs.len() {
            return Ok(endings);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What is done to a driver in the middle of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The worker is killed, and its statement is lost.
    Lost,
    /// The worker is killed, and its statement is committed.
    Unheard,
    /// The connection is cut.
    Cut,
}

/// Waits until each of the runs is in the middle of its change; the server processes in which they are.
async fn waiting(
    world: &World,
    database: &mut PgConnection,
    runs: &[Begun<'_>],
) -> Result<Vec<i32>> {
    let began = Instant::now();
    loop {
        let found: Vec<(i32, String)> = sqlx::query_as(
            "select pid, application_name from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and wait_event = 'advisory'",
        )
        .fetch_all(&mut *database)
        .await?;
        let is_free = |run: &&Begun<'_>| {
            let id = run.id.to_string();
            !found.iter().any(|(_, name)| *name == id)
        };
        let free: Vec<&Begun<'_>> = runs.iter().filter(is_free).collect();
        if free.is_empty() {
            return Ok(found.into_iter().map(|(process, _)| process).collect());
        }
        let left: Vec<_> = free
            .iter()
            .map(|run| (run.scenario.name, &run.change))
            .collect();
        ensure!(began.elapsed() < LIMIT, "these never came there: {left:?}");
        for run in free {
            run.nudge(world).await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Each change that drivers have made, with the first of the runs in which they have.
async fn passed(
    database: &mut PgConnection,
    runs: &[Begun<'_>],
) -> Result<BTreeMap<String, usize>> {
    let mut changes = BTreeMap::new();
    for (at, run) in runs.iter().enumerate().rev() {
        let passed: Vec<String> =
            sqlx::query_scalar("select change from public.passed where run_id = $1")
                .bind(run.id)
                .fetch_all(&mut *database)
                .await?;
        changes.extend(passed.into_iter().map(|change| (change, at)));
    }
    Ok(changes)
}

#[tokio::test]
async fn a_run_ends_as_it_would_whatever_is_lost_at_each_of_its_changes() -> Result<()> {
    let others = Others {
        bad: Receiver::start(|_| Answer::status(500)).await?,
        reset: Receiver::start(|_| Answer::Reset).await?,
        silent: Receiver::start(|_| Answer::Silence).await?,
    };
    let world = World::among(&[&others.bad, &others.reset, &others.silent]).await?;
    for (name, node) in [
        ("leaf", json!({"type": "wait", "any": [{"for_ms": 50}]})),
        ("broken", transform("1 / 0")),
    ] {
        let new = json!({"name": name, "definition": {"nodes": {"a": node}}});
        let made = world
            .ada
            .send(&world.server, "POST", "/api/pipelines", &new)
            .await?;
        ensure!(made.0 == 201, "{made:?}");
    }
    let mut database = world.server.database.connect().await?;
    sqlx::raw_sql(FAILPOINTS).execute(&mut database).await?;
    let scenarios = scenarios(&world, &others);
    let mut worker: Process = world.worker()?;
    let mut runs = Vec::new();
    for scenario in &scenarios {
        runs.push(begin(&world, &mut database, scenario, "").await?);
    }
    let endings = ended(&world, &mut database, &runs).await?;
    let changes = passed(&mut database, &runs).await?;
    let legal: Vec<String> = sqlx::query_scalar(LEGAL).fetch_all(&mut database).await?;
    let legal = legal.iter().map(String::as_str);
    let missing: BTreeSet<&str> = legal
        .filter(|change| !changes.contains_key(*change))
        .collect();
    let known: BTreeSet<&str> = BY_REQUEST.into_iter().chain(RARE).collect();
    assert_eq!(missing, known, "without a scenario; left out: {endings:#?}");
    let all: Vec<(&String, usize)> = changes.iter().map(|(change, at)| (change, *at)).collect();
    // A run that is about to start another one holds its account, so that others that do so never come to their changes.
    let (alone, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(change, _)| change.as_str() == "step retrying waiting");
    // Each waits with a connection of its worker.
    let rounds = others.chunks(others.len().div_ceil(2)).chain([&alone[..]]);
    let faults = [Fault::Lost, Fault::Unheard, Fault::Cut];
    for (round, fault) in rounds.flat_map(|round| faults.map(|fault| (round, fault))) {
        let sql = "select pg_advisory_lock(7)";
        sqlx::query(sql).execute(&mut database).await?;
        let mut runs = Vec::new();
        for (change, at) in round {
            runs.push(begin(&world, &mut database, &scenarios[*at], change).await?);
        }
        let processes = waiting(&world, &mut database, &runs).await?;
        let sql = "delete from public.armed";
        sqlx::query(sql).execute(&mut database).await?;
        match fault {
            Fault::Lost => worker.signal("KILL")?,
            Fault::Unheard => worker.signal("STOP")?,
            Fault::Cut => {}
        }
        if fault != Fault::Unheard {
            sqlx::query("select pg_terminate_backend(p, 10000) from unnest($1::integer[]) p")
                .bind(&processes)
                .execute(&mut database)
                .await?;
        }
        let sql = "select pg_advisory_unlock(7)";
        sqlx::query(sql).execute(&mut database).await?;
        if fault == Fault::Unheard {
            // It is stopped until all is committed, and killed then.
            let sql = "select exists (select from pg_stat_activity where pid = any ($1) and state = 'active')";
            while sqlx::query_scalar(sql)
                .bind(&processes)
                .fetch_one(&mut database)
                .await?
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            worker.signal("KILL")?;
        }
        if fault != Fault::Cut {
            worker = world.worker()?;
        }
        let disturbed = ended(&world, &mut database, &runs).await;
        let disturbed = disturbed.with_context(|| format!("{fault:?}"))?;
        for ((run, ending), (_, at)) in runs.iter().zip(disturbed).zip(round) {
            let what = (run.scenario.name, &run.change);
            assert_eq!(ending, endings[*at], "{what:?} {fault:?}");
        }
    }
    Ok(())
}
