//! What is told while an agent speaks: pieces of its words, which are not kept.

use anyhow::{Context, Result};
use e2e::sockets::Client;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

use crate::jobs::agent_turn::world::{World, begins, plain, says};

/// The pieces of what an agent says, put together.
async fn heard(client: &mut Client, expected: &str) -> Result<()> {
    let mut text = String::new();
    while text != expected {
        let frame = client.frame().await?;
        if frame["type"] != "turn.delta" {
            continue;
        }
        let data = &frame["data"];
        let offset = usize::try_from(data["offset"].as_u64().context("offset")?)?;
        assert_eq!(offset, text.chars().count(), "{frame:#}");
        text.push_str(data["text"].as_str().context("text")?);
        assert!(expected.starts_with(&text), "{text}");
    }
    Ok(())
}

/// Follows a conversation at a gateway that listens to what is kept nowhere: one that has just begun may not yet.
async fn follow(world: &World, talk: &str) -> Result<Client> {
    let mut client = Client::signed_in(&world.server.url, &world.ada).await?;
    let mut writer = Client::signed_in(&world.server.url, &world.ada).await?;
    let channel = format!("channel:{talk}");
    writer.subscribe(&channel, None).await?;
    client.subscribe(&channel, None).await?;
    loop {
        writer
            .send(&json!({"type": "typing", "channel": talk}))
            .await?;
        if let Ok(frame) = timeout(Duration::from_secs(3), client.frame()).await
            && frame?["type"] == "typing"
        {
            break;
        }
    }
    client
        .send(&json!({"type": "unsubscribe", "topics": [channel]}))
        .await?;
    client
        .subscribe(&format!("conversation:{talk}"), None)
        .await?;
    Ok(client)
}

#[tokio::test]
async fn words_are_passed_on_while_they_are_said() -> Result<()> {
    let world = World::new(|_, _| begins("Once upon a time 日本")).await?;
    let talk = world.talk(&plain()).await?;
    let mut client = follow(&world, &talk).await?;
    let turn = world.say(&talk, "Tell me a story.").await?;
    heard(&mut client, "Once upon a time 日本").await?;
    let kept = world
        .until(&turn, |turn| turn["partial"] == "Once upon a time 日本")
        .await?;
    assert_eq!(kept["status"], "running");
    // The others of the conversation's events are kept, and this one is not.
    let events = world
        .get(&format!("/api/events?topic=conversation:{talk}&limit=100"))
        .await?;
    let kinds: Vec<_> = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["type"].as_str())
        .collect();
    assert!(
        kinds.contains(&"turn.started") && !kinds.contains(&"turn.delta"),
        "{kinds:?}"
    );
    world
        .ask(
            "POST",
            &format!("/api/turns/{turn}/cancel"),
            &json!({}),
            200,
        )
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_words_of_a_whisper_are_not_told_to_the_conversation() -> Result<()> {
    let world = World::new(|_, _| says("A secret.")).await?;
    let talk = world.talk(&plain()).await?;
    let mut client = follow(&world, &talk).await?;
    let posted = world
        .post(&talk, &json!({"body": "Psst.", "visible_to": ["bot"]}))
        .await?;
    assert_eq!(posted["turns"][0]["agent"]["name"], "bot", "{posted:#}");
    // She may read the whisper's events, and its words come with the message alone.
    loop {
        let frame = client.frame().await?;
        assert_ne!(frame["type"], "turn.delta", "{frame:#}");
        if frame["type"] == "turn.completed" {
            break;
        }
    }
    Ok(())
}
