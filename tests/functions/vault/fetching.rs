//! Requests with secrets: where they go, what is put in, and what comes back.

use super::target::{Target, ok, with_headers};
use super::world::{CANARY, code, fetch, fetch_raw, forward, leave_early, store, until};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, master_key};
use futures::future::join_all;
use serde_json::{Value, json};
use service_token::{EGRESS, OnBehalf};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_secret_is_put_in_and_nothing_of_the_client_beside_it() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    let path = format!("/api/vault/fetch/{}/v1/things?page=2&x=%2e", target.host());
    let response = ada
        .request(&server, "POST", &path)
        .header("gather-secret", "github")
        .header("cookie", "a=b")
        .header("x-custom", "kept")
        .header("x-key", "the client's own")
        .header("range", "bytes=0-4")
        .header("baggage", "a=b")
        .json(&json!({"a": 1}))
        .send()
        .await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["gather-secret-version"], "1");
    assert_eq!(
        response.headers()["content-security-policy"],
        "sandbox; default-src 'none'"
    );
    assert_eq!(response.text().await?, "fine");
    let seen = target.last()?;
    assert_eq!(seen.line, "POST /v1/things?page=2&x=%2e HTTP/1.1");
    assert_eq!(seen.headers["x-key"], format!("Bearer {CANARY}"));
    assert_eq!(seen.headers["x-custom"], "kept");
    assert_eq!(seen.body, "{\"a\":1}");
    for name in [
        "authorization",
        "cookie",
        "gather-secret",
        "gather-target",
        "range",
        "traceparent",
        "baggage",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}: {seen:?}");
    }
    let (_, uses) = ada.get(&server, "/api/vault/secrets/github/uses").await?;
    let used = &uses["items"][0];
    for (field, expected) in [
        ("by", json!(ada.id)),
        ("component", json!("vault")),
        ("on_behalf_of", json!(format!("account:{}", ada.id))),
        ("origin", json!(target.origin)),
        ("method", json!("POST")),
        ("path", json!("/v1/things")),
        ("version", json!(1)),
        ("refused", Value::Null),
    ] {
        assert_eq!(used[field], expected, "{field}: {used}");
    }
    Ok(())
}

#[tokio::test]
async fn an_echoing_service_gives_nothing_away() -> Result<()> {
    let target = Target::start(|seen| {
        let key = seen.headers["x-key"].trim_start_matches("Bearer ").to_owned();
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let unicode: String = key.bytes().map(|byte| format!("\\u00{byte:02x}")).collect();
        let base64 = base64(&format!("x{key}"));
        let body = format!("{key} {hex} {percent} {unicode} {base64} {}", key.replace('/', "\\/"));
        if seen.line.contains("/gzip") {
            return with_headers("content-encoding: gzip\r\n", body);
        }
        if seen.line.contains("/bytes") {
            let mut answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-key\r\nlocation: /?k={percent}\r\n\r\n").into_bytes();
            for byte in body.bytes() {
                answer.extend([b'1', b'\r', b'\n', byte, b'\r', b'\n']);
            }
            answer.extend(format!("0\r\nx-key: {key}\r\n\r\n").bytes());
            return answer;
        }
        with_headers(&format!("location: /?k={percent}\r\nx-echo: {key}\r\ngather-egress: x\r\nset-cookie: k={key}\r\n"), body)
    })
    .await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for path in ["/whole", "/bytes"] {
        let full = format!("/api/vault/fetch/{}{path}", target.host());
        let request = ada
            .request(&server, "GET", &full)
            .header("gather-secret", "github");
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        let headers = format!("{:?}", response.headers());
        let text = format!("{headers} {}", response.text().await?);
        let lower = text.to_lowercase();
        for form in [
            CANARY,
            "Canary",
            &hex,
            "%43%61%6e",
            "\\u0043\\u0061",
            "set-cookie",
            "gather-egress",
            "c2stQ2FuYXJ5",
            "NrLUNhbmFye",
        ] {
            assert!(
                !lower.contains(&form.to_lowercase()),
                "{path}, {form}: {text}"
            );
        }
        assert!(text.matches("***").count() >= 6, "{text}");
    }
    let (status, body) = fetch(&server, &ada, &target, "github", "/gzip").await?;
    assert_eq!((status, code(&body).as_str()), (502, "fetch-failed"));
    Ok(())
}

