//! The functions as other hosts find them: through `wasi:http` alone, where no call may hold an instance while it waits.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client, people::Person, spin::Difference};
use futures::future::join_all;
use host::Limits;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

async fn server() -> Result<Server> {
    Server::through_wasi_http(e2e::limits()).await
}

#[tokio::test]
async fn every_function_answers() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let grace = Person::register(&server, "grace").await?;
    for path in ["/", "/openapi.json", "/health/ready", "/api/status"] {
        assert_eq!(server.get(path).await?.status(), 200, "{path}");
    }
    for path in ["/api/agents/me", "/api/sessions?limit=1"] {
        assert_eq!(ada.get(&server, path).await?.0, 200, "{path}");
    }
    let wrong = grace
        .request(&server, "POST", "/api/keys")
        .json(&json!({ "name": 7 }));
    let wrong = wrong.send().await?;
    assert_eq!(wrong.status(), 422);
    assert!(wrong.headers().contains_key("ratelimit"));
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    let (status, pong) = ada.send(&server, "POST", "/mcp", &ping).await?;
    assert_eq!((status, &pong["id"]), (200, &json!(1)), "{pong}");
    Ok(())
}

#[tokio::test]
async fn statements_without_a_row_end() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let grace = Person::register(&server, "grace").await?;
    for path in ["/api/skills", "/api/jobs", "/api/keys", "/api/teams"] {
        let (status, list) = ada.get(&server, path).await?;
        assert_eq!((status, &list["items"]), (200, &json!([])), "{path}");
    }
    let unknown = format!("/api/jobs/{}", Uuid::now_v7());
    assert_eq!(ada.get(&server, &unknown).await?.0, 404);
    let wrong = json!({ "email": grace.email, "password": "another few words" });
    let refused = server.post("/api/sessions", &wrong).await?;
    let expected = (401, "authentication-failed".to_owned());
    assert_eq!(client::code(refused).await?, expected);
    let used = json!({ "refresh_token": "gr_x" });
    assert_eq!(
        server.post("/api/tokens/refresh", &used).await?.status(),
        401
    );
    Ok(())
}

#[tokio::test]
async fn constraints_keep_their_names() -> Result<()> {
    let server = server().await?;
    Agent::sign_in(&server, "ada", 1).await?;
    for (name, expected) in [
        ("ada", (409, "name-taken")),
        ("admin", (422, "invalid-input")),
    ] {
        let new = json!({ "name": name, "public_key": public_key(2) });
        let refused = server.post("/api/agents/register", &new).await?;
        let (status, code) = client::code(refused).await?;
        assert_eq!((status, &*code), expected, "{name}");
    }
    // A zero character fails before there are rows.
    let zero = server.get("/api/skills?query=%00").await?;
    assert_eq!(client::code(zero).await?, (422, "invalid-input".to_owned()));
    Ok(())
}

fn public_key(number: u8) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(*e2e::agents::key(number).pk)
}

async fn register(server: &Server, key: &str, name: &str) -> Result<(u16, bool, Value)> {
    let new = json!({ "name": name, "public_key": public_key(3) });
    let request = server
        .http
        .post(format!("{}/api/agents/register", server.url));
    let response = request
        .json(&new)
        .header("idempotency-key", key)
        .send()
        .await?;
    let replayed = response.headers().contains_key("idempotency-replayed");
    Ok((response.status().as_u16(), replayed, response.json().await?))
}

#[tokio::test]
async fn three_at_once_with_one_key_are_one() -> Result<()> {
    let server = server().await?;
    Agent::sign_in(&server, "ada", 1).await?;
    let began = Instant::now();
    let all = join_all((0..3).map(|_| register(&server, "once", "bob"))).await;
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    assert!(began.elapsed() < Duration::from_secs(10), "{all:?}");
    assert!(all.iter().all(|(status, ..)| *status == 201), "{all:?}");
    assert!(all.iter().all(|(.., agent)| agent["id"] == all[0].2["id"]));
    let replayed = all.iter().filter(|(_, replayed, _)| *replayed).count();
    assert_eq!(replayed, 2, "{all:?}");
    Ok(())
}

#[tokio::test]
async fn what_fails_is_rolled_back_and_leaves_its_key() -> Result<()> {
    let server = server().await?;
    Agent::sign_in(&server, "ada", 1).await?;
    let (status, _, problem) = register(&server, "again", "ada").await?;
    assert_eq!((status, &problem["code"]), (409, &json!("name-taken")));
    let (status, replayed, agent) = register(&server, "again", "bob").await?;
    assert_eq!((status, replayed), (201, false), "{agent}");
    let (status, replayed, same) = register(&server, "again", "bob").await?;
    assert_eq!((status, replayed, &same["id"]), (201, true, &agent["id"]));
    let (status, _, problem) = register(&server, "again", "carol").await?;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("idempotency-mismatch"))
    );
    Ok(())
}

