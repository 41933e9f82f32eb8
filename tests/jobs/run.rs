//! Queued work: asked for once, done once, however it goes.

use anyhow::{Context, Result};
use e2e::{
    Database,
    errands::{Errands, quick},
};
use futures::future::{join_all, try_join_all};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

#[tokio::test]
async fn work_is_done_and_its_result_kept() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let waiting = errands
        .errand(json!(["note", "effect", { "return": "{\"answer\": 42}" }]))
        .await?;
    let worker = errands.worker(quick()).await?;
    let job = errands.until(waiting, "succeeded").await?;
    assert_eq!(job["result"], json!({ "answer": 42 }));
    assert_eq!(
        (&job["attempts"], &job["percent"], &job["error"]),
        (&json!(1), &json!(100), &Value::Null)
    );
    assert_eq!(errands.number("select count(*) from effect").await?, 1);
    // Now that the worker waits, it is told.
    let started = Instant::now();
    let told = errands.errand(json!([])).await?;
    errands.until(told, "succeeded").await?;
    assert!(started.elapsed() < Duration::from_secs(10));
    errands.check_consistent().await?;
    worker.shutdown(Duration::from_secs(5)).await;
    assert_eq!(
        errands
            .number("select count(*) from graphile_worker._private_workers")
            .await?,
        0
    );
    Ok(())
}

#[tokio::test]
async fn work_is_found_without_notifications_too() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let _worker = errands
        .worker(JobTimes {
            listen: false,
            ..quick()
        })
        .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let id = errands.errand(json!(["effect"])).await?;
    errands.until(id, "succeeded").await?;
    Ok(())
}

#[tokio::test]
async fn asking_is_part_of_the_callers_transaction() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let _worker = errands.worker(quick()).await?;
    let mut connection = errands.database.connect().await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("select jobs.enqueue('errand', '{\"steps\": [\"effect\"]}')")
        .execute(&mut *transaction)
        .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(errands.number("select count(*) from effect").await?, 0);
    transaction.rollback().await?;
    let id = errands.errand(json!([])).await?;
    errands.until(id, "succeeded").await?;
    assert_eq!(errands.number("select count(*) from jobs.job").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_key_makes_asking_twice_harmless() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let ask = async |owner: Option<Uuid>| -> Result<Uuid> {
        let id = sqlx::query_scalar("select jobs.enqueue('errand', '{}', $1, 'same')").bind(owner);
        Ok(id.fetch_one(&errands.pool).await?)
    };
    let (ada, bob) = (Some(Uuid::now_v7()), Some(Uuid::now_v7()));
    let ids = try_join_all((0..30).map(|n| ask([None, ada, bob][n % 3]))).await?;
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(*id, ids[n % 3], "one job for each owner");
    }
    assert_eq!(errands.number("select count(*) from jobs.job").await?, 3);
    let _worker = errands.worker(quick()).await?;
    errands.until(ids[0], "succeeded").await?;
    assert_ne!(
        ask(None).await?,
        ids[0],
        "finished work can be asked for again"
    );
    Ok(())
}

#[tokio::test]
async fn jobs_of_one_queue_run_one_after_another() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let ask = |n: i32| {
        let pool = errands.pool.clone();
        async move {
            sqlx::query("select jobs.enqueue('errand', $1, queue => $2)")
                .bind(json!({ "steps": ["note", { "sleep_ms": 20 }, "effect"] }))
                .bind(format!("queue {}", n % 2))
                .execute(&pool)
                .await
        }
    };
    try_join_all((0..20).map(ask)).await?;
    let _workers = try_join_all([errands.worker(quick()), errands.worker(quick())]).await?;
    errands
        .until_number(
            "select count(*) from jobs.job where status = 'succeeded'",
            20,
            Duration::from_secs(20),
        )
        .await?;
    // Of 20 intervals in two queues, no more than two ever overlap.
    let most = errands
        .number(
            "select max(n) from (
                select (select count(*) from run b join effect y using (job)
                    where b.at <= a.at and y.at > a.at) as n from run a) o",
        )
        .await?;
    assert!(most <= 2, "{most} at the same time");
    errands
        .until_number(
            "select count(*) from graphile_worker._private_job_queues",
            0,
            Duration::from_secs(5),
        )
        .await?;
    Ok(())
}

