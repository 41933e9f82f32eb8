//! Jobs as their owners see them.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::read,
    errands::{Errands, quick},
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// The platform, a worker that does errands over the same database, and two agents.
struct World {
    server: Server,
    errands: Errands,
    ada: Agent,
    bob: Agent,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let database = e2e::Database {
            admin: server.database.admin.clone(),
        };
        let errands = Errands::over(database, "deadline_ms = 60000\njob = {}").await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        Ok(Self {
            server,
            errands,
            ada,
            bob,
        })
    }

    async fn ask(&self, owner: &Agent, steps: Value) -> Result<Uuid> {
        let id = sqlx::query_scalar("select jobs.enqueue('errand', $1, $2)")
            .bind(json!({ "steps": steps, "password": "s3cret" }))
            .bind(owner.id);
        Ok(id.fetch_one(&self.errands.pool).await?)
    }

    async fn call(&self, who: &Agent, method: &str, path: &str) -> Result<(u16, Value)> {
        read(who.request(&self.server, method, path).send().await?).await
    }
}

#[tokio::test]
async fn a_job_is_its_owners_and_shows_no_payload() -> Result<()> {
    let world = World::new().await?;
    let id = world
        .ask(&world.ada, json!([{ "return": "{\"answer\": 42}" }]))
        .await?;
    let path = format!("/api/jobs/{id}");
    let (status, queued) = world.call(&world.ada, "GET", &path).await?;
    assert_eq!((status, &queued["status"]), (200, &json!("queued")));
    let _worker = world.errands.worker(quick()).await?;
    world.errands.until(id, "succeeded").await?;
    let (_, job) = world.call(&world.ada, "GET", &path).await?;
    assert_eq!(job["result"], json!({ "answer": 42 }));
    assert_eq!(
        (&job["attempts"], &job["progress"]["percent"]),
        (&json!(1), &json!(100))
    );
    for field in [
        "id",
        "kind",
        "status",
        "max_attempts",
        "created_at",
        "started_at",
        "finished_at",
    ] {
        assert!(!job[field].is_null(), "{field} of {job:#}");
    }
    assert!(
        !job.to_string().contains("s3cret") && job.get("payload").is_none(),
        "{job:#}"
    );

    for (method, path) in [
        ("GET", path.clone()),
        ("POST", format!("{path}/cancel")),
        ("POST", format!("{path}/retry")),
    ] {
        let (status, problem) = world.call(&world.bob, method, &path).await?;
        assert_eq!(
            (status, &problem["code"]),
            (404, &json!("not-found")),
            "{method} {path}"
        );
    }
    let (_, list) = world.call(&world.bob, "GET", "/api/jobs").await?;
    assert_eq!(list, json!({ "items": [], "next": null }));

    let admin = world
        .bob
        .with_scope(&world.server.database, "admin:all")
        .await?;
    let (status, seen) = world.call(&admin, "GET", &path).await?;
    assert_eq!((status, &seen["id"]), (200, &json!(id)));
    let (_, list) = world.call(&admin, "GET", "/api/jobs").await?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    let (status, _) = world.call(&world.ada, "GET", "/api/jobs/none").await?;
    assert_eq!(status, 404);
    Ok(())
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_filtered() -> Result<()> {
    let world = World::new().await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.ask(&world.ada, json!([])).await?.to_string());
    }
    world.ask(&world.bob, json!([])).await?;
    // Those of one millisecond have no order among them but that of their ids.
    ids.sort_unstable();
    ids.reverse();
    let (_, first) = world.call(&world.ada, "GET", "/api/jobs?limit=3").await?;
    let (_, second) = world
        .call(
            &world.ada,
            "GET",
            &format!(
                "/api/jobs?limit=3&after={}",
                first["next"].as_str().context("next")?
            ),
        )
        .await?;
    let seen: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().into_iter().flatten())
        .filter_map(|job| job["id"].as_str())
        .collect();
    assert_eq!(seen, ids);
    assert_eq!(second["next"], Value::Null);
    for (query, count) in [
        ("kind=errand", 5),
        ("kind=other", 0),
        ("status=queued", 5),
        ("status=dead", 0),
        ("kind=errand&status=queued", 5),
    ] {
        let (_, page) = world
            .call(&world.ada, "GET", &format!("/api/jobs?{query}"))
            .await?;
        assert_eq!(
            page["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    let (status, problem) = world
        .call(&world.ada, "GET", "/api/jobs?status=lazy")
        .await?;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-input")));
    Ok(())
}

#[tokio::test]
async fn a_job_is_cancelled_in_every_state() -> Result<()> {
    let world = World::new().await?;
    let cancel = async |id: Uuid| {
        world
            .call(&world.ada, "POST", &format!("/api/jobs/{id}/cancel"))
            .await
    };

    let queued = world.ask(&world.ada, json!(["effect"])).await?;
    let (status, job) = cancel(queued).await?;
    assert_eq!((status, &job["status"]), (200, &json!("cancelled")));
    assert_eq!(
        cancel(queued).await?.0,
        200,
        "cancelling twice does no harm"
    );
    world.errands.check_consistent().await?;

    let _worker = world.errands.worker(quick()).await?;
    let polite = world
        .ask(&world.ada, json!(["note", "until_cancelled", "effect"]))
        .await?;
    let deaf = world.ask(&world.ada, json!(["note", "loop"])).await?;
    let asleep = world
        .ask(&world.ada, json!(["note", { "sleep_ms": 60000 }]))
        .await?;
    world
        .errands
        .until_number("select count(*) from run", 3, Duration::from_secs(10))
        .await?;
    for id in [polite, deaf, asleep] {
        let (status, job) = cancel(id).await?;
        assert_eq!(status, 200);
        assert!(
            job["cancelling"] == true || job["status"] == "cancelled",
            "{job:#}"
        );
    }
    for id in [polite, deaf, asleep] {
        let job = world.errands.until(id, "cancelled").await?;
        assert_eq!(job["attempts"], 1);
    }
    let (_, job) = world
        .call(&world.ada, "GET", &format!("/api/jobs/{polite}"))
        .await?;
    assert_eq!(
        (&job["error"], &job["cancelling"]),
        (&json!("stopped in good order"), &json!(false))
    );

    let waiting = world
        .ask(&world.ada, json!([{ "fail_after_ms": 60000 }]))
        .await?;
    world.errands.until(waiting, "failed").await?;
    assert_eq!(cancel(waiting).await?.1["status"], "cancelled");

    let done = world.ask(&world.ada, json!([])).await?;
    world.errands.until(done, "succeeded").await?;
    let (status, problem) = cancel(done).await?;
    assert_eq!((status, &problem["code"]), (409, &json!("job-finished")));
    assert_eq!(
        world.errands.number("select count(*) from effect").await?,
        0
    );
    world.errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn a_dead_job_is_retried_and_no_other() -> Result<()> {
    let world = World::new().await?;
    let _worker = world.errands.worker(quick()).await?;
    let id = world
        .ask(&world.ada, json!([{ "fail_until": 5 }, "effect"]))
        .await?;
    world.errands.until(id, "dead").await?;
    let (_, job) = world
        .call(&world.ada, "GET", &format!("/api/jobs/{id}"))
        .await?;
    assert_eq!(job["error"], "not before attempt 5");
    let failures = job["failures"].as_array().context("failures")?;
    assert_eq!(
        failures.iter().map(|f| &f["attempt"]).collect::<Vec<_>>(),
        [3, 2, 1]
    );
    let path = format!("/api/jobs/{id}/retry");
    let (status, job) = world.call(&world.ada, "POST", &path).await?;
    assert_eq!((status, &job["max_attempts"]), (200, &json!(6)));
    let job = world.errands.until(id, "succeeded").await?;
    assert_eq!((&job["attempts"], &job["error"]), (&json!(5), &Value::Null));
    let (status, problem) = world.call(&world.ada, "POST", &path).await?;
    assert_eq!((status, &problem["code"]), (409, &json!("job-not-dead")));

    // Asked for again since under the same key: a second one would be too many.
    let ask = || {
        sqlx::query_scalar::<_, Uuid>(
            "select jobs.enqueue('errand', $1, $2, 'key', now() + $3 * interval '1 s')",
        )
    };
    let first = ask()
        .bind(json!({ "steps": [{ "fail_finally": "no" }] }))
        .bind(world.ada.id)
        .bind(0)
        .fetch_one(&world.errands.pool)
        .await?;
    world.errands.until(first, "dead").await?;
    ask()
        .bind(json!({}))
        .bind(world.ada.id)
        .bind(60)
        .fetch_one(&world.errands.pool)
        .await?;
    let (status, problem) = world
        .call(&world.ada, "POST", &format!("/api/jobs/{first}/retry"))
        .await?;
    assert_eq!((status, &problem["code"]), (409, &json!("job-superseded")));
    world.errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn the_status_counts_jobs_and_workers() -> Result<()> {
    let world = World::new().await?;
    let status =
        async || -> Result<Value> { Ok(world.server.get("/api/status").await?.json().await?) };
    let empty = status().await?;
    assert_eq!(empty["jobs"], json!({ "by_status": {}, "by_kind": {} }));
    assert_eq!(
        (&empty["oldest_queued_ms"], &empty["workers"]["alive"]),
        (&Value::Null, &json!(0))
    );
    for _ in 0..3 {
        world.ask(&world.ada, json!([])).await?;
    }
    let dead = world
        .ask(&world.ada, json!([{ "fail_finally": "no" }]))
        .await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = status().await?;
    assert_eq!(waiting["jobs"]["by_kind"]["errand"], json!({ "queued": 4 }));
    assert!(
        waiting["oldest_queued_ms"].as_u64() >= Some(20),
        "{waiting}"
    );
    let _worker = world.errands.worker(quick()).await?;
    world.errands.until(dead, "dead").await?;
    world
        .errands
        .until_number(
            "select count(*) from jobs.job where status = 'succeeded'",
            3,
            Duration::from_secs(10),
        )
        .await?;
    let done = status().await?;
    assert_eq!(
        done["jobs"]["by_status"],
        json!({ "succeeded": 3, "dead": 1 })
    );
    assert_eq!(done["workers"]["alive"], 1);
    // Counters that were added up say the same.
    world
        .errands
        .until_number(
            "select count(*) from jobs.count_change",
            0,
            Duration::from_secs(5),
        )
        .await?;
    assert_eq!(status().await?["jobs"], done["jobs"]);
    let health: Value = world.server.get("/api/health/status").await?.json().await?;
    assert_eq!(
        health["components"]["queue"]["status"], "healthy",
        "{health:#}"
    );
    assert_eq!(health["components"]["workers"]["alive"], 1, "{health:#}");
    Ok(())
}
