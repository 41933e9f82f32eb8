//! Who decides about what a claw wants to do.

use anyhow::{Result, ensure};
use e2e::agents::Agent;
use serde_json::json;
use std::time::{Duration, Instant};

use super::life::{running, say};
use crate::jobs::agent_turn::world::{World, ask, calls, results, says, text, with};

#[tokio::test]
async fn who_is_not_asked_does_not_decide() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "create_post",
            r#"{"title": "News", "body": "Is there any?"}"#,
        )]),
        _ => says("Done."),
    })
    .await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let crew = world
        .ask("POST", "/api/teams", &json!({"name": "crew"}), 201)
        .await?;
    let member = format!("/api/teams/{}/members/{}", text(&crew["id"])?, bob.id);
    world
        .ask("PUT", &member, &json!({"role": "member"}), 204)
        .await?;
    let mut persona = with(&["api:create_post"], &json!({}));
    persona["tools"][0]["approval"] = json!("always");
    world.persona(&persona).await?;
    running(
        &world,
        &json!({"name": "helper", "persona": "handy", "approvers": ["bob"]}),
    )
    .await?;
    let posted = say(&world, "helper", "Any news?").await?;
    let turn = text(&posted["turns"][0]["id"])?;
    world
        .until(&turn, |turn| turn["waiting_for"] == "approval")
        .await?;
    let begin = Instant::now();
    let approval = loop {
        let (_, asked) = bob
            .get(&world.server, "/api/approvals?state=pending")
            .await?;
        if let Some(one) = asked["items"].get(0) {
            break one.clone();
        }
        ensure!(begin.elapsed().as_secs() < 60, "nobody is asked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let path = format!("/api/approvals/{}/decision", text(&approval["id"])?);
    let decision = json!({"decision": "approve", "digest": approval["digest"]});
    let refused = world.ask("POST", &path, &decision, 403).await?;
    assert_eq!(refused["code"], "approver-required");
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    ask(&world.server, &eve, "POST", &path, &decision, 404).await?;
    ask(&world.server, &bob, "POST", &path, &decision, 200).await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    Ok(())
}
