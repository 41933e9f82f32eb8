//! Agents sign in: the whole way through real components and a real database.

use super::client::{Agent, key, me, problem};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::Server;
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn an_agent_registers_signs_in_and_reads_itself() -> Result<()> {
    let server = Server::start().await?;
    let pair = key(1);
    let body = json!({ "name": "ada", "public_key": BASE64_STANDARD.encode(*pair.pk) });
    let response = server.post("/api/agents/register", &body).await?;
    assert_eq!(response.status(), 201);
    let location = response.headers()["location"].to_str()?.to_owned();
    let agent: Value = response.json().await?;
    let id: Uuid = agent["id"].as_str().context("id")?.parse()?;
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(location, format!("/api/agents/{id}"));
    assert_eq!(agent["name"], "ada");
    assert_eq!(agent["status"], "active");
    assert!(
        agent["created_at"]
            .as_str()
            .is_some_and(|t| t.ends_with('Z')),
        "{agent}"
    );

    let ada = Agent {
        name: "ada".into(),
        pair,
    };
    let tokens = ada.sign_in(&server).await?;
    let response = me(&server, &tokens.access).await?;
    assert!(
        !response.headers().contains_key("gather-caller"),
        "this one is for the log"
    );
    assert_eq!(response.json::<Value>().await?, agent);
    for reference in [id.to_string(), "ada".into()] {
        let request = server
            .http
            .get(format!("{}/api/agents/{reference}", server.url));
        let found: Value = request
            .bearer_auth(&tokens.access)
            .send()
            .await?
            .json()
            .await?;
        assert_eq!(found, agent);
    }
    Ok(())
}

