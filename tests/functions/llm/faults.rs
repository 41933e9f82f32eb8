//! Providers that fail: another target answers, or the client is told in its protocol's own form.

use anyhow::Result;
use e2e::models::{Asked, Piece, Say, nobody};
use e2e::spin::Difference;
use serde_json::{Value, json};
use std::time::Duration;

use super::world::{OPENAI_STREAM, World, chat, well};

/// The model that a request is for.
fn model(asked: &Asked) -> String {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    body["model"].as_str().unwrap_or_default().to_owned()
}

const HALF: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";

/// Answers that are none, though their status is 200.
fn empty(name: &str, stream: bool) -> Say {
    let whole = |body: &str| Say::Whole(200, vec![], body.to_owned());
    match (name, stream) {
        ("error", true) => Say::stream("data: {\"error\":{\"message\":\"no\",\"code\":null}}\n\n"),
        ("error", false) => whole("{\"error\":{\"message\":\"no\",\"code\":null}}"),
        ("html", _) => Say::Whole(
            200,
            vec![("content-type", "text/html".to_owned())],
            "<html>".to_owned(),
        ),
        ("nothing", true) => Say::stream(""),
        ("nothing", false) => whole(""),
        ("comments", true) => Say::stream(": hello\n\n: again\n\n"),
        ("done", true) => Say::stream("data: [DONE]\n\n"),
        ("choices", true) => Say::stream("data: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n"),
        ("comments" | "done" | "choices", false) => whole("{\"choices\":[]}"),
        ("large", true) => Say::stream(&format!("data: {}", "x".repeat(5 << 20))),
        _ => whole("[]"),
    }
}

#[tokio::test]
async fn an_empty_success_is_a_failure_and_falls_back() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match model(asked).split('-').collect::<Vec<_>>()[..] {
            ["bad", name, _] => empty(name, body["stream"] == true),
            _ => well(asked),
        }
    })
    .await?;
    for name in [
        "error", "html", "nothing", "comments", "done", "choices", "large",
    ] {
        for stream in [true, false] {
            // Each fails twice only, so that none cools down.
            let bad = format!("bad-{name}-{stream}");
            let targets = json!({"targets": [{"provider": "open", "model": bad}, {"provider": "open", "model": "good"}]});
            world.alias("both", &targets).await?;
            let response = world.chat("both", stream).await?;
            assert_eq!(response.status(), 200, "{name} {stream}");
            assert_eq!(
                response.headers()["gather-model"],
                "open/good",
                "{name} {stream}"
            );
            assert_eq!(
                response.headers()["gather-attempts"],
                "2",
                "{name} {stream}"
            );
            let call = world.call(&response).await?;
            assert_eq!(
                call["attempts"][1]["status"], "succeeded",
                "{name} {stream}"
            );
            let alone = world.chat(&format!("open/{bad}"), stream).await?;
            assert_eq!(alone.status(), 502, "{name} {stream}");
            assert_eq!(alone.headers()["x-should-retry"], "false");
            let error: Value = alone.json().await?;
            assert_eq!(error["error"]["code"], "provider-failed", "{name} {stream}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn nothing_falls_back_once_a_part_has_gone() -> Result<()> {
    let world = World::new(|asked, _| match model(asked).as_str() {
        "breaks" => Say::Stream(vec![
            Piece::text(HALF),
            Piece::Pause(Duration::from_millis(50)),
            Piece::Break,
        ]),
        "ends" => Say::stream(HALF),
        "fails" => Say::stream(&format!(
            "{HALF}data: {{\"error\":{{\"message\":\"no\"}}}}\n\n"
        )),
        "banana" => Say::stream(&OPENAI_STREAM.replace("\"stop\"", "\"banana\"")),
        _ => well(asked),
    })
    .await?;
    for bad in ["breaks", "ends", "fails"] {
        let targets = json!({"targets": [{"provider": "open", "model": bad}, {"provider": "open", "model": "good"}]});
        world.alias("both", &targets).await?;
        let response = world.chat("both", true).await?;
        let call = world.call(&response).await?;
        let text = response.text().await?;
        assert!(
            text.starts_with(HALF) && text.contains("\"error\"") && !text.contains("[DONE]"),
            "{bad}: {text}"
        );
        assert_eq!(
            (&call["status"], call["attempts"].as_array().map(Vec::len)),
            (&json!("failed"), Some(1)),
            "{bad}"
        );
        assert!(call["output_tokens"].as_i64() > Some(0), "{call}");
    }
    assert!(
        world
            .models
            .asked()
            .iter()
            .all(|asked| model(asked) != "good")
    );
    // Translated, an unknown end is an error, and no stop.
    let text = world.message("open/banana", true).await?.text().await?;
    assert!(
        text.contains("event: error")
            && !text.contains("message_stop")
            && !text.contains("end_turn"),
        "{text}"
    );
    let whole = world
        .ask("/v1/messages", &chat("open/ends", true))
        .await?
        .text()
        .await?;
    assert!(
        whole.contains("event: error") && !whole.contains("message_stop"),
        "{whole}"
    );
    Ok(())
}

#[tokio::test]
async fn a_finish_without_done_is_complete() -> Result<()> {
    let finished = OPENAI_STREAM.replace("data: [DONE]\n\n", "");
    let world = World::new(move |_, _| Say::stream(&finished)).await?;
    let response = world.chat("open/m", true).await?;
    let call = world.call(&response).await?;
    assert_eq!(call["status"], "succeeded");
    assert!(response.text().await?.ends_with("data: [DONE]\n\n"));
    Ok(())
}

#[tokio::test]
async fn only_what_was_not_answered_is_sent_again() -> Result<()> {
    let world = World::new(|asked, _| match model(asked).as_str() {
        "later" => Say::Whole(429, vec![("retry-after", "60".to_owned())], "{}".to_owned()),
        "soon" => Say::Whole(
            429,
            vec![("retry-after-ms", "20".to_owned())],
            "{}".to_owned(),
        ),
        "bad" => Say::error(400, "no such field: x"),
        "long" => Say::error(400, "This model's maximum context length is 8 tokens"),
        "key" => Say::error(401, "Incorrect API key provided: sk-abc123def456"),
        "busy" => Say::error(529, "overloaded"),
        "late" => Say::error(504, "late"),
        _ => Say::error(500, "oops"),
    })
    .await?;
    for (name, status, code, requests, retry) in [
        ("bad", 400, "invalid-input", 1, "false"),
        ("long", 400, "context-too-large", 1, "false"),
        ("late", 504, "provider-timeout", 1, "false"),
        ("key", 502, "provider-failed", 1, "false"),
        ("later", 429, "provider-rate-limited", 1, "true"),
        ("soon", 429, "provider-rate-limited", 3, "true"),
        ("oops", 502, "provider-failed", 3, "false"),
        ("busy", 529, "provider-overloaded", 3, "true"),
    ] {
        let before = world.models.asked().len();
        let response = world.chat(&format!("open/{name}"), false).await?;
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(response.headers()["x-should-retry"], retry, "{name}");
        let waits = response.headers().contains_key("retry-after");
        assert_eq!(waits, name == "later" || name == "soon", "{name}");
        let body = response.text().await?;
        assert!(
            !body.contains("abc123") && body.contains(code),
            "{name}: {body}"
        );
        assert_eq!(world.models.asked().len() - before, requests, "{name}");
    }
    // The target that wants to be left alone is, by everybody.
    let before = world.models.asked().len();
    let response = world.chat("open/later", false).await?;
    assert_eq!(response.status(), 429);
    let wait: u32 = response.headers()["retry-after"].to_str()?.parse()?;
    assert!((50..=60).contains(&wait), "{wait}");
    assert_eq!(world.models.asked().len(), before);
    // What is the caller's own fault cools nothing.
    assert_eq!(world.chat("open/bad", false).await?.status(), 400);
    Ok(())
}

#[tokio::test]
async fn a_refused_connection_falls_back() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    world.provider("gone", "openai", &nobody().await?).await?;
    let targets = json!({"targets": [{"provider": "gone", "model": "m"}, {"provider": "open", "model": "m"}]});
    world.alias("both", &targets).await?;
    let response = world.chat("both", true).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["gather-model"], "open/m");
    Ok(())
}

