//! Who may do what in circles: moderators, observers, those who are blocked, and whoever was in a circle that is deleted.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{World, ask, begins, plain, says, text};

/// Asks as somebody, and returns the code of the problem that is the answer.
async fn refused(
    world: &World,
    who: &Agent,
    method: &str,
    path: &str,
    body: Value,
    status: u16,
) -> Result<String> {
    text(&ask(&world.server, who, method, path, &body, status).await?["code"])
}

/// A circle of ada's with the seat `seat`, and a conversation of it.
async fn seated(world: &World, new: &Value) -> Result<(String, String)> {
    let circle = world.circle(new, &plain(), &["seat"]).await?;
    let talk = world.conversation(&json!({"circle": circle})).await?;
    Ok((circle, talk))
}

#[tokio::test]
async fn moderators_keep_owners_and_observers_keep_silent() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let members = json!([{"account": "bob", "role": "moderator"}, {"account": "eve", "role": "observer"},
        {"persona": "moderator", "name": "boss", "role": "moderator"}]);
    let new = json!({"name": "table", "mode": "moderated", "members": members});
    let (_, talk) = seated(&world, &new).await?;
    let of = |name: &str| format!("/api/circles/table/members/{name}");
    for name in ["ada", "boss", "bob", "eve"] {
        for role in ["observer", "moderator"] {
            let change = json!({"role": role});
            let code = refused(&world, &bob, "PUT", &of(name), change, 403).await?;
            assert_eq!(code, "forbidden", "{name} as {role}");
        }
        let change = json!({"order": 9});
        let moved = ask(&world.server, &bob, "PUT", &of(name), &change, 200).await?;
        assert_eq!(moved["order"], 9);
    }
    // With another moderator, a circle does without its agent; without any, nobody would say who speaks.
    let demoted = json!({"role": "member"});
    world.ask("PUT", &of("bob"), &demoted, 200).await?;
    for (method, body) in [("PUT", json!({"role": "member"})), ("DELETE", json!({}))] {
        let code = refused(&world, &world.ada, method, &of("boss"), body, 422).await?;
        assert_eq!(code, "mode-needs-moderator", "{method}");
    }
    let promoted = json!({"role": "moderator"});
    world.ask("PUT", &of("bob"), &promoted, 200).await?;
    observers_are_silent(&world, &eve, &talk).await?;
    a_seat_gets_a_newer_version(&world, &bob, &of("guest")).await
}

async fn observers_are_silent(world: &World, eve: &Agent, talk: &str) -> Result<()> {
    let message = json!({"body": "Hello, @boss."});
    let path = format!("/api/conversations/{talk}/messages");
    let code = refused(world, eve, "POST", &path, message.clone(), 403).await?;
    assert_eq!(code, "not-a-member");
    let path = format!("/api/channels/{talk}/messages");
    let code = refused(world, eve, "POST", &path, message.clone(), 403).await?;
    assert_eq!(code, "forbidden");
    assert_eq!(world.rested(talk).await?.len(), 0);
    // Who was a member changes nothing of what it has said.
    let of_eve = "/api/circles/table/members/eve";
    world
        .ask("PUT", of_eve, &json!({"role": "member"}), 200)
        .await?;
    let posted = ask(&world.server, eve, "POST", &path, &message, 201).await?;
    world
        .ask("PUT", of_eve, &json!({"role": "observer"}), 200)
        .await?;
    let path = format!("{path}/{}", text(&posted["id"])?);
    let code = refused(world, eve, "PATCH", &path, json!({"body": "Hello?"}), 403).await?;
    assert_eq!(code, "forbidden");
    Ok(())
}

