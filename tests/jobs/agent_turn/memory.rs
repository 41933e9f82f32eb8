//! What agents remember: by a tool, and when a turn begins.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::models::{Asked, Say};
use serde_json::{Value, json};

use super::world::{World, ask, body, calls, results, says, speaker, text};

/// A persona that notes what it is told to, and recalls it.
fn mindful() -> Value {
    json!({"name": "mindful", "tools": [{"use": "memory"}], "memory": {"recall_tokens": 1000}})
}

#[tokio::test]
async fn what_was_noted_is_known_in_another_conversation() -> Result<()> {
    let world = World::new(|asked, number| match (results(asked), number) {
        (0, 0) => calls(&[("remember", "{\"content\": \"Ada prefers green tea.\"}")]),
        _ => says("Noted."),
    })
    .await?;
    let talk = world.talk(&mindful()).await?;
    let turn = world.say(&talk, "I prefer green tea. Remember it.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(world.steps(&turn).await?[1]["status"], "succeeded");
    let other = world.conversation(&json!({"circle": "circle"})).await?;
    let turn = world.say(&other, "Which tea does Ada prefer?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["tainted"]),
        (&json!("completed"), &json!(false)),
        "{ended:#}"
    );
    let asked = world.models.asked();
    let told = body(&asked[asked.len() - 1]);
    let system = told["messages"][0]["content"].as_str().unwrap_or_default();
    assert!(system.contains("Ada prefers green tea."), "{system}");
    // Who recalls nothing is told nothing.
    assert!(!body(&asked[0]).to_string().contains("What you remember"));
    Ok(())
}

#[tokio::test]
async fn an_agent_looks_up_what_it_noted() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "remember",
            "{\"content\": \"The door code is on the fridge.\"}",
        )]),
        1 => calls(&[("look_up", "{\"query\": \"door code\"}")]),
        _ => says("On the fridge."),
    })
    .await?;
    let talk = world
        .talk(&json!({"name": "forgetful", "tools": [{"use": "memory"}]}))
        .await?;
    let turn = world.say(&talk, "Where is the door code?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    let found = steps[3]["result"].as_str().unwrap_or_default();
    assert!(found.contains("on the fridge"), "{steps:#?}");
    assert_eq!(ended["tainted"], false, "it is the owner's own word");
    Ok(())
}

/// What an agent notes that hides something.
const HIDDEN: &str = "The door code is canary-9d1f.";

/// Does what the last message wants: `note: …`, `hide: …`, `share: …`, `pass: …` to the agent `clerk`, or `find: …`.
fn obeys(asked: &Asked, _: usize) -> Say {
    let body = body(asked);
    let messages = body["messages"].as_array().into_iter().flatten();
    let last = messages.rev().find(|message| message["role"] == "user");
    let last = last.and_then(|message| message["content"].as_str());
    let last = last.unwrap_or_default();
    let wanted = ["note", "hide", "share", "pass", "find"]
        .into_iter()
        .find_map(|verb| {
            let (_, rest) = last.split_once(&format!("{verb}: "))?;
            Some((verb, rest))
        });
    let (tool, arguments) = match (results(asked), wanted) {
        (0, Some(("note", what))) => ("remember", json!({"content": what})),
        (0, Some(("hide", _))) => ("remember", json!({"content": HIDDEN})),
        (0, Some(("share", what))) => ("remember", json!({"content": what, "shared": true})),
        (0, Some(("pass", what))) => ("ask_clerk", json!({"message": what})),
        (0, Some((_, what))) => ("look_up", json!({"query": what})),
        _ => return says("It is done."),
    };
    calls(&[(tool, &arguments.to_string())])
}

/// Says something to `bot` over A2A, in a conversation or in a new one. Returns the conversation.
async fn over_a2a(
    world: &World,
    who: &Agent,
    conversation: Option<&Value>,
    text: &str,
) -> Result<Value> {
    let number = world.models.asked().len();
    let mut message =
        json!({"messageId": format!("m{number}"), "role": "ROLE_USER", "parts": [{"text": text}]});
    if let Some(conversation) = conversation {
        message["contextId"] = conversation.clone();
    }
    let asked =
        json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message}});
    let answer = who.request(&world.server, "POST", "/a2a/agents/bot");
    let answer = answer
        .header("a2a-version", "1.0")
        .json(&asked)
        .send()
        .await?;
    let answer: Value = answer.json().await?;
    let task = &answer["result"]["task"];
    assert_eq!(
        task["status"]["state"], "TASK_STATE_COMPLETED",
        "{answer:#}"
    );
    Ok(task["contextId"].clone())
}

/// Says something as ada, and returns the turn when it is complete.
async fn said(world: &World, talk: &str, text: &str) -> Result<String> {
    let turn = world.say(talk, text).await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    Ok(turn)
}

/// The codes that an agent was last told, of those that were noted.
fn codes(world: &World, agent: &str) -> Result<Vec<&'static str>> {
    let asked = world.models.asked();
    let last = asked.iter().rev().find(|asked| speaker(asked) == agent);
    let told = body(last.context("a prompt")?).to_string();
    let codes = ["of-ada", "of-clerk", "of-circle", "of-talk", "of-eve"];
    Ok(codes
        .into_iter()
        .filter(|code| told.contains(code))
        .collect())
}

