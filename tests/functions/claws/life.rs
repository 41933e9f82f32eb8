//! Claws: made in one request, wanted to run or not, and gone.

use anyhow::{Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::jobs::agent_turn::world::{World, ask, plain, says, text};

/// The longest time until something has happened, on a machine with much to do.
const LIMIT: Duration = Duration::from_secs(60);

/// A world in which models say `Hello.`, and ada has a persona `plain`.
pub async fn world() -> Result<World> {
    let world = World::new(|_, _| says("Hello.")).await?;
    world.persona(&plain()).await?;
    Ok(world)
}

/// Makes a claw of ada's, and waits until it runs.
pub async fn running(world: &World, new: &Value) -> Result<Value> {
    let made = world.ask("POST", "/api/claws", new, 202).await?;
    ensure!(made["claw"]["status"] == "requested", "{made:#}");
    ensure!(made["job"]["id"].is_string(), "{made:#}");
    until(world, &text(&made["claw"]["id"])?, "running").await
}

/// A claw of ada's when it has a status.
pub async fn until(world: &World, claw: &str, status: &str) -> Result<Value> {
    let begin = Instant::now();
    loop {
        let claw = world.get(&format!("/api/claws/{claw}")).await?;
        if claw["status"] == status {
            return Ok(claw);
        }
        ensure!(begin.elapsed() < LIMIT, "still {claw:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a claw of ada's is gone.
pub async fn gone(world: &World, claw: &str) -> Result<()> {
    let begin = Instant::now();
    loop {
        let (status, found) = world
            .ada
            .get(&world.server, &format!("/api/claws/{claw}"))
            .await?;
        if status == 404 {
            return Ok(());
        }
        ensure!(begin.elapsed() < LIMIT, "still {found:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub async fn command(world: &World, claw: &str, what: &str, expected: u16) -> Result<Value> {
    let path = format!("/api/claws/{claw}/{what}");
    world.ask("POST", &path, &json!({}), expected).await
}

pub async fn say(world: &World, claw: &str, body: &str) -> Result<Value> {
    let path = format!("/api/claws/{claw}/messages");
    world.ask("POST", &path, &json!({"body": body}), 201).await
}

/// The statuses that a claw has had, the first first, with their causes.
async fn history(world: &World, claw: &str) -> Result<Vec<(String, String)>> {
    let page = world.get(&format!("/api/claws/{claw}/history")).await?;
    let changes = page["items"].as_array().cloned().unwrap_or_default();
    let changes = changes.iter().rev();
    changes
        .map(|change| Ok((text(&change["to"])?, text(&change["cause"])?)))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = expected.iter();
    pairs
        .map(|(to, cause)| ((*to).to_owned(), (*cause).to_owned()))
        .collect()
}

#[tokio::test]
async fn one_request_makes_a_claw_that_answers() -> Result<()> {
    let world = world().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let channel = world
        .ask("POST", "/api/channels", &json!({"name": "lab"}), 201)
        .await?;
    let secret = json!({"name": "weather", "kind": "token", "value": "s3cret-of-the-weather"});
    world
        .ask("POST", "/api/vault/secrets", &secret, 201)
        .await?;
    // Strangers are not asked to decide for others.
    let stranger = json!({"name": "helper", "persona": "plain", "approvers": ["bob"]});
    let refused = world.ask("POST", "/api/claws", &stranger, 422).await?;
    assert_eq!(refused["errors"][0]["field"], "approvers", "{refused:#}");
    let crew = json!({"name": "crew"});
    let crew = world.ask("POST", "/api/teams", &crew, 201).await?;
    let member = format!("/api/teams/{}/members/{}", text(&crew["id"])?, bob.id);
    let role = json!({"role": "member"});
    world.ask("PUT", &member, &role, 204).await?;
    let new = json!({"name": "helper", "persona": "plain", "channels": ["lab"], "secrets": {"KEY": "vault:weather"},
        "env": {"CITY": "Bern"}, "scopes": ["chat:create"], "approvers": ["bob"],
        "budget": {"limit_microusd": 5_000_000, "period": "day"}});
    let claw = running(&world, &new).await?;
    let id = text(&claw["id"])?;
    assert_eq!(claw["account"]["name"], "helper");
    assert_eq!(claw["owner"]["name"], "ada");
    assert_eq!(claw["persona"]["name"], "plain");
    assert_eq!(
        (&claw["template"], &claw["backend"], &claw["resumed"]),
        (&json!("wasm"), &json!("wasm"), &json!("fresh"))
    );
    assert_eq!(claw["channels"][0]["id"], channel["id"]);
    assert_eq!(claw["approvers"][0]["name"], "bob");
    assert_eq!(claw["budget"], new["budget"]);
    assert_eq!(
        claw["triggers"],
        json!([{"on": "direct"}, {"on": "mention"}])
    );
    assert_eq!(
        history(&world, "helper").await?,
        pairs(&[
            ("requested", "created"),
            ("provisioning", "provisioning"),
            ("running", "provisioned")
        ])
    );
    // Its account has a key, as every agent's does, and nobody can sign in with it.
    let agent = world.get("/api/agents/helper").await?;
    assert_eq!(agent["public_key"], claw["public_key"]);

    // The model has no price, so no budget can hold.
    let change = json!({"public": false, "budget": null});
    let changed = world
        .ask("PATCH", "/api/claws/helper", &change, 202)
        .await?;
    assert_eq!(changed["claw"]["budget"], Value::Null);
    let posted = say(&world, "helper", "Are you there?").await?;
    let turn = world.ended(&text(&posted["turns"][0]["id"])?).await?;
    assert_eq!(turn["status"], "completed", "{turn:#}");
    let usage = world.get(&format!("/api/claws/{id}/usage")).await?;
    assert_eq!(
        (
            &usage["items"][0]["calls"],
            &usage["items"][0]["input_tokens"],
            &usage["items"][0]["model"]
        ),
        (&json!(1), &json!(25), &json!("m")),
        "{usage:#}"
    );

    let health: Value = world.server.get("/api/health/status").await?.json().await?;
    assert_eq!(health["running_claws"], 1);
    let card = "/a2a/agents/helper/.well-known/agent-card.json";
    assert_eq!(world.server.get(card).await?.status(), 404);

    // Others neither see it nor talk with it, until it is everybody's.
    for (method, path) in [
        ("GET", "/api/claws/helper"),
        ("GET", "/api/claws/helper/history"),
        ("GET", "/api/claws/helper/usage"),
        ("PATCH", "/api/claws/helper"),
        ("DELETE", "/api/claws/helper"),
        ("POST", "/api/claws/helper/stop"),
    ] {
        ask(&world.server, &bob, method, path, &json!({}), 404).await?;
    }
    let hello = json!({"body": "Hello?"});
    let path = "/api/claws/helper/messages";
    ask(&world.server, &bob, "POST", path, &hello, 404).await?;
    let change = json!({"public": true, "channels": []});
    let changed = world
        .ask("PATCH", "/api/claws/helper", &change, 202)
        .await?;
    assert_eq!(changed["claw"]["channels"], json!([]));
    assert_eq!(world.server.get(card).await?.status(), 200);
    let posted = ask(&world.server, &bob, "POST", path, &hello, 201).await?;
    assert_eq!(posted["turns"][0]["agent"]["name"], "helper", "{posted:#}");
    let list = ask(&world.server, &bob, "GET", "/api/claws", &json!({}), 200).await?;
    assert_eq!(list["items"], json!([]));
    ask(
        &world.server,
        &bob,
        "GET",
        "/api/claws?all=true",
        &json!({}),
        403,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn what_a_claw_is_made_of_is_refused_by_name_and_leaves_nothing() -> Result<()> {
    let world = world().await?;
    let other = |field: &str, value: Value| {
        let mut new = json!({"name": "helper", "persona": "plain"});
        new[field] = value;
        new
    };
    for (field, value) in [
        ("persona", json!("nobody-knows")),
        ("secrets", json!({"KEY": "vault:unknown"})),
        ("channels", json!(["not-there"])),
        ("approvers", json!(["nobody-knows"])),
        ("env", json!({"GATHER_URL": "x"})),
        ("idle_ms", json!(5)),
        ("name", json!("enrol")),
    ] {
        let refused = world
            .ask("POST", "/api/claws", &other(field, value), 422)
            .await?;
        assert_eq!(refused["code"], "invalid-input", "{refused:#}");
        let named = text(&refused["errors"][0]["field"])?;
        assert!(named.starts_with(field), "{refused:#}");
    }
    let refused = world
        .ask("POST", "/api/claws", &other("template", json!("huge")), 422)
        .await?;
    assert_eq!(refused["code"], "template-unknown");
    let refused = world
        .ask(
            "POST",
            "/api/claws",
            &other("scopes", json!(["admin:all"])),
            403,
        )
        .await?;
    assert_eq!(refused["code"], "scopes-exceed-owner");
    let refused = world
        .ask(
            "POST",
            "/api/claws",
            &json!({"name": "ada", "persona": "plain"}),
            409,
        )
        .await?;
    assert_eq!(refused["code"], "name-taken");
    let list = world.get("/api/claws").await?;
    assert_eq!(list["items"], json!([]));
    // The name is free, since nothing stayed of it.
    running(&world, &json!({"name": "helper", "persona": "plain"})).await?;
    Ok(())
}

#[tokio::test]
async fn a_claw_is_what_its_owner_wants() -> Result<()> {
    let world = world().await?;
    running(&world, &json!({"name": "helper", "persona": "plain"})).await?;
    let same = command(&world, "helper", "start", 202).await?;
    assert_eq!(same["claw"]["generation"], 1, "it runs already");

    command(&world, "helper", "pause", 202).await?;
    until(&world, "helper", "paused").await?;
    let posted = say(&world, "helper", "Are you there?").await?;
    let turn = text(&posted["turns"][0]["id"])?;
    let refused = command(&world, "helper", "start", 409).await?;
    assert_eq!(
        (
            &refused["code"],
            &refused["claw_status"],
            &refused["allowed"]
        ),
        (
            &json!("claw-state"),
            &json!("paused"),
            &json!(["stop", "pause", "resume", "restart", "delete"])
        )
    );
    let waits = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(waits["status"], "queued");
    command(&world, "helper", "resume", 202).await?;
    assert_eq!(until(&world, "helper", "running").await?["resumed"], "kept");
    assert_eq!(world.ended(&turn).await?["status"], "completed");

    command(&world, "helper", "stop", 202).await?;
    until(&world, "helper", "stopped").await?;
    let path = "/api/claws/helper/messages";
    let hello = json!({"body": "Are you there?"});
    let refused = world.ask("POST", path, &hello, 409).await?;
    assert_eq!(
        (&refused["claw_status"], &refused["allowed"]),
        (&json!("stopped"), &json!(["start", "stop", "delete"]))
    );
    // Others write to it as to everybody, and its turn says why there is no answer.
    let dm = world
        .ask("POST", "/api/dms", &json!({"to": ["helper"]}), 200)
        .await?;
    let path = format!("/api/channels/{}/messages", text(&dm["id"])?);
    world.ask("POST", &path, &hello, 201).await?;
    let id = text(&world.get("/api/claws/helper").await?["id"])?;
    let turns = world.get(&format!("/api/turns?agent={id}")).await?;
    assert_eq!(
        (&turns["items"][0]["status"], &turns["items"][0]["reason"]),
        (&json!("cancelled"), &json!("stopped")),
        "{turns:#}"
    );
    let refused = command(&world, "helper", "resume", 409).await?;
    assert_eq!(refused["allowed"], json!(["start", "stop", "delete"]));
    command(&world, "helper", "start", 202).await?;
    assert_eq!(until(&world, "helper", "running").await?["resumed"], "disk");
    command(&world, "helper", "restart", 202).await?;
    until(&world, "helper", "running").await?;
    let causes: Vec<String> = history(&world, "helper")
        .await?
        .into_iter()
        .map(|(_, cause)| cause)
        .collect();
    let again = ["provisioning", "provisioned"];
    let expected = [
        &["created"],
        &again[..],
        &["pause", "resume", "stop", "start"],
        &again,
        &["restart"],
        &again,
    ];
    assert_eq!(causes, expected.concat());

    let first = world
        .ask("DELETE", "/api/claws/helper", &json!({}), 202)
        .await?;
    assert_eq!(first["claw"]["status"], "deleting");
    gone(&world, &id).await?;
    // What it wrote stays, and its name is held.
    let talk = format!("/api/conversations/{}", text(&dm["id"])?);
    world.get(&talk).await?;
    let turns = world.get(&format!("{talk}/turns")).await?;
    assert_eq!(turns["items"][0]["agent"]["id"], json!(id), "{turns:#}");
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let same = json!({"name": "helper", "persona": "critic"});
    for who in [&world.ada, &bob] {
        let taken = who.send(&world.server, "POST", "/api/claws", &same).await?;
        assert_eq!((taken.0, &taken.1["code"]), (409, &json!("name-taken")));
    }
    let month = "update identity.held_name set until = now() where name = 'helper'";
    world.server.database.execute(month).await?;
    world.ask("POST", "/api/claws", &same, 202).await?;
    Ok(())
}
