//! What wakes claws: mentions, events and times.

use anyhow::{Context, Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::life::{running, world};
use crate::jobs::agent_turn::world::{World, ask, body, text};

/// The turns of a claw when there are so many, the newest first.
async fn turns(world: &World, claw: &str, count: usize) -> Result<Vec<Value>> {
    let path = format!("/api/turns?agent={claw}");
    let begin = Instant::now();
    loop {
        let page = world.get(&path).await?;
        let turns = page["items"].as_array().context("items")?.clone();
        let is_over = turns.iter().all(|turn| !turn["finished_at"].is_null());
        if turns.len() >= count && is_over {
            return Ok(turns);
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "still {turns:#?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_mention_wakes_it_and_other_talk_does_not() -> Result<()> {
    let world = world().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let channel = world
        .ask("POST", "/api/channels", &json!({"name": "lab"}), 201)
        .await?;
    let path = format!("/api/channels/{}/messages", text(&channel["id"])?);
    let join = format!("/api/channels/{}/join", text(&channel["id"])?);
    ask(&world.server, &bob, "POST", &join, &json!({}), 200).await?;
    let new = json!({"name": "helper", "persona": "plain", "channels": ["lab"], "triggers": [{"on": "mention"}]});
    let claw = text(&running(&world, &new).await?["id"])?;
    let say = async |who: &Agent, body: &str| {
        ask(
            &world.server,
            who,
            "POST",
            &path,
            &json!({"body": body}),
            201,
        )
        .await
    };
    say(&world.ada, "Nobody in particular.").await?;
    // It is its owner's: others wake it when it is everybody's.
    say(&bob, "And you, @helper?").await?;
    say(&world.ada, "And you, @helper?").await?;
    assert_eq!(turns(&world, &claw, 1).await?.len(), 1);
    let change = json!({"public": true});
    world
        .ask("PATCH", "/api/claws/helper", &change, 202)
        .await?;
    say(&bob, "And you, @helper?").await?;
    assert_eq!(turns(&world, &claw, 2).await?.len(), 2);
    // Direct messages are not among its triggers.
    let message = json!({"body": "Are you there?"});
    let path = "/api/claws/helper/messages";
    let posted = world.ask("POST", path, &message, 201).await?;
    assert_eq!(posted["turns"], json!([]));
    Ok(())
}

#[tokio::test]
async fn an_event_wakes_it_once_and_its_own_do_not() -> Result<()> {
    let world = world().await?;
    let channel = world
        .ask("POST", "/api/channels", &json!({"name": "lab"}), 201)
        .await?;
    let id = text(&channel["id"])?;
    let trigger = json!({"on": "event", "topic": format!("channel:{id}"), "type": "message.created",
        "prompt": "Say what is new."});
    let mut new = json!({"name": "helper", "persona": "plain", "channels": ["lab"]});
    let foreign = json!({"on": "event", "topic": format!("account:{}", world.ada.id)});
    new["triggers"] = json!([trigger, foreign]);
    let refused = world.ask("POST", "/api/claws", &new, 422).await?;
    assert_eq!(refused["errors"][0]["field"], "triggers", "{refused:#}");
    new["triggers"] = json!([trigger]);
    let claw = text(&running(&world, &new).await?["id"])?;
    let path = format!("/api/channels/{id}/messages");
    let message = json!({"body": "The kettle is hot."});
    world.ask("POST", &path, &message, 201).await?;
    let woken = turns(&world, &claw, 1).await?;
    assert_eq!(woken[0]["status"], "completed", "{woken:#?}");
    assert_eq!(woken[0]["tainted"], true, "nobody vouches for an event");
    let asked = body(&world.models.asked()[0]);
    let told = asked["messages"][1]["content"].as_str().unwrap_or_default();
    ensure!(
        told.starts_with("Say what is new.") && told.contains("The kettle is hot."),
        "{asked:#}"
    );
    // It answers its owner, in their direct channel.
    let dm = world
        .ask("POST", "/api/dms", &json!({"to": ["helper"]}), 200)
        .await?;
    let said = format!("/api/channels/{}/messages", text(&dm["id"])?);
    let said = world.get(&said).await?;
    assert_eq!(said["items"][0]["body"], "Hello.", "{said:#}");
    Ok(())
}

#[tokio::test]
async fn a_time_is_a_schedule_of_its_owner() -> Result<()> {
    let world = world().await?;
    let mut new = json!({"name": "helper", "persona": "plain"});
    for (trigger, field) in [
        (
            json!({"on": "schedule", "cron": "never"}),
            "triggers[0].cron",
        ),
        (json!({"on": "schedule"}), "triggers"),
        (json!({"on": "direct", "cron": "0 9 * * *"}), "triggers"),
        (json!({"on": "event"}), "triggers"),
    ] {
        new["triggers"] = json!([trigger]);
        let refused = world.ask("POST", "/api/claws", &new, 422).await?;
        assert_eq!(refused["errors"][0]["field"], field, "{refused:#}");
    }
    new["triggers"] = json!([{"on": "schedule", "cron": "0 9 * * *", "prompt": "Good morning."}]);
    let claw = text(&running(&world, &new).await?["id"])?;
    let schedules = world.get("/api/schedules").await?;
    let schedule = &schedules["items"][0];
    assert_eq!(schedule["name"], "Claw helper", "{schedules:#}");
    let fire = format!("/api/schedules/{}/run", text(&schedule["id"])?);
    let fired = world.ask("POST", &fire, &json!({}), 202).await?;
    ensure!(fired["id"].is_string(), "{fired:#}");
    let woken = turns(&world, &claw, 1).await?;
    assert_eq!(woken[0]["status"], "completed", "{woken:#?}");
    let change = json!({"triggers": [{"on": "direct"}]});
    world
        .ask("PATCH", "/api/claws/helper", &change, 202)
        .await?;
    let schedules = world.get("/api/schedules").await?;
    assert_eq!(schedules["items"], json!([]));
    Ok(())
}
