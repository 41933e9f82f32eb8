//! What happened, as readers without a socket see it.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::Value;
use std::collections::BTreeSet;

async fn history(server: &Server, who: &Agent, topic: &str, since: Option<&str>) -> Result<Value> {
    let since = since.map_or_else(String::new, |since| format!("&since={since}"));
    let path = format!("/api/events?topic={topic}&limit=3{since}");
    let (status, page) = who.get(server, &path).await?;
    assert_eq!(status, 200, "{page}");
    Ok(page)
}

/// The numbers that a test's events carry, from a position on, page by page, and where the reader stands then.
async fn numbers(
    server: &Server,
    who: &Agent,
    topic: &str,
    since: Option<&str>,
) -> Result<(Vec<u64>, String)> {
    let mut position = since.map(str::to_owned);
    let mut found = Vec::new();
    loop {
        let page = history(server, who, topic, position.as_deref()).await?;
        let items = page["items"].as_array().context("items")?;
        let tests = items.iter().filter(|event| event["type"] == "test.number");
        found.extend(tests.filter_map(|event| event["data"]["n"].as_u64()));
        position = Some(page["position"].as_str().context("position")?.to_owned());
        if items.len() < 3 {
            return Ok((found, position.context("position")?));
        }
    }
}

fn emit(topic: &str, number: u64) -> String {
    format!("select events.emit(array['{topic}'], 'test.number', '{{\"n\": {number}}}')")
}

#[tokio::test]
async fn an_event_that_commits_late_is_read_once_and_keeps_nobody_waiting() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let database = &server.database;

    let (_, start) = numbers(&server, &ada, "account:me", None).await?;
    // Somebody's long transaction, and one that has written and not committed.
    let long = database.hold("select pg_current_xact_id()").await?;
    let late = database.hold(&emit(&topic, 1)).await?;
    for number in 2..9 {
        database.execute(&emit(&topic, number)).await?;
    }
    let (early, position) = numbers(&server, &ada, "account:me", Some(&start)).await?;
    assert_eq!(early, [2, 3, 4, 5, 6, 7, 8]);
    let (nothing, position) = numbers(&server, &ada, "account:me", Some(&position)).await?;
    assert_eq!(nothing, [0; 0]);
    late.commit().await?;
    let (found, position) = numbers(&server, &ada, "account:me", Some(&position)).await?;
    assert_eq!(found, [1]);
    long.release().await?;
    database.execute(&emit(&topic, 9)).await?;
    let (found, _) = numbers(&server, &ada, "account:me", Some(&position)).await?;
    assert_eq!(found, [9]);
    // Each once, for whoever reads from the start.
    let (all, _) = numbers(&server, &ada, "account:me", Some(&start)).await?;
    assert_eq!(all.len(), 9);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), (1..10).collect());
    Ok(())
}

#[tokio::test]
async fn a_topic_is_read_by_those_who_may() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let job: uuid::Uuid = sqlx::query_scalar("select jobs.enqueue('mail-delivery', '{}', $1)")
        .bind(ada.id)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    let unknown = uuid::Uuid::now_v7();
    for (topic, ada_may, bob_may) in [
        ("account:me".to_owned(), true, true),
        (format!("account:{}", ada.id), true, false),
        (format!("account:{unknown}"), false, false),
        (format!("job:{job}"), true, false),
        (format!("job:{unknown}"), false, false),
        ("job:x".to_owned(), false, false),
        ("nothing:x".to_owned(), false, false),
        ("all:all".to_owned(), false, false),
    ] {
        for (who, may) in [(&ada, ada_may), (&bob, bob_may)] {
            for path in ["/api/events/access?topic=", "/api/events?topic="] {
                let (status, answer) = who.get(&server, &format!("{path}{topic}")).await?;
                let expected = if may { 200 } else { 404 };
                assert_eq!(status, expected, "{path}{topic}: {answer}");
            }
        }
    }
    let admin = ada.with_scope(&server.database, "admin:all").await?;
    let (status, _) = admin
        .get(&server, "/api/events/access?topic=all:all")
        .await?;
    // A token's scope makes no administrator: rights to topics are the account's.
    assert_eq!(status, 404);
    let (status, problem) = ada.get(&server, "/api/events?topic=none").await?;
    assert_eq!((status, &problem["code"]), (422, &"invalid-input".into()));
    let unsigned = server.get("/api/events?topic=account:me").await?;
    assert_eq!(unsigned.status(), 401);
    Ok(())
}

