//! Who says nothing holds nobody up, and what becomes of messages to an agent that is at work.

use anyhow::Result;
use e2e::models::{Piece, Say};
use serde_json::json;
use std::time::Duration;

use crate::jobs::agent_turn::world::{World, begins, body, calls, plain, results, says, speaker};

/// A circle of ada's with `one`, `two` and a moderator, in a mode with rules, and a conversation of it.
async fn circle(world: &World, new: &serde_json::Value) -> Result<String> {
    let persona = world.persona(&plain()).await?;
    let mut new = new.clone();
    new["name"] = json!("table");
    new["members"] = json!([
        {"persona": persona, "name": "one"}, {"persona": persona, "name": "two"},
        {"persona": "moderator", "name": "boss", "role": "moderator"}]);
    world.ask("POST", "/api/circles", &new, 201).await?;
    world.conversation(&json!({"circle": "table"})).await
}

#[tokio::test]
async fn a_round_goes_on_past_who_says_nothing() -> Result<()> {
    let world = World::new(|asked, _| match speaker(asked).as_str() {
        "one" => says("[silent]"),
        name => says(&format!("I am {name}.")),
    })
    .await?;
    let talk = circle(&world, &json!({"mode": "round_robin"})).await?;
    world.say(&talk, "Introduce yourselves.").await?;
    let turns = world.rested(&talk).await?;
    let said: Vec<_> = turns
        .iter()
        .filter_map(|turn| turn["agent"]["name"].as_str())
        .collect();
    assert_eq!(said, ["one", "two", "boss"]);
    assert_eq!(turns[0]["reason"], "silent");
    Ok(())
}

#[tokio::test]
async fn a_moderator_is_asked_again_when_a_speaker_says_nothing() -> Result<()> {
    let world = World::new(
        |asked, number| match (speaker(asked).as_str(), results(asked)) {
            ("boss", 0) if number < 2 => calls(&[("next_speaker", "{\"name\": \"one\"}")]),
            ("boss", 1) => says("[silent]"),
            ("boss", _) => says("That is all."),
            _ => says("[silent]"),
        },
    )
    .await?;
    let talk = circle(&world, &json!({"mode": "moderated"})).await?;
    world.say(&talk, "Discuss.").await?;
    let turns = world.rested(&talk).await?;
    let said: Vec<_> = turns
        .iter()
        .filter_map(|turn| turn["agent"]["name"].as_str())
        .collect();
    assert_eq!(said, ["boss", "one", "boss"], "{turns:#?}");
    assert_eq!(world.messages(&talk).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn who_is_interrupted_begins_anew() -> Result<()> {
    let world = World::new(|_, number| match number {
        0 => begins("Once upon"),
        _ => says("Never mind."),
    })
    .await?;
    let rules = json!({"mode": "round_robin", "rules": {"on_busy": "interrupt"}});
    let persona = world.persona(&plain()).await?;
    let mut new = rules.clone();
    new["name"] = json!("alone");
    new["members"] = json!([{"persona": persona, "name": "one"}]);
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "alone"})).await?;
    let first = world.say(&talk, "Tell a story.").await?;
    world
        .until(&first, |turn| turn["partial"] == "Once upon")
        .await?;
    let second = world.say(&talk, "No, stop.").await?;
    assert_ne!(first, second);
    assert_eq!(world.ended(&first).await?["status"], "cancelled");
    assert_eq!(world.ended(&second).await?["status"], "completed");
    world.models.until_hung_up(1).await?;
    Ok(())
}

#[tokio::test]
async fn who_is_steered_hears_it_before_the_next_step() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => Say::Stream(vec![
            Piece::Pause(Duration::from_millis(1500)),
            Piece::Bytes(match calls(&[("who_am_i", "{}")]) {
                Say::Stream(pieces) => match &pieces[0] {
                    Piece::Bytes(bytes) => bytes.clone(),
                    _ => vec![],
                },
                _ => vec![],
            }),
        ]),
        _ => says("As you wish."),
    })
    .await?;
    let persona = world
        .persona(&json!({"name": "handy", "tools": [{"use": "api:who_am_i"}]}))
        .await?;
    let new = json!({"name": "alone", "mode": "round_robin", "rules": {"on_busy": "steer"},
        "members": [{"persona": persona, "name": "one"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "alone"})).await?;
    let first = world.say(&talk, "Who are you?").await?;
    world.models.until_asked(1).await?;
    let second = world.say(&talk, "In French, please.").await?;
    assert_eq!(first, second, "the same turn answers both");
    assert_eq!(world.ended(&first).await?["status"], "completed");
    let asked = world.models.asked();
    assert!(!body(&asked[0]).to_string().contains("French"));
    assert!(body(&asked[1]).to_string().contains("French"));
    assert_eq!(world.rested(&talk).await?.len(), 1);
    Ok(())
}
