//! What accounts keep for themselves.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

#[tokio::test]
async fn an_account_keeps_entries_that_nobody_else_sees() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let new = json!({ "text": "Water the plants." });
    let (status, made) = ada.send(&server, "POST", "/api/edge", &new).await?;
    assert_eq!((status, &made["text"]), (201, &new["text"]), "{made}");
    let path = format!("/api/edge/{}", made["id"].as_str().context("id")?);
    assert_eq!(ada.get(&server, &path).await?, (200, made.clone()));
    let (_, list) = ada.get(&server, "/api/edge").await?;
    assert_eq!(list["items"], json!([made]));

    let (_, list) = bob.get(&server, "/api/edge").await?;
    assert_eq!(list["items"], json!([]));
    for method in ["GET", "DELETE"] {
        let (status, refused) = bob.send(&server, method, &path, &Value::Null).await?;
        assert_eq!((status, &refused["code"]), (404, &json!("not-found")));
    }

    let deleted = ada.send(&server, "DELETE", &path, &Value::Null).await?;
    assert_eq!(deleted.0, 204);
    assert_eq!(ada.get(&server, &path).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn what_is_malformed_or_too_much_is_refused() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for text in [
        json!(""),
        json!("a".repeat(1001)),
        json!("a\u{0}b"),
        json!(1),
    ] {
        let new = json!({ "text": text });
        let (status, refused) = ada.send(&server, "POST", "/api/edge", &new).await?;
        assert_eq!((status, &refused["code"]), (422, &json!("invalid-input")));
    }
    let many = format!(
        "insert into edge.entry (account_id, text) select '{}', 'x' from generate_series(1, 1000)",
        ada.id
    );
    server.database.execute(&many).await?;
    let new = json!({ "text": "one more" });
    let (status, refused) = ada.send(&server, "POST", "/api/edge", &new).await?;
    assert_eq!((status, &refused["code"]), (409, &json!("too-many-edge")));
    Ok(())
}

#[tokio::test]
async fn who_leaves_is_forgotten() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let new = json!({ "text": "Water the plants." });
    let made = ada.send(&server, "POST", "/api/edge", &new).await?;
    assert_eq!(made.0, 201, "{made:?}");
    let mut admin = server.database.connect().await?;
    let export: Value = sqlx::query_scalar("select identity.export($1)")
        .bind(ada.id)
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(export["edge"]["entries"][0]["text"], new["text"]);
    sqlx::query("select identity.leave($1, '{}')")
        .bind(ada.id)
        .execute(&mut admin)
        .await?;
    let left: i64 = sqlx::query_scalar("select count(*) from edge.entry")
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(left, 0);
    Ok(())
}
