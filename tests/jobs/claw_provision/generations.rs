//! What owners want of their claws, done by jobs: the newest generation alone acts.

use anyhow::{Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::functions::claws::{
    containers::{Contained, LIMIT},
    life::{command, gone, until, world},
};
use crate::jobs::{agent_turn::world::text, faults::Random};

#[tokio::test]
async fn a_delete_beats_a_start_under_way() -> Result<()> {
    let world = world().await?;
    for round in 0..5 {
        let name = format!("brief-{round}");
        world
            .ask(
                "POST",
                "/api/claws",
                &json!({"name": name, "persona": "plain"}),
                202,
            )
            .await?;
        if round % 2 == 0 {
            command(&world, &name, "restart", 202).await?;
        }
        let path = format!("/api/claws/{name}");
        world.ask("DELETE", &path, &json!({}), 202).await?;
        let refused = world
            .ada
            .send(&world.server, "POST", &format!("{path}/start"), &json!({}))
            .await?;
        ensure!([404, 409].contains(&refused.0), "{refused:?}");
    }
    for round in 0..5 {
        gone(&world, &format!("brief-{round}")).await?;
    }
    let list = world.get("/api/claws").await?;
    assert_eq!(list["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn work_for_an_older_generation_does_nothing() -> Result<()> {
    let world = world().await?;
    let new = json!({"name": "helper", "persona": "plain"});
    world.ask("POST", "/api/claws", &new, 202).await?;
    let claw = until(&world, "helper", "running").await?;
    command(&world, "helper", "stop", 202).await?;
    until(&world, "helper", "stopped").await?;
    // As a worker would that was lost for a while.
    let stale = format!(
        "select jobs.enqueue('claw-provision', '{{\"claw\": {}, \"generation\": 1, \"cause\": \"created\"}}')",
        claw["id"]
    );
    world.server.database.execute(&stale).await?;
    command(&world, "helper", "start", 202).await?;
    until(&world, "helper", "running").await?;
    let history = world.get("/api/claws/helper/history").await?;
    let causes: Vec<_> = history["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|change| change["cause"].clone())
        .collect();
    let expected = json!([
        "provisioned",
        "provisioning",
        "start",
        "stop",
        "provisioned",
        "provisioning",
        "created"
    ]);
    ensure!(json!(causes) == expected, "{history:#}");
    Ok(())
}

/// Claws in containers are made, started anew and deleted at random moments, while each first request to the provisioner
/// breaks off. `GATHER_CLAW_SEED` repeats the moments.
#[tokio::test]
async fn a_delete_at_any_moment_of_a_making_leaves_nothing() -> Result<()> {
    let seed = std::env::var("GATHER_CLAW_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    println!("GATHER_CLAW_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let contained = Contained::new().await?;
    let (world, containers) = (&contained.world, &contained.containers);
    containers.cut(true);
    let lives = (0..16).map(|number| {
        let (first, second) = (random.below(120), random.below(120));
        let restarts = random.below(2) == 0;
        async move {
            let name = format!("brief-{number}");
            let new = json!({"name": name, "persona": "plain", "template": "shell"});
            let made = world.ask("POST", "/api/claws", &new, 202).await?;
            let path = format!("/api/claws/{name}");
            tokio::time::sleep(Duration::from_millis(first)).await;
            if restarts {
                world
                    .ask("POST", &format!("{path}/stop"), &json!({}), 202)
                    .await?;
                tokio::time::sleep(Duration::from_millis(second)).await;
                world
                    .ask("POST", &format!("{path}/start"), &json!({}), 202)
                    .await?;
            }
            world.ask("DELETE", &path, &json!({}), 202).await?;
            gone(world, &name).await?;
            text(&made["claw"]["id"])
        }
    });
    let ids: Vec<String> = futures::future::try_join_all(lives).await?;
    let begin = Instant::now();
    while !containers.all().is_empty() {
        ensure!(begin.elapsed() < LIMIT, "{:?}", containers.all());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failed: Vec<String> = sqlx::query_scalar(
        "select topic from events.event where type = 'claw.status' and data ->> 'status' = 'failed'",
    )
    .fetch_all(&mut world.server.database.connect().await?)
    .await?;
    assert_eq!((failed, ids.len()), (vec![], 16));
    Ok(())
}
