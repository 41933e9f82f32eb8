//! What the tests of memory share.

use anyhow::{Context, Result, bail};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A memory of an agent's own scope, with more fields.
pub fn own(agent: &Agent, content: &str, more: Value) -> Value {
    let mut new = json!({"content": content, "scope": "agent", "scope_id": agent.id});
    if let (Some(new), Value::Object(more)) = (new.as_object_mut(), more) {
        new.extend(more);
    }
    new
}

/// Notes something in an agent's own scope, and returns the memory.
pub async fn note(server: &Server, agent: &Agent, content: &str, more: Value) -> Result<Value> {
    let new = own(agent, content, more);
    let (status, made) = agent.send(server, "POST", "/api/memory", &new).await?;
    anyhow::ensure!(status == 201, "{status}: {made}");
    Ok(made)
}

/// The path of a memory.
pub fn path(memory: &Value) -> Result<String> {
    Ok(format!(
        "/api/memory/{}",
        memory["id"].as_str().context("id")?
    ))
}

/// Sends a change with `If-Match`.
pub async fn change(
    server: &Server,
    agent: &Agent,
    path: &str,
    version: &str,
    changes: &Value,
) -> Result<(u16, Value)> {
    let request = agent
        .request(server, "PATCH", path)
        .header("if-match", format!("\"{version}\""));
    e2e::client::read(request.json(changes).send().await?).await
}

/// Searches, with more parameters; the whole answer.
pub async fn search(
    server: &Server,
    agent: &Agent,
    query: &str,
    more: &[(&str, &str)],
) -> Result<Value> {
    let mut pairs = vec![("query", query)];
    pairs.extend(more);
    let request = agent
        .request(server, "GET", "/api/memory/search")
        .query(&pairs);
    let (status, found) = e2e::client::read(request.send().await?).await?;
    anyhow::ensure!(status == 200, "{status}: {found}");
    Ok(found)
}

/// The contents of the items of an answer.
pub fn contents(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["content"].as_str()).collect()
}

/// Posts something that a job does, waits for the job, and returns its result.
pub async fn done(server: &Server, agent: &Agent, path: &str, body: &Value) -> Result<Value> {
    let (status, queued) = agent.send(server, "POST", path, body).await?;
    anyhow::ensure!(status == 202, "{status}: {queued}");
    let job = format!("/api/jobs/{}", queued["job_id"].as_str().context("job")?);
    let began = Instant::now();
    loop {
        let (_, job) = agent.get(server, &job).await?;
        match job["status"].as_str() {
            Some("succeeded") => return Ok(job["result"].clone()),
            Some("dead" | "cancelled") => bail!("{job:#}"),
            _ if began.elapsed() > Duration::from_secs(120) => bail!("{job:#}"),
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
