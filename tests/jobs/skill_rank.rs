//! The ranking: what raises a skill and what does not, however often it is called.

use anyhow::Result;
use e2e::{
    Server,
    agents::Agent,
    errands::quick,
    publishing::{approved, manifest},
};
use serde_json::Value;
use std::time::{Duration, Instant};

async fn rank(server: &Server) -> Result<()> {
    let worker = server.worker(quick()).await?;
    let mut database = server.database.connect().await?;
    let job: uuid::Uuid = sqlx::query_scalar("select jobs.enqueue('skill-rank')")
        .fetch_one(&mut database)
        .await?;
    let began = Instant::now();
    loop {
        let status: String = sqlx::query_scalar("select status from jobs.job where id = $1")
            .bind(job)
            .fetch_one(&mut database)
            .await?;
        match status.as_str() {
            "succeeded" => break,
            "dead" | "cancelled" => anyhow::bail!("{status}"),
            _ if began.elapsed() > Duration::from_secs(20) => anyhow::bail!("{status} still"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn ranks(server: &Server) -> Result<Vec<(String, f64, u64)>> {
    let found: Value = server.get("/api/skills").await?.json().await?;
    let items = found["items"].as_array().cloned().unwrap_or_default();
    let read = items.iter().filter_map(|item| {
        Some((
            item["name"].as_str()?.to_owned(),
            item["rank"].as_f64()?,
            item["uses_30d"].as_u64()?,
        ))
    });
    Ok(read.collect())
}

#[tokio::test]
async fn many_accounts_and_ratings_raise_a_skill_and_sock_puppets_do_not() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    for (agent, name) in [
        (&ada, "loved"),
        (&ada, "plain"),
        (&bob, "pushed"),
        (&bob, "other"),
    ] {
        approved(&server, agent, &manifest(name, "1.0.0"), "adder").await?;
    }
    // Fifty accounts of a year call and rate `loved`, and other authors' skills too. Five hundred made today
    // call `pushed` a hundred times each, rate it 5, and call nothing else; so does its owner.
    server
        .database
        .execute(
            "insert into identity.account (kind, name, created_at)
             select 'agent', 'real-' || n, now() - interval '1 year' from generate_series(1, 50) n
             union all select 'agent', 'puppet-' || n, now() from generate_series(1, 500) n;
             insert into skills.usage (skill_id, account_id, day, calls)
             select s.id, a.id, current_date, case s.name when 'plain' then 1 else 2 end from skills.skill s, identity.account a
             where a.name like 'real-%' and s.name in ('loved', 'other', 'plain') and not (s.name = 'plain' and a.name > 'real-2')
             union all select s.id, a.id, current_date, 100 from skills.skill s, identity.account a
             where s.name = 'pushed' and (a.name like 'puppet-%' or a.name = 'bob');
             insert into skills.rating (skill_id, account_id, rating)
             select s.id, a.id, 5 from skills.skill s, identity.account a
             where (s.name = 'loved' and a.name like 'real-%') or (s.name = 'pushed' and a.name like 'puppet-%')",
        )
        .await?;
    rank(&server).await?;
    let found = ranks(&server).await?;
    let of = |name: &str| {
        found
            .iter()
            .find(|(found, ..)| found == name)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(
        found.first().map(|(name, ..)| name.as_str()),
        Some("loved"),
        "{found:?}"
    );
    assert!(
        of("other").1 > of("pushed").1,
        "fifty real accounts beat five hundred of today: {found:?}"
    );
    assert!(
        of("pushed").1 - of("plain").1 < 0.05,
        "puppets bring next to nothing: {found:?}"
    );
    assert_eq!(
        of("pushed").2,
        50_000,
        "the calls of others are counted all the same"
    );
    assert!(
        found.iter().all(|(_, rank, _)| (0.0..=1.0).contains(rank)),
        "{found:?}"
    );
    let used: Value = server
        .get("/api/skills?sort=used&limit=1")
        .await?
        .json()
        .await?;
    assert_eq!(used["items"][0]["name"], "pushed");
    Ok(())
}

#[tokio::test]
async fn calls_are_counted_by_account_and_day() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    for name in ["", "x", "y"] {
        e2e::publishing::invoke(
            &server,
            &ada,
            "adder",
            "greet",
            serde_json::json!({"name": name}),
        )
        .await?;
    }
    let mut database = server.database.connect().await?;
    let began = Instant::now();
    loop {
        let counted: Option<(i64, i64)> =
            sqlx::query_as("select calls, failures from skills.usage")
                .fetch_optional(&mut database)
                .await?;
        if counted == Some((3, 1)) {
            return Ok(());
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{counted:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
