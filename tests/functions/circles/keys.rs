//! A credential with few scopes does not decide what agents with more scopes think.

use anyhow::Result;
use e2e::agents::Agent;
use serde_json::{Value, json};

use crate::jobs::agent_turn::servers::server;
use crate::jobs::agent_turn::world::{World, ask, says};

/// The scopes of the credential, which are those of the requests here and no others.
const NARROW: &str = "personas:create circles:create claws:create chat:create";

/// Asks with the narrow credential, and expects to be told that agents may do more.
async fn refused(
    world: &World,
    narrow: &Agent,
    method: &str,
    path: &str,
    body: Value,
) -> Result<()> {
    let answer = ask(&world.server, narrow, method, path, &body, 403).await?;
    assert_eq!(
        answer["code"], "scopes-exceed-owner",
        "{method} {path}: {answer:#}"
    );
    Ok(())
}

async fn world() -> Result<World> {
    World::without_worker(|asked, _| match asked.path.as_str() {
        "/mcp" => server(asked, 0),
        _ => says("Never asked."),
    })
    .await
}

#[tokio::test]
async fn a_narrow_key_changes_no_persona_of_wider_agents() -> Result<()> {
    let world = world().await?;
    let narrow = world.ada.with_scope(&world.server.database, NARROW).await?;
    let tame = world
        .persona(&json!({"name": "tame", "instructions": "Be kind."}))
        .await?;
    let wild = world
        .persona(&json!({"name": "wild", "instructions": "Obey."}))
        .await?;
    let seat = json!({"persona": tame, "name": "seat"});
    world
        .ask(
            "POST",
            "/api/circles",
            &json!({"name": "table", "members": [seat]}),
            201,
        )
        .await?;
    let claw = json!({"name": "claw", "persona": tame});
    world.ask("POST", "/api/claws", &claw, 202).await?;
    let persona = format!("/api/personas/{tame}");
    let change = json!({"instructions": "Obey.", "tools": [{"use": "api:create_post", "approval": "never"}]});
    refused(&world, &narrow, "PATCH", &persona, change.clone()).await?;
    let (of_seat, of_claw) = ("/api/circles/table/members/seat", "/api/claws/claw");
    for other in [wild.clone(), format!("{tame}@1")] {
        let moved = json!({"persona": other});
        refused(&world, &narrow, "PUT", of_seat, moved.clone()).await?;
        refused(&world, &narrow, "PATCH", of_claw, moved).await?;
    }
    // What changes nothing that they think is allowed.
    let quiet = json!({"name": "calm", "visibility": "private", "instructions": "Be kind."});
    ask(&world.server, &narrow, "PATCH", &persona, &quiet, 200).await?;
    ask(
        &world.server,
        &narrow,
        "PUT",
        of_seat,
        &json!({"order": 3}),
        200,
    )
    .await?;
    // Agents that stay at a version do not follow a change.
    for (method, path, status) in [("PUT", of_seat, 200), ("PATCH", of_claw, 202)] {
        let pinned = json!({"persona": format!("{tame}@1")});
        world.ask(method, path, &pinned, status).await?;
    }
    let changed = ask(&world.server, &narrow, "PATCH", &persona, &change, 200).await?;
    assert_eq!(changed["version"], 2);
    refused(
        &world,
        &narrow,
        "PUT",
        of_seat,
        json!({"persona": format!("{tame}@2")}),
    )
    .await?;
    // Its own agents have no more than it has, so it decides about them; and a token with all scopes about all.
    let member = json!({"persona": wild, "name": "own"});
    ask(
        &world.server,
        &narrow,
        "POST",
        "/api/circles/table/members",
        &member,
        201,
    )
    .await?;
    let path = format!("/api/personas/{wild}");
    ask(
        &world.server,
        &narrow,
        "PATCH",
        &path,
        &json!({"lore": "Once."}),
        200,
    )
    .await?;
    world
        .ask("PUT", of_seat, &json!({"persona": wild}), 200)
        .await?;
    refused(&world, &narrow, "PATCH", &path, json!({"lore": "Twice."})).await?;
    world
        .ask("PATCH", &path, &json!({"lore": "Twice."}), 200)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_narrow_key_changes_no_tools_of_wider_agents() -> Result<()> {
    let world = world().await?;
    let narrow = world.ada.with_scope(&world.server.database, NARROW).await?;
    let source = |name: &str| json!({"name": name, "kind": "mcp", "url": format!("{}/mcp", world.models.url)});
    world
        .ask("POST", "/api/tool-sources", &source("sky"), 201)
        .await?;
    let tools = json!([{"use": "mcp:sky/weather"}, {"use": "mcp:later"}]);
    let persona = world
        .persona(&json!({"name": "handy", "tools": tools}))
        .await?;
    let seat = json!({"persona": persona, "name": "seat"});
    world
        .ask(
            "POST",
            "/api/circles",
            &json!({"name": "table", "members": [seat]}),
            201,
        )
        .await?;
    refused(
        &world,
        &narrow,
        "POST",
        "/api/tool-sources/sky/accept",
        json!({}),
    )
    .await?;
    refused(
        &world,
        &narrow,
        "POST",
        "/api/tool-sources",
        source("later"),
    )
    .await?;
    let other = source("other");
    ask(
        &world.server,
        &narrow,
        "POST",
        "/api/tool-sources",
        &other,
        201,
    )
    .await?;
    ask(
        &world.server,
        &narrow,
        "POST",
        "/api/tool-sources/other/accept",
        &json!({}),
        200,
    )
    .await?;
    world
        .ask("POST", "/api/tool-sources/sky/accept", &json!({}), 200)
        .await?;
    Ok(())
}
