//! Subscriptions lose no event and take none twice, whatever happens to workers and to the database.

use super::world::{Wish, World, account};
use anyhow::Result;
use e2e::errands::quick;
use serde_json::json;
use std::time::Duration;

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