#[tokio::test]
async fn who_leaves_ends_the_request_to_the_provider() -> Result<()> {
    let world = World::new(|asked, _| match model(asked).as_str() {
        "hold" => Say::Stream(vec![Piece::text(HALF), Piece::Hold]),
        _ => Say::Silence,
    })
    .await?;
    let mut cases = vec![("hold", true), ("silent", true)];
    // A function learns that its client left when it writes. Only our host ends one that has nothing to write yet.
    if !Difference::Limits.shows() {
        cases.push(("silent", false));
    }
    for (at, (name, stream)) in cases.iter().copied().enumerate() {
        let request = world
            .ada
            .request(&world.server, "POST", "/v1/chat/completions");
        let sending = request.json(&chat(&format!("open/{name}"), stream)).send();
        let asking = async {
            let response = sending.await?;
            let mut response = response;
            response.chunk().await?;
            std::future::pending::<Result<()>>().await
        };
        tokio::select! {
            asked = asking => asked?,
            asked = world.models.until_asked(at + 1) => {
                asked?;
                // What was said has to be on its way before the client leaves.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
        world.models.until_hung_up(at + 1).await?;
        let calls = world.calls().await?;
        let id = calls[0]["id"].as_str().expect("an id").to_owned();
        let call = world.ended(&id).await?;
        assert_eq!(call["status"], "cancelled", "{name} {stream}: {call}");
    }
    assert_eq!(world.models.asked().len(), cases.len());
    world.audit().await?;
    Ok(())
}

#[tokio::test]
async fn a_silent_stream_is_pinged_and_still_falls_back() -> Result<()> {
    let world = World::new(|asked, _| match model(asked).as_str() {
        "slow" => Say::Stream(vec![Piece::Pause(Duration::from_secs(17)), Piece::Break]),
        _ => well(asked),
    })
    .await?;
    let targets = json!({"targets": [{"provider": "anth", "model": "slow"}, {"provider": "anth", "model": "good"}]});
    world.alias("both", &targets).await?;
    let text = world.message("both", true).await?.text().await?;
    assert!(text.starts_with("event: ping\n"), "{text}");
    assert_eq!(text.matches("\"type\":\"message_start\"").count(), 1);
    assert!(
        text.trim_end().ends_with("{\"type\":\"message_stop\"}"),
        "{text}"
    );
    Ok(())
}
