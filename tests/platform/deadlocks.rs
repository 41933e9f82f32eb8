//! Statements that PostgreSQL rolls back in favour of another transaction are run again.

use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, client::read};
use serde_json::json;
use sqlx::Connection;

#[tokio::test]
async fn a_request_that_gives_way_to_another_transaction_is_done_all_the_same() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let definition = json!({"nodes": {"a": {"type": "transform", "value": 1}}});
    let new = json!({"name": "one", "definition": definition});
    let made = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    ensure!(made.0 == 201, "{made:?}");
    // Whoever waits longer gives way, which is the other transaction on a machine that is slow enough.
    for _ in 0..10 {
        let mut other = server.database.connect().await?;
        sqlx::raw_sql("begin; select from pipelines.pipeline for update")
            .execute(&mut other)
            .await?;
        let request = ada.request(&server, "POST", "/api/pipelines/one/runs");
        let asked = tokio::spawn(async { read(request.json(&json!({})).send().await?).await });
        server.database.until_waiting(1).await?;
        let locked = sqlx::query("select from identity.account where id = $1 for no key update")
            .bind(ada.id)
            .execute(&mut other)
            .await;
        other.close().await?;
        let (status, run) = asked.await??;
        assert_eq!(status, 202, "{run}");
        if locked.is_ok() {
            let runs = ada.get(&server, "/api/runs").await?.1;
            let last = runs["items"][0]["id"].as_str().context("a run")?;
            assert_eq!(Some(last), run["id"].as_str());
            return Ok(());
        }
    }
    anyhow::bail!("the request never gave way")
}
