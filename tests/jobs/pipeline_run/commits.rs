//! Commits that fail, and decisions that come while somebody else holds the run.

use super::world::World;
use anyhow::{Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    receiver::{Answer, Receiver},
};
use serde_json::json;

#[tokio::test]
async fn a_commit_that_fails_loses_no_answer() -> Result<()> {
    let target = Receiver::start(|_| Answer::status(200)).await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    // The first two commits that would record an answer fail.
    world
        .server
        .database
        .execute(
            "create sequence public.passed;
             grant usage on sequence public.passed to public;
             create function public.fails() returns trigger language plpgsql as $$
             begin
                 if nextval('public.passed') <= 2 then
                     raise exception 'the database has other things to do' using errcode = '57P01';
                 end if;
                 return null;
             end
             $$;
             create trigger fails after update of status on pipelines.step
             for each row when (new.status = 'succeeded') execute function public.fails()",
        )
        .await?;
    let pay = json!({"type": "action", "do": "http",
        "input": {"method": "POST", "url": format!("{origin}/pay"), "body": {"sum": 1}}});
    let tell = json!({"type": "action", "do": "event",
        "input": {"type": "custom.paid", "topic": format!("account:{}", world.ada.id), "data": {}}});
    let definition = json!({
        "nodes": {"pay": pay, "tell": tell}, "edges": [{"from": "pay", "to": "tell"}],
        "permissions": {"http": [origin]},
    });
    let run = world.start("pays", definition, json!(null)).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(target.count(), 1, "it was sent once");
    let told = "select count(*) from events.event where type = 'custom.paid'";
    assert_eq!(world.number(told).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_decision_does_not_wait_for_whoever_holds_the_run() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let asks = json!({"type": "approval", "who": [bob.id], "question": "Shall it?"});
    let definition = json!({"nodes": {"ask": asks}, "result": {"$": "nodes.ask.output.decision"}});
    let run = world.start("asks", definition, json!(null)).await?;
    world.waits(&run, "ask").await?;
    let (_, list) = bob.get(&world.server, "/api/approvals").await?;
    let approval = &list["items"][0];
    // As somebody does who cancels the run, and waits for the approval next.
    let held = world
        .server
        .database
        .hold("select from pipelines.run for update")
        .await?;
    let decision = json!({"decision": "approve", "digest": approval["digest"]});
    let path = format!(
        "/api/approvals/{}/decision",
        approval["id"].as_str().unwrap_or_default()
    );
    let decided = bob.send(&world.server, "POST", &path, &decision).await?;
    ensure!(decided.0 == 200, "{decided:?}");
    held.release().await?;
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!("approved")),
        "{ended}"
    );
    Ok(())
}
