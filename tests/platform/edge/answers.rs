//! What the edge answers by itself, and what it leaves to the origin.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::{
    agents::{Agent, unix_now},
    edge::{ENDLESS, ENDLESS_PIECE_BYTES, ENDLESS_PIECES, Edge},
    sockets::{Client, WAIT},
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The status and the `Cache-Status` of an answer.
async fn asked(edge: &Edge, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let mut request = edge.request("GET", path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await?;
    let status = response.headers().get("cache-status");
    let status = status.map_or("", |status| status.to_str().unwrap_or_default());
    Ok((response.status().as_u16(), status.to_owned()))
}

/// A token with one bit of its signature changed.
fn forged(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
    bytes[7] ^= 1;
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A token that names a key that nobody has.
fn with_made_up_key(token: &str, number: usize) -> String {
    let (_, rest) = token.split_once('.').expect("a token");
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": format!("made-up-{number}")});
    format!(
        "{}.{rest}",
        BASE64_URL_SAFE_NO_PAD.encode(header.to_string())
    )
}

/// Ends the session of an agent at the platform.
pub async fn end_session(edge: &Edge, agent: &Agent) -> Result<()> {
    let (_, session) = agent.get(&edge.server, "/api/events/session").await?;
    let path = format!(
        "/api/sessions/{}",
        session["session"].as_str().context("a session")?
    );
    assert_eq!(
        agent
            .send(&edge.server, "DELETE", &path, &Value::Null)
            .await?
            .0,
        204
    );
    Ok(())
}

/// Waits until the edge refuses a credential by itself: the origin does not look at it where it needs none.
async fn refused(edge: &Edge, bearer: &str) -> Result<()> {
    let begin = Instant::now();
    while asked(edge, "/api/skills", &[("authorization", bearer)])
        .await?
        .0
        != 401
    {
        assert!(begin.elapsed() < WAIT, "it is not refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn tokens_are_judged_by_the_clock_of_the_origin() -> Result<()> {
    const MINUTES: i64 = 5 * 60_000;
    let Some(mut edge) = Edge::start_ahead(MINUTES).await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    for ahead in [MINUTES, -MINUTES] {
        if ahead < 0 {
            edge.restart_ahead(ahead).await?;
        }
        let now = unix_now()?;
        for (exp, is_valid) in [(now + 240, true), (now - 60, false)] {
            let claims = json!({ "exp": exp });
            let agent = ada.with_claims(&edge.server.database, &claims).await?;
            let bearer = format!("Bearer {}", agent.token);
            match is_valid {
                true => {
                    let headers = [("authorization", &*bearer)];
                    for path in ["/api/agents/me", "/api/skills"] {
                        assert_eq!(
                            asked(&edge, path, &headers).await?.0,
                            200,
                            "{path}, {ahead}"
                        );
                    }
                    let mut client =
                        Client::connect(&edge.url, "/ws?topic=feed:all", &headers).await?;
                    client.until("subscribed").await?;
                    let post = json!({"title": "Now", "body": "A text."});
                    let made = ada.send(&edge.server, "POST", "/api/posts", &post).await?;
                    assert_eq!(made.0, 201);
                    client.until("post.created").await?;
                }
                false => refused(&edge, &bearer).await?,
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_credential_never_gets_what_is_kept() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    let bob = Agent::sign_in(&edge.server, "bob", 2).await?;
    let post = json!({"title": "First", "body": "A text."});
    let (_, made) = ada.send(&edge.server, "POST", "/api/posts", &post).await?;
    let id = made["id"].as_str().context("a post")?;
    // It is valid everywhere until its session ends.
    assert_eq!(
        asked(
            &edge,
            "/api/agents/me",
            &[("authorization", &format!("Bearer {}", bob.token))]
        )
        .await?
        .0,
        200
    );
    end_session(&edge, &bob).await?;
    let begin = Instant::now();
    let revoked = format!("Bearer {}", bob.token);
    while asked(&edge, "/api/agents/me", &[("authorization", &revoked)])
        .await?
        .0
        != 401
    {
        assert!(begin.elapsed() < WAIT, "the session has not ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let expired = json!({ "exp": unix_now()? - 60 });
    let expired = ada.with_claims(&edge.server.database, &expired).await?;
    let expired = format!("Bearer {}", expired.token);
    let forged = format!("Bearer {}", forged(&ada.token));
    let valid = format!("Bearer {}", ada.token);
    for path in [
        "/api/posts".to_owned(),
        format!("/api/posts/{id}"),
        format!("/api/posts/{id}/comments"),
        "/api/skills".to_owned(),
        "/api/search?query=first".to_owned(),
        "/api/profiles/ada".to_owned(),
    ] {
        let (status, first) = asked(&edge, &path, &[]).await?;
        assert_eq!(status, 200, "{path}");
        assert!(first.contains("stored"), "{path}: {first}");
        let (status, second) = asked(&edge, &path, &[]).await?;
        assert!(status == 200 && second.contains("hit"), "{path}: {second}");
        for bad in [
            &*forged,
            &revoked,
            &expired,
            "Bearer gk_nonsense",
            "Bearer a.b.c",
            "Bearer nonsense",
        ] {
            // Operations without any identity ignore credentials at the origin.
            let looks = !path.starts_with("/api/skills") && !path.starts_with("/api/profiles");
            let begin = Instant::now();
            let (status, kept) = loop {
                let (status, kept) = asked(&edge, &path, &[("authorization", bad)]).await?;
                // Each function learns by itself which sessions have ended.
                let learns = looks && bad == revoked && status != 401;
                if !learns || begin.elapsed() > WAIT {
                    break (status, kept);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            assert!(status == 401 || !looks, "{path} {bad}: {status}");
            assert!(!kept.contains("hit"), "{path} {bad}: {kept}");
        }
        for (name, value) in [
            ("authorization", &*valid),
            ("cookie", "a=b"),
            ("x-api-key", "gk_x"),
        ] {
            let (_, kept) = asked(&edge, &path, &[(name, value)]).await?;
            assert!(!kept.contains("hit"), "{path} {name}: {kept}");
        }
    }
    // Where the origin would not look, the edge refuses by itself, as soon as it knows.
    for bad in [&*forged, &*revoked, &*expired] {
        refused(&edge, bad).await?;
    }
    // A key that is withdrawn takes its tokens with it.
    let signed = json!({ "exp": unix_now()? + 600 });
    let signed = ada.with_claims(&edge.server.database, &signed).await?;
    let signed = format!("Bearer {}", signed.token);
    let headers = [("authorization", &*signed)];
    assert_eq!(asked(&edge, "/api/agents/me", &headers).await?.0, 200);
    let withdrawn = "delete from identity.signing_key where kid = 'test'";
    edge.server.database.execute(withdrawn).await?;
    refused(&edge, &signed).await?;
    for path in ["/", "/api/health/status", "/api/agents/me", "/health/live"] {
        for _ in 0..2 {
            let (_, kept) = asked(&edge, path, &[]).await?;
            assert!(
                !kept.contains("hit") && !kept.contains("stored"),
                "{path}: {kept}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_crowd_costs_the_origin_one_request_a_second() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    drop(edge.between.asked());
    let begin = Instant::now();
    let paths = ["/api/posts", "/api/skills", "/api/profiles/ada"];
    while begin.elapsed() < Duration::from_secs(3) {
        let crowd = (0..60).map(|number| asked(&edge, paths[number % paths.len()], &[]));
        for answer in join_all(crowd).await {
            assert_eq!(answer?.0, 200);
        }
    }
    let seconds = begin.elapsed().as_secs() as usize + 1;
    let count = edge.between.asked().len();
    assert!(
        count <= paths.len() * (seconds + 1),
        "{count} requests in {seconds} s"
    );

    // Whatever keys are made up: one question a second.
    let begin = Instant::now();
    let tokens: Vec<_> = (0..100)
        .map(|number| format!("Bearer {}", with_made_up_key(&ada.token, number)))
        .collect();
    let headers: Vec<_> = tokens
        .iter()
        .map(|token| [("authorization", &**token)])
        .collect();
    let crowd = headers
        .iter()
        .map(|headers| asked(&edge, "/api/posts", headers));
    for answer in join_all(crowd).await {
        assert_eq!(answer?.0, 401);
    }
    let seconds = begin.elapsed().as_secs() as usize + 1;
    let paths = edge.between.asked();
    let news = paths
        .iter()
        .filter(|path| path.starts_with("/api/edge/news"))
        .count();
    assert!(news <= seconds + 1, "{news} questions in {seconds} s");

    // A key that is new is known at once.
    edge.server
        .database
        .execute("select identity.rotate_signing_key()")
        .await?;
    let again = Agent::token(&edge.server, 1).await?;
    let (status, _) = asked(
        &edge,
        "/api/agents/me",
        &[("authorization", &format!("Bearer {again}"))],
    )
    .await?;
    assert_eq!(status, 200);
    Ok(())
}

#[tokio::test]
async fn public_answers_outlast_an_origin_that_is_away() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    let valid = format!("Bearer {}", ada.token);
    let first = edge.request("GET", "/api/profiles/ada").send().await?;
    let first = first.text().await?;
    edge.between.cut(true);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let stale = edge.request("GET", "/api/profiles/ada").send().await?;
    let kept = stale.headers()["cache-status"].to_str()?.to_owned();
    assert_eq!(stale.text().await?, first);
    assert!(kept.contains("origin-away"), "{kept}");
    for (path, headers) in [
        ("/api/posts", &[][..]),
        ("/api/agents/me", &[("authorization", &*valid)][..]),
    ] {
        let mut request = edge.request("GET", path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let refused = request.send().await?;
        assert_eq!(refused.status(), 503, "{path}");
        assert!(refused.headers().contains_key("retry-after"), "{path}");
        let problem: Value = refused.json().await?;
        assert_eq!(problem["code"], "origin-away");
    }
    edge.between.cut(false);
    let (status, _) = asked(&edge, "/api/agents/me", &[("authorization", &valid)]).await?;
    assert_eq!(status, 200);
    Ok(())
}

#[tokio::test]
async fn a_panic_is_one_answer() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    Agent::sign_in(&edge.server, "ada", 1).await?;
    let odd = "/api/posts/%ff%fe%00?q=%c3%28".to_owned();
    let long = "x".repeat(16 << 10);
    for round in 0..3 {
        let panicked = edge
            .request("GET", "/edge/panic")
            .timeout(Duration::from_secs(20))
            .send()
            .await?;
        assert_eq!(panicked.status(), 500, "{round}");
        for _ in 0..30 {
            assert_eq!(
                asked(&edge, "/api/profiles/ada", &[]).await?.0,
                200,
                "{round}"
            );
        }
        for odd in [
            &*odd,
            "/%f0%28%8c%bc",
            "/api/skills/%c0%af..%c0%af?%ff=%fe",
            "/é/\u{1f980}",
        ] {
            assert!(asked(&edge, odd, &[]).await?.0 < 500, "{odd}");
        }
        let (status, _) = asked(&edge, "/api/posts", &[("x-long", &long)]).await?;
        assert!(status < 500 || status == 503, "{status}");
        // The runtime ends the connection of a body that nobody reads, so it has one of its own.
        let broken = e2e::http().build()?;
        let broken = broken.post(format!("{}/edge/topics/feed:all", edge.url));
        assert_eq!(broken.body("{").send().await?.status(), 401);
    }
    Ok(())
}

#[tokio::test]
async fn what_may_not_be_kept_is_asked_for_side_by_side() -> Result<()> {
    const CROWD: usize = 30;
    const PATH: &str = "/api/agents/me";
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let begin = Instant::now();
    loop {
        // The edge knows for a while that the answer is not kept.
        assert_eq!(asked(&edge, PATH, &[]).await?.0, 401);
        edge.between.hold(Some(PATH));
        let crowd = join_all((0..CROWD).map(|_| asked(&edge, PATH, &[])));
        let looking = async {
            let looked_at = Instant::now();
            let mut most = 0;
            while most < CROWD / 2 && looked_at.elapsed() < Duration::from_secs(5) {
                most = most.max(edge.between.held());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            edge.between.hold(None);
            most
        };
        let (answers, most) = tokio::join!(crowd, looking);
        for answer in answers {
            assert_eq!(answer?.0, 401);
        }
        if most >= CROWD / 2 {
            break;
        }
        assert!(begin.elapsed() < WAIT, "at most {most} at once");
    }

    // A large body without a length is handed on as it comes.
    edge.between.hold(Some(ENDLESS));
    let mut answer = edge.request("GET", ENDLESS).send().await?;
    let status = answer.headers()["cache-status"].to_str()?.to_owned();
    assert!(!status.contains("stored"), "{status}");
    let mut bytes = 0;
    while bytes < ENDLESS_PIECES * ENDLESS_PIECE_BYTES {
        let chunk = timeout(WAIT, answer.chunk()).await;
        bytes += chunk
            .context("it waits for the end")??
            .context("a piece")?
            .len();
    }
    edge.between.hold(None);
    while let Some(chunk) = answer.chunk().await? {
        bytes += chunk.len();
    }
    assert_eq!(
        bytes,
        ENDLESS_PIECES * ENDLESS_PIECE_BYTES + "the end".len()
    );
    Ok(())
}
