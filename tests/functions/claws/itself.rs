//! What a claw wants of itself, and who decides about what it wants.

use anyhow::{Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::life::{running, say, until};
use crate::jobs::agent_turn::world::{World, ask, body, calls, results, says, text, with};

/// The last thing that somebody has written, as a model is told it.
fn last(asked: &e2e::models::Asked) -> String {
    let body = body(asked);
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let users = messages.iter().rev().find(|one| one["role"] == "user");
    users.map_or_else(String::new, |one| one["content"].to_string())
}

#[tokio::test]
async fn a_claw_restarts_and_stops_itself() -> Result<()> {
    let world = World::new(|asked, _| match (results(asked), last(asked)) {
        (0, said) if said.contains("Restart") => {
            calls(&[("restart_claw", r#"{"claw": "helper"}"#)])
        }
        (0, said) if said.contains("another") => calls(&[("stop_claw", r#"{"claw": "other"}"#)]),
        (0, said) if said.contains("Stop") => calls(&[("stop_claw", r#"{"claw": "helper"}"#)]),
        _ => says("Hello."),
    })
    .await?;
    let mut persona = with(&["api:restart_claw", "api:stop_claw"], &json!({}));
    persona["tools"][0]["approval"] = json!("never");
    persona["tools"][1]["approval"] = json!("never");
    world.persona(&persona).await?;
    for name in ["helper", "other"] {
        running(&world, &json!({"name": name, "persona": "handy"})).await?;
    }
    let told = |posted: &Value| text(&posted["turns"][0]["id"]);
    let turn = told(&say(&world, "helper", "Restart yourself.").await?)?;
    world.ended(&turn).await?;
    let steps = world.steps(&turn).await?;
    ensure!(steps.len() >= 2, "{steps:#?}");
    assert!(
        steps.iter().all(|step| step["status"] != "started"),
        "{steps:#?}"
    );
    until(&world, "helper", "running").await?;
    let history = world.get("/api/claws/helper/history").await?;
    assert!(
        history.to_string().contains("restart by itself"),
        "{history:#}"
    );
    // It lives on, and decides about itself alone.
    let turn = told(&say(&world, "helper", "Are you there?").await?)?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let turn = told(&say(&world, "helper", "Take another one down.").await?)?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let steps = world.steps(&turn).await?;
    assert_eq!(steps[1]["status"], "failed", "{steps:#?}");
    assert_eq!(world.get("/api/claws/other").await?["status"], "running");
    let turn = told(&say(&world, "helper", "Stop.").await?)?;
    world.ended(&turn).await?;
    until(&world, "helper", "stopped").await?;
    Ok(())
}

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
