//! How claws end: by their time, with their owners, and when they fail.

use anyhow::{Result, ensure};
use e2e::people::{PASSWORD, Person};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::life::{gone, running, say, until, world};
use crate::jobs::agent_turn::world::{World, ask, text};

fn new(name: &str) -> Value {
    json!({"name": name, "persona": "plain"})
}

/// Lets the claws whose time is over be looked for, as it happens once a minute.
async fn look(world: &World) -> Result<()> {
    let asked = "select jobs.enqueue('claw-provision', '{}')";
    world.server.database.execute(asked).await
}

#[tokio::test]
async fn a_claw_whose_time_is_over_ends_or_rests() -> Result<()> {
    let world = world().await?;
    let mut expiring = new("gone");
    expiring["on_expiry"] = json!("delete");
    running(&world, &expiring).await?;
    running(&world, &new("halted")).await?;
    let mut resting = new("resting");
    resting["idle_ms"] = json!(1_000);
    running(&world, &resting).await?;
    let past = json!({"expires_at": "2026-01-01T00:00:00Z"});
    for name in ["gone", "halted"] {
        world
            .ask("PATCH", &format!("/api/claws/{name}"), &past, 202)
            .await?;
    }
    look(&world).await?;
    gone(&world, "gone").await?;
    assert_eq!(
        until(&world, "halted", "stopped").await?["reason"],
        "expired"
    );
    let begin = Instant::now();
    loop {
        look(&world).await?;
        let claw = world.get("/api/claws/resting").await?;
        if claw["status"] == "paused" {
            assert_eq!(claw["reason"], "idle");
            break;
        }
        ensure!(begin.elapsed() < Duration::from_secs(60), "still {claw:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever speaks to it wakes it.
    let posted = say(&world, "resting", "Are you there?").await?;
    let turn = world.ended(&text(&posted["turns"][0]["id"])?).await?;
    assert_eq!(turn["status"], "completed", "{turn:#}");
    let history = world.get("/api/claws/resting/history").await?;
    assert_eq!(history["items"][0]["cause"], "woken", "{history:#}");
    Ok(())
}

#[tokio::test]
async fn claws_go_with_their_owners() -> Result<()> {
    let world = world().await?;
    let admin = Person::register(&world.server, "operator").await?;
    let admin = admin.into_admin(&world.server).await?;
    Person::sign_in(&world.server, &admin.email, PASSWORD).await?;
    let claw = running(&world, &new("helper")).await?;
    let id = text(&claw["id"])?;
    // Whoever manages others' claws sees and stops them.
    let (status, all) = admin.get(&world.server, "/api/claws?all=true").await?;
    assert_eq!((status, &all["items"][0]["name"]), (200, &json!("helper")));

    let path = format!("/api/accounts/{}/suspend", world.ada.id);
    let (status, done) = admin.send(&world.server, "POST", &path, &json!({})).await?;
    ensure!(status < 300, "{status} {done}");
    let path = format!("/api/claws/{id}");
    let begin = Instant::now();
    loop {
        let (_, claw) = admin.get(&world.server, &path).await?;
        if claw["status"] == "stopped" {
            assert_eq!(claw["reason"], "suspended");
            break;
        }
        ensure!(begin.elapsed() < Duration::from_secs(60), "still {claw:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = format!("{path}/start");
    let (status, _) = admin
        .send(&world.server, "POST", &start, &json!({}))
        .await?;
    assert_eq!(status, 403, "its owner is suspended");
    let path = format!("/api/accounts/{}/reinstate", world.ada.id);
    let (status, done) = admin.send(&world.server, "POST", &path, &json!({})).await?;
    ensure!(status < 300, "{status} {done}");
    let ada = e2e::agents::Agent {
        id: world.ada.id,
        token: e2e::agents::Agent::token(&world.server, 1).await?,
    };
    ask(&world.server, &ada, "POST", &start, &json!({}), 202).await?;
    let path = "/api/accounts/me/export";
    let export = ask(&world.server, &ada, "GET", path, &json!({}), 200).await?;
    let kept = &export["claws"]["claws"][0];
    assert_eq!(kept["name"], "helper", "{export:#}");
    assert_eq!(kept["history"][0]["cause"], "created");
    let path = "/api/accounts/me/delete";
    let leaving = json!({"name": "ada"});
    let (status, left) = ada.send(&world.server, "POST", path, &leaving).await?;
    ensure!(status < 300, "{status} {left}");
    let (status, _) = admin
        .get(&world.server, &format!("/api/claws/{id}"))
        .await?;
    assert_eq!(status, 404);
    let (status, _) = admin.get(&world.server, "/api/agents/helper").await?;
    assert_eq!(status, 404);
    Ok(())
}
