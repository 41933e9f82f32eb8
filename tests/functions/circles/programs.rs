//! Agents with programs of their own, and people: they have their turns in rounds, and moderate.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::people::Person;
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{World, ask, plain, says, speaker, text};

/// A circle of ada's with these rules and members, and a conversation of it.
async fn circle(world: &World, mode: &str, members: Value) -> Result<String> {
    let new =
        json!({"name": "table", "mode": mode, "members": members, "rules": {"turn_ms": 60_000}});
    world.ask("POST", "/api/circles", &new, 201).await?;
    world.conversation(&json!({"circle": "table"})).await
}

/// The turn of an agent with a program of its own that waits for it in a conversation.
async fn waiting(world: &World, who: &Agent) -> Result<String> {
    let begin = std::time::Instant::now();
    loop {
        let (_, listed) = who
            .get(&world.server, "/api/turns?agent=me&status=waiting")
            .await?;
        if let Some(turn) = listed["items"].get(0) {
            return text(&turn["id"]);
        }
        anyhow::ensure!(begin.elapsed().as_secs() < 60, "nobody waits: {listed:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Has a speaker say something in the turn that waits for it.
async fn speaks(world: &World, who: &Agent, said: Value) -> Result<Value> {
    let path = format!("/api/turns/{}/complete", waiting(world, who).await?);
    ask(&world.server, who, "POST", &path, &said, 200).await
}

/// The authors of the messages of a conversation.
async fn authors(world: &World, talk: &str) -> Result<Vec<String>> {
    let messages = world.messages(talk).await?.into_iter();
    Ok(messages.map(|(who, _)| who).collect())
}

#[tokio::test]
async fn programs_speak_in_rounds_like_everybody() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let persona = world.persona(&plain()).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    Agent::sign_in(&world.server, "eve", 3).await?;
    let members = json!([{"persona": persona, "name": "one"}, {"account": "bob"},
        {"account": "eve", "role": "observer"}, {"persona": persona, "name": "two"}]);
    let talk = circle(&world, "round_robin", members).await?;
    world.say(&talk, "Introduce yourselves.").await?;
    speaks(&world, &bob, json!({"body": "Bob here."})).await?;
    world.rested(&talk).await?;
    assert_eq!(authors(&world, &talk).await?, ["ada", "one", "bob", "two"]);
    // Whoever begins is not asked; whoever passes holds nobody up.
    let path = format!("/api/conversations/{talk}/messages");
    ask(
        &world.server,
        &bob,
        "POST",
        &path,
        &json!({"body": "Again."}),
        201,
    )
    .await?;
    let turns = world.rested(&talk).await?;
    assert_eq!(turns.len(), 5, "{turns:#?}");
    // It follows what it does, and nobody else's.
    for (topic, status) in [(&bob, 200), (&world.ada, 404)] {
        let path = format!("/api/events/access?topic=agent:{}", bob.id);
        assert_eq!(topic.get(&world.server, &path).await?.0, status);
    }
    // Side by side, too.
    world
        .ask(
            "PATCH",
            "/api/circles/table",
            &json!({"mode": "parallel"}),
            200,
        )
        .await?;
    let posted = world.post(&talk, &json!({"body": "All of you."})).await?;
    let asked = posted["turns"].as_array().context("turns")?.iter();
    let asked: Vec<&Value> = asked.map(|turn| &turn["agent"]["name"]).collect();
    assert_eq!(asked, ["one", "bob", "two"], "{posted:#}");
    let passed = speaks(&world, &bob, json!({"pass": true})).await?;
    assert_eq!(passed["reason"], "silent");
    Ok(())
}

#[tokio::test]
async fn a_program_moderates_by_naming_the_next() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let persona = world.persona(&plain()).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let members = json!([{"persona": persona, "name": "one"}, {"persona": persona, "name": "two"},
        {"account": "bob", "role": "moderator"}]);
    let talk = circle(&world, "moderated", members).await?;
    world.say(&talk, "Discuss.").await?;
    let turn = format!("/api/turns/{}/complete", waiting(&world, &bob).await?);
    for nobody in ["bob", "nobody"] {
        let named = json!({"pass": true, "next": nobody});
        let refused = ask(&world.server, &bob, "POST", &turn, &named, 422).await?;
        assert_eq!(refused["errors"][0]["field"], "next", "{refused:#}");
    }
    speaks(&world, &bob, json!({"pass": true, "next": "two"})).await?;
    speaks(&world, &bob, json!({"body": "That is all."})).await?;
    world.rested(&talk).await?;
    assert_eq!(authors(&world, &talk).await?, ["ada", "two", "bob"]);
    // It is the only one, so it stays; and nobody else names speakers.
    let gone = world
        .ask("DELETE", "/api/circles/table/members/bob", &json!({}), 422)
        .await?;
    assert_eq!(gone["code"], "mode-needs-moderator");
    world
        .ask(
            "PATCH",
            "/api/circles/table",
            &json!({"mode": "mention"}),
            200,
        )
        .await?;
    world.say(&talk, "@bob?").await?;
    let turn = format!("/api/turns/{}/complete", waiting(&world, &bob).await?);
    let named = json!({"pass": true, "next": "one"});
    ask(&world.server, &bob, "POST", &turn, &named, 422).await?;
    // Where speakers hand over, it does.
    world
        .ask(
            "PATCH",
            "/api/circles/table",
            &json!({"mode": "handoff"}),
            200,
        )
        .await?;
    speaks(&world, &bob, json!({"body": "You, please.", "next": "one"})).await?;
    world.rested(&talk).await?;
    let said = authors(&world, &talk).await?;
    assert_eq!(said[3..], ["ada", "bob", "one"], "{said:?}");
    Ok(())
}

#[tokio::test]
async fn a_person_moderates_by_saying_whose_turn_it_is() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let persona = world.persona(&plain()).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let members = json!([{"persona": persona, "name": "one"}, {"persona": persona, "name": "two"},
        {"account": grace.id, "role": "moderator"}]);
    let talk = circle(&world, "moderated", members).await?;
    let posted = world
        .post(&talk, &json!({"body": "@one, what do you think?"}))
        .await?;
    assert_eq!(posted["turns"], json!([]), "she has not picked anybody");
    let path = format!("/api/conversations/{talk}");
    let (status, begun) = grace
        .send(
            &world.server,
            "POST",
            &format!("{path}/next"),
            &json!({"speaker": "two"}),
        )
        .await?;
    assert_eq!(status, 202, "{begun:#}");
    world.rested(&talk).await?;
    let (status, posted) = grace
        .send(
            &world.server,
            "POST",
            &format!("{path}/messages"),
            &json!({"body": "And @one?"}),
        )
        .await?;
    assert_eq!(
        (status, &posted["turns"][0]["agent"]["name"]),
        (201, &json!("one")),
        "{posted:#}"
    );
    world.rested(&talk).await?;
    assert_eq!(
        authors(&world, &talk).await?,
        ["ada", "two", "grace", "one"]
    );
    Ok(())
}
