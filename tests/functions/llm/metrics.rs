//! What operators read of the gateway: the measures of the database, as workers show them.

use anyhow::{Context, Result, bail};
use e2e::models::Say;
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::world::{World, well};

#[tokio::test]
async fn calls_are_measured_before_and_after_they_are_added_up() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match body["model"].as_str() {
            Some("bad") => Say::error(500, "oops"),
            Some("busy") => {
                let wait = ("retry-after", "600".to_owned());
                Say::Whole(429, vec![wait], "{}".to_owned())
            }
            _ => well(asked),
        }
    })
    .await?;
    let platform =
        json!({"name": "all", "protocol": "openai", "url": world.models.url, "platform": true});
    let (status, made) = world
        .admin
        .send(&world.server, "POST", "/api/llm/providers", &platform)
        .await?;
    assert_eq!(status, 201, "{made}");
    let price = json!({"provider": "all", "model": "m", "input_microusd": 1_000_000, "output_microusd": 1_000_000});
    let (status, put) = world
        .admin
        .send(&world.server, "PUT", "/api/llm/prices", &price)
        .await?;
    assert_eq!(status, 200, "{put}");
    for (model, stream) in [
        ("all/m", false),
        ("all/m", true),
        ("open/m", false),
        ("all/bad", false),
        ("all/busy", false),
    ] {
        let response = world.chat(model, stream).await?;
        world.call(&response).await?;
    }
    for is_added_up in [false, true] {
        if is_added_up {
            world
                .server
                .database
                .execute("select llm.sweep(100)")
                .await?;
        }
        for (name, label, expected) in [
            ("gather_llm_calls_total", Some("succeeded"), 3.0),
            ("gather_llm_calls_total", Some("failed"), 2.0),
            ("gather_llm_calls_total", Some("lost"), 0.0),
            ("gather_llm_cost_microusd_total", Some("all/m"), 80.0),
            ("gather_llm_input_tokens_total", Some("all/m"), 50.0),
            ("gather_llm_output_tokens_total", Some("all/m"), 30.0),
            ("gather_llm_output_tokens_total", Some("other"), 15.0),
            ("gather_llm_overhead_seconds_bucket", Some("+Inf"), 5.0),
            ("gather_llm_overhead_seconds_count", None, 5.0),
            ("gather_llm_first_token_seconds_count", None, 3.0),
            ("gather_llm_calls_running", None, 0.0),
            ("gather_llm_providers_down", None, 1.0),
        ] {
            let number = world.server.database.measure(name, label).await?;
            assert_eq!(number, Some(expected), "{name} {label:?} {is_added_up}");
        }
        let names =
            "select count(*) from jobs.measures() where value = 'open/m' or value = 'all/bad'";
        let named: i64 = sqlx::query_scalar(names)
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
        assert_eq!(
            named, 0,
            "only models of the platform that answer are named"
        );
        // The busy one for sure; the other one for a few seconds.
        let cooling = world
            .server
            .database
            .measure("gather_llm_targets_cooling", None)
            .await?;
        assert!(cooling >= Some(1.0), "{cooling:?}");
        let inside: f64 = world
            .server
            .database
            .measure("gather_llm_overhead_seconds_sum", None)
            .await?
            .context("a sum")?;
        assert!((0.0..60.0).contains(&inside), "{inside}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_shows_them_as_prometheus_reads_them() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let response = world.chat("open/m", false).await?;
    world.call(&response).await?;
    let worker = world.server.worker(JobTimes::default()).await?;
    let begin = Instant::now();
    loop {
        let text = String::from_utf8(worker.metrics().render())?;
        if text.contains("gather_llm_calls_total{status=\"succeeded\"} 1")
            && text.contains("gather_llm_overhead_seconds_bucket{le=\"+Inf\"} 1")
        {
            break;
        }
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("{text}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
