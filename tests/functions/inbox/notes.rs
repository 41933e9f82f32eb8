//! What accounts of the tests are told, and their inboxes.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::Value;
use uuid::Uuid;

/// What is told, by default by nobody and of nothing.
#[derive(Clone, Default)]
pub struct Note<'a> {
    pub kind: &'a str,
    pub text: &'a str,
    pub by: Option<Uuid>,
    pub subject: Option<&'a str>,
    pub topic: Option<&'a str>,
}

pub async fn notify(server: &Server, accounts: &[&Agent], note: Note<'_>) -> Result<()> {
    let accounts: Vec<Uuid> = accounts.iter().map(|account| account.id).collect();
    let query = match note.topic {
        None => sqlx::query(
            "select inbox.notify($1, $2, 'Something happened', $3, '/somewhere', $4, $5)",
        ),
        Some(_) => sqlx::query(
            "select inbox.notify_readers($6, $1, $2, 'Something happened', $3, '/somewhere', $4, $5)",
        ),
    };
    let query = query
        .bind(accounts)
        .bind(note.kind)
        .bind(note.text)
        .bind(note.by)
        .bind(note.subject);
    let query = match note.topic {
        None => query,
        Some(topic) => query.bind(topic),
    };
    query.execute(&mut server.database.connect().await?).await?;
    Ok(())
}

pub fn mention(text: &str) -> Note<'_> {
    Note {
        kind: "mention",
        text,
        ..Note::default()
    }
}

/// All items of a list, page by page.
pub async fn items(server: &Server, who: &Agent, query: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/inbox?limit=7{query}{after}");
        let (status, page) = who.get(server, &path).await?;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().context("items")?.clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(all),
        }
    }
}

pub async fn texts(server: &Server, who: &Agent, query: &str) -> Result<Vec<String>> {
    let items = items(server, who, query).await?;
    let texts = items.iter().filter_map(|item| item["text"].as_str());
    Ok(texts.map(str::to_owned).collect())
}

/// How many are unread, which must be what a recount finds.
pub async fn unread(server: &Server, who: &Agent) -> Result<u64> {
    let (status, count) = who.get(server, "/api/inbox/count").await?;
    assert_eq!(status, 200, "{count}");
    let unread = count["unread"].as_u64().context("unread")?;
    let listed = items(server, who, "&state=unread").await?.len() as u64;
    let kinds = count["kinds"].as_object().context("kinds")?.values();
    let of_kinds: u64 = kinds.filter_map(Value::as_u64).sum();
    assert_eq!((unread, unread), (listed, of_kinds));
    Ok(unread)
}

/// What an account's topic has told of the inbox: types and data.
pub async fn events(server: &Server, who: &Agent) -> Result<Vec<(String, Value)>> {
    let path = "/api/events?topic=account:me&limit=1000";
    let (status, page) = who.get(server, path).await?;
    assert_eq!(status, 200, "{page}");
    let events = page["items"].as_array().context("items")?.iter();
    let events = events.map(|event| {
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        (kind, event["data"].clone())
    });
    Ok(events
        .filter(|(kind, _)| kind.starts_with("inbox."))
        .collect())
}

pub fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_default()
}
