//! What drives runs: epochs, jobs that are lost, and the shipped examples.

use super::world::{World, transform};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, errands::quick};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_driver_of_an_earlier_epoch_changes_nothing() -> Result<()> {
    let world = World::new().await?;
    let definition = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    let run = world.start("fenced", definition, json!(null)).await?;
    world.waits(&run, "hold").await?;
    let mut database = world.server.database.connect().await?;
    let stale = "select pipelines.commit(r.id, r.epoch - 1, r.news, '[]', '{\"status\": \"failed\"}', false, false, false) from pipelines.run r";
    let answer: Value = sqlx::query_scalar(stale).fetch_one(&mut database).await?;
    assert_eq!(answer, json!({"held": false}));
    world
        .call("POST", &format!("{run}/signals/go"), json!({}))
        .await?;
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    let late = "update pipelines.run set status = 'running', finished_at = null";
    assert!(
        sqlx::query(late).execute(&mut database).await.is_err(),
        "ended is final"
    );
    Ok(())
}

#[tokio::test]
async fn the_runs_of_a_suspended_account_do_nothing_until_it_is_back() -> Result<()> {
    let mut world = World::new().await?;
    let definition = json!({
        "nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}, "after": transform("1")},
        "edges": [{"from": "hold", "to": "after"}],
    });
    let run = world.start("suspends", definition, json!(null)).await?;
    world.waits(&run, "hold").await?;
    let mut database = world.server.database.connect().await?;
    for status in ["suspended", "active"] {
        sqlx::query("select identity.set_status($1, $2, 'test', null, true, null, null)")
            .bind(world.ada.id)
            .bind(status)
            .execute(&mut database)
            .await?;
        sqlx::query("select pipelines.wake(r.id) from pipelines.run r")
            .execute(&mut database)
            .await?;
        assert_eq!(
            world
                .number(
                    "select count(*) from pipelines.run where status = 'paused' and job_id is null"
                )
                .await?,
            1,
            "{status}"
        );
    }
    world.ada.token = Agent::token(&world.server, 1).await?;
    for path in ["resume", "signals/go"] {
        let sent = world
            .call("POST", &format!("{run}/{path}"), json!({}))
            .await?;
        assert_eq!(sent.0, 202, "{sent:?}");
    }
    assert_eq!(world.ended(&run).await?["status"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn a_run_whose_job_is_gone_is_driven_again_and_one_whose_job_gave_up_fails() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let definition = json!({"nodes": {"a": transform("1")}});
    ada.send(
        &server,
        "POST",
        "/api/pipelines",
        &json!({"name": "lost", "definition": definition}),
    )
    .await?;
    let mut runs = vec![];
    for _ in 0..3 {
        let (_, run) = ada
            .send(&server, "POST", "/api/pipelines/lost/runs", &json!({}))
            .await?;
        runs.push(format!("/api/runs/{}", run["id"].as_str().context("id")?));
    }
    let mut database = server.database.connect().await?;
    let jobs: Vec<uuid::Uuid> = sqlx::query_scalar("select job_id from pipelines.run order by id")
        .fetch_all(&mut database)
        .await?;
    // The first one's job ends as dead, the second one's is cancelled, the third one's vanishes.
    sqlx::query("update jobs.job set status = 'dead', finished_at = now(), queue_id = null, error = 'It was lost.' where id = $1")
        .bind(jobs[0]).execute(&mut database).await?;
    sqlx::query("select jobs.cancel($1, null)")
        .bind(jobs[1])
        .execute(&mut database)
        .await?;
    sqlx::query("delete from jobs.job where id = $1")
        .bind(jobs[2])
        .execute(&mut database)
        .await?;
    let (_, failed) = ada.get(&server, &runs[0]).await?;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("failed"), &json!("engine-lost")),
        "{failed}"
    );
    let times = JobTimes {
        lease: Duration::from_secs(30),
        ..quick()
    };
    let world = World {
        _worker: server.worker(times).await?,
        server,
        ada,
    };
    for run in &runs[1..] {
        assert_eq!(world.ended(run).await?["status"], "succeeded");
    }
    Ok(())
}

#[tokio::test]
async fn the_examples_run() -> Result<()> {
    let world = World::new().await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let example = |name: &str| -> Result<Value> {
        let path = e2e::root().join("docs/examples").join(name);
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    };
    let input = json!({"title": "Owls", "text": "They see at night.", "reviewer": bob.id});
    let review = world
        .start("review", example("review.json")?, input)
        .await?;
    world.waits(&review, "ask").await?;
    let (_, open) = bob
        .get(&world.server, "/api/approvals?state=pending")
        .await?;
    let approval = &open["items"][0];
    let path = format!(
        "/api/approvals/{}/decision",
        approval["id"].as_str().context("id")?
    );
    let decision = json!({"decision": "approve", "digest": approval["digest"]});
    assert_eq!(
        bob.send(&world.server, "POST", &path, &decision).await?.0,
        200
    );
    let ended = world.ended(&review).await?;
    assert_eq!(
        ended["result"]["answer"]["body"]["title"], "Owls",
        "{ended}"
    );

    let input = json!({"to": world.ada.id, "query": "owls"});
    let report = world
        .start("report", example("report.json")?, input)
        .await?;
    let ended = world.ended(&report).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!(1)),
        "{ended}"
    );
    let (_, inbox) = world.ada.get(&world.server, "/api/inbox?kind=run").await?;
    assert_eq!(
        (&inbox["items"][0]["title"], &inbox["items"][0]["text"]),
        (&json!("Posts about owls: 1"), &json!("Owls"))
    );
    Ok(())
}
