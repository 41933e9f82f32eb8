//! Questions of the tests that ask for an approval, and how they are decided.

use anyhow::{Context, Result};
use e2e::{Database, Server, agents::Agent};
use serde_json::{Value, json};
use uuid::Uuid;

/// What is asked: by default by the platform, about a turn, for an hour, of one.
pub struct Question<'a> {
    pub who: &'a [Uuid],
    pub by: Option<Uuid>,
    pub need: i32,
    pub own: bool,
    pub expires_ms: i32,
    pub subject: &'a str,
}

impl<'a> Question<'a> {
    pub fn of(who: &'a [Uuid]) -> Self {
        Self {
            who,
            by: None,
            need: 1,
            own: false,
            expires_ms: 3_600_000,
            subject: "turn:1",
        }
    }

    pub async fn ask(&self, database: &Database) -> Result<String, sqlx::Error> {
        let mut admin = database
            .connect()
            .await
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let id: Uuid = sqlx::query_scalar(
            "select inbox.ask($1, 'May it be done?', 'canary of the detail', 'sha256:1', $2,
                 clock_timestamp() + $3 * interval '1 millisecond', $4, $5, null, $6)",
        )
        .bind(self.subject)
        .bind(self.who)
        .bind(self.expires_ms)
        .bind(self.by)
        .bind(self.need)
        .bind(self.own)
        .fetch_one(&mut admin)
        .await?;
        Ok(id.to_string())
    }
}

pub async fn decide(
    server: &Server,
    who: &Agent,
    approval: &str,
    body: Value,
) -> Result<(u16, Value)> {
    let path = format!("/api/approvals/{approval}/decision");
    who.send(server, "POST", &path, &body).await
}

pub fn approve() -> Value {
    json!({ "decision": "approve", "digest": "sha256:1" })
}

pub fn deny() -> Value {
    json!({ "decision": "deny", "digest": "sha256:1", "reason": "not now" })
}

pub async fn see(server: &Server, who: &Agent, approval: &str) -> Result<(u16, Value)> {
    who.get(server, &format!("/api/approvals/{approval}")).await
}

/// The code and state of a refusal.
pub fn refused(answer: &(u16, Value)) -> (u16, &str, &str) {
    let text = |name: &str| answer.1[name].as_str().unwrap_or_default();
    (answer.0, text("code"), text("state"))
}

pub async fn listed(server: &Server, who: &Agent, query: &str) -> Result<Vec<String>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = who
            .get(server, &format!("/api/approvals?limit=2{query}{after}"))
            .await?;
        assert_eq!(status, 200, "{page}");
        for item in page["items"].as_array().context("items")? {
            all.push(item["id"].as_str().context("id")?.to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

/// The types of events about an approval on a topic.
pub async fn told(database: &Database, topic: &str, approval: &str) -> Result<Vec<String>> {
    let types = sqlx::query_scalar(
        "select type from events.event where topic = $1 and type like 'approval.%' and data ->> 'id' = $2 order by number",
    );
    Ok(types
        .bind(topic)
        .bind(approval)
        .fetch_all(&mut database.connect().await?)
        .await?)
}

pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub bob: Agent,
    pub eve: Agent,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        let eve = Agent::sign_in(&server, "eve", 3).await?;
        Ok(Self {
            server,
            ada,
            bob,
            eve,
        })
    }
}