/// The persona of a seat is for its owner to change, whatever the owner's role is.
async fn a_seat_gets_a_newer_version(world: &World, bob: &Agent, seat: &str) -> Result<()> {
    let persona = json!({"name": "lent", "instructions": "Be brief.", "visibility": "public"});
    let persona = world.persona(&persona).await?;
    let version = json!({"instructions": "Be polite."});
    let member = json!({"persona": persona, "name": "guest"});
    ask(
        &world.server,
        bob,
        "POST",
        "/api/circles/table/members",
        &member,
        201,
    )
    .await?;
    world
        .ask("PATCH", &format!("/api/personas/{persona}"), &version, 200)
        .await?;
    world
        .ask(
            "PUT",
            "/api/circles/table/members/bob",
            &json!({"role": "observer"}),
            200,
        )
        .await?;
    let stays = world.get("/api/circles/table/members").await?;
    let stays = stays["items"].as_array().context("items")?.iter();
    let stays: Vec<_> = stays
        .filter(|one| one["account"]["name"] == "guest")
        .collect();
    assert_eq!(stays[0]["persona"]["version"], 1);
    let newer = json!({"persona": format!("{persona}@2")});
    assert_eq!(
        refused(world, &world.ada, "PUT", seat, newer.clone(), 403).await?,
        "forbidden"
    );
    let moved = ask(&world.server, bob, "PUT", seat, &newer, 200).await?;
    assert_eq!(moved["persona"]["version"], 2);
    let unknown = json!({"persona": format!("{persona}@3")});
    assert_eq!(
        refused(world, bob, "PUT", seat, unknown, 422).await?,
        "invalid-input"
    );
    let with_order = json!({"persona": persona, "order": 1});
    assert_eq!(
        refused(world, bob, "PUT", seat, with_order, 403).await?,
        "forbidden"
    );
    Ok(())
}

#[tokio::test]
async fn the_conversations_of_a_deleted_circle_stay_closed() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let eve = Agent::sign_in(&world.server, "eve", 2).await?;
    let budget = json!({"limit_microusd": 5, "period": "total"});
    let new = json!({"name": "open", "mode": "round_robin", "budget": budget});
    let (circle, _) = seated(&world, &new).await?;
    ask(
        &world.server,
        &eve,
        "POST",
        "/api/circles/open/join",
        &json!({}),
        200,
    )
    .await?;
    let new = json!({"circle": "open"});
    let made = ask(&world.server, &eve, "POST", "/api/conversations", &new, 201).await?;
    let talk = text(&made["id"])?;
    let path = format!("/api/conversations/{talk}");
    let message = json!({"body": "Hello."});
    let messages = format!("{path}/messages");
    let posted = ask(&world.server, &eve, "POST", &messages, &message, 201).await?;
    let turn = text(&posted["turns"][0]["id"])?;
    world
        .ask("DELETE", "/api/circles/open", &json!({}), 204)
        .await?;
    assert_eq!(
        world.get(&format!("/api/turns/{turn}")).await?["status"],
        "cancelled"
    );
    let code = refused(&world, &eve, "POST", &messages, message.clone(), 409).await?;
    assert_eq!(code, "conversation-closed");
    let channel = format!("/api/channels/{talk}/messages");
    let code = refused(&world, &eve, "POST", &channel, message, 409).await?;
    assert_eq!(code, "channel-archived");
    for status in ["open", "paused"] {
        let change = json!({"status": status});
        let code = refused(&world, &eve, "PATCH", &path, change, 409).await?;
        assert_eq!(code, "conversation-closed", "{status}");
    }
    let code = refused(
        &world,
        &world.ada,
        "POST",
        &format!("/api/turns/{turn}/retry"),
        json!({}),
        409,
    )
    .await?;
    assert_eq!(code, "conversation-closed");
    let named = json!({"title": "What we said"});
    ask(&world.server, &eve, "PATCH", &path, &named, 200).await?;
    let left: i64 =
        sqlx::query_scalar("select count(*) from llm.payer where subject = 'circle:' || $1")
            .bind(&circle)
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
    assert_eq!(left, 0, "the budget is gone with the circle");
    an_agent_thinks_for_its_owner_alone(&world, &eve).await
}

