//! Claws in containers of which something was lost for a while: the provisioner, a container's program, or the end of a job.

use anyhow::{Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::functions::claws::{
    containers::{Contained, LIMIT, beat, enrolled},
    life::{command, until},
};
use crate::jobs::agent_turn::world::{World, text};

/// Waits until a query of the database is true of a claw.
async fn becomes(world: &World, claw: &str, query: &'static str) -> Result<()> {
    let mut database = world.server.database.connect().await?;
    let begin = Instant::now();
    loop {
        let is_so = sqlx::query_scalar::<_, bool>(query).bind(claw);
        if is_so.fetch_one(&mut database).await? {
            return Ok(());
        }
        ensure!(begin.elapsed() < LIMIT, "never true: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn execute(world: &World, claw: &str, statement: &str) -> Result<()> {
    let statement = statement.replace("$1", &format!("'{claw}'"));
    world.server.database.execute(&statement).await
}

#[tokio::test]
async fn what_was_lost_for_a_while_does_not_decide_about_a_claw() -> Result<()> {
    let contained = Contained::new().await?;
    let (world, containers) = (&contained.world, &contained.containers);
    world
        .server
        .database
        .execute("update claws.template set volume = true")
        .await?;
    let new = json!({"name": "helper", "persona": "plain", "template": "shell"});
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let id = text(&made["claw"]["id"])?;

    // The provisioner was away for longer than a container may take to enrol.
    containers.token(&id, 1).await?;
    let late = "update claws.claw set look_at = null where id = $1;
        update claws.enrolment set expires_at = now() - interval '1 minute' where claw_id = $1;
        select jobs.enqueue('claw-provision', jsonb_build_object('claw', $1, 'generation', 1, 'cause', 'created'))";
    execute(world, &id, late).await?;
    let renewed = "select expires_at > now() from claws.enrolment where claw_id = $1::uuid";
    becomes(world, &id, renewed).await?;
    let first = enrolled(world, containers, &made["claw"], 1, 77).await?;
    beat(world, &first).await?;
    let claw = until(world, "helper", "running").await?;
    assert_eq!(claw["resumed"], "fresh");

    // What its program writes is kept, though the database can't store all of it.
    let begin = Instant::now();
    execute(world, &id, "select claws.look_again($1, '0')").await?;
    loop {
        let lines = world.get("/api/claws/helper/logs").await?;
        if lines.to_string().contains("a\u{fffd}b") {
            break;
        }
        ensure!(begin.elapsed() < LIMIT, "{lines:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // An older program's sign of life is none of the newest container's.
    command(world, "helper", "restart", 202).await?;
    containers.token(&id, 2).await?;
    let orders = beat(world, &first).await?;
    assert_eq!(orders["generation"], 2);
    let claw = world.get("/api/claws/helper").await?;
    assert_eq!(
        (&claw["status"], &claw["resumed"], &claw["last_seen_at"]),
        (&json!("provisioning"), &json!("disk"), &Value::Null),
        "{claw:#}"
    );
    let second = enrolled(world, containers, &made["claw"], 2, 78).await?;
    beat(world, &second).await?;
    until(world, "helper", "running").await?;

    // What has failed runs no more, though its program would.
    let silent = "update claws.claw set restarts = 5, last_seen_at = now() - interval '1 minute' where id = $1;
        select claws.look_again($1, '0')";
    execute(world, &id, silent).await?;
    until(world, "helper", "failed").await?;
    let begin = Instant::now();
    while containers.all()[&id].state != "exited" {
        ensure!(begin.elapsed() < LIMIT, "{:?}", containers.all());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ensure!(Agent::token(&world.server, 78).await.is_err(), "signed in");
    let claw = world.get("/api/claws/helper").await?;
    assert_eq!(claw["status"], "failed", "{claw:#}");

    // The end of its job was not noted, since it was held at that moment.
    let unnoted = "with late as (select jobs.enqueue('claw-provision', '{}', run_at => now() + interval '1 hour') as id)
        update claws.claw c set status = 'requested', reason = null, job_id = late.id from late where c.id = $1;
        update jobs.job j set status = 'dead', error = 'nobody came', finished_at = now(), queue_id = null
        from claws.claw c where c.id = $1 and j.id = c.job_id;
        select jobs.enqueue('claw-provision', '{}')";
    execute(world, &id, unnoted).await?;
    let failed = until(world, "helper", "failed").await?;
    assert_eq!(failed["reason"], "nobody came");
    Ok(())
}
