//! Proposals of circles, and the votes that decide them.

use anyhow::Result;
use e2e::agents::Agent;
use serde_json::json;

use crate::jobs::agent_turn::world::{World, ask, says, text};

#[tokio::test]
async fn what_enough_members_are_for_becomes_memory() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let carol = Agent::sign_in(&world.server, "carol", 3).await?;
    let new = json!({"name": "council", "rules": {"quorum": 2}, "members": [
        {"account": "bob"}, {"account": "carol", "role": "observer"}]});
    let circle = world.ask("POST", "/api/circles", &new, 201).await?;
    let path = "/api/circles/council/proposals";
    let canon = json!({"kind": "canon", "text": "The moon is made of glass."});
    let made = world.ask("POST", path, &canon, 201).await?;
    assert_eq!(
        (&made["status"], &made["quorum"]),
        (&json!("open"), &json!(2)),
        "{made:#}"
    );
    let vote = format!("{path}/{}/vote", text(&made["id"])?);
    let yes = json!({"value": 1});
    let open = world
        .ask("PUT", &vote, &json!({"value": -1, "reason": "Is it?"}), 200)
        .await?;
    assert_eq!(
        (&open["status"], &open["votes"][0]["reason"]),
        (&json!("open"), &json!("Is it?"))
    );
    world.ask("PUT", &vote, &yes, 200).await?;
    assert_eq!(
        ask(&world.server, &carol, "PUT", &vote, &yes, 403).await?["code"],
        "not-a-member"
    );
    let decided = ask(&world.server, &bob, "PUT", &vote, &yes, 200).await?;
    assert_eq!(decided["status"], "accepted", "{decided:#}");
    let memory = world
        .get(&format!("/api/memory/{}", text(&decided["memory"])?))
        .await?;
    assert_eq!(
        (&memory["content"], &memory["scope_id"]),
        (&canon["text"], &circle["id"]),
        "{memory:#}"
    );
    let late = world.ask("PUT", &vote, &json!({"value": -1}), 409).await?;
    assert_eq!(late["code"], "proposal-decided");
    // As many for it as against it: rejected.
    let plan = world
        .ask(
            "POST",
            path,
            &json!({"kind": "plan", "text": "Break it."}),
            201,
        )
        .await?;
    let vote = format!("{path}/{}/vote", text(&plan["id"])?);
    world.ask("PUT", &vote, &yes, 200).await?;
    let decided = ask(
        &world.server,
        &bob,
        "PUT",
        &vote,
        &json!({"value": -1}),
        200,
    )
    .await?;
    assert_eq!(
        (&decided["status"], decided["memory"].is_null()),
        (&json!("rejected"), true)
    );
    let listed = world.get(path).await?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    world.ask("PUT", &vote, &json!({"value": 2}), 422).await?;
    Ok(())
}
