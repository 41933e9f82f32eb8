//! Manners of HTTP that every operation has: HEAD, conditions, caches, challenges, and headers of refusals.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, fixture, manifest},
    root,
    spin::Difference,
};
use reqwest::{Response, header::HeaderMap};
use serde_json::{Value, json};

const COMPONENT: &str = "/api/skills/adder/versions/1.0.0/component";

/// Answers to two requests differ in these on their own.
fn comparable(response: &Response) -> HeaderMap {
    let mut headers = response.headers().clone();
    for name in [
        "date",
        "x-request-id",
        "request-id",
        "ratelimit",
        "connection",
        "set-cookie",
        // The provider's address has a secret of its own each time, and a stream has no length to be told.
        "location",
        "transfer-encoding",
    ] {
        headers.remove(name);
    }
    headers
}

/// All operations that are read, with something in the place of each parameter.
fn readable() -> Result<Vec<String>> {
    let document = std::fs::read_to_string(root().join("static/openapi.json"))?;
    let document: Value = serde_json::from_str(&document)?;
    let paths = document["paths"].as_object().context("paths")?;
    let read = paths.iter().filter(|(_, item)| !item["get"].is_null());
    let filled = read.map(|(path, _)| {
        path.replace("{name}", "adder")
            .replace("{version}", "1.0.0")
            .replace("{code}", "not-found")
            .replace("{agent}", "ada")
            .replace(['{', '}'], "")
    });
    Ok(filled.collect())
}

#[tokio::test]
async fn head_is_get_without_its_body_on_every_route() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let mut paths = readable()?;
    assert!(paths.len() > 40 && paths.contains(&COMPONENT.to_owned()));
    paths.push("/no/such/path".to_owned());
    paths.push("/api/agents/challenge".to_owned());
    let http2 = e2e::http().http2_prior_knowledge().build()?;
    for path in paths {
        for known in [false, true] {
            let ask = async |client: &reqwest::Client, method: &str| {
                let url = format!("{}{path}", server.url);
                let mut request = client.request(method.parse()?, url);
                if known {
                    request = request.bearer_auth(&ada.token);
                }
                anyhow::Ok(request.send().await?)
            };
            // Lists may change between two requests, and the health has another latency each time; a HEAD that is wrong differs always.
            let mut attempts = 0;
            let (get, head) = loop {
                attempts += 1;
                let (get, head) = (
                    ask(&server.http, "GET").await?,
                    ask(&server.http, "HEAD").await?,
                );
                assert_eq!(get.status(), head.status(), "{path} {known}");
                let (expected, told) = (comparable(&get), comparable(&head));
                if expected == told {
                    break (get, head);
                }
                assert!(attempts < 10, "{path} {known}: {expected:?} {told:?}");
            };
            let over_http2 = ask(&http2, "HEAD").await?;
            assert_eq!(over_http2.status(), get.status(), "{path} over HTTP/2");
            assert!(head.bytes().await?.is_empty() && over_http2.bytes().await?.is_empty());
            let length = get.headers().get("content-length").cloned();
            let body = get.bytes().await?;
            if let Some(length) = length {
                assert_eq!(length, body.len().to_string(), "{path}");
            }
        }
    }
    let request = server.http.head(format!("{}{COMPONENT}", server.url));
    let head = request.send().await?;
    assert_eq!(
        head.headers()["content-length"],
        fixture("adder")?.len().to_string()
    );
    Ok(())
}

