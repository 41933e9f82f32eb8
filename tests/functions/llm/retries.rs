//! Between two attempts: nothing is paid, nobody is asked too soon, and what others did to the call is told.

use anyhow::{Context, Result, ensure};
use e2e::models::{Piece, Say};
use futures::future::join;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::world::{World, well};

/// A provider that has too much to do, and says for how long.
fn busy(milliseconds: u64) -> Say {
    let wait = ("retry-after-ms", milliseconds.to_string());
    Say::Whole(429, vec![wait], "{}".to_owned())
}

/// Waits until a call waits for its next attempt; its id.
async fn resting(world: &World) -> Result<String> {
    let mut database = world.server.database.connect().await?;
    let begin = Instant::now();
    loop {
        let found: Option<String> = sqlx::query_scalar(
            "select id::text from llm.call where status = 'running' and attempt = -1",
        )
        .fetch_optional(&mut database)
        .await?;
        if let Some(id) = found {
            return Ok(id);
        }
        ensure!(begin.elapsed() < Duration::from_secs(30), "no call waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn who_leaves_between_attempts_pays_nothing() -> Result<()> {
    let world = World::new(|_, _| busy(6000)).await?;
    world.price().await?;
    world.limit(10_000).await?;
    for stream in [false, true] {
        // Each of another model, since the one before it is left alone for a while.
        let model = format!("open/{stream}");
        let id = tokio::select! {
            answer = world.chat(&model, stream) => anyhow::bail!("it was answered: {:?}", answer?),
            id = resting(&world) => id?,
        };
        // Nobody tells the ledger, so the lease has to lapse.
        let mut database = world.server.database.connect().await?;
        let is_short: bool = sqlx::query_scalar(
            "select lease <= now() + interval '20 seconds' from llm.call where id = $1::uuid",
        )
        .bind(&id)
        .fetch_one(&mut database)
        .await?;
        assert!(is_short, "what nobody works at holds nothing for long");
        sqlx::query("update llm.call set lease = now() - interval '1 second' where id = $1::uuid")
            .bind(&id)
            .execute(&mut database)
            .await?;
        let call = world.ended(&id).await?;
        assert_eq!(
            (&call["status"], &call["cost_microusd"]),
            (&json!("cancelled"), &json!(0)),
            "{call}"
        );
    }
    assert_eq!(world.spent().await?, (0, 0));
    world.audit().await?;
    Ok(())
}

#[tokio::test]
async fn a_stream_that_fails_at_once_is_tried_again() -> Result<()> {
    // The way out sees that nobody reads on, and tells the ledger a second later, while the next attempt waits for longer.
    let error = "data: {\"error\":{\"message\":\"no\",\"type\":\"rate_limit_error\"}}\n\n";
    let world = World::new(move |asked, number| match number {
        0 | 1 => Say::Stream(vec![Piece::text(error), Piece::Hold]),
        _ => well(asked),
    })
    .await?;
    let response = world.chat("open/m", true).await?;
    assert_eq!(response.status(), 200, "{}", response.text().await?);
    assert_eq!(response.headers()["gather-attempts"], "3");
    let call = world.call(&response).await?;
    assert_eq!(call["status"], "succeeded", "{call}");
    world.models.until_hung_up(2).await?;
    Ok(())
}

#[tokio::test]
async fn the_longer_of_two_waits_counts() -> Result<()> {
    let world = World::new(|asked, number| match number {
        0 => busy(5000),
        _ => well(asked),
    })
    .await?;
    let longer = async {
        resting(&world).await?;
        // As another call would, that was told so.
        sqlx::query("update llm.breaker set until = clock_timestamp() + interval '60 seconds'")
            .execute(&mut world.server.database.connect().await?)
            .await?;
        anyhow::Ok(())
    };
    let (answer, told) = join(world.chat("open/m", false), longer).await;
    told?;
    let answer = answer?;
    assert_eq!(answer.status(), 429, "{}", answer.text().await?);
    assert_eq!(world.models.asked().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_target_that_others_left_alone_is_passed_over() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        match body["model"].as_str() {
            Some("bad") => Say::error(500, "oops"),
            _ => well(asked),
        }
    })
    .await?;
    let targets =
        ["bad", "cooling", "good"].map(|model| json!({"provider": "open", "model": model}));
    world.alias("three", &json!({ "targets": targets })).await?;
    // It is left alone as soon as the first one has failed.
    world
        .server
        .database
        .execute(
            "create function llm.cool() returns trigger language plpgsql as $$
             begin
                 insert into llm.breaker (provider_id, model, reason, until)
                 values (new.provider_id, 'cooling', 'rate', now() + interval '1 minute') on conflict do nothing;
                 return null;
             end
             $$;
             create trigger cool after insert on llm.breaker for each row when (new.model = 'bad') execute function llm.cool()",
        )
        .await?;
    let response = world.chat("three", false).await?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["gather-model"], "open/good");
    assert_eq!(world.models.asked().len(), 2);
    Ok(())
}

#[tokio::test]
async fn who_waits_for_a_call_that_was_given_up_is_told() -> Result<()> {
    let world = World::new(|asked, _| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if body["stream"] == true {
            let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hal\"}}]}\n\n";
            let word = [Piece::text(half), Piece::Pause(Duration::from_millis(700))];
            Say::Stream(word.iter().cycle().take(200).cloned().collect())
        } else {
            Say::Silence
        }
    })
    .await?;
    for stream in [true, false] {
        let lost = async {
            let mut database = world.server.database.connect().await?;
            let begin = Instant::now();
            loop {
                let lost = sqlx::query(
                    "update llm.call set lease = now() - interval '1 second' where status = 'running' and attempt = 1",
                )
                .execute(&mut database)
                .await?;
                if lost.rows_affected() > 0 {
                    break;
                }
                ensure!(
                    begin.elapsed() < Duration::from_secs(30),
                    "no call is under way"
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sqlx::query("select llm.settle_lost(null)")
                .execute(&mut database)
                .await?;
            anyhow::Ok(())
        };
        let asking = async {
            let response = world.chat("open/m", stream).await?;
            let status = response.status().as_u16();
            anyhow::Ok((status, response.text().await?))
        };
        let (answer, told) = join(asking, lost).await;
        told?;
        let (status, text) = answer?;
        assert_eq!(status, if stream { 200 } else { 503 }, "{text}");
        assert!(
            text.contains("call-lost") && !text.contains("[DONE]"),
            "{text}"
        );
        let calls = world.calls().await?;
        let call = calls.first().context("a call")?;
        assert_eq!(call["status"], "lost", "{call}");
    }
    Ok(())
}
