//! Targets that take too long, and a way out that is gone.

use anyhow::{Context, Result};
use e2e::models::{Asked, Piece, Say};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::world::{World, well};

const HALF: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";

fn slow(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    match body["model"].as_str() {
        Some("silent") => Say::Silence,
        Some("stalls") => Say::Stream(vec![Piece::text(HALF), Piece::Hold]),
        Some("drips") => {
            let drop = [Piece::text(HALF), Piece::Pause(Duration::from_millis(200))];
            Say::Stream(drop.iter().cycle().take(2000).cloned().collect())
        }
        _ => well(asked),
    }
}

#[tokio::test]
async fn silence_and_total_time_are_limits_of_a_target() -> Result<()> {
    let world = World::new(|asked, _| slow(asked)).await?;
    for (name, limits, stream) in [
        ("silent", json!({"silence_ms": 1000}), false),
        ("silent", json!({"total_ms": 1000}), false),
        ("silent", json!({"silence_ms": 1000}), true),
        ("stalls", json!({"silence_ms": 10_000}), true),
        (
            "drips",
            json!({"silence_ms": 60_000, "total_ms": 10_000}),
            true,
        ),
    ] {
        let mut target = json!({"provider": "open", "model": name, "order": 0});
        for (limit, value) in limits.as_object().context("limits")? {
            target[limit] = value.clone();
        }
        world.alias("slow", &json!({"targets": [target]})).await?;
        let (_, alias) = world.ada.get(&world.server, "/api/llm/models/slow").await?;
        assert_eq!(alias["targets"], json!([target]));
        let begin = Instant::now();
        let response = world.chat("slow", stream).await?;
        let call = world.call(&response).await?;
        // Far less than what targets have without limits of their own.
        assert!(begin.elapsed() < Duration::from_secs(200), "{name}");
        assert_eq!(call["status"], "failed", "{name}: {call}");
        let has_begun = name != "silent";
        assert_eq!(
            response.status().as_u16(),
            if has_begun { 200 } else { 504 },
            "{name}"
        );
        let text = response.text().await?;
        assert!(
            text.contains("provider-timeout") && !text.contains("[DONE]"),
            "{name}: {text}"
        );
        assert_eq!(text.contains("Hal"), has_begun, "{name}: {text}");
    }
    // A request does not wait for the gateway's next look at the clock, after a second, to reach its target whole.
    let asked = world.models.asked();
    let whole = |model: &str| {
        let model = format!("\"model\":\"{model}\"");
        let asked = asked.iter();
        asked
            .filter(|asked| String::from_utf8_lossy(&asked.body).contains(&model))
            .count()
    };
    assert!(whole("silent") > 0, "{asked:?}");
    let all = whole("silent") + whole("stalls") + whole("drips");
    world.models.until_hung_up(all).await?;
    let (status, refused) = world
        .ada
        .send(
            &world.server,
            "PUT",
            "/api/llm/models/slow",
            &json!({"targets": [{"provider": "open", "model": "m", "silence_ms": 0}]}),
        )
        .await?;
    assert_eq!((status, &refused["code"]), (422, &json!("invalid-input")));
    Ok(())
}

#[tokio::test]
async fn without_the_way_out_a_call_is_refused_at_once() -> Result<()> {
    let mut world = World::new(|asked, _| well(asked)).await?;
    world.price().await?;
    world.limit(10_000).await?;
    world.server.stop_egress().await;
    for stream in [false, true] {
        let begin = Instant::now();
        let response = world.chat("open/m", stream).await?;
        let within = begin.elapsed();
        assert_eq!(response.status(), 503, "{stream}");
        let body: Value = response.json().await?;
        assert_eq!(body["error"]["code"], "egress-unavailable", "{body}");
        assert!(within < Duration::from_secs(20), "{within:?}");
    }
    assert_eq!(world.spent().await?, (0, 0));
    Ok(())
}
