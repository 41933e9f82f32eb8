//! The audit trail: complete, for admins, and nobody changes it unseen.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal, people::Person};
use serde_json::{Value, json};

async fn broken(server: &Server) -> Result<Vec<(i16, i64)>> {
    let mut admin = server.database.connect().await?;
    let rows = sqlx::query_as("select chain, position from audit.verify()");
    Ok(rows.fetch_all(&mut admin).await?)
}

#[tokio::test]
async fn what_happens_to_accounts_is_told_to_admins() -> Result<()> {
    let server = Server::start().await?;
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let wrong = json!({ "email": "operator@example.org", "password": "a wrong guess" });
    server.post("/api/sessions", &wrong).await?;
    let forged = json!({ "public_key": "x", "challenge": "x", "signature": "x" });
    server.post("/api/agents/authenticate", &forged).await?;
    assert_eq!(
        refusal(&ada.get(&server, "/api/audit").await?),
        (403, "forbidden")
    );
    let (_, made) = operator
        .send(
            &server,
            "POST",
            "/api/keys",
            &json!({ "name": "k", "scopes": [] }),
        )
        .await?;
    let id = made["id"].as_str().context("id")?;
    operator
        .request(&server, "DELETE", &format!("/api/keys/{id}"))
        .send()
        .await?;

    let audit = async |query: &str| {
        let path = format!("/api/audit?limit=100&{query}");
        let (_, list) = operator.get(&server, &path).await?;
        anyhow::Ok(
            list["items"]
                .as_array()
                .with_context(|| list.to_string())?
                .clone(),
        )
    };
    let all = audit("").await?;
    let actions: Vec<&str> = all
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "key.revoked",
            "key.created",
            "access.refused",
            "session.refused",
            "session.refused",
            "session.opened",
            "account.registered",
            "session.opened",
            "roles.changed",
            "session.opened",
            "account.registered",
        ]
    );
    let refused = &all[2];
    assert_eq!(refused["actor_id"], ada.id.to_string());
    let names = [&all[0], refused, &all[3]].map(|entry| &entry["actor_name"]);
    assert_eq!(names, [&json!("operator"), &json!("ada"), &Value::Null]);
    assert_eq!(
        (refused["allowed"].clone(), refused["subject"].clone()),
        (json!(false), json!("GET /api/audit"))
    );
    assert_eq!(refused["address"], "127.0.0.1");
    assert!(refused["request_id"].is_string());
    assert_eq!(
        all[4]["subject"],
        operator.id.to_string(),
        "whose password was guessed at"
    );

    assert_eq!(audit("action=session.refused").await?.len(), 2);
    assert_eq!(audit("allowed=false").await?.len(), 3);
    assert_eq!(audit(&format!("actor={}", ada.id)).await?.len(), 3);
    assert_eq!(audit(&format!("subject={id}")).await?.len(), 2);
    let at = all[5]["at"].as_str().context("at")?;
    assert_eq!(audit(&format!("since={at}")).await?.len(), 6);
    assert_eq!(audit(&format!("until={at}")).await?.len(), 5);
    for (wrong, expected) in [
        ("actor=x", "invalid-input"),
        ("since=yesterday", "invalid-input"),
        ("allowed=maybe", "invalid-input"),
        ("after=x", "invalid-cursor"),
        ("since=0000-01-01T00:00:00Z", "invalid-input"),
    ] {
        let answer = operator
            .get(&server, &format!("/api/audit?{wrong}"))
            .await?;
        assert_eq!(refusal(&answer), (422, expected), "{wrong}");
    }
    assert_eq!(
        audit("since=2000-01-01T00:00:00%2B16:00").await?.len(),
        all.len()
    );
    // Page by page it is the same.
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/audit?limit=3{after}");
        let (_, page) = operator.get(&server, &path).await?;
        paged.extend(page["items"].as_array().context("items")?.clone());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(paged, all);
    let export = operator
        .request(&server, "GET", "/api/audit/export?allowed=false")
        .send()
        .await?;
    assert_eq!(export.headers()["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = export
        .text()
        .await?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    assert_eq!(lines, audit("allowed=false").await?);
    Ok(())
}

#[tokio::test]
async fn a_long_trail_is_exported_whole() -> Result<()> {
    let server = Server::start().await?;
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    server
        .database
        .execute("select audit.record(null, 'test.many', n::text, true, null, null) from generate_series(1, 2500) n")
        .await?;
    let export = operator
        .request(&server, "GET", "/api/audit/export?action=test.many")
        .send()
        .await?
        .text()
        .await?;
    let mut numbers: Vec<u32> = export
        .lines()
        .map(|line| {
            Ok(serde_json::from_str::<Value>(line)?["subject"]
                .as_str()
                .context("subject")?
                .parse()?)
        })
        .collect::<Result<_>>()?;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2500).collect::<Vec<_>>());
    let none = operator
        .request(&server, "GET", "/api/audit/export?action=none.such")
        .send()
        .await?;
    assert_eq!(
        (none.status().as_u16(), none.text().await?.as_str()),
        (200, "")
    );
    assert!(broken(&server).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn every_tampering_shows() -> Result<()> {
    for (number, tampering) in [
        "update audit.entry set allowed = true where not allowed",
        "update audit.entry set detail = '{\"harmless\": true}' where action = 'test.bad'",
        "delete from audit.entry where action = 'test.bad'",
        "delete from audit.entry e where position = (select max(position) from audit.entry o where o.chain = e.chain)",
        "update audit.entry set position = position + 1000 where action = 'test.bad'",
        "update audit.entry set at = at - interval '1 hour' where action = 'test.bad'",
        "insert into audit.entry (action, allowed, chain, position, hash) select 'test.forged', true, id, length + 1, hash from audit.chain",
        "update audit.chain set length = 0, hash = decode(repeat('00', 32), 'hex') where length > 0",
    ]
    .into_iter()
    .enumerate()
    {
        let database = e2e::Database::create().await?;
        database
            .execute(
                "select audit.record(null, 'test.good', n::text, true, null, null) from generate_series(1, 50) n;
                 select audit.record(null, 'test.bad', 'x', false, '192.0.2.1', 'r', '{\"how\": \"badly\"}');
                 select audit.record(null, 'test.good', n::text, true, null, null) from generate_series(1, 50) n",
            )
            .await?;
        let mut admin = database.connect().await?;
        let problems = "select count(*) from audit.verify()";
        let before: i64 = sqlx::query_scalar(problems).fetch_one(&mut admin).await?;
        assert_eq!(before, 0);
        database.execute(tampering).await?;
        let after: i64 = sqlx::query_scalar(problems).fetch_one(&mut admin).await?;
        assert!(after > 0, "number {number}: {tampering}");
    }
    Ok(())
}

#[tokio::test]
async fn no_function_can_change_the_trail() -> Result<()> {
    use sqlx::Connection;
    let database = e2e::Database::create().await?;
    for component in [
        "identity", "people", "accounts", "skills", "jobs", "mcp", "site",
    ] {
        let mut role = sqlx::PgConnection::connect(&database.url_of(component)?).await?;
        for statement in [
            "update audit.entry set allowed = true",
            "delete from audit.entry",
            "truncate audit.entry",
            "insert into audit.entry (action, allowed, chain, position, hash) values ('a.b', true, 0, 1, '')",
            "update audit.chain set length = 0",
        ] {
            let refused = sqlx::query(statement).execute(&mut role).await;
            let refused = refused.expect_err(statement).to_string();
            assert!(
                refused.contains("permission denied"),
                "{component}: {statement}: {refused}"
            );
        }
    }
    Ok(())
}
