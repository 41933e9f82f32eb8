//! What the tests of secrets share.

use super::target::Target;
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, master_key};
use serde_json::{Value, json};
use service_token::{EGRESS, OnBehalf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

/// A value that nothing else contains.
pub const CANARY: &str = "sk-Canary/42+Wing%Tail";

/// Stores a secret that goes into the header `x-key` of requests to an origin; its id.
pub async fn store(server: &Server, owner: &Agent, name: &str, origin: &str) -> Result<String> {
    let place = json!({"header": "x-key", "format": "Bearer {}"});
    let used = json!({"origins": [origin], "place": place});
    let new = json!({"name": name, "kind": "token", "value": CANARY, "use": used});
    let (status, made) = owner
        .send(server, "POST", "/api/vault/secrets", &new)
        .await?;
    assert_eq!(status, 201, "{made}");
    Ok(made["id"].as_str().context("id")?.to_owned())
}

/// Fetches a path of the target with a secret; the status and the body.
pub async fn fetch(
    server: &Server,
    agent: &Agent,
    target: &Target,
    secret: &str,
    path: &str,
) -> Result<(u16, String)> {
    let path = format!("/api/vault/fetch/{}{path}", target.host());
    let request = agent.request(server, "GET", &path);
    let response = request.header("gather-secret", secret).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

/// The code of a problem.
pub fn code(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_default();
    problem["code"].as_str().unwrap_or(body).to_owned()
}

/// Fetches by a request whose path is sent as it stands here, which HTTP clients would tidy up; the whole answer.
pub async fn fetch_raw(server: &Server, agent: &Agent, secret: &str, path: &str) -> Result<String> {
    let request = format!(
        "GET /api/vault/fetch/{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ngather-secret: {secret}\r\n\
         connection: close\r\n\r\n",
        agent.token
    );
    let text = server
        .raw(request.as_bytes(), false, Duration::from_secs(20))
        .await?;
    Ok(text)
}

/// A request of a component to the way out itself.
pub fn forward(
    server: &Server,
    component: &str,
    account: Option<Uuid>,
    subjects: &[&str],
    target: &str,
) -> Result<reqwest::RequestBuilder> {
    let egress = &server.variables["egress_url"];
    forward_through(server, egress, component, account, subjects, target)
}

/// A request of a component to another way out.
pub fn forward_through(
    server: &Server,
    egress: &str,
    component: &str,
    account: Option<Uuid>,
    subjects: &[&str],
    target: &str,
) -> Result<reqwest::RequestBuilder> {
    let key = gather::secrets::service_key(&master_key(), "egress", component);
    let on_behalf = OnBehalf {
        account,
        subjects: subjects
            .iter()
            .map(|subject| (*subject).to_owned())
            .collect(),
    };
    let token = service_token::make(&key, component, EGRESS, &on_behalf)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let request = server.http.post(format!("{egress}/forward"));
    Ok(request.bearer_auth(token).header("gather-target", target))
}

/// Sends a request, ends the connection as soon as the first bytes of the answer are there.
pub async fn leave_early(server: &Server, request: &str) -> Result<()> {
    let address = server.variables["egress_url"].trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    socket.write_all(request.as_bytes()).await?;
    let mut first = [0; 16];
    tokio::time::timeout(Duration::from_secs(10), socket.read(&mut first)).await??;
    Ok(())
}

/// Waits until something is so.
pub async fn until(mut is_so: impl FnMut() -> bool, within: Duration) -> bool {
    let begin = std::time::Instant::now();
    while begin.elapsed() < within {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_so()
}