#[tokio::test]
async fn conditions_are_kept_or_refused_and_never_ignored() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let tag = format!("\"{}\"", skill::digest::of_bytes(&fixture("adder")?));
    let weak = format!("W/{tag}");
    let two = format!("\"other\", {tag}");
    for method in ["GET", "HEAD"] {
        for (name, value, expected) in [
            ("if-none-match", &*tag, 304),
            ("if-none-match", &weak, 304),
            ("if-none-match", &two, 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"other\"", 200),
            ("if-match", &tag, 200),
            ("if-match", "*", 200),
            ("if-match", &weak, 412),
            ("if-match", "\"other\"", 412),
        ] {
            let request = ada.request(&server, method, COMPONENT).header(name, value);
            let response = request.send().await?;
            assert_eq!(response.status(), expected, "{method} {name}: {value}");
            if expected == 304 {
                assert_eq!(response.headers()["etag"], tag);
                assert!(
                    response.headers()["cache-control"]
                        .to_str()?
                        .contains("immutable")
                );
            }
        }
    }
    let code = async |request: reqwest::RequestBuilder| {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let problem: Value = response.json().await?;
        anyhow::Ok((
            status,
            problem["code"].as_str().unwrap_or_default().to_owned(),
        ))
    };
    let unsupported = (400, "precondition-unsupported".to_owned());
    for name in ["if-match", "if-none-match"] {
        let read = ada.request(&server, "GET", "/api/agents/me");
        assert_eq!(code(read.header(name, "\"a\"")).await?, unsupported);
    }
    for name in ["if-match", "if-none-match", "if-unmodified-since"] {
        let change = ada.request(&server, "PATCH", "/api/agents/me");
        let change = change.json(&json!({"description": "changed"}));
        assert_eq!(
            code(change.header(name, "\"a\"")).await?,
            unsupported,
            "{name}"
        );
    }
    let (_, me) = ada.get(&server, "/api/agents/me").await?;
    assert_ne!(me["description"], "changed", "nothing happened");
    let missing = ada.request(&server, "GET", "/api/skills/none");
    assert_eq!(code(missing.header("if-match", "*")).await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn caches_are_told_what_an_answer_depends_on() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, kind) in [
        (browser, "text/html"),
        (
            "text/html;q=0.4, application/json;q=0.5",
            "application/problem+json",
        ),
        ("text/html;q=0", "application/problem+json"),
        ("*/*", "application/problem+json"),
    ] {
        let request = server.http.get(format!("{}/no/such/path", server.url));
        let response = request.header("accept", accept).send().await?;
        let headers = response.headers();
        assert_eq!(response.status(), 404);
        assert!(
            headers["content-type"].to_str()?.starts_with(kind),
            "{accept}"
        );
        assert!(headers["vary"].to_str()?.starts_with("accept"), "{accept}");
        assert_eq!(headers["cache-control"], "private, no-store", "{accept}");
    }
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let version = "/api/skills/adder/versions/1.0.0";
    for path in [version, "/api/agents/me", "/api/jobs"] {
        for request in [
            server.http.get(format!("{}{path}", server.url)),
            ada.request(&server, "GET", path),
        ] {
            let is_stranger = request.try_clone().context("a request")?.build()?;
            let is_stranger = !is_stranger.headers().contains_key("authorization");
            let response = request.send().await?;
            let expected = match is_stranger && path == version {
                true => "public, s-maxage=1",
                false => "private, no-store",
            };
            let caching = &response.headers()["cache-control"];
            assert_eq!(caching, expected, "{path} {}", response.status());
        }
    }
    for credential in ["Bearer invented", "Bearer gk_invented", "Basic YTpi"] {
        let request = server.http.get(format!("{}{version}", server.url));
        let response = request.header("authorization", credential).send().await?;
        assert_eq!(response.status(), 401, "{credential}");
        assert_eq!(response.headers()["cache-control"], "private, no-store");
    }
    let page = server.get("/").await?;
    // It shows what happens now, and to a visitor what is theirs.
    assert_eq!(page.headers()["cache-control"], "private, no-cache");
    assert!(!page.headers().contains_key("strict-transport-security"));
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_reached_by_https_says_so() -> Result<()> {
    let server = Server::told(&[("public_url", "https://gather.example")]).await?;
    let refused = server.http.get(format!("{}/health/live", server.url));
    let refused = refused.body(vec![0; 2 << 20]).send().await?;
    for response in [
        server.get("/").await?,
        server.get("/api/skills").await?,
        server.get("/no/such/path").await?,
        refused,
    ] {
        let only_https = &response.headers()["strict-transport-security"];
        assert_eq!(only_https, "max-age=31536000", "{}", response.status());
    }
    Ok(())
}

