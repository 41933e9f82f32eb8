//! The jobs that ended lately, hour by hour.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, people::Person};
use serde_json::Value;

/// Puts jobs into the database that ended some time ago, having taken some milliseconds each.
async fn ended(
    server: &Server,
    owner: &Agent,
    status: &str,
    minutes: i32,
    took_ms: &[i32],
) -> Result<()> {
    sqlx::query(
        "insert into jobs.job (kind, owner_id, max_attempts, status, created_at, run_at, finished_at)
         select 'skill-review', $1, 1, $2, due, due, due + make_interval(secs => took / 1000.0)
         from unnest($4::integer[]) took, lateral (
             select now() - make_interval(mins => $3) - make_interval(secs => took / 1000.0) as due) d",
    )
    .bind(owner.id)
    .bind(status)
    .bind(minutes)
    .bind(took_ms)
    .execute(&mut server.database.connect().await?)
    .await?;
    Ok(())
}

async fn hours(server: &Server, reader: &Agent) -> Result<Vec<Value>> {
    let (status, answer) = reader.get(server, "/api/jobs/history").await?;
    assert_eq!(status, 200, "{answer}");
    Ok(answer["hours"].as_array().context("hours")?.clone())
}

#[tokio::test]
async fn each_hour_has_its_jobs_and_the_time_that_they_took() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    ended(&server, &ada, "succeeded", 30, &[100, 200, 300]).await?;
    ended(&server, &ada, "dead", 150, &[5_000]).await?;
    ended(&server, &ada, "cancelled", 150, &[1_000]).await?;
    ended(&server, &ada, "succeeded", 25 * 60, &[1]).await?;
    ended(&server, &bob, "succeeded", 30, &[7]).await?;

    let seen = hours(&server, &ada).await?;
    assert_eq!(seen.len(), 24);
    let count = |hours: &[Value], name: &str| -> Vec<u64> {
        let count = |hour: &Value| hour[name].as_u64().unwrap_or_default();
        hours.iter().map(count).collect()
    };
    let only = |index: usize, count: u64| {
        let mut hours = vec![0; 24];
        hours[index] = count;
        hours
    };
    assert_eq!(count(&seen, "succeeded"), only(23, 3));
    assert_eq!(count(&seen, "dead"), only(21, 1));
    assert_eq!(count(&seen, "cancelled"), only(21, 1));
    assert_eq!(seen[23]["median_ms"], 200.0);
    assert_eq!(seen[23]["p95_ms"], 290.0);
    assert_eq!(seen[0]["median_ms"], Value::Null);

    let admin = ada.with_scope(&server.database, "admin:all").await?;
    assert_eq!(
        count(&hours(&server, &admin).await?, "succeeded"),
        only(23, 4)
    );
    let stranger = server.http.get(format!("{}/api/jobs/history", server.url));
    assert_eq!(stranger.send().await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn the_page_of_jobs_draws_them_and_has_them_as_a_table() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    ended(&server, &grace.client, "succeeded", 30, &[1_500, 1_500]).await?;
    ended(&server, &grace.client, "dead", 90, &[2_000]).await?;
    let browser = grace.browser(&server)?;
    let page = browser.get("/jobs").await?;
    let charts: Vec<_> = page
        .all(".charts svg")
        .iter()
        .filter_map(|svg| svg.attr("aria-label"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        charts,
        [
            "Ended an hour, 24 columns",
            "Time until 95 % ended, 24 columns",
            "Died an hour, 24 columns",
        ]
    );
    let said = page.text(".charts");
    for column in ["2 jobs", "1500 ms, half within 1500 ms", "1 job"] {
        assert!(said.contains(column), "{column}: {said}");
    }
    assert_eq!(page.all(".numbers-table tbody tr").len(), 24);
    let latest = page.texts(".numbers-table tbody tr:first-child td");
    assert_eq!(latest, ["2", "0", "0", "1500", "1500"]);
    Ok(())
}
