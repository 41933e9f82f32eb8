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
    // Whoever decides needs no right to note things elsewhere.
    let narrow = bob
        .with_scope(&world.server.database, "chat:create")
        .await?;
    let decided = ask(&world.server, &narrow, "PUT", &vote, &yes, 200).await?;
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
    let found = world
        .get("/api/memory/search?query=glass&mode=text")
        .await?;
    assert_eq!(found["items"][0]["id"], decided["memory"], "{found:#}");
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
    who_left_does_not_vote(&world, &bob).await?;
    what_holds_a_key_is_not_noted(&world).await?;
    world.ask("PUT", &vote, &json!({"value": 2}), 422).await?;
    Ok(())
}

/// A memory is shown to models, so what looks like a credential is decided and not noted.
async fn what_holds_a_key_is_not_noted(world: &World) -> Result<()> {
    let path = "/api/circles/council/proposals";
    let text_of = format!("The key is sk-{}.", "a1".repeat(20));
    let leak = json!({"kind": "answer", "text": text_of});
    let made = world.ask("POST", path, &leak, 201).await?;
    let vote = format!("{path}/{}/vote", text(&made["id"])?);
    let decided = world.ask("PUT", &vote, &json!({"value": 1}), 200).await?;
    assert_eq!(
        (&decided["status"], decided["memory"].is_null()),
        (&json!("accepted"), true)
    );
    Ok(())
}

/// The votes of who leaves, or only observes from then on, are gone with its right to vote.
async fn who_left_does_not_vote(world: &World, bob: &Agent) -> Result<()> {
    let path = "/api/circles/council/proposals";
    let wild = json!({"kind": "canon", "text": "Bob is king."});
    let made = ask(&world.server, bob, "POST", path, &wild, 201).await?;
    let vote = format!("{path}/{}/vote", text(&made["id"])?);
    ask(&world.server, bob, "PUT", &vote, &json!({"value": 1}), 200).await?;
    let of_bob = "/api/circles/council/members/bob";
    let votes = |list: serde_json::Value| list["items"][0]["votes"].as_array().map(Vec::len);
    let observer = json!({"role": "observer"});
    world.ask("PUT", of_bob, &observer, 200).await?;
    assert_eq!(votes(world.get(path).await?), Some(0));
    world
        .ask("PUT", of_bob, &json!({"role": "member"}), 200)
        .await?;
    ask(&world.server, bob, "PUT", &vote, &json!({"value": 1}), 200).await?;
    let leave = "/api/circles/council/leave";
    ask(&world.server, bob, "POST", leave, &json!({}), 204).await?;
    let decided = world.ask("PUT", &vote, &json!({"value": 0}), 200).await?;
    assert_eq!(
        (&decided["status"], votes(world.get(path).await?)),
        (&json!("rejected"), Some(1))
    );
    // What was decided before stays as it was voted.
    let listed = world.get(path).await?;
    assert_eq!(
        listed["items"][2]["votes"].as_array().map(Vec::len),
        Some(2)
    );
    Ok(())
}