#[tokio::test]
async fn refusals_say_how_to_authenticate() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let challenge = async |request: reqwest::RequestBuilder| {
        let response = request.send().await?;
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().map(str::to_owned));
        anyhow::Ok((
            response.status().as_u16(),
            challenge.transpose()?.unwrap_or_default(),
        ))
    };
    let me = || server.http.get(format!("{}/api/agents/me", server.url));
    assert_eq!(challenge(me()).await?, (401, "Bearer".into()));
    let invalid = (401, "Bearer error=\"invalid_token\"".to_owned());
    for secret in ["nonsense", "gk_nonsense", &format!("{}x", ada.token)] {
        assert_eq!(
            challenge(me().bearer_auth(secret)).await?,
            invalid,
            "{secret}"
        );
    }
    let basic = me().basic_auth("ada", Some("secret"));
    assert_eq!(challenge(basic).await?, (401, "Bearer".into()));
    let cookie = me().header("cookie", "__Host-gather-session=gs_nonsense");
    assert_eq!(challenge(cookie).await?, (401, "Bearer".into()));
    let looked_at = server.http.get(format!("{}{COMPONENT}", server.url));
    assert_eq!(challenge(looked_at.bearer_auth("nonsense")).await?, invalid);
    let lacking = challenge(ada.request(&server, "GET", "/api/audit")).await?;
    let wanted = "Bearer error=\"insufficient_scope\", scope=\"audit:read\"";
    assert_eq!(lacking, (403, wanted.to_owned()));
    let mcp = server.http.post(format!("{}/mcp", server.url));
    let (status, told) = challenge(mcp.bearer_auth("nonsense").json(&json!({}))).await?;
    assert_eq!(status, 401);
    assert!(
        told.starts_with("Bearer resource_metadata=\"http"),
        "{told}"
    );
    assert!(told.ends_with("\", error=\"invalid_token\""), "{told}");
    Ok(())
}

#[tokio::test]
async fn every_refusal_carries_its_id_and_the_limits() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let url = |path: &str| format!("{}{path}", server.url);
    let large = vec![b' '; 2 << 20];
    // Without the host's limit on bodies, the function looks at the type before the size.
    let too_large_of_no_type = if Difference::Limits.shows() { 415 } else { 413 };
    for (request, status) in [
        (server.http.get(url("/no/such/path")), 404),
        (server.http.get(url("/api/none")), 404),
        (server.http.put(url("/api/agents/challenge")), 405),
        (server.http.post(url("/")), 405),
        (
            ada.request(&server, "POST", "/api/teams")
                .header("content-type", "application/json")
                .body(large.clone()),
            413,
        ),
        (
            server
                .http
                .post(url("/api/agents/register"))
                .header("signature-input", "x")
                .body(large),
            too_large_of_no_type,
        ),
    ] {
        let response = request.send().await?;
        assert_eq!(response.status(), status);
        let headers = response.headers().clone();
        let problem: Value = response.json().await?;
        assert_eq!(
            problem["request_id"],
            headers["x-request-id"].to_str()?,
            "{problem}"
        );
        for name in ["ratelimit", "ratelimit-policy", "x-content-type-options"] {
            assert!(headers.contains_key(name), "{name} of {problem}");
        }
    }
    Ok(())
}

/// The guard knows the scopes that roles grant, and no others.
#[tokio::test]
async fn the_guard_knows_the_scopes_that_roles_grant() -> Result<()> {
    let database = e2e::Database::create().await?;
    let granted =
        sqlx::query_scalar("select distinct unnest(scopes) as scope from identity.role order by 1");
    let mut granted: Vec<String> = granted.fetch_all(&mut database.connect().await?).await?;
    granted.sort();
    assert_eq!(granted, guest::SCOPES);
    Ok(())
}
