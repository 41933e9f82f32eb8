//! Statements that PostgreSQL does not end well: those that it rolls back in favour of another transaction are run again, and
//! those whose connection is cut hold up nobody.

use anyhow::{Context, Result, ensure};
use e2e::{Server, agents::Agent, client::read};
use futures::future::join_all;
use serde_json::json;
use sqlx::Connection;
use std::time::Duration;
use tokio::time::{sleep, timeout};

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

/// As many as the server has threads, each in the middle of a statement whose end it waits for.
#[tokio::test]
async fn connections_that_are_cut_in_a_statement_hold_up_nobody() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let action = json!({"type": "send_notification", "to": [ada.id], "title": "Tick"});
    let mut resumed = Vec::new();
    for number in 0..4 {
        let new = json!({"name": format!("s{number}"), "action": action, "every_ms": 3_600_000});
        let (status, made) = ada.send(&server, "POST", "/api/schedules", &new).await?;
        assert_eq!(status, 201, "{made}");
        let path = format!("/api/schedules/{}", made["id"].as_str().context("id")?);
        let pause = format!("{path}/pause");
        let paused = ada.send(&server, "POST", &pause, &json!({})).await?;
        assert_eq!(paused.0, 200, "{paused:?}");
        resumed.push(format!("{path}/resume"));
    }
    let rows = "select from pipelines.schedule for update";
    let held = server.database.hold(rows).await?;
    let nothing = json!({});
    let answers = join_all(
        resumed
            .iter()
            .map(|path| ada.send(&server, "POST", path, &nothing)),
    );
    let cut = async {
        server.database.until_waiting(4).await?;
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        server.database.execute(cut).await
    };
    let within = Duration::from_secs(30);
    let (answers, cut) = timeout(within, async { tokio::join!(answers, cut) }).await?;
    cut?;
    for answer in answers {
        let (status, answer) = answer?;
        assert_eq!(
            (status, &answer["code"]),
            (503, &json!("database-unavailable"))
        );
    }
    held.release().await?;
    let path = resumed.first().context("a schedule")?;
    // A connection may be handed out once more before anybody has noticed that it is cut.
    let again = async {
        while ada.send(&server, "POST", path, &nothing).await?.0 != 200 {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(within, again).await?
}
