//! Sockets of a single topic, held at the edge.

use crate::functions::channels::actions::grow_up;
use anyhow::{Context, Result};
use e2e::{
    agents::Agent,
    edge::Edge,
    sockets::{Client, WAIT},
};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::answers::end_session;

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
    let subscribed = client.until("subscribed").await?;
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
    // So does one that has seen nothing but where it began.
    let begin = subscribed.last().context("a frame")?["position"].as_str();
    let mut first = opened(&edge, &bob, begin).await?;
    assert_eq!(next_post(&mut first).await?["data"]["title"], "Post 0");
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

    // A socket whose session ends while it opens does not open.
    let bearer = format!("Bearer {}", bob.token);
    edge.between.hold(Some("/api/events/access"));
    let headers = [("authorization", &*bearer)];
    let opening = Client::connect(&edge.url, "/ws?topic=feed:all", &headers);
    let ending = async {
        let begin = Instant::now();
        while edge.between.held() == 0 {
            assert!(begin.elapsed() < WAIT, "the origin is not asked");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        end_session(&edge, &bob).await?;
        assert_eq!(client.closed().await?.1, 4401);
        edge.between.hold(None);
        anyhow::Ok(())
    };
    let (opened, ended) = tokio::join!(opening, ending);
    ended?;
    assert!(opened.is_err(), "its session has ended");
    Ok(())
}

/// The number of pushes that the edge has counted.
async fn pushes(edge: &Edge) -> Result<u64> {
    let metrics = edge.push("GET", "/edge/metrics")?.send().await?;
    let metrics = metrics.text().await?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("gather_edge_requests_total{outcome=\"push\"} "));
    Ok(line.map_or(Ok(0), str::parse)?)
}

#[tokio::test]
async fn a_thousand_sockets_of_a_topic_cost_one_push() -> Result<()> {
    const READERS: u8 = 50;
    const SOCKETS_OF_EACH: usize = 20;
    const POSTS: u64 = 5;
    rlimit::increase_nofile_limit(8192)?;
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    grow_up(&edge.server).await?;
    let readers = (2..READERS + 2).map(async |number| {
        Agent::sign_in(&edge.server, &format!("reader-{number}"), number).await
    });
    let readers: Vec<Agent> = join_all(readers).await.into_iter().collect::<Result<_>>()?;
    let mut clients = Vec::new();
    for reader in &readers {
        let opened = join_all((0..SOCKETS_OF_EACH).map(|_| opened(&edge, reader, None))).await;
        clients.extend(opened.into_iter().collect::<Result<Vec<_>>>()?);
    }
    for client in &mut clients {
        client.until("subscribed").await?;
    }
    let before = pushes(&edge).await?;
    for number in 0..POSTS {
        post(&edge, &ada, &format!("Post {number}")).await?;
    }
    let told = clients.iter_mut().map(async |client| {
        for number in 0..POSTS {
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
    // Each post is a push at most; some are sent again on a busy machine.
    let pushed = pushes(&edge).await? - before;
    assert!(pushed < POSTS * 10, "{pushed} pushes");
    Ok(())
}

#[tokio::test]
async fn pushes_that_do_not_follow_are_refused_and_sent_again() -> Result<()> {
    let Some(edge) = Edge::start().await? else {
        return Ok(());
    };
    let ada = Agent::sign_in(&edge.server, "ada", 1).await?;
    grow_up(&edge.server).await?;
    let bob = Agent::sign_in(&edge.server, "bob", 2).await?;
    let mut client = opened(&edge, &bob, None).await?;
    client.until("subscribed").await?;
    let push = async |path: &str, body: &str| {
        let request = edge.push("POST", path)?.body(body.to_owned());
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        anyhow::Ok((
            status,
            serde_json::from_str::<Value>(&text).unwrap_or_default(),
        ))
    };
    let feed = "/edge/topics/feed:all";
    let of = |topic: &str, after: &str, position: &str| {
        let event = json!({"type": "test.event", "topic": topic, "position": position});
        json!({"topic": topic, "after": after, "position": position, "events": [event]}).to_string()
    };
    let (status, gap) = push(feed, &of("feed:all", "elsewhere", "b")).await?;
    assert_eq!((status, &gap["code"]), (409, &json!("gap")), "{gap}");
    let have = gap["have"].as_str().context("a position")?;
    let (status, taken) = push(feed, &of("feed:all", have, "b")).await?;
    assert_eq!((status, &taken["have"]), (200, &json!("b")), "{taken}");
    for (why, path, body) in [
        ("repeated", feed, of("feed:all", have, "b")),
        ("out of order", feed, of("feed:all", "c", "d")),
        ("of another topic", feed, of("feed:other", "b", "c")),
        (
            "to another topic",
            "/edge/topics/feed:other",
            of("feed:all", "b", "c"),
        ),
        (
            "to an odd topic",
            "/edge/topics/%ff%00",
            of("feed:all", "b", "c"),
        ),
    ] {
        let (status, gap) = push(path, &body).await?;
        assert_eq!((status, &gap["code"]), (409, &json!("gap")), "{why}: {gap}");
    }
    for broken in ["", "{", "[]", "null", r#"{"topic": 1}"#, "\u{fffd}"] {
        let (status, refused) = push(feed, broken).await?;
        let code = json!("malformed-request");
        assert_eq!((status, &refused["code"]), (400, &code), "{broken}");
    }
    // The origin knows no such position: it says so, and goes on from where it is.
    post(&edge, &ada, "Lost").await?;
    let frames = client.until("gone").await?;
    let events = frames.iter().filter(|frame| frame["type"] == "test.event");
    assert_eq!(events.count(), 1, "{frames:?}");
    // Rights may have changed with what is lost.
    assert_eq!(client.closed().await?.1, 4401);
    let mut client = opened(&edge, &bob, None).await?;
    client.until("subscribed").await?;
    post(&edge, &ada, "Told").await?;
    assert_eq!(next_post(&mut client).await?["data"]["title"], "Told");
    Ok(())
}
