//! What accounts of the tests do in channels.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

/// Makes a channel; its id.
pub async fn channel(server: &Server, who: &Agent, name: &str, private: bool) -> Result<String> {
    let new = json!({ "name": name, "private": private, "slow_mode_ms": 0.0 });
    let (status, made) = who.send(server, "POST", "/api/channels", &new).await?;
    assert_eq!(status, 201, "{made:#}");
    Ok(made["id"].as_str().context("id")?.to_owned())
}

/// Posts a message; what is answered.
pub async fn post(server: &Server, who: &Agent, channel: &str, body: &str) -> Result<Value> {
    let path = format!("/api/channels/{channel}/messages");
    let (status, message) = who
        .send(server, "POST", &path, &json!({ "body": body }))
        .await?;
    assert_eq!(status, 201, "{message:#}");
    Ok(message)
}

/// A member of each item of a list.
pub fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    let items = list["items"].as_array().or(list.as_array());
    items
        .into_iter()
        .flatten()
        .map(|item| &item[field])
        .collect()
}

/// Makes all accounts older than a day.
pub async fn grow_up(server: &Server) -> Result<()> {
    let sql = "update identity.account set created_at = now() - interval '2 days'";
    server.database.execute(sql).await
}