#[tokio::test]
async fn smaller_priorities_are_sooner_and_nothing_is_before_its_time() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let mut ids = Vec::new();
    for priority in [3, 1, 2] {
        let id: Uuid = sqlx::query_scalar("select jobs.enqueue('single', $1, priority => $2)")
            .bind(json!({ "steps": ["effect"] }))
            .bind(priority)
            .fetch_one(&errands.pool)
            .await?;
        ids.push(id);
    }
    let later: Uuid = sqlx::query_scalar(
        "select jobs.enqueue('errand', run_at => now() + interval '700 milliseconds')",
    )
    .fetch_one(&errands.pool)
    .await?;
    let much_later: Uuid =
        sqlx::query_scalar("select jobs.enqueue('errand', run_at => now() + interval '1 hour')")
            .fetch_one(&errands.pool)
            .await?;
    let _worker = errands.worker(quick()).await?;
    for id in &ids {
        errands.until(*id, "succeeded").await?;
    }
    let order: Vec<Uuid> = sqlx::query_scalar("select job from effect order by at")
        .fetch_all(&errands.pool)
        .await?;
    assert_eq!(order, [ids[1], ids[2], ids[0]]);
    let job = errands.until(later, "succeeded").await?;
    assert_eq!(errands.job(much_later).await?["status"], "queued");
    assert!(job["started_at"].as_str() >= job["run_at"].as_str());
    Ok(())
}

#[tokio::test]
async fn a_kind_has_its_own_bound() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    for _ in 0..6 {
        errands
            .ask("single", json!(["note", { "sleep_ms": 30 }, "effect"]))
            .await?;
    }
    let quick_one = errands.errand(json!(["effect"])).await?;
    let _worker = errands.worker(quick()).await?;
    errands.until(quick_one, "succeeded").await?;
    assert!(
        errands
            .number("select count(*) from jobs.job where kind = 'single' and status = 'succeeded'")
            .await?
            < 6,
        "other kinds do not wait for it"
    );
    errands
        .until_number(
            "select count(*) from jobs.job where status = 'succeeded'",
            7,
            Duration::from_secs(10),
        )
        .await?;
    let most = errands
        .number("select max((select count(*) from run b join effect y using (job) where b.at <= a.at and y.at > a.at)) from run a")
        .await;
    assert!(most.is_ok_and(|most| most <= 1));
    Ok(())
}

/// What becomes of a job whose component does `steps`: its status in the end, its attempts, and words
/// of its error.
async fn fails(
    errands: &Errands,
    steps: Value,
    status: &str,
    attempts: u32,
    words: &str,
) -> Result<Uuid> {
    let id = errands.errand(steps.clone()).await?;
    let job = errands
        .until(id, status)
        .await
        .with_context(|| steps.to_string())?;
    assert_eq!(job["attempts"], attempts, "{steps}: {job:#}");
    let error = job["error"].as_str().unwrap_or_default();
    assert!(error.contains(words), "{steps}: {error:?}");
    Ok(id)
}

