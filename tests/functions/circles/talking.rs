//! Who speaks when: the modes of circles, whispers, hops, and speakers with programs of their own.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::people::{PASSWORD, Person};
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{
    World, ask, body, calls, plain, results, says, speaker, text,
};

/// A circle of ada's with two agents, `one` and `two`, in a mode, and a conversation of it.
async fn pair(world: &World, mode: &str, rules: &Value) -> Result<(String, String)> {
    let circle = world
        .circle(
            &json!({"name": "pair", "rules": rules}),
            &plain(),
            &["one", "two"],
        )
        .await?;
    world
        .ask(
            "PATCH",
            &format!("/api/circles/{circle}"),
            &json!({"mode": mode}),
            200,
        )
        .await?;
    let talk = world.conversation(&json!({"circle": circle})).await?;
    Ok((circle, talk))
}

/// The authors of the messages of a conversation.
async fn authors(world: &World, talk: &str) -> Result<Vec<String>> {
    Ok(world
        .messages(talk)
        .await?
        .into_iter()
        .map(|(who, _)| who)
        .collect())
}

#[tokio::test]
async fn whoever_is_addressed_answers() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let (_, talk) = pair(&world, "mention", &json!({})).await?;
    let posted = world
        .post(&talk, &json!({"body": "Nobody in particular."}))
        .await?;
    assert_eq!(posted["turns"], json!([]));
    let posted = world
        .post(&talk, &json!({"body": "And you, @two?"}))
        .await?;
    assert_eq!(posted["turns"][0]["agent"]["name"], "two", "{posted:#}");
    world.rested(&talk).await?;
    let posted = world
        .post(&talk, &json!({"body": "And you?", "to": ["one"]}))
        .await?;
    assert_eq!(posted["turns"][0]["agent"]["name"], "one", "{posted:#}");
    world.rested(&talk).await?;
    assert_eq!(
        authors(&world, &talk).await?,
        ["ada", "ada", "two", "ada", "one"]
    );
    Ok(())
}

#[tokio::test]
async fn all_speak_one_after_another() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let (_, talk) = pair(&world, "round_robin", &json!({"rounds": 2})).await?;
    world.say(&talk, "Introduce yourselves, twice.").await?;
    world.rested(&talk).await?;
    assert_eq!(
        authors(&world, &talk).await?,
        ["ada", "one", "two", "one", "two"]
    );
    Ok(())
}

#[tokio::test]
async fn agents_that_answer_each_other_stop_at_the_hops() -> Result<()> {
    let world = World::new(|asked, _| match speaker(asked).as_str() {
        "one" => says("And you, @two?"),
        _ => says("And you, @one?"),
    })
    .await?;
    let (_, talk) = pair(&world, "mention", &json!({"hops": 3})).await?;
    world.say(&talk, "@one, begin.").await?;
    let turns = world.rested(&talk).await?;
    assert_eq!(
        authors(&world, &talk).await?,
        ["ada", "one", "two", "one", "two"]
    );
    let last = turns.last().context("a turn")?;
    assert_eq!(
        (&last["status"], &last["reason"]),
        (&json!("limited"), &json!("hops")),
        "{last:#}"
    );
    // Somebody's message starts it anew.
    let turn = world.say(&talk, "@two, go on.").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    Ok(())
}