fn base64(text: &str) -> String {
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn an_answer_that_ends_as_a_secret_begins_comes_whole() -> Result<()> {
    let body = format!("It begins with {}", &CANARY[..8]);
    let sent = body.clone();
    let target = Target::start(move |_| ok(&sent)).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    let answer = fetch(&server, &ada, &target, "github", "/x").await?;
    assert_eq!(answer, (200, body));
    Ok(())
}

#[tokio::test]
async fn paths_are_checked_as_they_are_sent() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let used = json!({"origins": [target.origin], "methods": ["GET"], "paths": ["/repos/a"], "place": {"header": "x-key"}});
    let new = json!({"name": "github", "kind": "token", "value": CANARY, "use": used});
    let (status, made) = ada
        .send(&server, "POST", "/api/vault/secrets", &new)
        .await?;
    assert_eq!(status, 201, "{made}");
    let host = target.host();
    for path in [
        "/repos/a",
        "/repos/a/",
        "/repos/a/@s%2fn",
        "/repos/a/b.c/..d?x=/../y",
    ] {
        let answer = fetch_raw(&server, &ada, "github", &format!("{host}{path}")).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert_eq!(target.last()?.line, format!("GET {path} HTTP/1.1"));
    }
    let before = target.seen().len();
    for path in [
        "/repos/a/../b",
        "/repos/a/%2e%2e/b",
        "/repos/a/.%2E/b",
        "/repos/a%2f..%2fb",
        "/repos/a/%252e%252e/b",
        "/repos/a/%5c../b",
        "/repos/a//b",
        "//repos/a",
        "/repos/a/b;x",
        "/repos/ab",
        "/repos/",
        "/REPOS/a",
        "/repos/a/./b",
        "/repos%2fa",
    ] {
        let answer = fetch_raw(&server, &ada, "github", &format!("{host}{path}")).await?;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("origin-refused"),
            "{path}: {answer}"
        );
    }
    let path = format!("/api/vault/fetch/{host}/repos/a");
    let request = ada
        .request(&server, "POST", &path)
        .header("gather-secret", "github");
    assert_eq!(request.send().await?.status(), 403, "another method");
    assert_eq!(target.seen().len(), before, "nothing was sent");
    Ok(())
}

#[tokio::test]
async fn redirects_and_private_hosts_are_not_followed() -> Result<()> {
    let other = Target::start(|_| ok("secret data")).await?;
    let elsewhere = other.origin.clone();
    let target = Target::start(move |_| {
        format!("HTTP/1.1 307 Moved\r\nlocation: {elsewhere}/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
    })
    .await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    store(&server, &ada, "inside", &other.origin).await?;
    store(&server, &ada, "mapped", "https://[::ffff:10.0.0.1]").await?;
    store(&server, &ada, "decimal", "https://127.0.0.1").await?;
    let client = e2e::http()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let url = format!("{}/api/vault/fetch/{}/x", server.url, target.host());
    let request = client
        .get(url)
        .bearer_auth(&ada.token)
        .header("gather-secret", "github");
    let response = request.send().await?;
    assert_eq!(response.status(), 307);
    assert_eq!(
        response.headers()["location"],
        format!("{}/x", other.origin)
    );
    for (secret, host) in [
        ("inside", other.host()),
        ("github", other.host()),
        ("mapped", "[::ffff:10.0.0.1]"),
        ("decimal", "127.0.0.1"),
        ("decimal", "2130706433"),
        ("decimal", "localhost"),
    ] {
        let answer = fetch_raw(&server, &ada, secret, &format!("{host}/x")).await?;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("origin-refused"),
            "{host}: {answer}"
        );
    }
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    Ok(())
}

