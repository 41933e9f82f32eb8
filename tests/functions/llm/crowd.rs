//! Many streams at once, and bodies as large as they may be.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    models::{Models, Piece, Say},
};
use futures::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};

use super::world::{World, well};

/// More than twice the requests that other functions serve at once.
const STREAMS: usize = 300;
/// The streams that begin at once.
const BEGINNING: usize = 16;
const HALF: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";

#[tokio::test]
async fn hundreds_of_streams_are_open_at_once() -> Result<()> {
    let world = World::new(|_, _| Say::Stream(vec![Piece::text(HALF), Piece::Hold])).await?;
    let begun = stream::iter(0..STREAMS).map(|_| async {
        let mut response = world.chat("open/m", true).await?;
        ensure!(response.status() == 200, "{}", response.text().await?);
        let first = response.chunk().await?;
        ensure!(
            first.is_some_and(|first| first == HALF),
            "another beginning"
        );
        anyhow::Ok(response)
    });
    let begun: Vec<_> = begun.buffer_unordered(BEGINNING).collect().await;
    let streams: Vec<_> = begun.into_iter().collect::<Result<_>>()?;
    assert_eq!(
        (streams.len(), world.models.asked().len()),
        (STREAMS, STREAMS)
    );
    // Other requests are answered beside them.
    let (status, page) = world
        .ada
        .get(&world.server, "/api/llm/calls?status=running&limit=1")
        .await?;
    assert_eq!(
        (status, page["items"].as_array().map(Vec::len)),
        (200, Some(1))
    );
    drop(streams);
    world.models.until_hung_up(STREAMS).await?;
    Ok(())
}

#[tokio::test]
async fn calls_that_wait_for_models_hold_no_connections() -> Result<()> {
    const CALLS: usize = 64;
    let models = Models::start(|_, _| Say::Silence).await?;
    let server = Server::with_few_connections(4, &[models.origin()]).await?;
    let world = World::on(server, models).await?;
    let calls = join_all((0..CALLS).map(|_| async {
        let response = world.chat("open/m", false).await?;
        anyhow::Ok(response.text().await?)
    }));
    tokio::select! {
        answers = calls => anyhow::bail!("they were answered: {answers:?}"),
        asked = world.models.until_asked(CALLS) => asked?,
    };
    Ok(())
}

#[tokio::test]
async fn permits_of_calls_that_ended_badly_come_back() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match body["model"].as_str() {
            Some("bad") => Say::error(400, "no such field"),
            Some("breaks") => Say::Stream(vec![Piece::text(HALF), Piece::Break]),
            _ => Say::Stream(vec![Piece::text(HALF), Piece::Hold]),
        }
    })
    .await?;
    world.limits(&json!({"concurrency": 4})).await?;
    let mut left = 0;
    for _ in 0..8 {
        let bad = world.chat("open/bad", false).await?;
        assert_eq!(bad.status(), 400);
        world.call(&bad).await?;
        let breaks = world.chat("open/breaks", true).await?;
        world.call(&breaks).await?;
        let mut held = world.chat("open/hold", true).await?;
        held.chunk().await?;
        let id = held.headers()["gather-call"].to_str()?.to_owned();
        drop(held);
        left += 1;
        world.models.until_hung_up(left).await?;
        world.ended(&id).await?;
    }
    let mut held = Vec::new();
    for _ in 0..4 {
        let response = world.chat("open/hold", true).await?;
        assert_eq!(response.status(), 200);
        held.push(response);
    }
    assert_eq!(world.chat("open/hold", true).await?.status(), 429);
    let last = held.pop().context("a stream")?;
    let id = last.headers()["gather-call"].to_str()?.to_owned();
    drop(last);
    world.ended(&id).await?;
    assert_eq!(world.chat("open/hold", true).await?.status(), 200);
    Ok(())
}

/// A request of exactly so many bytes.
fn sized(bytes: usize) -> String {
    let body = |text: &str| {
        json!({"model": "open/m", "max_tokens": 5, "messages": [{"role": "user", "content": text}]})
            .to_string()
    };
    body(&"x".repeat(bytes - body("").len()))
}

#[tokio::test]
async fn a_body_may_have_32_mib() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let send = async |bytes: usize| {
        let request = world
            .ada
            .request(&world.server, "POST", "/v1/chat/completions");
        let request = request.header("content-type", "application/json");
        anyhow::Ok(request.body(sized(bytes)).send().await?)
    };
    let largest = send(32 << 20).await?;
    assert_eq!(largest.status(), 200, "{}", largest.text().await?);
    let asked = world.models.asked();
    assert_eq!(asked[0].body.len(), (32 << 20) - "open/".len());
    for bytes in [(32 << 20) + 1, 33 << 20] {
        let refused = send(bytes).await?;
        assert_eq!(refused.status(), 413);
        let body: Value = refused.json().await?;
        assert_eq!(body["error"]["code"], "body-too-large", "{body}");
    }
    assert_eq!(world.models.asked().len(), 1);
    Ok(())
}