#[tokio::test]
async fn a_moderator_names_the_speakers() -> Result<()> {
    let world = World::new(|asked, _| match (speaker(asked).as_str(), results(asked)) {
        // The moderator always names the last speaker, or nonsense.
        ("boss", 0) => calls(&[("next_speaker", "{\"name\": \"one\"}")]),
        ("boss", _) => says("[silent]"),
        (name, _) => says(&format!("I am {name}.")),
    })
    .await?;
    let (circle, _) = pair(&world, "mention", &json!({"hops": 4})).await?;
    let path = format!("/api/circles/{circle}");
    let refused = world
        .ask("PATCH", &path, &json!({"mode": "moderated"}), 422)
        .await?;
    assert_eq!(refused["code"], "mode-needs-moderator");
    let boss = json!({"persona": "moderator", "name": "boss", "role": "moderator"});
    world
        .ask("POST", &format!("{path}/members"), &boss, 201)
        .await?;
    world
        .ask("PATCH", &path, &json!({"mode": "moderated"}), 200)
        .await?;
    let talk = world.conversation(&json!({"circle": circle})).await?;
    world.say(&talk, "Discuss.").await?;
    world.rested(&talk).await?;
    // Nobody speaks twice in a row, though the moderator says so.
    let said = authors(&world, &talk).await?;
    assert_eq!(said[..3], ["ada", "one", "two"], "{said:?}");
    assert!(said.windows(2).all(|pair| pair[0] != pair[1]), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn the_speaker_hands_over() -> Result<()> {
    let world = World::new(|asked, _| match (speaker(asked).as_str(), results(asked)) {
        ("one", 0) => calls(&[("next_speaker", "{\"name\": \"two\"}")]),
        ("one", _) => says("Two shall go on."),
        (name, _) => says(&format!("I am {name}.")),
    })
    .await?;
    let (_, talk) = pair(&world, "handoff", &json!({})).await?;
    world.say(&talk, "Begin.").await?;
    world.rested(&talk).await?;
    assert_eq!(authors(&world, &talk).await?, ["ada", "one", "two"]);
    Ok(())
}

#[tokio::test]
async fn all_speak_side_by_side_and_the_moderator_sums_up() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let (circle, talk) = pair(&world, "parallel", &json!({})).await?;
    let boss = json!({"persona": "moderator", "name": "boss", "role": "moderator"});
    world
        .ask(
            "POST",
            &format!("/api/circles/{circle}/members"),
            &boss,
            201,
        )
        .await?;
    let posted = world.post(&talk, &json!({"body": "All of you."})).await?;
    assert_eq!(
        posted["turns"].as_array().map(Vec::len),
        Some(2),
        "{posted:#}"
    );
    world.rested(&talk).await?;
    let said = authors(&world, &talk).await?;
    assert_eq!((said.len(), said[3].as_str()), (4, "boss"), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn whispers_reach_no_prompt_and_no_eyes_but_theirs() -> Result<()> {
    let world = World::new(|asked, _| says(&format!("I am {}.", speaker(asked)))).await?;
    let (circle, talk) = pair(&world, "mention", &json!({})).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world
        .ask(
            "POST",
            &format!("/api/circles/{circle}/members"),
            &json!({"account": "bob"}),
            201,
        )
        .await?;
    let whisper = json!({"body": "The canary is yellow.", "visible_to": ["one"]});
    let posted = world.post(&talk, &whisper).await?;
    let turn = text(&posted["turns"][0]["id"])?;
    world.ended(&turn).await?;
    let open = world.say(&talk, "@two, what did I whisper?").await?;
    world.ended(&open).await?;
    for asked in world.models.asked() {
        let knows = body(&asked).to_string().contains("canary");
        assert_eq!(knows, speaker(&asked) == "one", "{}", speaker(&asked));
    }
    // The reply to a whisper is one, too.
    let path = format!("/api/conversations/{talk}/messages");
    let (_, seen) = bob.get(&world.server, &path).await?;
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(2), "{seen:#}");
    assert!(
        !seen.to_string().contains("canary") && !seen.to_string().contains("I am one"),
        "{seen:#}"
    );
    assert_eq!(
        bob.get(&world.server, &format!("/api/turns/{turn}"))
            .await?
            .0,
        404
    );
    let (_, turns) = bob
        .get(&world.server, &format!("/api/conversations/{talk}/turns"))
        .await?;
    assert_eq!(
        turns["items"].as_array().map(Vec::len),
        Some(1),
        "{turns:#}"
    );
    let (_, events) = bob
        .get(
            &world.server,
            &format!("/api/events?topic=conversation:{talk}"),
        )
        .await?;
    assert!(!events.to_string().contains(&turn), "{events:#}");
    Ok(())
}

#[tokio::test]
async fn an_agent_with_a_program_of_its_own_speaks_by_itself() -> Result<()> {
    let world = World::new(|_, _| says("Never asked.")).await?;
    let (circle, talk) = pair(&world, "mention", &json!({"turn_ms": 2000})).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world
        .ask(
            "POST",
            &format!("/api/circles/{circle}/members"),
            &json!({"account": "bob"}),
            201,
        )
        .await?;
    let turn = world.say(&talk, "@bob, your turn.").await?;
    let path = format!("/api/turns/{turn}");
    let waiting = world.get(&path).await?;
    assert_eq!(
        (&waiting["status"], &waiting["waiting_for"]),
        (&json!("waiting"), &json!("speaker"))
    );
    let said = json!({"body": "Here I am."});
    world
        .ask("POST", &format!("{path}/complete"), &said, 403)
        .await?;
    let ended = ask(
        &world.server,
        &bob,
        "POST",
        &format!("{path}/complete"),
        &said,
        200,
    )
    .await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let again = ask(
        &world.server,
        &bob,
        "POST",
        &format!("{path}/complete"),
        &said,
        409,
    )
    .await?;
    assert_eq!(again["code"], "turn-finished");
    assert_eq!(authors(&world, &talk).await?, ["ada", "bob"]);
    // Who does not speak is passed over.
    let turn = world.say(&talk, "@bob, and now?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("limited"), &json!("time")),
        "{ended:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_direct_channel_with_an_own_agent_is_a_conversation() -> Result<()> {
    let world = World::new(|_, _| says("At your service.")).await?;
    pair(&world, "mention", &json!({})).await?;
    let direct = world
        .ask("POST", "/api/dms", &json!({"to": ["one"]}), 201)
        .await?;
    let talk = text(&direct["id"])?;
    let path = format!("/api/channels/{talk}/messages");
    world
        .ask("POST", &path, &json!({"body": "Hello."}), 201)
        .await?;
    world.rested(&talk).await?;
    assert_eq!(authors(&world, &talk).await?, ["ada", "one"]);
    // Nobody else makes it think.
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let direct = ask(
        &world.server,
        &bob,
        "POST",
        "/api/dms",
        &json!({"to": ["one"]}),
        201,
    )
    .await?;
    let path = format!("/api/conversations/{}/messages", text(&direct["id"])?);
    let posted = ask(
        &world.server,
        &bob,
        "POST",
        &path,
        &json!({"body": "Hello."}),
        201,
    )
    .await?;
    assert_eq!(posted["turns"], json!([]));
    Ok(())
}

#[tokio::test]
async fn what_belongs_to_others_is_not_there() -> Result<()> {
    let world = World::new(|_, _| says("Hello.")).await?;
    let (circle, talk) = pair(&world, "round_robin", &json!({})).await?;
    world
        .ask(
            "PATCH",
            &format!("/api/circles/{circle}"),
            &json!({"private": true}),
            200,
        )
        .await?;
    let turn = world.say(&talk, "Hello.").await?;
    world.rested(&talk).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let message = json!({"body": "Let me in."});
    for (method, path, body) in [
        ("GET", format!("/api/circles/{circle}"), json!({})),
        (
            "PATCH",
            format!("/api/circles/{circle}"),
            json!({"purpose": "x"}),
        ),
        ("DELETE", format!("/api/circles/{circle}"), json!({})),
        ("POST", format!("/api/circles/{circle}/join"), json!({})),
        ("GET", format!("/api/circles/{circle}/members"), json!({})),
        (
            "POST",
            format!("/api/circles/{circle}/members"),
            json!({"account": "bob"}),
        ),
        ("GET", format!("/api/conversations/{talk}"), json!({})),
        (
            "PATCH",
            format!("/api/conversations/{talk}"),
            json!({"title": "x"}),
        ),
        (
            "GET",
            format!("/api/conversations/{talk}/messages"),
            json!({}),
        ),
        (
            "POST",
            format!("/api/conversations/{talk}/messages"),
            message,
        ),
        ("POST", format!("/api/conversations/{talk}/next"), json!({})),
        ("GET", format!("/api/turns/{turn}"), json!({})),
        ("GET", format!("/api/turns/{turn}/steps"), json!({})),
        ("POST", format!("/api/turns/{turn}/cancel"), json!({})),
        ("POST", format!("/api/turns/{turn}/retry"), json!({})),
        ("POST", format!("/api/turns/{turn}/fork"), json!({})),
        (
            "POST",
            format!("/api/turns/{turn}/complete"),
            json!({"pass": true}),
        ),
    ] {
        let (status, answer) = bob.send(&world.server, method, &path, &body).await?;
        assert_eq!(status, 404, "{method} {path}: {answer:#}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_paused_waits_and_what_is_closed_ends() -> Result<()> {
    let world = World::new(|_, _| says("Hello.")).await?;
    let (_, talk) = pair(&world, "round_robin", &json!({})).await?;
    let path = format!("/api/conversations/{talk}");
    world
        .ask("PATCH", &path, &json!({"status": "paused"}), 200)
        .await?;
    let turn = world.say(&talk, "Is anybody there?").await?;
    assert_eq!(
        world.get(&format!("/api/turns/{turn}")).await?["job"],
        Value::Null
    );
    world
        .ask("PATCH", &path, &json!({"status": "open"}), 200)
        .await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    world.rested(&talk).await?;
    world
        .ask("PATCH", &path, &json!({"status": "closed"}), 200)
        .await?;
    let refused = world
        .ask(
            "POST",
            &format!("{path}/messages"),
            &json!({"body": "More."}),
            409,
        )
        .await?;
    assert_eq!(refused["code"], "conversation-closed");
    Ok(())
}

#[tokio::test]
async fn who_leaves_takes_its_agents_along() -> Result<()> {
    let world = World::new(|_, _| says("Hello.")).await?;
    let (_, talk) = pair(&world, "round_robin", &json!({})).await?;
    world.say(&talk, "Hello.").await?;
    world.rested(&talk).await?;
    let mut database = world.server.database.connect().await?;
    let export: Value = sqlx::query_scalar("select identity.export($1)")
        .bind(world.ada.id)
        .fetch_one(&mut database)
        .await?;
    assert_eq!(
        export["circles"]["agents"].as_array().map(Vec::len),
        Some(2),
        "{export:#}"
    );
    sqlx::query("select identity.leave($1, '{}')")
        .bind(world.ada.id)
        .execute(&mut database)
        .await?;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from circles.seat) + (select count(*) from circles.circle)
             + (select count(*) from circles.turn where finished_at is null)
             + (select count(*) from identity.account where name in ('one', 'two'))",
    )
    .fetch_one(&mut database)
    .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn a_person_who_leaves_is_out_of_its_circles() -> Result<()> {
    let world = World::without_worker(|_, _| says("Hello.")).await?;
    let (circle, talk) = pair(&world, "round_robin", &json!({})).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let member = json!({"account": grace.id});
    let path = format!("/api/circles/{circle}/members");
    world.ask("POST", &path, &member, 201).await?;
    let leaving = json!({"name": "grace", "password": PASSWORD});
    let (status, answer) = grace
        .send(&world.server, "POST", "/api/accounts/me/delete", &leaving)
        .await?;
    assert_eq!(status, 204, "{answer:#}");
    let members = world.get(&path).await?;
    let ids = members["items"].as_array().into_iter().flatten();
    let ids: Vec<_> = ids.map(|one| one["account"]["id"].clone()).collect();
    assert!(
        ids.len() == 3 && !ids.contains(&json!(grace.id)),
        "{members:#}"
    );
    let conversation = world.get(&format!("/api/conversations/{talk}")).await?;
    assert!(!conversation.to_string().contains(&grace.id.to_string()));
    let events = world
        .get(&format!("/api/events?topic=circle:{circle}&limit=100"))
        .await?;
    let events = events["items"].as_array().into_iter().flatten();
    let left: Vec<_> = events
        .filter(|event| event["type"] == "member.left")
        .collect();
    assert!(
        left.len() == 1 && left[0]["data"]["account"]["id"] == json!(grace.id),
        "{left:#?}"
    );
    Ok(())
}