#[tokio::test]
async fn what_ends_is_in_force_within_two_seconds() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let path = format!("/api/vault/secrets/{id}");
    let grant = format!("{path}/grants/account:{}", bob.id);
    ada.send(&server, "PUT", &grant, &json!({"calls": 3}))
        .await?;
    let fetches = (0..50).map(|_| fetch(&server, &bob, &target, &id, "/x"));
    let mut granted = 0;
    for fetched in join_all(fetches).await {
        match fetched? {
            (200, _) => granted += 1,
            (status, body) => {
                assert_eq!((status, code(&body).as_str()), (403, "secret-not-granted"))
            }
        }
    }
    assert_eq!((granted, target.seen().len()), (3, 3));
    ada.send(&server, "PUT", &grant, &json!({})).await?;
    assert_eq!(fetch(&server, &bob, &target, &id, "/x").await?.0, 200);
    ada.send(&server, "DELETE", &grant, &Value::Null).await?;
    let begin = Instant::now();
    while fetch(&server, &bob, &target, &id, "/x").await?.0 == 200 {
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
    server
        .database
        .execute(&format!(
            "update vault.secret set expires_at = now() where id = '{id}'"
        ))
        .await?;
    let (status, body) = fetch(&server, &ada, &target, &id, "/x").await?;
    assert_eq!((status, code(&body).as_str()), (410, "secret-expired"));
    let rotation = ada
        .request(&server, "POST", &format!("{path}/versions"))
        .header("if-match", "*");
    let rotation = rotation.json(&json!({"value": CANARY})).send().await?;
    assert_eq!(rotation.status(), 410, "nothing revives it");
    ada.send(&server, "DELETE", &path, &Value::Null).await?;
    assert_eq!(fetch(&server, &ada, &target, &id, "/x").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_former_value_is_used_if_it_is_asked_for_while_it_may() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let rotate = |value: &'static str, overlap: i64| {
        let request = ada.request(
            &server,
            "POST",
            &format!("/api/vault/secrets/{id}/versions"),
        );
        request
            .header("if-match", "*")
            .json(&json!({"value": value, "overlap_ms": overlap}))
            .send()
    };
    assert_eq!(rotate("second-value", 60_000).await?.status(), 201);
    for (secret, value) in [
        ("github", "second-value"),
        ("github@2", "second-value"),
        ("github@1", CANARY),
    ] {
        assert_eq!(
            fetch(&server, &ada, &target, secret, "/x").await?.0,
            200,
            "{secret}"
        );
        assert_eq!(target.last()?.headers["x-key"], format!("Bearer {value}"));
    }
    assert_eq!(rotate("third-value", 0).await?.status(), 201);
    for (secret, status) in [
        ("github", 200),
        ("github@2", 410),
        ("github@1", 200),
        ("github@9", 410),
        ("github@x", 422),
    ] {
        assert_eq!(
            fetch(&server, &ada, &target, secret, "/x").await?.0,
            status,
            "{secret}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_the_way_out_the_answer_is_503_at_once() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let mut server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    server.stop_egress().await;
    let begin = Instant::now();
    let (status, body) = fetch(&server, &ada, &target, "github", "/x").await?;
    assert_eq!((status, code(&body).as_str()), (503, "egress-unavailable"));
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn who_leaves_ends_the_connection_beyond() -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello\n\r\n";
    let target = Target::waiting(move |seen| {
        if seen.line.contains("/silent") {
            Vec::new()
        } else {
            head.as_bytes().to_vec()
        }
    })
    .await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let key = gather::secrets::service_key(&master_key(), "egress", "vault");
    let token = service_token::make(&key, "vault", EGRESS, &OnBehalf::default())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let request = |path: &str| {
        format!(
            "GET /forward HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ngather-target: {}{path}\r\n\r\n",
            target.origin
        )
    };
    leave_early(&server, &request("/stream")).await?;
    assert!(
        until(|| target.closed() == 1, Duration::from_secs(1)).await,
        "in the middle of the answer"
    );
    let address = server.variables["egress_url"]
        .trim_start_matches("http://")
        .to_owned();
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut socket, request("/silent").as_bytes()).await?;
    assert!(until(|| target.seen().len() == 2, Duration::from_secs(10)).await);
    drop(socket);
    assert!(
        until(|| target.closed() == 2, Duration::from_secs(1)).await,
        "before the answer"
    );
    Ok(())
}

#[tokio::test]
async fn only_components_with_their_own_key_are_let_out() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = store(&server, &ada, "github", &target.origin).await?;
    let url = format!("{}/x", target.origin);
    assert_eq!(
        forward(&server, "site", None, &[], &url)?
            .send()
            .await?
            .status(),
        401
    );
    let bearer = server
        .http
        .post(format!("{}/forward", server.variables["egress_url"]));
    let refused = bearer
        .bearer_auth(&ada.token)
        .header("gather-target", &url)
        .send()
        .await?;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["gather-egress"], "unauthenticated");
    let plain = forward(&server, "vault", None, &[], &url)?.send().await?;
    assert_eq!(plain.status(), 200);
    assert!(!target.last()?.headers.contains_key("x-key"));
    let nobody = forward(&server, "vault", None, &[], &url)?
        .header("gather-secret", &id)
        .send()
        .await?;
    assert_eq!(
        nobody.status(),
        404,
        "the platform itself has no right to ada's"
    );
    let claw = "claw:00000000-0000-7000-8000-000000000001";
    let as_claw = || {
        Ok::<_, anyhow::Error>(
            forward(&server, "vault", Some(ada.id), &[claw], &url)?.header("gather-secret", &id),
        )
    };
    assert_eq!(
        as_claw()?.send().await?.status(),
        403,
        "not what its owner may"
    );
    let grant = format!("/api/vault/secrets/{id}/grants/{claw}");
    ada.send(&server, "PUT", &grant, &json!({})).await?;
    assert_eq!(as_claw()?.send().await?.status(), 200);
    let metrics = server
        .http
        .get(format!("{}/metrics", server.variables["egress_url"]))
        .send()
        .await?
        .text()
        .await?;
    assert!(
        metrics.contains("gather_egress_refused_total{code=\"secret-not-granted\"} 1"),
        "{metrics}"
    );
    let (_, uses) = ada.get(&server, "/api/vault/secrets/github/uses").await?;
    let subjects: Vec<_> = uses["items"]
        .as_array()
        .context("items")?
        .iter()
        .map(|used| used["on_behalf_of"].clone())
        .collect();
    assert_eq!(subjects, [json!(claw), Value::Null]);
    Ok(())
}

#[tokio::test]
async fn fetches_that_wait_hold_no_connections() -> Result<()> {
    const FETCHES: usize = 24;
    let target = Target::waiting(|_| Vec::new()).await?;
    let server = Server::with_few_connections(1, &[&target.origin]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    store(&server, &ada, "github", &target.origin).await?;
    let fetches = (0..FETCHES).map(|_| fetch(&server, &ada, &target, "github", "/x"));
    let asking = async {
        while target.seen().len() < FETCHES {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ada.get(&server, "/api/vault/secrets/github").await
    };
    tokio::select! {
        answers = join_all(fetches) => anyhow::bail!("they were answered: {answers:?}"),
        secret = asking => assert_eq!(secret?.0, 200),
    }
    Ok(())
}
