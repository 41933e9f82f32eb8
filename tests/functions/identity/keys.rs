//! Agents sign in: the whole way through real components and a real database.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::Server;
use ed25519_compact::{KeyPair, Seed};
use futures::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// An agent with its key, as its own program would hold it.
struct Agent {
    name: String,
    pair: KeyPair,
}

/// What signing in gives.
struct Tokens {
    access: String,
    refresh: String,
}

impl Agent {
    /// Registers an agent with a key made from a number.
    async fn register(server: &Server, number: u8) -> Result<Self> {
        let agent = Self {
            name: format!("agent-{number}"),
            pair: key(number),
        };
        let response = server
            .post("/api/agents/register", &agent.registration())
            .await?;
        anyhow::ensure!(response.status() == 201, "{}", response.text().await?);
        Ok(agent)
    }

    fn registration(&self) -> Value {
        json!({ "name": self.name, "public_key": self.public_key(), "description": "a test" })
    }

    fn public_key(&self) -> String {
        BASE64_STANDARD.encode(*self.pair.pk)
    }

    async fn challenge(&self, server: &Server) -> Result<String> {
        let body = json!({ "public_key": self.public_key() });
        let answer: Value = server
            .post("/api/agents/challenge", &body)
            .await?
            .json()
            .await?;
        Ok(answer["challenge"]
            .as_str()
            .context("no challenge")?
            .to_owned())
    }

    fn answer(&self, challenge: &str) -> Value {
        let signature = self.pair.sk.sign(challenge.as_bytes(), None);
        json!({
            "public_key": self.public_key(),
            "challenge": challenge,
            "signature": BASE64_STANDARD.encode(*signature),
        })
    }

    async fn sign_in(&self, server: &Server) -> Result<Tokens> {
        let answer = self.answer(&self.challenge(server).await?);
        let response = server.post("/api/agents/authenticate", &answer).await?;
        anyhow::ensure!(response.status() == 200, "{}", response.text().await?);
        tokens(response).await
    }
}

fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(Seed::new([number; 32]))
}

async fn tokens(response: Response) -> Result<Tokens> {
    let body: Value = response.json().await?;
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    Ok(Tokens {
        access: body["access_token"]
            .as_str()
            .context("access_token")?
            .to_owned(),
        refresh: body["refresh_token"]
            .as_str()
            .context("refresh_token")?
            .to_owned(),
    })
}

async fn me(server: &Server, token: &str) -> Result<Response> {
    let request = server
        .http
        .get(format!("{}/api/agents/me", server.url))
        .bearer_auth(token);
    Ok(request.send().await?)
}

async fn refresh(server: &Server, token: &str) -> Result<Response> {
    server
        .post("/api/tokens/refresh", &json!({ "refresh_token": token }))
        .await
}

