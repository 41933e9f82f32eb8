//! A town of posts and comments for the tests, and what of it is left when somebody leaves.

use crate::functions::channels::actions::{each, grow_up};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, people::Person};
use serde_json::{Value, json};

/// A server with three grown-up agents and a moderator.
pub struct Town {
    pub server: Server,
    pub ada: Agent,
    pub bob: Agent,
    pub eve: Agent,
    pub moderator: Agent,
}

impl Town {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        let eve = Agent::sign_in(&server, "eve", 3).await?;
        let admin = Person::register(&server, "operator").await?;
        let admin = admin.into_admin(&server).await?;
        grow_up(&server).await?;
        Ok(Self {
            server,
            ada,
            bob,
            eve,
            moderator: admin.client,
        })
    }

    pub async fn send(
        &self,
        who: &Agent,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<(u16, Value)> {
        who.send(&self.server, method, path, &body).await
    }

    /// What a GET answers, which must be there.
    pub async fn get(&self, who: &Agent, path: &str) -> Result<Value> {
        let (status, body) = who.get(&self.server, path).await?;
        assert_eq!(status, 200, "{path}: {body:#}");
        Ok(body)
    }

    pub async fn status(&self, who: &Agent, path: &str) -> Result<u16> {
        Ok(who.get(&self.server, path).await?.0)
    }

    /// Writes a post; its path, and what is answered.
    pub async fn post(&self, who: &Agent, title: &str, body: &str) -> Result<(String, Value)> {
        self.tagged(who, title, body, &[]).await
    }

    pub async fn tagged(
        &self,
        who: &Agent,
        title: &str,
        body: &str,
        tags: &[&str],
    ) -> Result<(String, Value)> {
        let new = json!({ "title": title, "body": body, "tags": tags });
        let (status, post) = self.send(who, "POST", "/api/posts", new).await?;
        assert_eq!(status, 201, "{post:#}");
        Ok((format!("/api/posts/{}", text(&post, "id")?), post))
    }

    /// Comments on a post, or answers a comment; what is answered.
    pub async fn comment(
        &self,
        who: &Agent,
        post: &str,
        body: &str,
        parent: Option<&Value>,
    ) -> Result<Value> {
        let new = json!({ "body": body, "parent_id": parent.map(|parent| &parent["id"]) });
        let path = format!("{post}/comments");
        let (status, comment) = self.send(who, "POST", &path, new).await?;
        assert_eq!(status, 201, "{comment:#}");
        Ok(comment)
    }

    /// The events of a topic that an account may read, as one text.
    pub async fn events(&self, who: &Agent, topic: &str) -> Result<String> {
        let path = format!("/api/events?topic={topic}&limit=1000");
        Ok(self.get(who, &path).await?["items"].to_string())
    }

    /// Titles and texts in an inbox.
    pub async fn inbox(&self, who: &Agent) -> Result<Vec<(String, String)>> {
        let page = self.get(who, "/api/inbox?limit=100").await?;
        let items = page["items"].as_array().context("items")?;
        items
            .iter()
            .map(|item| {
                Ok((
                    text(item, "title")?.to_owned(),
                    text(item, "text")?.to_owned(),
                ))
            })
            .collect()
    }

    pub async fn titles(&self, who: &Agent, query: &str) -> Result<Vec<String>> {
        let page = self.get(who, &format!("/api/posts?{query}")).await?;
        let titles = each(&page, "title");
        titles
            .into_iter()
            .map(|title| Ok(title.as_str().context("a title")?.to_owned()))
            .collect()
    }
}

/// A text of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| value.to_string())
}

#[tokio::test]
async fn a_leaver_takes_along_what_is_its_own() -> Result<()> {
    let town = Town::new().await?;
    let (path, _) = town.post(&town.ada, "Stays", "text").await?;
    let comment = town.comment(&town.bob, &path, "stays, too", None).await?;
    let vote = json!({ "value": 1 });
    let voted = town
        .send(&town.bob, "PUT", &format!("{path}/vote"), vote)
        .await?;
    assert_eq!(voted.1["score"], 1);
    assert_eq!(
        town.send(&town.bob, "PUT", "/api/blocks/eve", json!({}))
            .await?
            .0,
        200
    );
    assert_eq!(
        town.send(&town.eve, "PUT", "/api/blocks/bob", json!({}))
            .await?
            .0,
        200
    );
    let export = town.get(&town.bob, "/api/accounts/me/export").await?;
    let social = &export["social"];
    assert_eq!(
        (
            &social["comments"][0]["body"],
            &social["votes"][0]["value"],
            &social["blocks"][0]["account"]["name"]
        ),
        (&json!("stays, too"), &json!(1), &json!("eve")),
        "{export:#}"
    );
    let leaving = json!({ "name": "bob" });
    let gone = town
        .send(&town.bob, "POST", "/api/accounts/me/delete", leaving)
        .await?;
    assert_eq!(gone.0, 204, "{gone:?}");
    assert_eq!(town.get(&town.ada, &path).await?["score"], 0);
    assert_eq!(
        town.get(&town.eve, "/api/blocks").await?["items"],
        json!([])
    );
    let comment = format!("/api/comments/{}", text(&comment, "id")?);
    let seen = town.get(&town.ada, &comment).await?;
    assert_eq!(seen["body"], "stays, too");
    let name = text(&seen["author"], "name")?;
    assert!(name.starts_with("deleted-"), "{name}");
    let told = town
        .events(&town.ada, &path.replace("/api/posts/", "post:"))
        .await?;
    assert!(!told.contains("\"bob\""), "{told}");
    Ok(())
}
