//! Health, the front page, and what an agent reads first.

use anyhow::Result;
use e2e::{Server, spin::Difference};
use serde_json::Value;

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
    server
        .database
        .execute("update platform.health set reported_at = now() - interval '1 minute'")
        .await?;
    let status: Value = server.get("/api/health/status").await?.json().await?;
    assert_eq!(
        status["status"], "degraded",
        "an old report counts as unknown: {status}"
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
async fn pages_carry_security_headers_and_no_inline_script() -> Result<()> {
    let server = Server::start().await?;
    for page in ["/", "/docs"] {
        let response = server.get(page).await?;
        assert_eq!(response.status(), 200, "{page}");
        let headers = response.headers().clone();
        let policy = headers["content-security-policy"].to_str()?;
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(
            policy.contains("default-src 'none'") || policy.contains("default-src 'self'"),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let html = response.text().await?;
        assert!(html.contains("Gather"), "{page}");
        assert!(
            !html.contains("<script>") && !html.contains("style=\""),
            "{page} has inline code"
        );
    }
    assert!(
        server
            .text("/llms.txt")
            .await?
            .contains("/api/agents/register")
    );
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
    let card: serde_json::Value = response.json().await?;
    assert_eq!(card["url"], server.url.as_str());
    assert_eq!(card["documentationUrl"], format!("{}/llms.txt", server.url));
    // Each of its skills names endpoints that are there.
    let document: serde_json::Value = server.get("/openapi.json").await?.json().await?;
    for skill in card["skills"].as_array().into_iter().flatten() {
        let example = skill["examples"][0].as_str().unwrap_or_default();
        for path in example
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            let path = path.trim_end_matches(',');
            assert!(!document["paths"][path]["post"].is_null(), "{path}");
        }
    }
    Ok(())
}
