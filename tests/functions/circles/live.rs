//! What is told while an agent speaks: pieces of its words, which are not kept.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::sockets::Client;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

use crate::jobs::agent_turn::world::{World, begins, plain, says, text};

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
async fn sockets_of_circles_agents_and_conversations_are_subscribed_from_the_start() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let talk = world.talk(&plain()).await?;
    world
        .ask(
            "PATCH",
            "/api/circles/circle",
            &json!({"private": true}),
            200,
        )
        .await?;
    let circle = world.get("/api/circles/circle").await?["id"].clone();
    let members = world.get("/api/circles/circle/members").await?;
    let members = members["items"].as_array().context("items")?;
    let bot = members
        .iter()
        .find(|one| one["account"]["name"] == "bot")
        .context("bot")?["account"]["id"]
        .clone();
    let (circle, bot) = (text(&circle)?, text(&bot)?);
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    for (path, topic) in [
        ("/ws/circles/circle".to_owned(), format!("circle:{circle}")),
        (format!("/ws/circles/{circle}"), format!("circle:{circle}")),
        (format!("/ws/agents/{bot}"), format!("agent:{bot}")),
        (
            format!("/ws/conversations/{talk}"),
            format!("conversation:{talk}"),
        ),
    ] {
        for (who, is_allowed) in [(&world.ada, true), (&bob, false)] {
            let bearer = format!("Bearer {}", who.token);
            let header = [("authorization", bearer.as_str())];
            let mut client = Client::connect(&world.server.url, &path, &header).await?;
            assert_eq!(client.frame().await?["type"], "authenticated");
            let frame = client.frame().await?;
            if is_allowed {
                assert_eq!(
                    (&frame["type"], &frame["topic"]),
                    (&json!("subscribed"), &json!(topic)),
                    "{path}"
                );
            } else {
                assert_eq!(frame["type"], "denied", "{path}: {frame:#}");
                assert!(!path.ends_with("/circle") || !frame.to_string().contains(&circle));
            }
        }
    }
    Ok(())
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
