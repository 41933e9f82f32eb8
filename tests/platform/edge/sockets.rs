//! Sockets of a single topic, held at the edge.

use crate::functions::channels::actions::grow_up;
use anyhow::{Context, Result};
use e2e::{agents::Agent, edge::Edge, sockets::Client};
use futures::future::join_all;
use serde_json::{Value, json};

async fn opened(edge: &Edge, who: &Agent, since: Option<&str>) -> Result<Client> {
    let bearer = format!("Bearer {}", who.token);
    let mut path = "/ws?topic=feed:all".to_owned();
    if let Some(since) = since {
        path += &format!("&since={since}");
    }
    let mut client = Client::connect(&edge.url, &path, &[("authorization", &bearer)]).await?;
    let first = client.frame().await?;
    assert_eq!(
        (&first["type"], &first["account"]),
        (&json!("authenticated"), &json!(who.id))
    );
    Ok(client)
}

async fn post(edge: &Edge, who: &Agent, title: &str) -> Result<()> {
    let post = json!({"title": title, "body": "A text."});
    let (status, made) = who.send(&edge.server, "POST", "/api/posts", &post).await?;
    assert_eq!(status, 201, "{made}");
    Ok(())
}

async fn next_post(client: &mut Client) -> Result<Value> {
    let frames = client.until("post.created").await?;
    frames.into_iter().next_back().context("a frame")
}

#[tokio::test]
async fn a_socket_resumes_by_position_after_the_edge_has_failed() -> Result<()> {
    let Some(mut edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    grow_up(&edge.server).await?;
    let bob = Agent::sign_in(&edge.server, "bob", 2).await?;
    let mut client = opened(&edge, &bob, None).await?;
    client.until("subscribed").await?;
    for number in 0..3 {
        post(&edge, &ada, &format!("Post {number}")).await?;
        let event = next_post(&mut client).await?;
        assert_eq!(event["data"]["title"], format!("Post {number}"));
        assert!(event["of"].is_null(), "{event}");
    }
    post(&edge, &ada, "The last").await?;
    let last = next_post(&mut client).await?;
    let since = last["position"].as_str().context("a position")?.to_owned();

    edge.restart().await?;
    for number in 0..3 {
        post(&edge, &ada, &format!("Missed {number}")).await?;
    }
    let mut client = opened(&edge, &bob, Some(&since)).await?;
    for number in 0..3 {
        let event = next_post(&mut client).await?;
        assert_eq!(event["data"]["title"], format!("Missed {number}"));
    }
    // A position that is not kept says so, and the stream goes on.
    let mut late = opened(&edge, &bob, Some("invented")).await?;
    late.until("gone").await?;
    late.until("subscribed").await?;
    post(&edge, &ada, "For all").await?;
    for client in [&mut client, &mut late] {
        assert_eq!(next_post(client).await?["data"]["title"], "For all");
    }
    Ok(())
}

#[tokio::test]
async fn a_socket_stays_while_the_origin_is_away_and_ends_with_its_session() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    grow_up(&edge.server).await?;
    let bob = Agent::sign_in(&edge.server, "bob", 2).await?;
    let mut client = opened(&edge, &bob, None).await?;
    client.until("subscribed").await?;
    edge.between.cut(true);
    let refused = Client::connect(
        &edge.url,
        "/ws?topic=feed:all",
        &[("authorization", &format!("Bearer {}", ada.token))],
    )
    .await;
    assert!(refused.is_err(), "the origin can't say who may read");
    post(&edge, &ada, "While away").await?;
    assert_eq!(next_post(&mut client).await?["data"]["title"], "While away");
    edge.between.cut(false);

    // Whose words a reader does not want are left out.
    let mut without = opened(&edge, &bob, None).await?;
    without.until("subscribed").await?;
    let block = format!("/api/blocks/{}", ada.id);
    let (status, blocked) = bob.send(&edge.server, "PUT", &block, &json!({})).await?;
    assert!(status < 300, "{status} {blocked}");
    for client in [client, without] {
        let mut client = client;
        assert_eq!(client.closed().await?.1, 4401);
    }
    let cid = Agent::sign_in(&edge.server, "cid", 3).await?;
    grow_up(&edge.server).await?;
    let mut client = opened(&edge, &bob, None).await?;
    client.until("subscribed").await?;
    post(&edge, &ada, "Not for Bob").await?;
    post(&edge, &cid, "For Bob").await?;
    assert_eq!(next_post(&mut client).await?["data"]["title"], "For Bob");

    let (_, session) = bob.get(&edge.server, "/api/events/session").await?;
    let path = format!(
        "/api/sessions/{}",
        session["session"].as_str().context("a session")?
    );
    assert_eq!(
        bob.send(&edge.server, "DELETE", &path, &Value::Null)
            .await?
            .0,
        204
    );
    assert_eq!(client.closed().await?.1, 4401);
    Ok(())
}

#[tokio::test]
async fn many_sockets_of_a_topic_cost_one_push() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    grow_up(&edge.server).await?;
    let mut readers = Vec::new();
    for number in 2..12 {
        readers.push(Agent::sign_in(&edge.server, &format!("reader-{number}"), number).await?);
    }
    let mut clients = Vec::new();
    for reader in &readers {
        let opened = join_all((0..20).map(|_| opened(&edge, reader, None))).await;
        clients.extend(opened.into_iter().collect::<Result<Vec<_>>>()?);
    }
    for client in &mut clients {
        client.until("subscribed").await?;
    }
    for number in 0..5 {
        post(&edge, &ada, &format!("Post {number}")).await?;
    }
    let told = clients.iter_mut().map(async |client| {
        for number in 0..5 {
            let event = next_post(client).await?;
            anyhow::ensure!(
                event["data"]["title"] == format!("Post {number}"),
                "{event}"
            );
        }
        anyhow::Ok(())
    });
    for one in join_all(told).await {
        one?;
    }
    Ok(())
}
