//! Health, problems, and what an agent reads first.

use anyhow::{Result, ensure};
use e2e::{Server, browser::Browser, errands::quick, people::Person, spin::Difference};
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test]
async fn health_tells_alive_ready_and_what_of() -> Result<()> {
    let server = Server::start().await?;
    assert_eq!(server.get("/health/live").await?.status(), 200);
    assert_eq!(server.get("/health/ready").await?.status(), 200);
    let status: Value = server.get("/api/health/status").await?.json().await?;
    assert_eq!(
        status["components"]["database"]["status"], "healthy",
        "{status}"
    );
    // The size is measured by the workers, at most once a minute, and not whenever anybody asks.
    let size = &status["components"]["database"]["size_bytes"];
    assert!(size.is_null(), "{status}");
    let maintain = "select jobs.maintain('1 day', '1 day', '1 minute')";
    server.database.execute(maintain).await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    let size = &status["components"]["database"]["size_bytes"];
    assert!(size.as_u64() > Some(1_000_000), "{status}");
    server
        .database
        .execute("update platform.health set detail = '{\"size_bytes\": 5}' where component = 'database'")
        .await?;
    server.database.execute(maintain).await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    let database = &status["components"]["database"];
    assert_eq!(database["size_bytes"], 5, "{status}");
    server
        .database
        .execute("select platform.report_health('disk', 'healthy', '{\"free_bytes\": 7}')")
        .await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    assert_eq!(status["status"], "healthy", "{status}");
    assert_eq!(
        status["components"]["disk"]["status"], "healthy",
        "{status}"
    );
    let page = server.text("/status").await?;
    assert!(
        page.contains("Every part works") && page.contains("free bytes: 7"),
        "{page}"
    );
    server
        .database
        .execute("update platform.health set reported_at = now() - interval '1 minute'")
        .await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    assert_eq!(
        status["status"], "degraded",
        "an old report counts as unknown: {status}"
    );
    assert_eq!(
        status["components"]["database"]["status"], "healthy",
        "it has just answered: {status}"
    );
    Ok(())
}

