//! What owners want of their claws, done by jobs: the newest generation alone acts.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::functions::claws::life::{command, gone, until, world};

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
