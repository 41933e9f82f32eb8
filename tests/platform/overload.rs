//! More than there is room for is told as that, by 503 with `Retry-After` and a code: it is no fault of the platform's, nor of
//! a skill's.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, fixture, invoke, manifest, upload},
};
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection;

/// A server where ada has a skill that counts in its store.
async fn counting() -> Result<(Server, Agent, Agent)> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let mut manifest = manifest("probe", "1.0.0");
    manifest["permissions"] = json!({"kv": {"max_bytes": 100_000}});
    manifest["limits"] = json!({"deadline_ms": 30_000});
    approved(&server, &ada, &manifest, "probe-skill").await?;
    // Compiled before anything is measured.
    let (status, answer) = invoke(&server, &ada, "probe", "u8", json!({"v": 1})).await?;
    ensure!(status == 200, "{answer:#}");
    Ok((server, ada, bob))
}

fn is_busy(answer: &(u16, Value)) -> bool {
    answer.0 == 503 && answer.1["code"] == "sandbox-busy"
}

#[tokio::test]
async fn a_sandbox_without_a_free_connection_is_busy_and_blames_nobody() -> Result<()> {
    let (server, ada, bob) = counting().await?;
    let mut database = server.database.connect().await?;
    let mut lock = database.begin().await?;
    sqlx::query("lock table skills.kv_total in share mode")
        .execute(&mut *lock)
        .await?;
    let count = async |agent: &Agent, calls: usize| -> Result<Vec<(u16, Value)>> {
        let calls = (0..calls).map(|_| {
            let call = json!({"key": "k", "delta": 1});
            invoke(&server, agent, "probe", "count", call)
        });
        join_all(calls).await.into_iter().collect()
    };
    // These hold all of the sandbox's connections.
    let holding = count(&ada, 8);
    let adder = manifest("adder", "1.0.0");
    let others = async {
        server.database.until_waiting(8).await?;
        let component = "/api/skills/probe/versions/1.0.0/component";
        let asked = tokio::join!(
            count(&bob, 4),
            upload(&server, &bob, &adder, fixture("adder")?),
            bob.request(&server, "GET", component).send(),
        );
        lock.rollback().await?;
        anyhow::Ok(asked)
    };
    let (held, others) = tokio::join!(holding, others);
    let (counted, uploaded, downloaded) = others?;
    for answer in counted? {
        assert!(is_busy(&answer), "{answer:#?}");
    }
    let uploaded = uploaded?;
    assert!(is_busy(&uploaded), "{uploaded:#?}");
    let downloaded = downloaded?;
    assert_eq!(downloaded.status(), 503);
    let seconds = downloaded
        .headers()
        .get("retry-after")
        .context("Retry-After")?;
    assert_eq!(seconds, "1");
    let held = held?;
    assert!(
        held.iter().all(|answer| answer.0 == 200 || is_busy(answer)),
        "{held:#?}"
    );
    assert!(held.iter().any(|answer| answer.0 == 200), "{held:#?}");
    // And then there is room again.
    let (status, answer) = upload(
        &server,
        &bob,
        &manifest("adder", "1.0.0"),
        fixture("adder")?,
    )
    .await?;
    assert_eq!(status, 202, "{answer:#}");
    Ok(())
}

#[tokio::test]
async fn a_statement_that_waits_too_long_in_the_sandbox_is_no_fault() -> Result<()> {
    let (server, _, bob) = counting().await?;
    // Of this test's database alone; the role is the cluster's.
    let short = "do $$ begin execute format(
        'alter role gather_sandbox in database %I set statement_timeout = ''1s''', current_database()); end $$";
    server.database.execute(short).await?;
    let mut database = server.database.connect().await?;
    let mut lock = database.begin().await?;
    sqlx::query("lock table skills.component in share mode")
        .execute(&mut *lock)
        .await?;
    // Connections that are open have the old time-out.
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where usename = 'gather_sandbox' and datname = current_database()",
    )
    .execute(&mut *lock)
    .await?;
    let uploaded = upload(
        &server,
        &bob,
        &manifest("adder", "1.0.0"),
        fixture("adder")?,
    )
    .await?;
    lock.rollback().await?;
    let (status, answer) = uploaded;
    assert_eq!(
        (status, &answer["code"]),
        (503, &json!("sandbox-unavailable")),
        "{answer:#}"
    );
    Ok(())
}