#[tokio::test]
async fn a_statement_that_waits_stops_nobody_else() -> Result<()> {
    let server = server().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let row = format!(
        "select 1 from identity.agent where account_id = '{}' for update",
        ada.id
    );
    let held = server.database.hold(&row).await?;
    let waiting = (0..4).map(|_| {
        let (http, url) = (server.http.clone(), server.url.clone());
        let token = ada.token.clone();
        tokio::spawn(async move {
            let change = http
                .patch(format!("{url}/api/agents/me"))
                .bearer_auth(token);
            // The body comes a little after its head, so that the host has given the instance other requests by then.
            let body = futures::stream::once(async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                anyhow::Ok(json!({ "description": "Ada" }).to_string())
            });
            let body = reqwest::Body::wrap_stream(body);
            let kind = ("content-type", "application/json");
            let change = change.header(kind.0, kind.1).body(body).send().await?;
            anyhow::Ok(change.status().as_u16())
        })
    });
    let waiting: Vec<_> = waiting.collect();
    server.database.until_waiting(4).await?;
    let began = Instant::now();
    for _ in 0..20 {
        let (status, me) = bob.get(&server, "/api/agents/me").await?;
        assert_eq!(status, 200, "{me}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(
        waiting.iter().any(|change| !change.is_finished()),
        "nothing waited"
    );
    held.release().await?;
    for change in waiting {
        assert_eq!(change.await??, 200);
    }
    Ok(())
}

/// The head of a registration whose body has `length` bytes.
fn head(length: usize) -> String {
    format!(
        "POST /api/agents/register HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-1\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn check(answer: &str, status: u16, code: &str) {
    let lower = answer.to_ascii_lowercase();
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    for part in [
        "x-request-id: mine-1",
        "x-content-type-options: nosniff",
        "content-type: application/problem+json",
        &format!("\"code\":\"{code}\""),
    ] {
        assert!(lower.contains(part), "no {part}: {answer}");
    }
}

#[tokio::test]
async fn a_large_body_that_breaks_off_or_stalls_is_told_so() -> Result<()> {
    // More than the host takes in before an instance gets it.
    let begun = [head(200_000).as_bytes(), &[b' '; 100_000]].concat();
    let limit = Duration::from_secs(30);
    // First the host ends the pause, then the function does, as on a host where a client may pause for ever.
    for stall_timeout in [Duration::from_millis(500), Duration::from_secs(60)] {
        let server = with_stalls_of(stall_timeout).await?;
        check(&server.raw(&begun, true, limit).await?, 400, "body-broken");
        check(
            &server.raw(&begun, false, limit).await?,
            408,
            "body-timeout",
        );
    }
    Ok(())
}

async fn with_stalls_of(stall_timeout: Duration) -> Result<Server> {
    let limits = Limits {
        stall_timeout,
        ..Limits::default()
    };
    Server::through_wasi_http(limits).await
}

#[tokio::test]
async fn a_small_body_that_breaks_off_or_stalls_is_told_so() -> Result<()> {
    let server = with_stalls_of(Duration::from_millis(500)).await?;
    let begun = [head(100).as_bytes(), b"{\"name\":"].concat();
    let limit = Duration::from_secs(30);
    let broken = server.raw(&begun, true, limit).await?;
    let stalled = server.raw(&begun, false, limit).await?;
    for (answer, status, code) in [(broken, 400, "body-broken"), (stalled, 408, "body-timeout")] {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
        assert!(answer.contains("mine-1"), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn calls_that_hold_an_instance_are_refused_where_they_are_to_be() -> Result<()> {
    let limits = Limits {
        blocking_database: false,
        ..Limits::default()
    };
    let probe = Server::probe("", limits).await?;
    let refused = probe.get("/select/1").await?;
    assert_eq!(refused.status(), 502);
    let why = refused.text().await?;
    assert!(why.contains("use the async one"), "{why}");
    Ok(())
}

#[tokio::test]
async fn the_documents_list_every_difference_of_spin() -> Result<()> {
    let document = std::fs::read_to_string(e2e::root().join("docs/spin.md"))?;
    for difference in Difference::ALL {
        let heading = format!("### {}\n", difference.heading());
        document
            .find(&heading)
            .with_context(|| format!("no {heading}"))?;
    }
    Ok(())
}