#[tokio::test]
async fn what_goes_wrong_is_tried_again_and_then_dead() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let _worker = errands.worker(quick()).await?;
    let many = "x".repeat(5000);
    let cases = [
        fails(&errands, json!(["note", "trap"]), "dead", 3, "trapped"),
        fails(&errands, json!(["memory"]), "dead", 3, "33554432 bytes"),
        fails(&errands, json!([{ "return": "{" }]), "dead", 3, "not JSON"),
        fails(&errands, json!([{ "return": "" }]), "dead", 3, "not JSON"),
        fails(
            &errands,
            json!([{ "return": "\"\\u0000\"" }]),
            "dead",
            3,
            "can't be stored",
        ),
        fails(
            &errands,
            json!([{ "return": "1e999999" }]),
            "dead",
            3,
            "can't be stored",
        ),
        fails(
            &errands,
            json!([{ "return_many": 2_000_000 }]),
            "dead",
            3,
            "1048576 are allowed",
        ),
        fails(
            &errands,
            json!([{ "fail_finally": "no<zero>pe" }]),
            "dead",
            1,
            "nope",
        ),
        fails(
            &errands,
            json!([{ "fail_finally": many }]),
            "dead",
            1,
            "xxx",
        ),
        fails(&errands, json!([{ "fail_until": 3 }]), "succeeded", 3, ""),
        fails(
            &errands,
            json!([{ "fail_after_ms": 300 }]),
            "succeeded",
            2,
            "",
        ),
    ];
    let ids = join_all(cases)
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    // The dead one keeps what it was asked with and what became of every attempt.
    let trapped = errands.job(ids[0]).await?;
    assert_eq!(trapped["payload"], json!({ "steps": ["note", "trap"] }));
    let attempts: Vec<(i32, String)> = sqlx::query_as(
        "select number, outcome from jobs.attempt where job_id = $1 order by number",
    )
    .bind(ids[0])
    .fetch_all(&errands.pool)
    .await?;
    assert_eq!(attempts, [1, 2, 3].map(|n| (n, "failed".to_owned())));
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline_and_starves_nobody() -> Result<()> {
    let errands = Errands::new("deadline_ms = 300\njob = { attempts = 1 }").await?;
    let _worker = errands.worker(quick()).await?;
    let mut loops = Vec::new();
    for _ in 0..4 {
        loops.push(errands.ask("special", json!(["note", "loop"])).await?);
    }
    errands
        .until_number("select count(*) from run", 4, Duration::from_secs(5))
        .await?;
    let started = Instant::now();
    let other = errands.errand(json!([])).await?;
    errands.until(other, "succeeded").await?;
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    for id in loops {
        let job = errands.until(id, "dead").await?;
        assert!(
            job["error"]
                .as_str()
                .is_some_and(|e| e.contains("deadline of 300 ms")),
            "{job:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn progress_is_written_down_and_an_event() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let _worker = errands.worker(quick()).await?;
    let owner = Uuid::now_v7();
    let steps = json!({ "steps": [{ "progress": [250, "half<zero> way".repeat(100)] }, { "sleep_ms": 800 }] });
    let id: Uuid = sqlx::query_scalar("select jobs.enqueue('errand', $1, $2)")
        .bind(steps)
        .bind(owner)
        .fetch_one(&errands.pool)
        .await?;
    errands
        .until_number(
            "select count(*) from jobs.job where percent = 100 and status = 'running'",
            1,
            Duration::from_secs(5),
        )
        .await?;
    let job = errands.job(id).await?;
    assert_eq!(
        job["note"].as_str().map(|note| note.chars().count()),
        Some(200),
        "cut"
    );
    errands.until(id, "succeeded").await?;
    let events: Vec<(String, Value)> = sqlx::query_as(
        "select type, data from events.event where topic = $1 order by created_at, id",
    )
    .bind(format!("job:{id}"))
    .fetch_all(&errands.pool)
    .await?;
    let types: Vec<_> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(types, ["job.progress", "job.succeeded"]);
    assert_eq!(events[0].1["progress"]["percent"], 100);
    assert_eq!(events[1].1["id"], id.to_string());
    Ok(())
}

#[tokio::test]
async fn recurring_work_is_made_up_for_and_begins_once() -> Result<()> {
    let errands = Errands::new("job = { schedule = \"* * * * *\", catch_up_ms = 600000 }").await?;
    // Known for an hour, last begun eleven minutes ago: ten times were missed, those of ten minutes count.
    errands
        .database
        .execute(
            "insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
             values ('special', now() - interval '1 hour', date_trunc('minute', now()) - interval '11 minutes')",
        )
        .await?;
    let _workers = try_join_all([
        errands.worker(quick()),
        errands.worker(quick()),
        errands.worker(quick()),
    ])
    .await?;
    let begun = "select count(*) from jobs.job where kind = 'special' and status = 'succeeded'";
    let started = Instant::now();
    while errands.number(begun).await? < 10 {
        assert!(started.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let times: Vec<String> = sqlx::query_scalar("select payload -> '_cron' ->> 'ts' from jobs.job")
        .fetch_all(&errands.pool)
        .await?;
    let distinct: std::collections::BTreeSet<_> = times.iter().collect();
    assert_eq!(distinct.len(), times.len(), "a time began twice: {times:?}");
    assert!((10..=12).contains(&times.len()), "{times:?}");
    errands.check_consistent().await?;
    Ok(())
}

#[tokio::test]
async fn finished_jobs_are_forgotten_by_age_and_dead_ones_later() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let done = errands.errand(json!([])).await?;
    let dead = errands.errand(json!([{ "fail_finally": "no" }])).await?;
    let young = errands.errand(json!([])).await?;
    let worker = errands.worker(quick()).await?;
    errands.until(done, "succeeded").await?;
    errands.until(dead, "dead").await?;
    errands.until(young, "succeeded").await?;
    sqlx::query("update jobs.job set finished_at = now() - interval '8 days' where id <> $1")
        .bind(young)
        .execute(&errands.pool)
        .await?;
    errands
        .until_number("select count(*) from jobs.job", 2, Duration::from_secs(5))
        .await?;
    assert!(errands.job(dead).await.is_ok() && errands.job(young).await.is_ok());
    sqlx::query("update jobs.job set finished_at = now() - interval '31 days' where id = $1")
        .bind(dead)
        .execute(&errands.pool)
        .await?;
    errands
        .until_number("select count(*) from jobs.job", 1, Duration::from_secs(5))
        .await?;
    errands.check_consistent().await?;
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn no_role_asks_for_work_that_it_was_not_granted() -> Result<()> {
    let database = Database::create().await?;
    database
        .execute("grant usage on schema jobs to gather_identity; grant execute on function jobs.enqueue to gather_identity")
        .await?;
    let mut identity = PgConnection::connect(&database.url_of("identity")?).await?;
    let mut ask = async || {
        sqlx::query("select jobs.enqueue('account-purge')")
            .execute(&mut identity)
            .await
    };
    let refused = ask().await.expect_err("not granted").to_string();
    assert!(
        refused.contains("gather_identity may not enqueue"),
        "{refused}"
    );
    database
        .execute("insert into jobs.enqueuer values ('gather_identity', 'account-purge')")
        .await?;
    ask().await?;
    Ok(())
}

#[tokio::test]
async fn states_change_only_along_their_ways() -> Result<()> {
    let errands = Errands::new("job = {}").await?;
    let id = errands.errand(json!([])).await?;
    for status in ["succeeded", "failed"] {
        let change = sqlx::query(
            "update jobs.job set status = $2, finished_at = now(), queue_id = null where id = $1",
        )
        .bind(id)
        .bind(status)
        .execute(&errands.pool)
        .await;
        let error = change.expect_err(status).to_string();
        assert!(error.contains("cannot become"), "{error}");
    }
    for bad in [
        "{\"steps\": 1}', null, ''",
        "{}', queue => ''",
        "{}', queue => repeat('q', 200)",
    ] {
        let sql = format!("select jobs.enqueue('errand', '{bad})");
        assert!(errands.database.execute(&sql).await.is_err(), "{bad}");
    }
    assert!(
        errands
            .database
            .execute("select jobs.enqueue('No Kind')")
            .await
            .is_err()
    );
    Ok(())
}