#[tokio::test]
async fn what_one_tells_an_agent_no_other_is_told() -> Result<()> {
    let world = World::new(obeys).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    world
        .circle(&json!({"name": "office"}), &mindful(), &["clerk"])
        .await?;
    let mut persona = mindful();
    persona["name"] = json!("public");
    persona["tools"] = json!([{"use": "memory"}, {"use": "agent:clerk"}]);
    let persona = world.persona(&persona).await?;
    let new = json!({"name": "home", "mode": "mention", "private": true, "members": [
        {"persona": persona, "name": "bot", "public": true}, {"account": "bob"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let home = world.conversation(&json!({"circle": "home"})).await?;
    let alone = world.conversation(&json!({"with": ["bot"]})).await?;
    let clerk = world.conversation(&json!({"with": ["clerk"]})).await?;
    let note = |whose: &str| format!("The door code is of-{whose}.");

    said(&world, &alone, &format!("note: {}", note("ada"))).await?;
    said(&world, &clerk, &format!("note: {}", note("clerk"))).await?;
    said(&world, &home, &format!("@bot share: {}", note("circle"))).await?;
    said(&world, &home, &format!("@bot note: {}", note("talk"))).await?;
    let of_eve = over_a2a(&world, &eve, None, &format!("note: {}", note("eve"))).await?;
    // Nothing that was whispered is noted where others would read it.
    let path = format!("/api/conversations/{home}/messages");
    let whisper = json!({"body": format!("note: {}", note("bob")), "visible_to": ["bot"]});
    let posted = ask(&world.server, &bob, "POST", &path, &whisper, 201).await?;
    let whispered = text(&posted["turns"][0]["id"])?;
    let path = format!("/api/turns/{whispered}");
    while bob.get(&world.server, &path).await?.1["finished_at"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let noted = world
        .get("/api/memory/search?query=door+code&limit=100")
        .await?;
    assert!(!noted.to_string().contains("of-bob"), "{noted:#}");

    // Each is told what all who read the answer may know.
    let find = "find: the door code";
    said(&world, &alone, find).await?;
    assert_eq!(codes(&world, "bot")?, ["of-ada"]);
    let fresh = world.conversation(&json!({"circle": "home"})).await?;
    said(&world, &fresh, &format!("@bot {find}")).await?;
    assert_eq!(codes(&world, "bot")?, ["of-circle"]);
    said(&world, &home, &format!("@bot {find}")).await?;
    assert_eq!(codes(&world, "bot")?, ["of-circle", "of-talk"]);
    over_a2a(&world, &eve, Some(&of_eve), find).await?;
    assert_eq!(codes(&world, "bot")?, ["of-eve"]);
    over_a2a(&world, &bob, None, find).await?;
    assert_eq!(codes(&world, "bot")?, [""; 0]);
    // Nor does another agent of the owner's tell it.
    let pass = "pass: Which is the door code?";
    over_a2a(&world, &bob, None, pass).await?;
    assert_eq!(codes(&world, "clerk")?, [""; 0]);
    said(&world, &alone, pass).await?;
    assert_eq!(codes(&world, "clerk")?, ["of-clerk"]);
    Ok(())
}

#[tokio::test]
async fn what_an_agent_hides_from_those_who_hear_it_stays_hidden() -> Result<()> {
    let world = World::new(obeys).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let persona = world.persona(&mindful()).await?;
    let members = json!([{"persona": persona, "name": "bot"}, {"persona": persona, "name": "clerk"}, {"account": "bob"}]);
    let new = json!({"name": "game", "mode": "mention", "private": true, "members": members});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "game"})).await?;
    let turn = said(&world, &talk, "@bot hide: the door code").await?;
    let noted = &world.steps(&turn).await?[1];
    assert_eq!(noted["status"], "succeeded", "{noted:#}");

    // Bob has heard nothing, whatever he asks.
    let found = world.get("/api/memory/search?query=door+code").await?;
    let note = &found["items"][0];
    assert_eq!(note["scope"], "notes", "its owner reads it: {found:#}");
    let (id, place) = (text(&note["id"])?, text(&note["scope_id"])?);
    for path in [
        "/api/memory/search?query=door+code".to_owned(),
        "/api/memory".to_owned(),
        format!("/api/memory?scope=notes&scope_id={place}"),
        format!("/api/memory?scope=conversation&scope_id={talk}"),
        "/api/search?query=canary".to_owned(),
        "/api/events?topic=account:me".to_owned(),
        format!("/api/events?topic=conversation:{talk}"),
        "/api/accounts/me/export".to_owned(),
    ] {
        let answer = bob.request(&world.server, "GET", &path).send().await?;
        assert_eq!(answer.status(), 200, "{path}");
        let said = answer.text().await?;
        assert!(!said.contains("canary-"), "{path}: {said}");
    }
    for path in [
        format!("/api/memory/{id}"),
        format!("/api/events?topic=notes:{place}"),
    ] {
        let (status, answer) = bob.get(&world.server, &path).await?;
        assert_eq!(status, 404, "{path}: {answer:#}");
    }
    let events = world
        .get(&format!("/api/events?topic=notes:{place}"))
        .await?;
    assert_eq!(events["items"][0]["type"], "memory.created", "{events:#}");

    // The agent is told of it here, and neither another one nor itself elsewhere.
    let known = |agent: &str| -> Result<bool> {
        let asked = world.models.asked();
        let last = asked.iter().rev().find(|asked| speaker(asked) == agent);
        let told = body(last.context("a prompt")?).to_string();
        Ok(told.contains(HIDDEN))
    };
    let find = "find: the door code";
    said(&world, &talk, &format!("@bot {find}")).await?;
    assert!(known("bot")?);
    said(&world, &talk, &format!("@clerk {find}")).await?;
    assert!(!known("clerk")?);
    let other = world.conversation(&json!({"circle": "game"})).await?;
    said(&world, &other, &format!("@bot {find}")).await?;
    assert!(!known("bot")?);
    let alone = world.conversation(&json!({"with": ["bot"]})).await?;
    said(&world, &alone, find).await?;
    assert!(!known("bot")?, "it is of that conversation");
    Ok(())
}
