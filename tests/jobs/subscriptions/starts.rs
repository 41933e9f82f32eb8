//! Work that events start: each once for every subscription, however late it is committed.

use super::world::{LIMIT, Wish, World, account};
use anyhow::Result;
use e2e::{
    agents::Agent,
    errands::{Errands, quick},
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

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
