//! Work that events start: each once for every subscription, whatever happens in between, and never without end.

use anyhow::{Context, Result};
use e2e::{
    Database, Server,
    agents::Agent,
    errands::{Errands, quick},
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(30);

/// The platform, and a database for workers that do errands.
struct World {
    server: Server,
    errands: Errands,
    ada: Agent,
    bob: Agent,
}

/// What a subscription asks for.
struct Wish<'a> {
    topics: &'a [String],
    types: Option<&'a [&'a str]>,
    condition: Option<Value>,
    kind: &'a str,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Self {
            topics: &[],
            types: None,
            condition: None,
            kind: "errand",
        }
    }
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let database = Database {
            admin: server.database.admin.clone(),
        };
        let errands = Errands::over(database, "job = {}").await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self {
            server,
            errands,
            ada,
            bob,
        })
    }

    async fn subscribe(&self, owner: &Agent, name: &str, wish: Wish<'_>) -> Result<Uuid> {
        let topics = (!wish.topics.is_empty()).then_some(wish.topics);
        let types: Option<Vec<_>> = wish.types.map(|types| types.to_vec());
        let id =
            sqlx::query_scalar("select events.subscribe($1, $2, $3, $4, $5, $6, '{\"a\": 1}')")
                .bind(owner.id)
                .bind(name)
                .bind(topics)
                .bind(types)
                .bind(wish.condition)
                .bind(wish.kind)
                .fetch_one(&self.errands.pool)
                .await?;
        Ok(id)
    }

    async fn emit(&self, topics: &[String], data: Value, by_job: Option<Uuid>) -> Result<Uuid> {
        let event = sqlx::query_scalar("select events.emit($1, 'test.number', $2, by_job => $3)")
            .bind(topics)
            .bind(data)
            .bind(by_job)
            .fetch_one(&self.errands.pool)
            .await?;
        Ok(event)
    }

    /// The jobs that a subscription has started.
    async fn started(&self, subscription: Uuid) -> Result<Vec<Value>> {
        let rows = sqlx::query_scalar(
            "select to_jsonb(j) from jobs.job j where j.payload ->> 'subscription' = $1 order by id",
        );
        let rows = rows.bind(subscription.to_string());
        Ok(rows.fetch_all(&self.errands.pool).await?)
    }

    /// Waits until a subscription has started so many jobs, and answers them.
    async fn until_started(&self, subscription: Uuid, count: usize) -> Result<Vec<Value>> {
        let begin = std::time::Instant::now();
        loop {
            let jobs = self.started(subscription).await?;
            if jobs.len() >= count {
                assert_eq!(jobs.len(), count, "more than once");
                return Ok(jobs);
            }
            if begin.elapsed() > LIMIT {
                anyhow::bail!("{} of {count} started", jobs.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The notes about subscriptions in somebody's inbox.
    async fn notes(&self, who: &Agent) -> Result<Vec<Value>> {
        let url = format!("{}/api/inbox?kind=subscription", self.server.url);
        let page: Value = self
            .server
            .http
            .get(url)
            .bearer_auth(&who.token)
            .send()
            .await?
            .json()
            .await?;
        Ok(page["items"].as_array().context("items")?.clone())
    }
}

fn account(who: &Agent) -> String {
    format!("account:{}", who.id)
}

#[tokio::test]
async fn an_event_starts_a_subscription_once_however_late_it_is_committed() -> Result<()> {
    let world = World::new().await?;
    let job: Uuid = sqlx::query_scalar("select jobs.enqueue('special', '{}', $1)")
        .bind(world.ada.id)
        .fetch_one(&world.errands.pool)
        .await?;
    let topics = [account(&world.ada), format!("job:{job}")];
    world.emit(&topics, json!({}), None).await?;
    // What was begun before the subscription and commits after it has not happened before.
    let begun = world
        .server
        .database
        .hold(&format!(
            "select events.emit(array['{}'], 'test.begun', '{{}}')",
            topics[0]
        ))
        .await?;
    let wish = Wish {
        topics: &topics,
        types: Some(&["test.*"]),
        ..Wish::default()
    };
    let subscription = world.subscribe(&world.ada, "all", wish).await?;
    let _worker = world.errands.worker(quick()).await?;
    begun.commit().await?;
    world.until_started(subscription, 1).await?;

    // One whose transaction stays open, beside those that come and go.
    let late = format!(
        "select events.emit(array['{}'], 'test.late', '{{}}')",
        topics[0]
    );
    let late = world.server.database.hold(&late).await?;
    let mut events = vec![];
    for number in 0..20 {
        events.push(world.emit(&topics, json!({ "n": number }), None).await?);
    }
    world.until_started(subscription, 21).await?;
    late.commit().await?;
    let jobs = world.until_started(subscription, 22).await?;
    let causes: Vec<_> = jobs
        .iter()
        .filter_map(|job| job["cause"].as_str())
        .collect();
    for event in &events {
        let event = event.to_string();
        assert_eq!(causes.iter().filter(|cause| **cause == event).count(), 1);
    }
    let payload = &jobs[21]["payload"];
    assert_eq!(
        (
            &payload["event"]["type"],
            &payload["argument"],
            &payload["owner"]
        ),
        (
            &json!("test.late"),
            &json!({ "a": 1 }),
            &json!(world.ada.id)
        )
    );
    assert_eq!(
        (&jobs[21]["depth"], &jobs[21]["owner_id"]),
        (&json!(1), &Value::Null)
    );

    // The work finds the event, and what is left of it after a deletion.
    let event = &jobs[1]["payload"]["event"];
    let found: Value = sqlx::query_scalar("select events.find($1)")
        .bind(event)
        .fetch_one(&world.errands.pool)
        .await?;
    assert_eq!(
        (&found["id"], &found["type"]),
        (&event["id"], &json!("test.number"))
    );
    assert!(found["data"]["n"].is_u64(), "{found}");
    Ok(())
}

#[tokio::test]
async fn only_what_fits_and_its_owner_may_read_starts_work() -> Result<()> {
    let world = World::new().await?;
    let (ada, bob) = ([account(&world.ada)], [account(&world.bob)]);
    let everything = ["all:all".to_owned()];
    let subscribe =
        async |owner: &Agent, name: &str, wish| world.subscribe(owner, name, wish).await;
    let to = |topics| Wish {
        topics,
        ..Wish::default()
    };
    let not = [
        subscribe(
            &world.bob,
            "foreign",
            Wish {
                topics: &ada,
                types: Some(&["test.number"]),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.bob,
            "all",
            Wish {
                topics: &everything,
                types: Some(&["test.number"]),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.ada,
            "type",
            Wish {
                topics: &ada,
                types: Some(&["test.other", "tes.*"]),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.ada,
            "data",
            Wish {
                condition: Some(json!({ "n": 2 })),
                ..to(&ada)
            },
        )
        .await?,
        subscribe(
            &world.ada,
            "type alone",
            Wish {
                types: Some(&["test.other"]),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.bob,
            "types",
            Wish {
                types: Some(&["test.number"]),
                ..Wish::default()
            },
        )
        .await?,
    ];
    let yes = [
        subscribe(
            &world.ada,
            "own",
            Wish {
                topics: &ada,
                types: Some(&["test.*"]),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.ada,
            "fits",
            Wish {
                topics: &ada,
                condition: Some(json!({ "n": 1 })),
                ..Wish::default()
            },
        )
        .await?,
        subscribe(
            &world.ada,
            "any topic",
            Wish {
                types: Some(&["test.number"]),
                ..Wish::default()
            },
        )
        .await?,
    ];
    let _worker = world.errands.worker(quick()).await?;
    world.emit(&ada, json!({ "n": 1 }), None).await?;
    for subscription in yes {
        world.until_started(subscription, 1).await?;
    }
    for subscription in not {
        assert_eq!(
            world.started(subscription).await?.len(),
            0,
            "{subscription}"
        );
    }

    // For others' eyes only; then what an account may not do any more that is suspended.
    let emit = "select events.emit($1, 'test.number', '{\"n\": 1}', audience => array[$2])";
    sqlx::query(emit)
        .bind(&ada[..])
        .bind(world.bob.id)
        .execute(&world.errands.pool)
        .await?;
    world.emit(&ada, json!({ "n": 1 }), None).await?;
    world.until_started(yes[0], 2).await?;
    let suspend = "update identity.account set status = $1 where id = $2";
    sqlx::query(suspend)
        .bind("suspended")
        .bind(world.ada.id)
        .execute(&world.errands.pool)
        .await?;
    world.emit(&ada, json!({ "n": 1 }), None).await?;
    // Bob's own event is matched with it or after it.
    let own = subscribe(&world.bob, "of bob", to(&bob)).await?;
    world.emit(&bob, json!({}), None).await?;
    world.until_started(own, 1).await?;
    for subscription in yes {
        assert_eq!(world.started(subscription).await?.len(), 2);
    }
    // Who leaves takes the subscriptions along.
    sqlx::query("select events.forget_account($1)")
        .bind(world.bob.id)
        .execute(&world.errands.pool)
        .await?;
    let left = "select count(*) from events.subscription where owner = $1";
    let left: i64 = sqlx::query_scalar(left)
        .bind(world.bob.id)
        .fetch_one(&world.errands.pool)
        .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn work_that_starts_itself_comes_to_an_end_and_its_owner_hears_of_it_once() -> Result<()> {
    let world = World::new().await?;
    let topics = [account(&world.ada)];
    let wish = Wish {
        topics: &topics,
        types: Some(&["test.number"]),
        ..Wish::default()
    };
    let subscription = world.subscribe(&world.ada, "circle", wish).await?;
    let _worker = world.errands.worker(quick()).await?;
    let mut by_job = None;
    for depth in 1..=9 {
        let event = world.emit(&topics, json!({}), by_job).await?;
        let jobs = world.until_started(subscription, depth).await?;
        let job = &jobs[depth - 1];
        assert_eq!(
            (&job["depth"], &job["cause"]),
            (&json!(depth), &json!(event))
        );
        by_job = Some(serde_json::from_value(job["id"].clone())?);
    }
    for _ in 0..3 {
        world.emit(&topics, json!({}), by_job).await?;
    }
    // Work for work's sake takes over what led to it.
    let child: Uuid = sqlx::query_scalar("select jobs.enqueue('errand', by_job => $1)")
        .bind(by_job)
        .fetch_one(&world.errands.pool)
        .await?;
    assert_eq!(world.errands.job(child).await?["depth"], 9);
    // Others' events go on to start work.
    let event = world.emit(&topics, json!({}), None).await?;
    let jobs = world.until_started(subscription, 10).await?;
    assert_eq!(
        (&jobs[9]["depth"], &jobs[9]["cause"]),
        (&json!(1), &json!(event))
    );
    let notes = world.notes(&world.ada).await?;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0]["text"]
            .as_str()
            .context("text")?
            .contains("started itself"),
        "{notes:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_flood_starts_no_more_than_so_much_but_of_kinds_that_may() -> Result<()> {
    let world = World::new().await?;
    world
        .server
        .database
        .execute("insert into events.uncounted (kind) values ('special')")
        .await?;
    let topics = [account(&world.ada)];
    let wish = |kind| Wish {
        topics: &topics,
        types: Some(&["test.number"]),
        kind,
        ..Wish::default()
    };
    let counted = world
        .subscribe(&world.ada, "counted", wish("errand"))
        .await?;
    let free = world.subscribe(&world.ada, "free", wish("special")).await?;
    let flood = "select events.emit($1, 'test.number', '{}') from generate_series(1, 450)";
    sqlx::query(flood)
        .bind(&topics[..])
        .execute(&world.errands.pool)
        .await?;
    let _worker = world.errands.worker(quick()).await?;
    world.until_started(free, 450).await?;
    // A minute may have begun in between.
    let started = world.started(counted).await?.len();
    assert!((60..=120).contains(&started), "{started}");
    assert_eq!(world.notes(&world.ada).await?.len(), 1);
    assert_eq!(world.notes(&world.bob).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn killed_workers_leave_no_event_out_and_take_none_twice() -> Result<()> {
    let world = World::new().await?;
    world
        .server
        .database
        .execute("insert into events.uncounted (kind) values ('errand')")
        .await?;
    let topics = [account(&world.ada)];
    let wish = Wish {
        topics: &topics,
        types: Some(&["test.number"]),
        ..Wish::default()
    };
    let subscription = world.subscribe(&world.ada, "all", wish).await?;
    let mut workers = vec![world.errands.process(&[])?, world.errands.process(&[])?];
    for round in 1..=3 {
        for number in 0..100 {
            world.emit(&topics, json!({ "n": number }), None).await?;
            if number == 50 {
                workers.remove(0).signal("KILL")?;
                workers.push(world.errands.process(&[])?);
            }
        }
        world.until_started(subscription, round * 100).await?;
    }
    let jobs = world.started(subscription).await?;
    let causes: std::collections::BTreeSet<_> =
        jobs.iter().map(|job| job["cause"].to_string()).collect();
    assert_eq!(causes.len(), 300);
    Ok(())
}

#[tokio::test]
async fn after_a_restored_dump_what_waited_starts_and_nothing_twice() -> Result<()> {
    let world = World::new().await?;
    let topics = [account(&world.ada)];
    let wish = Wish {
        topics: &topics,
        types: Some(&["test.number"]),
        ..Wish::default()
    };
    let subscription = world.subscribe(&world.ada, "all", wish).await?;
    let worker = world.errands.worker(quick()).await?;
    world.emit(&topics, json!({}), None).await?;
    world.until_started(subscription, 1).await?;
    worker.shutdown(Duration::from_secs(5)).await;
    let waiting = world.emit(&topics, json!({}), None).await?;
    // As a dump holds it: numbers of transactions of another server, which has come further.
    world
        .server
        .database
        .execute(
            "update events.event set xid = ((xid::text)::bigint + 1000000000)::text::xid8;
             update events.dispatcher set database = 'another', leads_until = now(),
                seen = format('%s:%s:', (pg_snapshot_xmin(seen)::text)::bigint + 1000000000,
                    (pg_snapshot_xmax(seen)::text)::bigint + 1000000000)::pg_snapshot",
        )
        .await?;
    let _worker = world.errands.worker(quick()).await?;
    let jobs = world.until_started(subscription, 2).await?;
    assert_eq!(jobs[1]["cause"], json!(waiting));
    world.emit(&topics, json!({}), None).await?;
    world.until_started(subscription, 3).await?;
    Ok(())
}

#[tokio::test]
async fn whoever_asks_for_work_notifies_only_a_worker_that_sleeps() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let mut listener = sqlx::postgres::PgListener::connect(errands.database.admin.as_str()).await?;
    listener.listen("jobs:insert").await?;
    errands.errand(json!([])).await?;
    let wait = Duration::from_millis(300);
    assert!(tokio::time::timeout(wait, listener.recv()).await.is_err());

    // It would look once in ten minutes.
    let worker = errands.worker(JobTimes {
        poll: Duration::from_secs(600),
        ..quick()
    });
    let _worker = worker.await?;
    for _ in 0..3 {
        errands
            .until_number("select count(*) from jobs.sleeper", 1, LIMIT)
            .await?;
        let job = errands.errand(json!([])).await?;
        errands.until(job, "succeeded").await?;
    }
    tokio::time::timeout(wait * 10, listener.recv()).await??;
    Ok(())
}
