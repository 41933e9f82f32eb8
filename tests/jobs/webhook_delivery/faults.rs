//! Receivers that misbehave: no delivery is lost, and nobody else waits.

use super::world::World;
use anyhow::{Context, Result};
use e2e::{
    errands::quick,
    receiver::{Answer, Receiver},
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[tokio::test]
async fn receivers_that_misbehave_hold_up_nobody_and_are_tried_again() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(200)).await?;
    let silent = Receiver::start(|_| Answer::Silence).await?;
    let reset = Receiver::start(|_| Answer::Reset).await?;
    let failing = Receiver::start(|_| Answer::status(500)).await?;
    let huge = Receiver::start(|_| Answer::Huge).await?;
    let endless = Receiver::start(|_| Answer::Endless).await?;
    let garbage = Receiver::start(|_| Answer::Garbage).await?;
    let binary = Receiver::start(|_| Answer::Binary).await?;
    let elsewhere = Receiver::start(|_| Answer::status(200)).await?;
    let target = format!("location: http://{}/\r\n", elsewhere.address);
    let moved = Receiver::start(move |_| Answer::Status(301, target.clone())).await?;
    let busy = Receiver::start(|_| Answer::Status(429, "retry-after: 3600\r\n".into())).await?;
    let world = World::new(&[
        ("good.example", &good),
        ("silent.example", &silent),
        ("reset.example", &reset),
        ("endless.example", &endless),
        ("failing.example", &failing),
        ("huge.example", &huge),
        ("garbage.example", &garbage),
        ("binary.example", &binary),
        ("moved.example", &moved),
        ("busy.example", &busy),
    ])
    .await?;
    let mut webhooks = BTreeMap::new();
    for name in [
        "silent", "reset", "garbage", "moved", "busy", "endless", "failing", "huge", "binary",
        "good",
    ] {
        let (webhook, _) = world.webhook(&format!("http://{name}.example/")).await?;
        webhooks.insert(name, webhook);
    }
    // A name that is public by its form, and that comes to resolve to this machine, is not reached.
    let inside = Receiver::start(|_| Answer::status(200)).await?;
    let (private, _) = world.webhook("https://public.example/").await?;
    sqlx::query("update webhooks.webhook set url = $1 where url = 'https://public.example/'")
        .bind(format!("http://localhost:{}/", inside.address.port()))
        .execute(&mut world.server.database.connect().await?)
        .await?;

    // The silent one would take the only place.
    let _worker = world
        .worker(JobTimes {
            concurrency: 1,
            ..quick()
        })
        .await?;
    for number in 0..5 {
        world.emit(number, None).await?;
    }
    good.until(5).await?;
    let no_answer = |one: &Value| one["error"].is_string() && one["status"].is_null();
    for name in ["silent", "reset", "garbage", "huge"] {
        let is_waiting = |one: &Value| no_answer(one) && one["state"] == "waiting";
        world.until_any(&webhooks[name], is_waiting).await?;
    }
    for (name, status) in [("busy", 429), ("moved", 301), ("failing", 500)] {
        let is_refused = |one: &Value| one["status"] == status && one["state"] == "waiting";
        world.until_any(&webhooks[name], is_refused).await?;
    }
    let (_, shown) = world.call("GET", &webhooks["busy"], json!({})).await?;
    assert!(
        shown["failing_since"].is_string() && shown["retry_at"].is_string(),
        "{shown}"
    );
    assert_eq!(elsewhere.taken().len(), 0, "the redirect was followed");
    // Of an answer without end the head is kept.
    let taken = world
        .until(&webhooks["endless"], |newest| {
            newest["state"] == "delivered"
        })
        .await?;
    let head = taken["reply"].as_str().context("reply")?;
    assert!((1..=1000).contains(&head.len()) && head.starts_with("xxx"));
    // What is no text there is left out.
    let taken = world
        .until(&webhooks["binary"], |newest| newest["state"] == "delivered")
        .await?;
    assert_eq!(taken["reply"], "a[b\n");
    world.until_any(&private, no_answer).await?;
    assert_eq!(inside.taken().len(), 0);
    // Who wants to be left alone is.
    assert_eq!(busy.taken().len(), 1);
    assert_eq!(world.notes().await?.len(), 0);
    Ok(())
}
