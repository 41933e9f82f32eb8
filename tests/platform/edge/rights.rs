//! What sockets at the edge are told: what their readers may read at that time, and nothing else.

use crate::functions::channels::actions::{channel, grow_up, post};
use anyhow::{Context, Result};
use e2e::{
    agents::Agent,
    edge::Edge,
    sockets::{Client, WAIT},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Opens a socket of a topic; the client, and the position where it begins.
async fn opened(
    edge: &Edge,
    who: &Agent,
    topic: &str,
    since: Option<&str>,
) -> Result<(Client, String)> {
    let bearer = format!("Bearer {}", who.token);
    let mut path = format!("/ws?topic={topic}");
    if let Some(since) = since {
        path += &format!("&since={since}");
    }
    let mut client = Client::connect(&edge.url, &path, &[("authorization", &bearer)]).await?;
    let frames = match since {
        None => client.until("subscribed").await?,
        Some(_) => vec![json!({ "position": since })],
    };
    let position = frames.last().context("a frame")?["position"].clone();
    Ok((client, position.as_str().context("a position")?.to_owned()))
}

/// The words of the next message.
async fn next_words(client: &mut Client) -> Result<Value> {
    let mut frames = client.until("message.created").await?;
    Ok(frames.pop().context("a frame")?["data"]["body"].take())
}

/// Whether a socket opens for an account that something happens to after the origin has said that it may read.
async fn opens(
    edge: &Edge,
    who: &Agent,
    topic: &str,
    happening: impl Future<Output = Result<()>>,
) -> Result<bool> {
    edge.between.hold(Some("/api/events/access"));
    let opening = opened(edge, who, topic, None);
    let meanwhile = async {
        let begin = Instant::now();
        while edge.between.held() == 0 {
            assert!(begin.elapsed() < WAIT, "the origin is not asked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        happening.await?;
        edge.between.hold(None);
        anyhow::Ok(())
    };
    let (opened, happened) = tokio::join!(opening, meanwhile);
    happened?;
    Ok(opened.is_ok())
}

#[tokio::test]
async fn whoever_loses_a_right_while_a_socket_opens_reads_nothing() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let server = &edge.server;
    let ada = Agent::sign_in(server, "ada", 1).await?;
    let mut bob = Agent::sign_in(server, "bob", 2).await?;
    grow_up(server).await?;
    let id = channel(server, &ada, "team", true).await?;
    let (topic, members) = (
        format!("channel:{id}"),
        format!("/api/channels/{id}/members"),
    );
    let (new, his) = (json!({"account": "bob"}), format!("{members}/{}", bob.id));
    let remove = async || {
        let removed = ada.send(server, "DELETE", &his, &Value::Null).await?;
        anyhow::ensure!(removed.0 < 300, "{removed:?}");
        Ok(())
    };
    assert_eq!(ada.send(server, "POST", &members, &new).await?.0, 201);
    // Nobody reads the channel yet, so nothing of it is pushed.
    assert!(
        !opens(&edge, &bob, &topic, remove()).await?,
        "without a lease"
    );
    assert_eq!(ada.send(server, "POST", &members, &new).await?.0, 201);
    let (mut hers, _) = opened(&edge, &ada, &topic, None).await?;
    let removed = async {
        remove().await?;
        // With the event that says so, the topic has heard of the change of rights.
        hers.until("channel.member.left").await.map(drop)
    };
    assert!(!opens(&edge, &bob, &topic, removed).await?, "with a lease");

    assert_eq!(ada.send(server, "POST", &members, &new).await?.0, 201);
    let (mut socket, _) = opened(&edge, &bob, &topic, None).await?;
    let renew = async |socket: &mut Client, token: &str| {
        let renew = json!({"type": "renew", "token": token});
        socket.send(&renew).await
    };
    bob.token = Agent::token(server, 2).await?;
    renew(&mut socket, &bob.token).await?;
    socket.until("authenticated").await?;
    post(server, &ada, &id, "For Bob.").await?;
    assert_eq!(next_words(&mut socket).await?, "For Bob.");
    // A change that nobody tells of is found when the token is renewed.
    let untold = format!(
        "delete from channels.member where account_id = '{}'",
        bob.id
    );
    server.database.execute(&untold).await?;
    renew(&mut socket, &bob.token).await?;
    assert_eq!(socket.closed().await?.1, 4401);
    Ok(())
}

#[tokio::test]
async fn a_whisper_is_told_to_its_readers_alone() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let server = &edge.server;
    let ada = Agent::sign_in(server, "ada", 1).await?;
    let bob = Agent::sign_in(server, "bob", 2).await?;
    let cid = Agent::sign_in(server, "cid", 3).await?;
    grow_up(server).await?;
    let new = json!({"with": ["bob", "cid"], "title": "A talk"});
    let (status, talk) = ada.send(server, "POST", "/api/conversations", &new).await?;
    assert_eq!(status, 201, "{talk}");
    let talk = talk["id"].as_str().context("an id")?;
    let topic = format!("conversation:{talk}");
    let (mut his, position) = opened(&edge, &bob, &topic, None).await?;
    let (mut other, _) = opened(&edge, &cid, &topic, None).await?;
    let path = format!("/api/conversations/{talk}/messages");
    for message in [
        json!({"body": "Psst.", "visible_to": ["bob"]}),
        json!({"body": "For all."}),
    ] {
        let (status, posted) = ada.send(server, "POST", &path, &message).await?;
        assert_eq!(status, 201, "{posted}");
    }
    assert_eq!(next_words(&mut his).await?, "Psst.");
    assert_eq!(next_words(&mut his).await?, "For all.");
    assert_eq!(next_words(&mut other).await?, "For all.");
    // Whoever comes back to the position at which a socket began is told the same.
    let (mut his, _) = opened(&edge, &bob, &topic, Some(&position)).await?;
    let (mut other, _) = opened(&edge, &cid, &topic, Some(&position)).await?;
    assert_eq!(next_words(&mut his).await?, "Psst.");
    assert_eq!(next_words(&mut his).await?, "For all.");
    assert_eq!(next_words(&mut other).await?, "For all.");
    Ok(())
}
