//! What operators see of deliveries.

use super::world::{LIMIT, World};
use anyhow::{Result, ensure};
use e2e::{
    errands::quick,
    receiver::{Answer, Receiver},
};
use host::jobs::JobWorker;
use std::time::{Duration, Instant};

/// A number in the text of `GET /metrics`.
fn number(worker: &JobWorker, name: &str) -> Result<Option<f64>> {
    let text = String::from_utf8(worker.metrics().render())?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let line = lines
        .filter_map(|line| line.rsplit_once(' '))
        .find(|(series, _)| *series == name);
    Ok(line.map(|(_, number)| number.parse()).transpose()?)
}

async fn until(worker: &JobWorker, name: &str, fits: impl Fn(f64) -> bool) -> Result<()> {
    let begin = Instant::now();
    loop {
        let number = number(worker, name)?;
        if number.is_some_and(&fits) {
            return Ok(());
        }
        ensure!(begin.elapsed() < LIMIT, "{name} is {number:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn attempts_the_oldest_and_the_disabled_are_counted() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(204)).await?;
    let failing = Receiver::start(|_| Answer::status(500)).await?;
    let reset = Receiver::start(|_| Answer::Reset).await?;
    let gone = Receiver::start(|_| Answer::status(410)).await?;
    let world = World::new(&[
        ("good.example", &good),
        ("failing.example", &failing),
        ("reset.example", &reset),
        ("gone.example", &gone),
    ])
    .await?;
    let attempts = |result: &str| format!("gather_webhook_attempts_total{{result=\"{result}\"}}");
    let oldest = "gather_webhook_oldest_seconds";
    let disabled = "gather_webhooks_disabled";
    let worker = world.worker(quick()).await?;
    for result in ["delivered", "refused", "unanswered", "gone"] {
        until(&worker, &attempts(result), |number| number == 0.0).await?;
    }
    until(&worker, oldest, |number| number == 0.0).await?;

    let (webhook, _) = world.webhook("http://good.example/").await?;
    for number in 0..3 {
        world.emit(number, None).await?;
    }
    until(&worker, &attempts("delivered"), |number| number == 3.0).await?;
    until(&worker, oldest, |number| number == 0.0).await?;
    world
        .call("DELETE", &webhook, serde_json::json!({}))
        .await?;
    for name in ["failing", "reset", "gone"] {
        world.webhook(&format!("http://{name}.example/")).await?;
    }
    world.emit(3, None).await?;
    for result in ["refused", "unanswered", "gone"] {
        until(&worker, &attempts(result), |number| number >= 1.0).await?;
    }
    until(&worker, disabled, |number| number == 1.0).await?;
    until(&worker, oldest, |number| number > 0.0).await?;
    // The deliveries of a webhook that is gone still count.
    until(&worker, &attempts("delivered"), |number| number == 3.0).await?;
    Ok(())
}
