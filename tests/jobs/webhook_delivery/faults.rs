//! Receivers that misbehave and workers that are killed: no delivery is lost, and nobody else waits.

use super::world::{LIMIT, World};
use anyhow::{Context, Result};
use e2e::{
    Database, component_file,
    errands::{WorkerProcess, quick},
    receiver::{Answer, Receiver},
};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

#[tokio::test]
async fn receivers_that_misbehave_hold_up_nobody_and_are_tried_again() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(200)).await?;
    let silent = Receiver::start(|_| Answer::Silence).await?;
    let reset = Receiver::start(|_| Answer::Reset).await?;
    let endless = Receiver::start(|_| Answer::Endless).await?;
    let garbage = Receiver::start(|_| Answer::Garbage).await?;
    let elsewhere = Receiver::start(|_| Answer::status(200)).await?;
    let target = format!("location: http://{}/\r\n", elsewhere.address);
    let moved = Receiver::start(move |_| Answer::Status(301, target.clone())).await?;
    let busy = Receiver::start(|_| Answer::Status(429, "retry-after: 3600\r\n".into())).await?;
    let world = World::new(&[
        ("good.example", &good),
        ("silent.example", &silent),
        ("reset.example", &reset),
        ("endless.example", &endless),
        ("garbage.example", &garbage),
        ("moved.example", &moved),
        ("busy.example", &busy),
    ])
    .await?;
    let mut webhooks = BTreeMap::new();
    for name in [
        "silent", "reset", "garbage", "moved", "busy", "endless", "good",
    ] {
        let (webhook, _) = world.webhook(&format!("http://{name}.example/")).await?;
        webhooks.insert(name, webhook);
    }
    // What resolves to this machine is not reached, whatever it is called.
    let inside = Receiver::start(|_| Answer::status(200)).await?;
    let (private, _) = world
        .webhook(&format!("https://localhost:{}/", inside.address.port()))
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
    let no_answer = |newest: &Value| newest["error"].is_string() && newest["status"].is_null();
    for name in ["silent", "reset", "garbage"] {
        let oldest = async || -> Result<bool> {
            let deliveries = world.deliveries(&webhooks[name]).await?;
            Ok(deliveries
                .iter()
                .any(|one| no_answer(one) && one["state"] == "waiting"))
        };
        let begin = Instant::now();
        while !oldest().await? {
            assert!(begin.elapsed() < LIMIT, "{name}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let begin = Instant::now();
    while !world
        .deliveries(&webhooks["busy"])
        .await?
        .iter()
        .any(|one| one["status"] == 429)
    {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, shown) = world.call("GET", &webhooks["busy"], json!({})).await?;
    assert!(
        shown["failing_since"].is_string() && shown["retry_at"].is_string(),
        "{shown}"
    );
    let begin = Instant::now();
    while !world
        .deliveries(&webhooks["moved"])
        .await?
        .iter()
        .any(|one| one["status"] == 301)
    {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(elsewhere.taken().len(), 0, "the redirect was followed");
    // Of an answer without end the head is kept.
    let taken = world
        .until(&webhooks["endless"], |newest| {
            newest["state"] == "delivered"
        })
        .await?;
    let head = taken["reply"].as_str().context("reply")?;
    assert!((1..=1000).contains(&head.len()) && head.starts_with("xxx"));
    let begin = Instant::now();
    while !world.deliveries(&private).await?.iter().any(no_answer) {
        assert!(begin.elapsed() < LIMIT);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(inside.taken().len(), 0);
    // Who wants to be left alone is.
    assert_eq!(busy.taken().len(), 1);
    assert_eq!(world.notes().await?.len(), 0);
    Ok(())
}

/// A manifest with the one component: a worker compiles no more than it does.
fn only_deliveries(database: &Database) -> String {
    let source = component_file("webhook-delivery");
    let port = database.admin.port().unwrap_or(5432);
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "deliveries"
[variables]
webhook_key = {{ required = true, secret = true }}
webhook_delivery_database_url = {{ required = true, secret = true }}
[component.webhook-delivery]
source = {source:?}
allowed_outbound_hosts = ["postgres://127.0.0.1:{port}", "http://*:*"]
[component.webhook-delivery.variables]
database_url = "{{{{ webhook_delivery_database_url }}}}"
webhook_key = "{{{{ webhook_key }}}}"
[component.webhook-delivery.tool.gather]
role = "gather_webhook_delivery"
public_only = true
concurrency = 16
job = {{ attempts = 100, own_places = true }}
"#
    )
}

#[tokio::test]
async fn killed_workers_lose_no_delivery_and_broken_receivers_delay_no_other() -> Result<()> {
    let mut receivers = vec![];
    for number in 0..9 {
        let answer = match number {
            0 => Answer::Silence,
            1 => Answer::Reset,
            2 => Answer::status(500),
            _ => Answer::status(200),
        };
        receivers.push(Receiver::start(move |_| answer.clone()).await?);
    }
    let names: Vec<_> = (0..receivers.len())
        .map(|number| format!("r{number}.example"))
        .collect();
    let named: Vec<_> = names.iter().map(String::as_str).zip(&receivers).collect();
    let world = World::new(&named).await?;
    let mut webhooks = vec![];
    for name in &names {
        webhooks.push(world.webhook(&format!("http://{name}/")).await?.0);
    }
    let folder = tempfile::tempdir()?;
    let mut arguments = vec!["--worker-lease".to_owned(), "2s".to_owned()];
    for (name, address) in &world.hosts {
        arguments.extend(["--webhook-host".to_owned(), format!("{name}={address}")]);
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let manifest = folder.path().join("spin.toml");
    std::fs::write(&manifest, only_deliveries(&world.server.database))?;
    let start =
        || WorkerProcess::start(&world.server.database, &manifest, folder.path(), &arguments);
    let mut workers = vec![start()?, start()?];
    for number in 0..30 {
        world.emit(number, None).await?;
        if number % 10 == 5 {
            receivers[8].until(1).await?;
            workers.remove(0).signal("KILL")?;
            workers.push(start()?);
        }
    }
    for receiver in &receivers[3..] {
        let begin = Instant::now();
        loop {
            let numbers: std::collections::BTreeSet<_> = receiver
                .taken()
                .iter()
                .filter_map(|one| serde_json::from_slice::<Value>(&one.body).ok())
                .filter_map(|body| body["data"]["n"].as_u64())
                .collect();
            if numbers.len() == 30 {
                break;
            }
            assert!(begin.elapsed() < LIMIT, "{} of 30", numbers.len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // What came twice, after a kill, came under one id.
        let mut bodies = BTreeMap::new();
        for one in receiver.taken() {
            let body = bodies
                .entry(one.headers["webhook-id"].clone())
                .or_insert_with(|| one.body.clone());
            assert_eq!(*body, one.body);
        }
        assert_eq!(bodies.len(), 30);
    }
    for webhook in &webhooks[..3] {
        let deliveries = world.deliveries(webhook).await?;
        assert!(
            deliveries.iter().all(|one| one["state"] == "waiting"),
            "{deliveries:#?}"
        );
    }
    Ok(())
}
