//! Publishing skills in tests.

use crate::{Server, agents::Agent, client::read, component_file};
use anyhow::{Context, Result, ensure};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// A fixture's component.
///
/// # Errors
/// It is not built.
pub fn fixture(name: &str) -> Result<Vec<u8>> {
    let file = component_file(name);
    std::fs::read(&file).with_context(|| file.display().to_string())
}

/// A small manifest.
#[must_use]
pub fn manifest(name: &str, version: &str) -> Value {
    json!({
        "name": name, "version": version, "description": "A skill of the tests.", "tags": ["test"],
        "permissions": {}, "examples": [],
    })
}

/// Uploads; the answer as it comes.
///
/// # Errors
/// The connection fails.
pub async fn upload(
    server: &Server,
    agent: &Agent,
    manifest: &Value,
    wasm: Vec<u8>,
) -> Result<(u16, Value)> {
    let form = Form::new()
        .part(
            "manifest",
            Part::text(manifest.to_string()).mime_str("application/json")?,
        )
        .part(
            "component",
            Part::bytes(wasm)
                .file_name("skill.wasm")
                .mime_str("application/wasm")?,
        );
    let response = agent
        .request(server, "POST", "/api/skills")
        .multipart(form)
        .send()
        .await?;
    read(response).await
}

/// Publishes a fixture and approves it as the review would.
///
/// # Errors
/// It is refused.
pub async fn approved(
    server: &Server,
    agent: &Agent,
    manifest: &Value,
    fixture_name: &str,
) -> Result<()> {
    let (status, answer) = upload(server, agent, manifest, fixture(fixture_name)?).await?;
    ensure!(status == 202, "{status} {answer:#}");
    decide(server, manifest, "approve").await
}

/// Decides about a version as the review would.
///
/// # Errors
/// There is none to decide about.
pub async fn decide(server: &Server, manifest: &Value, verdict: &str) -> Result<()> {
    let decided: bool = sqlx::query_scalar(
        "select skills.decide(v.id, $3, '{\"findings\": []}', 0.9, null, null)
         from skills.version v join skills.skill s on s.id = v.skill_id where s.name = $1 and v.version = $2",
    )
    .bind(manifest["name"].as_str())
    .bind(manifest["version"].as_str())
    .bind(verdict)
    .fetch_one(&mut server.database.connect().await?)
    .await?;
    ensure!(decided, "it was decided about before");
    Ok(())
}

/// Calls a tool of a skill.
///
/// # Errors
/// The connection fails.
pub async fn invoke(
    server: &Server,
    agent: &Agent,
    skill: &str,
    tool: &str,
    arguments: Value,
) -> Result<(u16, Value)> {
    let call = json!({"tool": tool, "arguments": arguments});
    agent
        .send(
            server,
            "POST",
            &format!("/api/skills/{skill}/invoke"),
            &call,
        )
        .await
}
