//! What a credential may read that has fewer rights than its account, or none any more.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    people::Person,
    sockets::{Client, WAIT, emit, numbers},
};
use futures::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A statement that tells a number with as many bytes of text.
fn large(topic: &str, number: u64, bytes: usize) -> String {
    format!(
        "select events.emit(array['{topic}'], 'test.number',
         jsonb_build_object('n', {number}, 'text', repeat('x', {bytes})))"
    )
}

/// The topics that a credential is denied over a socket.
async fn denied(server: &Server, who: &Agent, topics: &[String]) -> Result<Vec<Value>> {
    let mut client = Client::signed_in(&server.url, who).await?;
    let own = format!("account:{}", who.id);
    client
        .send(&json!({ "type": "subscribe", "topics": topics }))
        .await?;
    client
        .send(&json!({ "type": "subscribe", "topics": [own] }))
        .await?;
    let mut denied = Vec::new();
    loop {
        let frame = client.frame().await?;
        match frame["type"].as_str() {
            Some("denied") => denied.push(frame["topic"].clone()),
            Some("subscribed") if frame["topic"] == json!(own) => return Ok(denied),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_administrators_key_with_fewer_scopes_reads_no_more_than_anybodys() -> Result<()> {
    let server = Server::start().await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let admin = Person::register(&server, "root-1").await?;
    let admin = admin.into_admin(&server).await?;
    let narrow = admin.with_scope(&server.database, "chat:create").await?;
    let topics = ["all:all".to_owned(), format!("account:{}", bob.id)];

    assert_eq!(denied(&server, &admin, &topics).await?, [json!(null); 0]);
    assert_eq!(denied(&server, &narrow, &topics).await?, topics);
    for topic in &topics {
        for path in ["/api/events?topic=", "/api/events/access?topic="] {
            let path = format!("{path}{topic}");
            assert_eq!(admin.get(&server, &path).await?.0, 200, "{path}");
            assert_eq!(narrow.get(&server, &path).await?.0, 404, "{path}");
        }
        let webhook = json!({ "url": "https://receiver.example/", "topics": [topic] });
        let made = narrow
            .send(&server, "POST", "/api/webhooks", &webhook)
            .await?;
        assert_eq!(
            (made.0, &made.1["errors"][0]["field"]),
            (422, &json!("topics")),
            "{}",
            made.1
        );
    }

    // A socket that goes on with such a token reads no more, either.
    let mut client = Client::signed_in(&server.url, &admin).await?;
    client.subscribe("all:all", None).await?;
    client
        .send(&json!({ "type": "renew", "token": narrow.token }))
        .await?;
    let frames = client.until("denied").await?;
    assert_eq!(frames.last().context("denied")?["topic"], "all:all");
    Ok(())
}

#[tokio::test]
async fn a_replay_ends_with_its_session_however_slowly_it_is_read() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let mut client = Client::signed_in(&server.url, &ada).await?;
    let start = client.subscribe(&topic, None).await?;
    let start = start.last().context("subscribed")?["position"].clone();
    drop(client);
    let mut idle = Client::signed_in(&server.url, &ada).await?;
    // More than all buffers on the way hold.
    let count = 300;
    for number in 0..count {
        server
            .database
            .execute(&large(&topic, number, 100_000))
            .await?;
    }
    let mut slow = Client::signed_in(&server.url, &ada).await?;
    slow.send(&json!({ "type": "subscribe", "topics": [topic], "since": start }))
        .await?;
    let first = slow.frame().await?;
    assert_eq!(first["data"]["n"], 0, "the replay has begun");
    let url = format!("{}/api/sessions/current", server.url);
    let out = server
        .http
        .delete(url)
        .bearer_auth(&ada.token)
        .send()
        .await?;
    assert!(out.status().is_success());
    // The other socket of the session has nothing to replay, and tells when the gateway knows.
    assert_eq!(idle.closed().await?.1, 4401);
    sleep(Duration::from_secs(1)).await;
    let mut told = vec![first];
    while let Some(message) = timeout(WAIT, slow.0.next()).await? {
        match message {
            Ok(message) if message.is_text() => {
                told.push(serde_json::from_str(message.to_text()?)?);
            }
            Ok(message) if message.is_close() => break,
            Ok(_) => {}
            // What the gateway could not write any more is lost with the connection.
            Err(_) => break,
        }
    }
    let told = numbers(&told).len() as u64;
    assert!(told < count, "all {told} were told");
    Ok(())
}

#[tokio::test]
async fn large_events_come_in_small_batches_and_all_of_them() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let topic = format!("account:{}", ada.id);
    let mut client = Client::signed_in(&server.url, &ada).await?;
    let start = client.subscribe(&topic, None).await?;
    let start = start.last().context("subscribed")?["position"].clone();
    let start = start.as_str().context("position")?;
    for number in 0..30 {
        server
            .database
            .execute(&large(&topic, number, 150_000))
            .await?;
    }
    server.database.execute(&emit(&topic, 30)).await?;
    let all: Vec<u64> = (0..=30).collect();
    let mut frames = Vec::new();
    assert_eq!(client.told(&mut frames, 31).await?, all);
    let mut again = Client::signed_in(&server.url, &ada).await?;
    assert_eq!(numbers(&again.subscribe(&topic, Some(start)).await?), all);

    let (mut since, mut items, mut pages) = (start.to_owned(), Vec::new(), 0);
    loop {
        let path = format!("/api/events?topic=account:me&since={since}&limit=1000");
        let (status, page) = ada.get(&server, &path).await?;
        assert_eq!(status, 200, "{page:#}");
        let part = page["items"].as_array().context("items")?;
        assert!(part.len() <= 8, "{} large events at once", part.len());
        items.extend(part.iter().cloned());
        since = page["position"].as_str().context("position")?.to_owned();
        pages += 1;
        if page["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(numbers(&items), all);
    assert!(pages >= 4, "{pages} pages");
    Ok(())
}

#[tokio::test]
async fn a_page_of_the_platform_posts_over_a_socket_with_its_cookie() -> Result<()> {
    let server = Server::start().await?;
    let ann = Person::register(&server, "ann-1").await?;
    let new = json!({ "name": "general", "private": false });
    let (status, channel) = ann.send(&server, "POST", "/api/channels", &new).await?;
    assert_eq!(status, 201, "{channel:#}");
    let id = channel["id"].as_str().context("id")?;
    let headers = [
        ("cookie", ann.cookie.as_str()),
        ("origin", server.url.as_str()),
    ];
    let mut client = Client::connect(&server.url, "/ws", &headers).await?;
    assert_eq!(client.frame().await?["type"], "authenticated");
    client.subscribe(&format!("channel:{id}"), None).await?;
    client
        .send(&json!({ "type": "post", "channel": id, "body": "by socket", "ref": "1" }))
        .await?;
    let told = client.until("message.created").await?;
    assert_eq!(told.last().context("told")?["data"]["body"], "by socket");
    Ok(())
}
