//! Calls of agents that the platform keeps for an owner, in whose name they ask models.

use anyhow::{Context, Result};
use e2e::agents::{Agent, key};
use serde_json::{Value, json};

use super::world::{World, well};

/// Asks a model as somebody, with the subjects that shall pay. Returns the status and the answer.
async fn call(world: &World, who: &Agent, pays: &str) -> Result<(u16, Value)> {
    let body = json!({"model": "small", "max_tokens": 15, "messages": [{"role": "user", "content": "Hello"}]});
    let mut request = who.request(&world.server, "POST", "/v1/chat/completions");
    if !pays.is_empty() {
        request = request.header("gather-pays", pays);
    }
    let answer = request.json(&body).send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

/// Sends what has to succeed, as ada.
async fn make(world: &World, path: &str, body: Value) -> Result<Value> {
    let (status, made) = world.ada.send(&world.server, "POST", path, &body).await?;
    anyhow::ensure!(status == 201, "{path}: {status} {made:#}");
    Ok(made)
}

#[tokio::test]
async fn an_agents_calls_are_its_owners() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.price().await?;
    world
        .alias(
            "small",
            &json!({"targets": [{"provider": "open", "model": "m"}]}),
        )
        .await?;
    make(&world, "/api/personas", json!({"name": "plain"})).await?;
    let circle = make(
        &world,
        "/api/circles",
        json!({"name": "table", "members": [{"persona": "plain", "name": "claw"}]}),
    )
    .await?;
    let circle = circle["id"].as_str().context("id")?;
    let mut database = world.server.database.connect().await?;
    let claw = sqlx::query_scalar(
        "with program as (update circles.seat set state = 'elsewhere' returning account_id)
         update identity.agent g set public_key = $1 from program p where g.account_id = p.account_id returning p.account_id",
    )
    .bind(key(7).pk.to_vec())
    .fetch_one(&mut database)
    .await?;
    let claw = Agent {
        id: claw,
        token: Agent::token(&world.server, 7).await?,
    };
    let (status, answer) = call(&world, &claw, "").await?;
    assert_eq!(
        status, 200,
        "its owner's alias, provider and price: {answer:#}"
    );
    world.limit(41).await?;
    let (status, answer) = call(&world, &claw, "").await?;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (402, &json!("budget-exhausted")),
        "its owner's limit: {answer:#}"
    );
    world.limit(100_000).await?;
    // What a circle may spend is for those who think in it.
    let pays = format!("circle:{circle}");
    let (status, answer) = call(&world, &world.ada, &pays).await?;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (403, &json!("insufficient-scope")),
        "{answer:#}"
    );
    sqlx::query("update circles.seat set state = 'awake'")
        .execute(&mut database)
        .await?;
    let talk = make(&world, "/api/conversations", json!({"circle": circle})).await?;
    let path = format!(
        "/api/conversations/{}/messages",
        talk["id"].as_str().context("id")?
    );
    make(&world, &path, json!({"body": "Hello, @claw."})).await?;
    let (status, answer) = call(&world, &world.ada, &pays).await?;
    assert_eq!(status, 200, "{answer:#}");
    Ok(())
}