/// Where its owner has put it, and has left, an agent is nobody's any more.
async fn an_agent_thinks_for_its_owner_alone(world: &World, eve: &Agent) -> Result<()> {
    let talk = world
        .conversation(&json!({"with": ["eve", "seat"]}))
        .await?;
    let path = format!("/api/conversations/{talk}/messages");
    let hello = json!({"body": "@seat, hello."});
    let posted = ask(&world.server, eve, "POST", &path, &hello, 201).await?;
    assert_eq!(
        posted["turns"].as_array().map(Vec::len),
        Some(1),
        "{posted:#}"
    );
    sqlx::query("delete from channels.member where channel_id::text = $1 and account_id = $2")
        .bind(&talk)
        .bind(world.ada.id)
        .execute(&mut world.server.database.connect().await?)
        .await?;
    sqlx::query("select circles.stop_turn(id) from circles.turn")
        .execute(&mut world.server.database.connect().await?)
        .await?;
    let posted = ask(&world.server, eve, "POST", &path, &hello, 201).await?;
    assert_eq!(posted["turns"], json!([]));
    Ok(())
}

#[tokio::test]
async fn whispers_do_not_reach_an_agents_owner() -> Result<()> {
    let world = World::new(|_, _| begins("the secret")).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let new = json!({"name": "table", "members": [{"account": "bob"}]});
    let (_, talk) = seated(&world, &new).await?;
    let whisper = json!({"body": "Tell me.", "visible_to": ["seat"]});
    let path = format!("/api/conversations/{talk}/messages");
    let posted = ask(&world.server, &bob, "POST", &path, &whisper, 201).await?;
    let turn = format!("/api/turns/{}", text(&posted["turns"][0]["id"])?);
    let seat = text(&posted["turns"][0]["agent"]["id"])?;
    let begin = std::time::Instant::now();
    while bob.get(&world.server, &turn).await?.1["partial"] != "the secret" {
        anyhow::ensure!(begin.elapsed().as_secs() < 60, "the model says nothing");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let list = format!("/api/turns?agent={seat}");
    let hidden = |listed: &Value| {
        assert_eq!(
            listed["items"].as_array().map(Vec::len),
            Some(1),
            "{listed:#}"
        );
        assert!(!listed.to_string().contains("secret"), "{listed:#}");
        assert_eq!(listed["items"][0]["cause"], Value::Null);
    };
    hidden(&world.get(&list).await?);
    ask(
        &world.server,
        &bob,
        "POST",
        &format!("{turn}/cancel"),
        &json!({}),
        200,
    )
    .await?;
    hidden(&world.get(&list).await?);
    let mut database = world.server.database.connect().await?;
    for (account, knows) in [(world.ada.id.to_string(), false), (seat, true)] {
        let export: Value = sqlx::query_scalar("select identity.export($1::uuid)")
            .bind(&account)
            .fetch_one(&mut database)
            .await?;
        let turns = &export["circles"]["turns"];
        assert_eq!(turns.as_array().map(Vec::len), Some(1));
        assert_eq!(turns.to_string().contains("secret"), knows, "{turns:#}");
    }
    Ok(())
}

#[tokio::test]
async fn who_is_blocked_spends_nothing_of_its_blockers() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let persona = world.persona(&plain()).await?;
    let seat = json!({"persona": persona, "name": "seat", "public": true});
    let new = json!({"name": "open", "public": true, "members": [seat]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let claw =
        json!({"name": "claw", "persona": persona, "public": true, "triggers": [{"on": "direct"}]});
    world.ask("POST", "/api/claws", &claw, 202).await?;
    let persona = json!({"name": "bobs"});
    let made = ask(&world.server, &bob, "POST", "/api/personas", &persona, 201).await?;
    for who in [&bob, &eve] {
        ask(
            &world.server,
            who,
            "POST",
            "/api/circles/open/join",
            &json!({}),
            200,
        )
        .await?;
    }
    world
        .ask(
            "PUT",
            "/api/circles/open/members/bob",
            &json!({"role": "moderator"}),
            200,
        )
        .await?;
    let other = json!({"persona": made["id"], "name": "other", "order": 900});
    ask(
        &world.server,
        &bob,
        "POST",
        "/api/circles/open/members",
        &other,
        201,
    )
    .await?;
    // Eve has talked with the claw before.
    let hello = json!({"body": "@seat and @other, hello."});
    let claws = "/api/claws/claw/messages";
    ask(&world.server, &eve, "POST", claws, &hello, 201).await?;
    let a2a = Door {
        world: &world,
        eve: &eve,
    };
    let before = a2a.send("agents/claw", "one").await?;
    assert!(before["result"]["task"]["id"].is_string(), "{before:#}");
    let context = &before["result"]["task"]["contextId"];
    world.ask("PUT", "/api/blocks/eve", &json!({}), 200).await?;

    refused(&world, &eve, "POST", claws, hello.clone(), 403).await?;
    for door in ["agents/claw", "agents/seat"] {
        let answer = a2a.send(door, "two").await?;
        assert_eq!(answer["error"]["code"], -32001, "{door}: {answer:#}");
    }
    let path = format!("/api/conversations/{}/messages", text(context)?);
    let posted = ask(&world.server, &eve, "POST", &path, &hello, 201).await?;
    assert_eq!(posted["turns"], json!([]), "{posted:#}");
    // Where both are, another's agents answer.
    for mode in ["round_robin", "parallel", "handoff", "mention"] {
        world
            .ask("PATCH", "/api/circles/open", &json!({"mode": mode}), 200)
            .await?;
        let made = ask(
            &world.server,
            &eve,
            "POST",
            "/api/conversations",
            &json!({"circle": "open"}),
            201,
        )
        .await?;
        let path = format!("/api/conversations/{}/messages", text(&made["id"])?);
        let posted = ask(&world.server, &eve, "POST", &path, &hello, 201).await?;
        let said: Vec<_> = posted["turns"]
            .as_array()
            .context("turns")?
            .iter()
            .map(|turn| turn["agent"]["name"].clone())
            .collect();
        // Bob has a program of its own: it is asked in its round, and sums up when the others have spoken.
        let expected = if mode == "round_robin" {
            "bob"
        } else {
            "other"
        };
        assert_eq!(said, [expected], "{mode}");
    }
    let answer = a2a.send("circles/open", "three").await?;
    let task = &answer["result"]["task"]["id"];
    let (_, turn) = eve
        .get(&world.server, &format!("/api/turns/{}", text(task)?))
        .await?;
    assert_eq!(turn["agent"]["name"], "other", "{answer:#}");
    Ok(())
}

/// How eve speaks A2A.
struct Door<'a> {
    world: &'a World,
    eve: &'a Agent,
}

impl Door<'_> {
    /// Sends a message without waiting for its answer.
    async fn send(&self, door: &str, id: &str) -> Result<Value> {
        let message = json!({"messageId": id, "role": "ROLE_USER", "parts": [{"text": "Hello."}]});
        let params = json!({"message": message, "configuration": {"returnImmediately": true}});
        let request = json!({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": params});
        let answer = self
            .world
            .server
            .http
            .post(format!("{}/a2a/{door}", self.world.server.url))
            .bearer_auth(&self.eve.token)
            .header("a2a-version", "1.0")
            .json(&request)
            .send()
            .await?;
        Ok(answer.json().await?)
    }
}

#[tokio::test]
async fn who_leaves_a_circle_takes_along_the_agents_that_it_pays_for() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    for (name, left_by) in [("first", &bob), ("second", &world.ada)] {
        let members = json!([{"account": "bob", "role": "moderator"}, {"persona": "critic", "name": format!("{name}-own")}]);
        let new = json!({"name": name, "mode": "mention", "members": members});
        world.ask("POST", "/api/circles", &new, 201).await?;
        let path = format!("/api/circles/{name}/members");
        let seat = format!("{name}-seat");
        let new = json!({"persona": "critic", "name": seat});
        ask(&world.server, &bob, "POST", &path, &new, 201).await?;
        let talk = world.conversation(&json!({"circle": name})).await?;
        let turn = world
            .say(&talk, &format!("@{seat}, are you there?"))
            .await?;
        ask(
            &world.server,
            left_by,
            "DELETE",
            &format!("{path}/bob"),
            &json!({}),
            204,
        )
        .await?;
        let left = world.get(&path).await?;
        let left: Vec<_> = left["items"]
            .as_array()
            .context("members")?
            .iter()
            .collect();
        let names: Vec<_> = left.iter().map(|one| &one["account"]["name"]).collect();
        assert_eq!(names, [&json!("ada"), &json!(format!("{name}-own"))]);
        let ended = world.get(&format!("/api/turns/{turn}")).await?;
        assert_eq!(ended["status"], "cancelled", "{ended:#}");
    }
    Ok(())
}