#[tokio::test]
async fn without_its_database_it_is_alive_but_not_ready() -> Result<()> {
    let server = Server::start().await?;
    server
        .database
        .execute("revoke connect on database \"DB\" from public; revoke connect on database \"DB\" from gather_site".replace("DB", server.database.admin.path().trim_start_matches('/')).as_str())
        .await?;
    assert_eq!(server.get("/health/live").await?.status(), 200);
    let ready = server.get("/health/ready").await?;
    assert_eq!(ready.status(), 503);
    let text = ready.text().await?;
    assert!(
        !text.contains("postgres") && !text.contains("gather_site"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn readiness_ends_when_the_host_drains() -> Result<()> {
    if Difference::Operation.shows() {
        return Ok(());
    }
    let server = Server::start().await?;
    server.host().announce_drain();
    assert_eq!(server.get("/health/ready").await?.status(), 503);
    assert_eq!(server.get("/health/live").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn texts_for_programs_go_out_compressed() -> Result<()> {
    let server = Server::start().await?;
    for path in ["/openapi.json", "/llms.txt"] {
        let plain = server.text(path).await?;
        for encoding in ["br", "gzip"] {
            let request = server.http.get(format!("{}{path}", server.url));
            let request = request.header("accept-encoding", encoding);
            let response = request.send().await?;
            assert_eq!(response.headers()["content-encoding"], encoding, "{path}");
            assert_eq!(response.headers()["vary"], "accept-encoding", "{path}");
            let size = response.bytes().await?.len();
            assert!(size * 2 < plain.len(), "{path}: {size} of {}", plain.len());
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_paths_are_problems_or_pages() -> Result<()> {
    let server = Server::start().await?;
    let response = server.get("/no/such/path").await?;
    assert_eq!(response.status(), 404);
    let request = server
        .http
        .get(format!("{}/no/such/path", server.url))
        .header("accept", "text/html");
    let page = request.send().await?;
    assert_eq!(page.status(), 404);
    assert!(
        page.headers()["content-type"]
            .to_str()?
            .starts_with("text/html")
    );
    Ok(())
}

#[tokio::test]
async fn the_agent_card_says_where_and_how() -> Result<()> {
    let server = Server::start().await?;
    let response = server.get("/.well-known/agent-card.json").await?;
    assert_eq!(response.headers()["content-type"], "application/json");
    let card: Value = response.json().await?;
    assert_eq!(card["documentationUrl"], format!("{}/llms.txt", server.url));
    // What A2A 1.0 requires of a card, its interfaces and its skills.
    let required = |value: &Value, texts: &[&str], lists: &[&str]| {
        for name in texts {
            let text = value[name].as_str();
            assert!(
                text.is_some_and(|text| !text.is_empty()),
                "{name} of {value:#}"
            );
        }
        for name in lists {
            let list = value[name].as_array();
            assert!(
                list.is_some_and(|list| !list.is_empty()),
                "{name} of {value:#}"
            );
        }
    };
    let lists = [
        "supportedInterfaces",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ];
    required(&card, &["name", "description", "version"], &lists);
    assert!(card["capabilities"].is_object());
    let scheme = &card["securitySchemes"]["token"]["httpAuthSecurityScheme"]["scheme"];
    assert_eq!(scheme, "Bearer");
    let token = serde_json::json!([{"schemes": {"token": {"list": []}}}]);
    assert_eq!(card["securityRequirements"], token);
    let mut addresses = Vec::new();
    for interface in card["supportedInterfaces"].as_array().into_iter().flatten() {
        required(
            interface,
            &["url", "protocolBinding", "protocolVersion"],
            &[],
        );
        // A2A's own bindings are not served.
        let binding = interface["protocolBinding"].as_str().unwrap_or_default();
        assert!(binding.starts_with("https://"), "{binding}");
        addresses.push(interface["url"].as_str().unwrap_or_default());
    }
    assert_eq!(
        addresses,
        [server.url.clone(), format!("{}/mcp", server.url)]
    );
    // Each of its skills names endpoints that are there.
    let document: Value = server.get("/openapi.json").await?.json().await?;
    let mut named = Vec::new();
    for skill in card["skills"].as_array().into_iter().flatten() {
        required(skill, &["id", "name", "description"], &["tags", "examples"]);
        let example = skill["examples"][0].as_str().unwrap_or_default();
        for call in example.split(", then ") {
            let (method, path) = call.split_once(' ').unwrap_or_default();
            let operation = &document["paths"][path][method.to_lowercase()];
            assert!(operation.is_object(), "{call}");
            named.push(path.to_owned());
        }
    }
    for path in ["/api/skills", "/api/skills/{name}/invoke", "/mcp"] {
        assert!(
            named.iter().any(|named| named == path),
            "{path} of {named:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_there_is_told_and_not_promised() -> Result<()> {
    let server = Server::start().await?;
    let front = server.text("/").await?;
    let llms = server.text("/llms.txt").await?;
    for text in [&front, &llms] {
        for what in ["/mcp", "/api/skills?query=", "jobs"] {
            assert!(text.contains(what), "{what} in {text}");
        }
    }
    let next = front.split("Next: ").nth(1).unwrap_or_default();
    let next = next.split('<').next().unwrap_or_default();
    assert!(!next.contains("jobs") && !next.contains("skills"), "{next}");
    Ok(())
}

#[tokio::test]
async fn every_code_of_a_problem_has_its_page() -> Result<()> {
    let server = Server::start().await?;
    let file = std::fs::read_to_string(e2e::root().join("static/problems.json"))?;
    let problems: Value = serde_json::from_str(&file)?;
    let codes = problems
        .as_object()
        .into_iter()
        .flat_map(|codes| codes.keys());
    for code in codes.clone() {
        let response = server.get(&format!("/problems/{code}")).await?;
        assert_eq!(response.status(), 200, "{code}");
        let heading = format!("<h1><code>{code}</code></h1>");
        assert!(response.text().await?.contains(&heading), "{code}");
    }
    assert!(codes.count() > 80);
    assert_eq!(server.get("/problems/no-such-code").await?.status(), 404);
    Ok(())
}

/// What the platform asks of others is told by name and number: no address, and no provider of an account.
#[tokio::test]
async fn health_tells_of_services_outside_that_were_called_lately() -> Result<()> {
    let server = Server::start().await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    assert_eq!(status["outside"], serde_json::json!({}));
    let worker = server.worker(quick()).await?;
    Person::register(&server, "grace").await?;
    let started = Instant::now();
    loop {
        let status: Value = server.get("/api/health/status").await?.json().await?;
        if status["outside"]["mail"]["calls"].as_u64() >= Some(1) {
            break;
        }
        ensure!(started.elapsed() < Duration::from_secs(60), "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.shutdown(Duration::from_secs(5)).await;
    server
        .database
        .execute(
            "with own as (select id from identity.account limit 1), ours as (
                 insert into llm.provider (name, protocol, url) values ('clouds', 'openai', 'https://ours.example') returning id
             ), theirs as (
                 insert into llm.provider (account_id, name, protocol, url)
                 select id, 'secret-name', 'openai', 'https://theirs.example' from own returning id
             ), calls as (
                 insert into llm.call (payers, route, status, provider_id, ended_at, first_token_ms)
                 select '{platform}', 'chat', s.status, p.id, now(), 20
                 from (select id from ours union all select id from theirs) p, (values ('succeeded'), ('failed')) s (status)
             ), hook as (
                 insert into webhooks.webhook (owner_id, url, topics, subscription, failing_since)
                 select id, 'https://theirs.example/secret-path', '{account:me}', gen_random_uuid(), now() from own returning id
             )
             insert into webhooks.delivery (webhook_id, type, attempts, attempted_at) select id, 'test', 1, now() from hook",
        )
        .await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    let outside = &status["outside"];
    for (service, calls, failures) in [
        ("provider clouds", 2, 1),
        ("other providers", 2, 1),
        ("webhooks", 1, 1),
    ] {
        assert_eq!(outside[service]["calls"], calls, "{service}: {outside}");
        assert_eq!(
            outside[service]["failures"], failures,
            "{service}: {outside}"
        );
    }
    assert_eq!(outside["provider clouds"]["latency_ms"], 20.0);
    assert_eq!(outside["webhooks"]["failing_receivers"], 1);
    let text = status.to_string();
    for secret in ["secret", "example", "grace", "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let page = Browser::open(&server)?.get("/status").await?;
    assert!(
        page.text("main").contains("provider clouds"),
        "{}",
        page.html
    );
    Ok(())
}