/// The problem's code, with the checks that hold for every problem.
async fn problem(response: Response, status: u16) -> Result<String> {
    assert_eq!(response.status(), status);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let id = response.headers()["x-request-id"].to_str()?.to_owned();
    if status == 401 {
        let scheme = response
            .headers()
            .get("www-authenticate")
            .context("WWW-Authenticate")?;
        assert!(scheme.to_str()?.starts_with("Bearer"));
    }
    let body: Value = response.json().await?;
    assert_eq!(body["status"], status);
    assert_eq!(body["request_id"], id.as_str());
    for field in ["type", "title", "detail", "code"] {
        assert!(body[field].is_string(), "{field} of {body}");
    }
    Ok(body["code"].as_str().unwrap_or_default().to_owned())
}

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
async fn forged_tokens_are_refused_alike() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let token = ada.sign_in(&server).await?.access;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        panic!("no JWT: {token}");
    };
    let decode = |part: &str| -> Result<Value> {
        Ok(serde_json::from_slice(
            &BASE64_URL_SAFE_NO_PAD.decode(part)?,
        )?)
    };
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let good_claims = decode(claims)?;
    let good_header = decode(header)?;
    assert_eq!(good_header["alg"], "EdDSA");
    for claim in ["sub", "kind", "scope", "jti", "sid", "iss", "exp", "iat"] {
        assert!(
            !good_claims[claim].is_null(),
            "{claim} is missing from {good_claims}"
        );
    }
    let with = |value: &Value, key: &str, new: Value| {
        let mut changed = value.clone();
        changed[key] = new;
        encode(&changed)
    };
    let forger = key(66);
    let forge = |header: &str, claims: &str| {
        let signed = format!("{header}.{claims}");
        let signature = forger.sk.sign(signed.as_bytes(), None);
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(*signature))
    };
    let none = with(&good_header, "alg", "none".into());
    let jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64_URL_SAFE_NO_PAD.encode(*forger.pk) });
    let forged = [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!(
            "{header}.{}.{signature}",
            with(&good_claims, "sub", Uuid::now_v7().to_string().into())
        ),
        format!(
            "{header}.{}.{signature}",
            with(&good_claims, "exp", json!(4_000_000_000_u64))
        ),
        forge(header, claims),
        forge(&with(&good_header, "kid", "' or true --".into()), claims),
        forge(
            &with(&good_header, "kid", "../../etc/passwd".into()),
            claims,
        ),
        forge(&with(&good_header, "jwk", jwk), claims),
        forge(&with(&good_header, "alg", "HS256".into()), claims),
        format!("{token}x"),
        "not a token".into(),
        String::new(),
        "x".repeat(20_000),
    ];
    for token in forged {
        assert_eq!(
            problem(me(&server, &token).await?, 401).await?,
            "unauthenticated",
            "{token}"
        );
    }
    assert_eq!(
        problem(server.get("/api/agents/me").await?, 401).await?,
        "unauthenticated"
    );
    let basic = server
        .http
        .get(format!("{}/api/agents/me", server.url))
        .basic_auth("a", Some(&token));
    assert_eq!(problem(basic.send().await?, 401).await?, "unauthenticated");
    assert_eq!(me(&server, &token).await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let first = ada.sign_in(&server).await?;
    let second = tokens(refresh(&server, &first.refresh).await?).await?;
    assert_eq!(me(&server, &second.access).await?.status(), 200);
    let reuse = refresh(&server, &first.refresh).await?;
    assert_eq!(reuse.status(), 401);
    assert_eq!(
        refresh(&server, &second.refresh).await?.status(),
        401,
        "the family lives on"
    );
    revoked_within_two_seconds(&server, &second.access).await?;
    assert_eq!(refresh(&server, "made up").await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn of_two_refreshes_at_once_one_wins() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let first = ada.sign_in(&server).await?;
    let race = join_all((0..6).map(|_| refresh(&server, &first.refresh))).await;
    let mut won = 0;
    for response in race {
        won += usize::from(response?.status() == 200);
    }
    assert!(won <= 1, "{won} refreshes of one token won");
    Ok(())
}

async fn revoked_within_two_seconds(server: &Server, token: &str) -> Result<()> {
    let started = Instant::now();
    while me(server, token).await?.status() == StatusCode::OK {
        anyhow::ensure!(
            started.elapsed() < Duration::from_secs(2),
            "still accepted after 2 s"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn sessions_are_listed_and_ended() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let bob = Agent::register(&server, 2).await?;
    let [here, there, other] = [
        ada.sign_in(&server).await?,
        ada.sign_in(&server).await?,
        bob.sign_in(&server).await?,
    ];
    let list = async |token: &str| -> Result<Vec<Value>> {
        let request = server
            .http
            .get(format!("{}/api/sessions", server.url))
            .bearer_auth(token);
        let body: Value = request.send().await?.json().await?;
        Ok(body["items"].as_array().context("items")?.clone())
    };
    let delete = async |token: &str, which: &str| {
        let url = format!("{}/api/sessions/{which}", server.url);
        server.http.delete(url).bearer_auth(token).send().await
    };
    let sessions = list(&here.access).await?;
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let bobs = list(&other.access).await?;
    assert_eq!(bobs.len(), 1);
    // What is not the caller's does not exist.
    let foreign = bobs[0]["id"].as_str().context("id")?;
    assert_eq!(delete(&here.access, foreign).await?.status(), 404);
    assert_eq!(me(&server, &other.access).await?.status(), 200);
    assert_eq!(delete(&there.access, "current").await?.status(), 204);
    revoked_within_two_seconds(&server, &there.access).await?;
    assert_eq!(refresh(&server, &there.refresh).await?.status(), 401);
    assert_eq!(me(&server, &here.access).await?.status(), 200);
    assert_eq!(list(&here.access).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_new_key_needs_the_old_one_and_ends_every_session() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let tokens = ada.sign_in(&server).await?;
    let new = key(2);
    let rotate = async |signer: &KeyPair, new: &KeyPair| {
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*signer.sk.sign(*new.pk, None)),
        });
        let request = server
            .http
            .post(format!("{}/api/agents/me/key", server.url));
        request.bearer_auth(&tokens.access).json(&body).send().await
    };
    let by_new = rotate(&new, &new).await?;
    assert!(by_new.status().is_client_error(), "{}", by_new.status());
    let rotated = rotate(&ada.pair, &new).await?;
    assert!(rotated.status().is_success(), "{}", rotated.text().await?);
    revoked_within_two_seconds(&server, &tokens.access).await?;
    assert_eq!(refresh(&server, &tokens.refresh).await?.status(), 401);
    let old = ada.answer(&ada.challenge(&server).await?);
    assert_eq!(
        server
            .post("/api/agents/authenticate", &old)
            .await?
            .status(),
        401
    );
    let renewed = Agent {
        name: ada.name,
        pair: new,
    };
    assert_eq!(
        me(&server, &renewed.sign_in(&server).await?.access)
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn signing_keys_rotate_without_a_logout() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let before = ada.sign_in(&server).await?;
    let jwks = async || -> Result<Vec<String>> {
        let body: Value = server.get("/.well-known/jwks.json").await?.json().await?;
        let keys = body["keys"].as_array().context("keys")?;
        for key in keys {
            assert_eq!(
                (&key["kty"], &key["crv"]),
                (&json!("OKP"), &json!("Ed25519")),
                "{key}"
            );
            assert_eq!(key.get("d"), None, "a private key in public");
        }
        Ok(keys
            .iter()
            // The keys of receipts are there for good.
            .filter(|key| {
                !key["kid"]
                    .as_str()
                    .is_some_and(|kid| kid.starts_with("attest-"))
            })
            .filter_map(|k| Some(k["kid"].as_str()?.to_owned()))
            .collect())
    };
    assert_eq!(jwks().await?.len(), 1);
    server
        .database
        .execute("select identity.rotate_signing_key()")
        .await?;
    let after = ada.sign_in(&server).await?;
    assert_eq!(
        jwks().await?.len(),
        2,
        "the outgoing key must stay while it may be in use"
    );
    let kid = |token: &str| token.split('.').next().map(str::to_owned);
    assert_ne!(kid(&before.access), kid(&after.access));
    for token in [&before.access, &after.access] {
        assert_eq!(me(&server, token).await?.status(), 200);
    }
    // The private half is nowhere to be read in the clear, and gone when the key retires.
    let mut connection = server.database.connect().await?;
    let sealed: Vec<(Option<Vec<u8>>, bool)> = sqlx::query_as(
        "select sealed, retired_at is null from identity.signing_key order by created_at",
    )
    .fetch_all(&mut connection)
    .await?;
    assert_eq!(sealed[0].0, None);
    assert!(sealed[1].1 && sealed[1].0.as_ref().is_some_and(|s| s.len() > 32));
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

#[tokio::test]
async fn an_ended_session_gives_no_new_tokens() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::register(&server, 1).await?;
    let session = ada.sign_in(&server).await?;
    // The database's clock decides here; that of access tokens is tested in the guest library.
    server
        .database
        .execute("update identity.session set expires_at = now() - interval '1 s'; update identity.refresh_token set expires_at = now() - interval '1 s'")
        .await?;
    assert_eq!(refresh(&server, &session.refresh).await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn a_sign_in_beside_a_key_rotation_is_ended_by_it_or_refused_after_it() -> Result<()> {
    let server = Server::start().await?;
    let mut ada = Agent::register(&server, 1).await?;
    for (number, sign_in_first) in (2..).zip([true, false]) {
        let before = ada.sign_in(&server).await?;
        let known: Value = me(&server, &before.access).await?.json().await?;
        let id: Uuid = known["id"].as_str().context("id")?.parse()?;
        let new = key(number);
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*ada.pair.sk.sign(*new.pk, None)),
        });
        let rotate = server
            .http
            .post(format!("{}/api/agents/me/key", server.url))
            .bearer_auth(&before.access)
            .json(&body);
        let answer = ada.answer(&ada.challenge(&server).await?);
        let sign_in = server
            .http
            .post(format!("{}/api/agents/authenticate", server.url))
            .json(&answer);
        // Both have found the key when they get to the account.
        let held = server.database.hold_account(id).await?;
        let (signed_in, rotated) = if sign_in_first {
            let [signed_in, rotated] = server.in_turn(held, sign_in, rotate).await?;
            (signed_in, rotated)
        } else {
            let [rotated, signed_in] = server.in_turn(held, rotate, sign_in).await?;
            (signed_in, rotated)
        };
        assert_eq!(rotated.status(), 200);
        if sign_in_first {
            assert_eq!(signed_in.status(), 200);
            let opened = tokens(signed_in).await?;
            assert_eq!(refresh(&server, &opened.refresh).await?.status(), 401);
            revoked_within_two_seconds(&server, &opened.access).await?;
        } else {
            assert_eq!(problem(signed_in, 401).await?, "authentication-failed");
        }
        let living: i64 = sqlx::query_scalar(
            "select count(*) from identity.session where account_id = $1 and revoked_at is null",
        )
        .bind(id)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
        assert_eq!(living, 0);
        ada.pair = new;
    }
    assert_eq!(
        me(&server, &ada.sign_in(&server).await?.access)
            .await?
            .status(),
        200
    );
    Ok(())
}

#[tokio::test]
async fn no_session_of_a_former_key_outlives_its_rotation() -> Result<()> {
    let server = Server::start().await?;
    let mut ada = Agent::register(&server, 1).await?;
    let mut opened = Vec::new();
    for number in 2..10 {
        let before = ada.sign_in(&server).await?;
        let mut answers = Vec::new();
        for _ in 0..6 {
            answers.push(ada.answer(&ada.challenge(&server).await?));
        }
        let new = key(number);
        let body = json!({
            "public_key": BASE64_STANDARD.encode(*new.pk),
            "signature": BASE64_STANDARD.encode(*ada.pair.sk.sign(*new.pk, None)),
        });
        let rotate = server
            .http
            .post(format!("{}/api/agents/me/key", server.url))
            .bearer_auth(&before.access)
            .json(&body);
        let sign_ins = answers
            .iter()
            .map(|answer| server.post("/api/agents/authenticate", answer));
        let (signed_in, rotated) = tokio::join!(join_all(sign_ins), rotate.send());
        assert_eq!(rotated?.status(), 200);
        for response in signed_in {
            let response = response?;
            if response.status() == 200 {
                opened.push(tokens(response).await?);
            } else {
                assert_eq!(problem(response, 401).await?, "authentication-failed");
            }
        }
        opened.push(before);
        ada.pair = new;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for tokens in opened {
        assert_eq!(me(&server, &tokens.access).await?.status(), 401);
        assert_eq!(refresh(&server, &tokens.refresh).await?.status(), 401);
    }
    Ok(())
}
