//! Claws in containers that are not heard of any more, whether or not the provisioner can be asked.

use anyhow::{Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::functions::claws::{
    containers::{Contained, LIMIT, beat, enrolled},
    life::until,
};
use crate::jobs::agent_turn::world::World;

/// Has the container of a claw looked at now, and waits until that is done. Returns by how much the next look is planned
/// after the end of the claw's lease, in milliseconds; negative: before that.
async fn planned(world: &World, claw: &str) -> Result<i64> {
    let mut database = world.server.database.connect().await?;
    let looked = format!(
        "update claws.claw set last_seen_at = now() - interval '26 seconds' where id = '{claw}';
         select claws.look_again('{claw}', '0')"
    );
    world.server.database.execute(&looked).await?;
    let begin = Instant::now();
    loop {
        let planned: Option<i64> = sqlx::query_scalar(
            "select (extract(epoch from look_at - last_seen_at) * 1000 - 30000)::bigint from claws.claw
             where id = $1::uuid and look_at > now()",
        )
        .bind(claw)
        .fetch_optional(&mut database)
        .await?;
        if let Some(planned) = planned {
            return Ok(planned);
        }
        ensure!(begin.elapsed() < LIMIT, "it is not looked at");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_lost_claw_is_noticed_when_its_lease_ends_and_begun_anew() -> Result<()> {
    let mut contained = Contained::new().await?;
    let (world, containers) = (&contained.world, contained.containers.clone());
    let new = json!({"name": "helper", "persona": "plain", "template": "shell"});
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    let helper = enrolled(world, &containers, &made["claw"], 1, 77).await?;
    beat(world, &helper).await?;
    let id = helper.id.to_string();
    // It is looked at again as soon as the lease is over, and not at the next interval.
    let after = planned(world, &id).await?;
    assert!((0..1_000).contains(&after), "{after} ms after the lease");
    beat(world, &helper).await?;

    // Without the provisioner, its signs of life count alone.
    let address = contained.end_provisioner();
    let world = &contained.world;
    let after = planned(world, &id).await?;
    assert!((0..1_000).contains(&after), "{after} ms after the lease");
    let claw = world.get("/api/claws/helper").await?;
    assert_eq!(claw["status"], "running", "{claw:#}");
    let lost = until(world, "helper", "unhealthy").await?;
    assert_eq!(lost["reason"], "not heard of for 30 seconds");
    until(world, "helper", "provisioning").await?;
    let history = world.get("/api/claws/helper/history").await?;
    assert_eq!(history["items"][2]["to"], "unhealthy", "{history:#}");
    contained.start_provisioner(&address).await?;
    let world = &contained.world;
    let again = enrolled(world, &containers, &made["claw"], 2, 78).await?;
    let orders = beat(world, &again).await?;
    assert_eq!(orders, json!({"desired": "running", "generation": 2}));
    assert_eq!(containers.all().len(), 1);
    Ok(())
}

/// Lets the platform look after its containers, as it does once a minute, and waits until that is done.
async fn swept(world: &World) -> Result<()> {
    looked_by(world, "select jobs.enqueue('claw-provision', '{}')").await
}

/// Waits until a statement has had the provisioner asked.
async fn looked_by(world: &World, asked: &'static str) -> Result<()> {
    let mut database = world.server.database.connect().await?;
    let before = "select coalesce(max(asked_at), '-infinity')::text from claws.backend";
    let before: String = sqlx::query_scalar(before).fetch_one(&mut database).await?;
    world.server.database.execute(asked).await?;
    let begin = Instant::now();
    loop {
        let is_asked: bool = sqlx::query_scalar(
            "select exists (select from claws.backend where asked_at > $1::timestamptz)",
        )
        .bind(&before)
        .fetch_one(&mut database)
        .await?;
        if is_asked {
            return Ok(());
        }
        ensure!(begin.elapsed() < LIMIT, "nobody looks");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn without_a_runtime_a_claw_in_a_container_is_refused_and_afterwards_waits() -> Result<()> {
    let mut contained = Contained::new().await?;
    let address = contained.end_provisioner();
    let world = &contained.world;
    swept(world).await?;
    // As where there never was one.
    let forget = "delete from claws.backend";
    world.server.database.execute(forget).await?;
    let another = "select claws.create_template(to_jsonb(t) || '{\"name\": \"another\"}') from claws.template t";
    looked_by(world, another).await?;
    let new = json!({"name": "helper", "persona": "plain", "template": "shell"});
    let refused = world.ask("POST", "/api/claws", &new, 503).await?;
    assert_eq!(refused["code"], "backend-unavailable", "{refused:#}");
    let list = world.get("/api/claws").await?;
    assert_eq!(list["items"], json!([]));
    // Others need no container.
    let plain = json!({"name": "thinker", "persona": "plain"});
    world.ask("POST", "/api/claws", &plain, 202).await?;
    until(world, "thinker", "running").await?;

    contained.start_provisioner(&address).await?;
    swept(&contained.world).await?;
    contained.end_provisioner();
    let world = &contained.world;
    swept(world).await?;
    // One that is away comes back, and its work waits for that.
    let made = world.ask("POST", "/api/claws", &new, 202).await?;
    until(world, "helper", "provisioning").await?;
    contained.start_provisioner(&address).await?;
    let world = &contained.world;
    let helper = enrolled(world, &contained.containers, &made["claw"], 1, 77).await?;
    beat(world, &helper).await?;
    until(world, "helper", "running").await?;
    Ok(())
}