#[tokio::test]
async fn only_the_audience_sees_an_event_and_a_deletion_reaches_it() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let other = uuid::Uuid::now_v7();
    let emit = |number: u64, audience: String, subject: &str| {
        format!(
            "select events.emit(array['{topic}'], 'test.number', '{{\"n\": {number}}}', \
             subject => '{subject}', audience => {audience})"
        )
    };
    let database = &server.database;
    database.execute(&emit(1, "null".into(), "thing:1")).await?;
    database
        .execute(&emit(2, format!("array['{other}'::uuid]"), "thing:2"))
        .await?;
    database
        .execute(&emit(3, format!("array['{}'::uuid]", ada.id), "thing:3"))
        .await?;
    let (seen, _) = numbers(&server, &ada, "account:me", None).await?;
    assert_eq!(seen, [1, 3]);
    database
        .execute("select events.revise('{\"n\": 11}', 'thing:1')")
        .await?;
    database.execute("select events.erase('thing:3')").await?;
    let (seen, _) = numbers(&server, &ada, "account:me", None).await?;
    assert_eq!(seen, [11]);
    Ok(())
}

#[tokio::test]
async fn a_position_that_is_too_old_or_not_ours_is_said_to_be() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let position = history(&server, &ada, "account:me", None).await?["position"].clone();
    let position = position.as_str().context("position")?;
    for foreign in ["x", "", &position[1..], &position.to_lowercase()] {
        let path = format!("/api/events?topic=account:me&since={foreign}");
        let (status, problem) = ada.get(&server, &path).await?;
        assert_eq!((status, &problem["code"]), (422, &"invalid-cursor".into()));
    }
    server
        .database
        .execute("update events.kept set since = clock_timestamp() + interval '1 second'")
        .await?;
    let path = format!("/api/events?topic=account:me&since={position}");
    let (status, problem) = ada.get(&server, &path).await?;
    assert_eq!((status, &problem["code"]), (410, &"history-gone".into()));
    let oldest = problem["oldest"].as_str().context("oldest")?;
    history(&server, &ada, "account:me", Some(oldest)).await?;
    Ok(())
}

#[tokio::test]
async fn what_happens_to_an_account_is_told_to_it() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let page = history(&server, &ada, "account:me", None).await?;
    let items = page["items"].as_array().context("items")?;
    let types: Vec<_> = items
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert!(
        types.contains(&"agent.registered") && types.contains(&"auth.signed-in"),
        "{types:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_role_emits_only_what_it_may() -> Result<()> {
    let server = Server::start().await?;
    let url = server.database.url_of("skills")?;
    let mut skills = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await?;
    let refused = sqlx::query("select events.emit(array['feed:all'], 'auth.signed-in', '{}')")
        .execute(&mut skills)
        .await;
    let refused = refused.err().context("refused")?;
    let code = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("42501"));
    Ok(())
}

#[tokio::test]
async fn only_readers_that_sleep_are_notified() -> Result<()> {
    // Without a gateway, which would fall asleep at a time of its own.
    let database = e2e::Database::create().await?;
    let mut listener = sqlx::postgres::PgListener::connect(database.admin.as_str()).await?;
    listener.listen("events").await?;
    let emit = emit("feed:all", 1);
    database.execute(&emit).await?;
    // Notifications come in the order of their commits: one of the event would be there before this.
    database.execute("notify events, 'mark'").await?;
    let sleeper = "insert into events.sleeper (reader) values (gen_random_uuid())";
    database.execute(sleeper).await?;
    database.execute(&emit).await?;
    let wait = std::time::Duration::from_secs(60);
    for expected in ["mark", ""] {
        let told = tokio::time::timeout(wait, listener.recv()).await??;
        assert_eq!(told.payload(), expected);
    }
    Ok(())
}
