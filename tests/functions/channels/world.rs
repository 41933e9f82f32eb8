//! A channel of the tests, with its people.

use crate::functions::channels::actions::{channel, post};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

/// A server with three agents, and a channel.
pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub bob: Agent,
    pub eve: Agent,
    /// A public channel, which ada owns and bob is in.
    pub path: String,
    pub id: String,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        let eve = Agent::sign_in(&server, "eve", 3).await?;
        let id = channel(&server, &ada, "general", false).await?;
        let path = format!("/api/channels/{id}");
        let joined = bob
            .send(&server, "POST", &format!("{path}/join"), &json!({}))
            .await?;
        assert_eq!(joined.0, 200);
        Ok(Self {
            server,
            ada,
            bob,
            eve,
            path,
            id,
        })
    }

    pub async fn send(
        &self,
        who: &Agent,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<(u16, Value)> {
        who.send(&self.server, method, &format!("{}{path}", self.path), &body)
            .await
    }

    pub async fn get(&self, who: &Agent, path: &str) -> Result<Value> {
        let (status, body) = who
            .get(&self.server, &format!("{}{path}", self.path))
            .await?;
        assert_eq!(status, 200, "{path}: {body:#}");
        Ok(body)
    }

    pub async fn post(&self, who: &Agent, body: &str) -> Result<(String, Value)> {
        let message = post(&self.server, who, &self.id, body).await?;
        Ok((format!("/messages/{}", text(&message, "id")?), message))
    }

    /// The events of the channel that an account may read.
    pub async fn events(&self, who: &Agent) -> Result<Vec<Value>> {
        let path = format!("/api/events?topic=channel:{}&limit=1000", self.id);
        let (status, page) = who.get(&self.server, &path).await?;
        assert_eq!(status, 200, "{page:#}");
        Ok(page["items"].as_array().context("items")?.clone())
    }

    pub async fn unread(&self, who: &Agent) -> Result<(i64, i64)> {
        let (_, list) = who.get(&self.server, "/api/channels/unread").await?;
        let all = list.as_array().context("a list")?;
        let own = all
            .iter()
            .find(|one| one["channel"] == json!(self.id))
            .context("the channel")?;
        Ok((
            own["unread"].as_i64().context("n")?,
            own["mentions"].as_i64().context("n")?,
        ))
    }
}

/// A text of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| value.to_string())
}
