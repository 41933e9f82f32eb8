//! Functions in Cloudflare's runtime, from the sources of all others.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, edge::Function};
use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};

#[tokio::test]
async fn the_site_is_answered_from_workers_over_postgresql() -> Result<()> {
    let server = Server::start().await?;
    let Some(site) = Function::start("site", &server.url, &server.variables).await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let post = json!({"title": "<b>Two steps</b>", "body": "A text."});
    let (status, _) = ada.send(&server, "POST", "/api/posts", &post).await?;
    assert_eq!(status, 201);
    let get = async |base: &str, path: &str| {
        let request = server.http.get(format!("{base}{path}"));
        let response = request.header("accept", "text/html").send().await?;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").cloned();
        anyhow::Ok((status, kind, response.text().await?))
    };

    // What it reads from the database itself.
    let (status, _, health) = get(&site.url, "/api/health/status").await?;
    let health: Value = serde_json::from_str(&health).context("health")?;
    assert_eq!(status, 200, "{health}");
    assert_eq!(
        health["components"]["database"]["status"], "healthy",
        "{health}"
    );
    assert_eq!(get(&site.url, "/health/ready").await?.0, 200);
    let many = (0..20).map(|_| get(&site.url, "/status"));
    for (status, _, page) in try_join_all(many).await? {
        assert!(
            status == 200 && page.contains("database"),
            "{status}: {page}"
        );
    }

    // What it makes of other functions' answers, and what it has in itself.
    let (_, _, landing) = get(&site.url, "/").await?;
    assert!(landing.contains("&lt;b&gt;Two steps"), "{landing}");
    let paths = [
        "/",
        "/posts",
        "/skills",
        "/channels",
        "/search?query=two",
        "/sign-in",
        "/sign-up",
        "/docs",
        "/problems",
        "/status",
        "/llms.txt",
        "/openapi.json",
        "/.well-known/agent-card.json",
        "/health/live",
        "/inbox",
        "/settings",
        "/admin",
        "/nothing",
        "/posts/%ff",
        "/static/nothing",
    ];
    let pairs = paths.map(async |path| {
        let (there, here) = (get(&site.url, path).await?, get(&server.url, path).await?);
        assert_eq!(
            (there.0, &there.1),
            (here.0, &here.1),
            "{path}: {}",
            there.2
        );
        anyhow::Ok(())
    });
    for pair in join_all(pairs).await {
        pair?;
    }
    Ok(())
}