#[tokio::test]
async fn names_and_keys_are_taken_once_and_weak_keys_never() -> Result<()> {
    let server = Server::start().await?;
    Agent::register(&server, 1).await?;
    let again = json!({ "name": "agent-1", "public_key": BASE64_STANDARD.encode(*key(2).pk) });
    assert_eq!(
        problem(server.post("/api/agents/register", &again).await?, 409).await?,
        "name-taken"
    );
    let again = json!({ "name": "other", "public_key": BASE64_STANDARD.encode(*key(1).pk) });
    assert_eq!(
        problem(server.post("/api/agents/register", &again).await?, 409).await?,
        "key-taken"
    );
    let zero = [0; 32];
    let mut one = [0; 32];
    one[0] = 1;
    let mut not_canonical = [0xff; 32];
    not_canonical[31] = 0x7f;
    for weak in [zero, one, not_canonical] {
        let body = json!({ "name": "weak", "public_key": BASE64_STANDARD.encode(weak) });
        let code = problem(server.post("/api/agents/register", &body).await?, 422).await?;
        assert_eq!(code, "invalid-input");
    }
    for name in ["ab", "Upper", "with space", "me", "admin", &"x".repeat(41)] {
        let body = json!({ "name": name, "public_key": BASE64_STANDARD.encode(*key(3).pk) });
        let response = server.post("/api/agents/register", &body).await?;
        let answer: Value = response.json().await?;
        assert_eq!(answer["code"], "invalid-input", "{name}");
        assert_eq!(answer["errors"][0]["field"], "name", "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn malformed_bodies_are_told_what_is_wrong() -> Result<()> {
    let server = Server::start().await?;
    let url = format!("{}/api/agents/register", server.url);
    let send = async |content_type: &str, body: Vec<u8>| {
        let request = server
            .http
            .post(&url)
            .header("content-type", content_type)
            .body(body);
        request.send().await
    };
    assert_eq!(send("text/plain", b"{}".to_vec()).await?.status(), 415);
    assert_eq!(
        problem(
            send("application/json", b"{\"name\": ".to_vec()).await?,
            400
        )
        .await?,
        "malformed-json"
    );
    assert_eq!(
        problem(send("application/json", b"{}".to_vec()).await?, 422).await?,
        "invalid-input"
    );
    assert_eq!(
        problem(send("application/json", b"[1]".to_vec()).await?, 422).await?,
        "invalid-input"
    );
    assert_eq!(
        problem(
            send("application/json", vec![b' '; (1 << 20) + 1]).await?,
            413
        )
        .await?,
        "body-too-large"
    );
    assert_eq!(
        send("application/json", vec![b'['; 200_000])
            .await?
            .status()
            .as_u16()
            / 100,
        4
    );
    let wrong = server.http.put(&url).send().await?;
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(problem(wrong, 405).await?, "method-not-allowed");
    let nowhere = server.get("/api/agents/x/y/z").await?;
    assert_eq!(problem(nowhere, 404).await?, "not-found");
    Ok(())
}

#[tokio::test]
async fn a_challenge_works_once_for_its_key_and_nothing_tells_why_not() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let bob = Agent::register(&server, 2).await?;
    let stranger = Agent {
        name: "nobody".into(),
        pair: key(9),
    };

    let challenge = ada.challenge(&server).await?;
    assert!(
        challenge.len() <= 300 && challenge.is_ascii(),
        "{challenge}"
    );
    assert!(
        challenge.contains(&server.url),
        "{challenge} does not name the server"
    );
    let unknown = stranger.challenge(&server).await?;
    assert_eq!(
        unknown.len(),
        challenge.len(),
        "an unknown key is told from a known one"
    );

    let good = ada.answer(&challenge);
    let mut flipped = good.clone();
    let mut signature = BASE64_STANDARD.decode(good["signature"].as_str().unwrap_or_default())?;
    signature[10] ^= 1;
    flipped["signature"] = BASE64_STANDARD.encode(&signature).into();
    let mut truncated = good.clone();
    truncated["challenge"] = challenge[..challenge.len() - 1].into();
    let mut other_text = ada.answer("gather.dev says: sign this");
    other_text["challenge"] = challenge.as_str().into();
    for wrong in [
        flipped,
        truncated,
        other_text,
        bob.answer(&challenge),
        stranger.answer(&unknown),
        ada.answer(&unknown),
        ada.answer("made up"),
        json!({ "public_key": "", "challenge": "", "signature": "" }),
        json!({ "public_key": "!", "challenge": challenge, "signature": "?" }),
    ] {
        let response = server.post("/api/agents/authenticate", &wrong).await?;
        assert_eq!(
            problem(response, 401).await?,
            "authentication-failed",
            "{wrong}"
        );
    }
    // None of them used the challenge up.
    let response = server.post("/api/agents/authenticate", &good).await?;
    assert_eq!(response.status(), 200);
    let replay = server.post("/api/agents/authenticate", &good).await?;
    assert_eq!(problem(replay, 401).await?, "authentication-failed");
    Ok(())
}

#[tokio::test]
async fn of_two_answers_to_one_challenge_one_wins() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    for _ in 0..3 {
        let answer = ada.answer(&ada.challenge(&server).await?);
        let race = (0..8).map(|_| server.post("/api/agents/authenticate", &answer));
        let mut won = 0;
        for response in join_all(race).await {
            won += usize::from(response?.status() == 200);
        }
        assert_eq!(won, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_challenge_of_another_server_is_refused() -> Result<()> {
    let here = Server::start().await?;
    let there = Server::start().await?;
    let ada = Agent::register(&here, 1).await?;
    Agent::register(&there, 1).await?;
    let foreign = ada.answer(&ada.challenge(&there).await?);
    let response = here.post("/api/agents/authenticate", &foreign).await?;
    assert_eq!(problem(response, 401).await?, "authentication-failed");
    let token = ada.sign_in(&there).await?.access;
    assert_eq!(
        problem(me(&here, &token).await?, 401).await?,
        "unauthenticated"
    );
    Ok(())
}

#[tokio::test]
async fn a_repeated_registration_gets_the_first_answer_again() -> Result<()> {
    let server = Server::start().await?;
    let send = async |idempotency_key: &str, body: &Value| {
        let request = server
            .http
            .post(format!("{}/api/agents/register", server.url))
            .json(body);
        request
            .header("idempotency-key", idempotency_key)
            .send()
            .await
    };
    let body = json!({ "name": "ada", "public_key": BASE64_STANDARD.encode(*key(1).pk) });
    let other = json!({ "name": "bob", "public_key": BASE64_STANDARD.encode(*key(2).pk) });
    let answers = join_all((0..6).map(|_| send("k1", &body))).await;
    let mut seen = Vec::new();
    for answer in answers {
        let answer = answer?;
        assert_eq!(answer.status(), 201);
        assert!(answer.headers().contains_key("location"));
        seen.push(answer.json::<Value>().await?);
    }
    assert!(seen.iter().all(|answer| *answer == seen[0]), "{seen:?}");
    assert_eq!(
        problem(send("k1", &other).await?, 409).await?,
        "idempotency-mismatch"
    );
    assert_eq!(send("k2", &other).await?.status(), 201);
    assert_eq!(problem(send("k3", &body).await?, 409).await?, "name-taken");
    assert!(send("", &body).await?.status().is_client_error());
    Ok(())
}

#[tokio::test]
async fn lists_are_paged_and_bounded() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    for number in 2..=5 {
        Agent::register(&server, number).await?;
    }
    let token = ada.sign_in(&server).await?.access;
    let get = async |query: &str| {
        let request = server
            .http
            .get(format!("{}/api/agents?{query}", server.url));
        request.bearer_auth(&token).send().await
    };
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page: Value = get(&format!("limit=2{after}")).await?.json().await?;
        let items = page["items"].as_array().context("items")?;
        assert!(items.len() <= 2);
        names.extend(
            items
                .iter()
                .map(|item| item["name"].as_str().unwrap_or_default().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(
        names,
        ["agent-1", "agent-2", "agent-3", "agent-4", "agent-5"]
    );
    let zero = server
        .http
        .get(format!("{}/api/agents/%00", server.url))
        .bearer_auth(&token);
    assert!(zero.send().await?.status().is_client_error());
    for (bad, code) in [
        ("query=%00", "invalid-input"),
        ("limit=0", "invalid-input"),
        ("limit=101", "invalid-input"),
        ("limit=x", "invalid-input"),
        ("after=!", "invalid-cursor"),
        ("after=AAAA", "invalid-cursor"),
    ] {
        assert_eq!(problem(get(bad).await?, 422).await?, code, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn what_an_agent_changes_is_its_own() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    Agent::register(&server, 2).await?;
    let token = ada.sign_in(&server).await?.access;
    let request = server
        .http
        .patch(format!("{}/api/agents/me", server.url))
        .bearer_auth(&token);
    let changed: Value = request
        .json(&json!({ "description": "né" }))
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(changed["description"], "né");
    let request = server
        .http
        .get(format!("{}/api/agents/agent-2", server.url))
        .bearer_auth(&token);
    let other: Value = request.send().await?.json().await?;
    assert_eq!(other["description"], "a test");
    let request = server
        .http
        .get(format!("{}/api/agents/unknown", server.url))
        .bearer_auth(&token);
    assert_eq!(problem(request.send().await?, 404).await?, "not-found");
    Ok(())
}
