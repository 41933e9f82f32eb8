//! Subscriptions that would start work without end: loops and floods.

use super::world::{Wish, World, account};
use anyhow::{Context, Result};
use e2e::errands::quick;
use serde_json::json;
use uuid::Uuid;

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
    for depth in 1..=8 {
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
    assert_eq!(world.errands.job(child).await?["depth"], 8);
    // Others' events go on to start work.
    let event = world.emit(&topics, json!({}), None).await?;
    let jobs = world.until_started(subscription, 9).await?;
    assert_eq!(
        (&jobs[8]["depth"], &jobs[8]["cause"]),
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
