//! Providers whose answers are odd, but answers.

use anyhow::{Context, Result, ensure};
use e2e::models::{Piece, Say};
use reqwest::Response;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

use super::world::World;

/// A chunk with a choice.
fn chunk(index: u32, content: &str, reason: &serde_json::Value) -> String {
    let choice = json!({"index": index, "delta": {"content": content}, "finish_reason": reason});
    format!("data: {}\n\n", json!({"id": "c", "choices": [choice]}))
}

/// Reads a stream until it has said something.
async fn until_said(response: &mut Response, said: &str) -> Result<()> {
    let mut text = String::new();
    while !text.contains(said) {
        let part = timeout(Duration::from_secs(30), response.chunk()).await;
        let part = part.with_context(|| format!("{said} is not in {text}"))??;
        let part = part.with_context(|| format!("{said} is not in {text}"))?;
        text.push_str(&String::from_utf8_lossy(&part));
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_goes_on_until_its_last_choice_ends() -> Result<()> {
    let none = json!("");
    let stop = json!("stop");
    let world = World::new(move |asked, _| {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        // Nothing ends these streams, so what comes has come before their end.
        Say::Stream(match body["model"].as_str() {
            Some("empty") => vec![
                Piece::text(&chunk(0, "first", &none)),
                Piece::text(&chunk(0, "second", &none)),
                Piece::Hold,
            ],
            _ => vec![
                Piece::text(&chunk(0, "first", &serde_json::Value::Null)),
                Piece::text(&chunk(0, "", &stop)),
                Piece::text(&chunk(1, "second", &serde_json::Value::Null)),
                Piece::Hold,
            ],
        })
    })
    .await?;
    for model in ["open/empty", "open/two"] {
        let mut response = world.chat(model, true).await?;
        until_said(&mut response, "second").await?;
    }
    // Translated, too.
    let mut response = world.message("open/empty", true).await?;
    until_said(&mut response, "second").await?;
    Ok(())
}

#[tokio::test]
async fn what_goes_on_behind_its_end_is_cut_off() -> Result<()> {
    let world = World::new(|_, _| {
        let end = Piece::text(&chunk(0, "first", &json!("stop")));
        let more = Piece::text(&chunk(0, &"x".repeat(64 << 10), &json!("stop")));
        let mut pieces = vec![Piece::text(&chunk(0, "zero", &json!(null))), end];
        pieces.extend(std::iter::repeat_n(more, 64));
        pieces.push(Piece::Hold);
        Say::Stream(pieces)
    })
    .await?;
    let response = world.chat("open/m", true).await?;
    let call = world.call(&response).await?;
    assert_eq!(call["status"], "failed", "{call}");
    let text = response.text().await?;
    ensure!(
        text.len() < 1 << 20 && text.contains("provider-failed"),
        "{}",
        text.len()
    );
    Ok(())
}

#[tokio::test]
async fn a_call_is_settled_whatever_its_provider_says() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let usage = json!({"prompt_tokens": u64::MAX, "completion_tokens": 1e300,
            "prompt_tokens_details": {"cached_tokens": u64::MAX}});
        let message = json!({"role": "assistant", "content": "a\0b"});
        match body["model"].as_str() {
            Some("zero") => Say::Whole(
                400,
                vec![],
                "{\"error\":{\"message\":\"no\\u0000pe\"}}".to_owned(),
            ),
            Some("comment") => Say::stream(&format!(
                ": \0\n\n{}data: [DONE]\n\n",
                chunk(0, "a", &json!("stop"))
            )),
            _ => Say::json(&json!({"id": "c", "usage": usage, "choices": [
                {"index": 0, "message": message, "finish_reason": "stop"}]})),
        }
    })
    .await?;
    world.price().await?;
    world.limit(1 << 50).await?;
    for (model, stream, status) in [
        ("zero", false, "failed"),
        ("huge", false, "succeeded"),
        ("comment", true, "succeeded"),
    ] {
        let target = json!({"provider": "open", "model": model});
        world
            .alias("kept", &json!({"targets": [target], "capture": "full"}))
            .await?;
        let request = world
            .ada
            .request(&world.server, "POST", "/v1/chat/completions");
        let request = request.header("idempotency-key", model);
        let response = request
            .json(&super::world::chat("kept", stream))
            .send()
            .await?;
        let call = world.call(&response).await?;
        assert_eq!(call["status"], status, "{call}");
        response.bytes().await?;
    }
    world.audit().await?;
    Ok(())
}
