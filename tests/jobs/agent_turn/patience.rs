//! Turns that have to wait, that are handed on from job to job, and that are thought again; and what operators read of them.

use anyhow::Result;
use e2e::errands::quick;
use e2e::models::{Piece, Say};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::faults::Workers;
use super::world::{World, assert_ended, calls, plain, results, says, text, with};

/// The provider wants to be asked again after so many seconds.
fn slow_down(seconds: u32) -> Say {
    let wait = ("retry-after", seconds.to_string());
    let error = "{\"error\": {\"message\": \"Slow down.\"}}";
    Say::Whole(429, vec![wait], error.to_owned())
}

#[tokio::test]
async fn a_provider_is_asked_again_when_it_wants_to_be() -> Result<()> {
    // The gateway itself waits for eight seconds at most.
    let world = World::new(|_, number| match number {
        0 => slow_down(9),
        _ => says("Here I am."),
    })
    .await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Hello?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let asked = world.models.asked();
    assert_eq!(asked.len(), 2);
    let pause = asked[1].at - asked[0].at;
    assert!(pause >= Duration::from_millis(8900), "{pause:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_a_provider_longer_than_the_turn_may_take() -> Result<()> {
    let world = World::new(|_, _| slow_down(50)).await?;
    let talk = world.talk(&with(&[], &json!({"turn_ms": 2_000}))).await?;
    let turn = world.say(&talk, "Hello?").await?;
    assert_ended(&world.ended(&turn).await?, "limited", "time");
    let took = "select extract(epoch from t.finished_at - t.created_at)::float8 from circles.turn t where t.id = $1::uuid";
    let mut database = world.server.database.connect().await?;
    let took: f64 = sqlx::query_scalar(took)
        .bind(&turn)
        .fetch_one(&mut database)
        .await?;
    assert!(took < 45.0, "{took}");
    Ok(())
}

#[tokio::test]
async fn who_may_make_no_more_calls_in_a_minute_waits() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("who_am_i", "{}")]),
        _ => says("I know."),
    })
    .await?;
    let admin = world
        .ada
        .with_scope(&world.server.database, "admin:all")
        .await?;
    let limits = json!({"limits": [], "requests_per_minute": 1});
    let path = format!("/api/llm/limits/account:{}", world.ada.id);
    let (status, put) = admin.send(&world.server, "PUT", &path, &limits).await?;
    assert_eq!(status, 200, "{put:#}");
    let talk = world.talk(&with(&["api:who_am_i"], &json!({}))).await?;
    let turn = world.say(&talk, "Who are you?").await?;
    world.models.until_asked(1).await?;
    world.until(&turn, |turn| turn["steps"] == 3).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waiting = world.get(&format!("/api/turns/{turn}")).await?;
    assert_eq!(
        (&waiting["status"], &waiting["steps"]),
        (&json!("running"), &json!(3)),
        "{waiting:#}"
    );
    let (status, put) = admin
        .send(&world.server, "PUT", &path, &json!({"limits": []}))
        .await?;
    assert_eq!(status, 200, "{put:#}");
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["steps"]),
        (&json!("completed"), &json!(3)),
        "{ended:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_turn_that_takes_long_is_handed_on_from_job_to_job() -> Result<()> {
    let world = World::without_worker(|asked, _| match results(asked) {
        at @ 0..4 => {
            let arguments = format!("{{\"query\": \"x{at}\"}}");
            let Say::Stream(pieces) = calls(&[("search", &arguments)]) else {
                return Say::Silence;
            };
            let pause = Piece::Pause(Duration::from_millis(400));
            Say::Stream([vec![pause], pieces].concat())
        }
        _ => says("Found nothing."),
    })
    .await?;
    let talk = world.talk(&with(&["api:search"], &json!({}))).await?;
    let workers = Workers::told(&world, "hand_on_ms = \"300\"")?;
    let _worker = workers.start()?;
    let turn = world.say(&talk, "Search.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(world.models.asked().len(), 5, "nothing was asked twice");
    let steps = world.steps(&turn).await?;
    assert!(
        steps.len() == 9 && steps.iter().all(|step| step["status"] == "succeeded"),
        "{steps:#?}"
    );
    let jobs: Vec<String> = sqlx::query_scalar(
        "select status from jobs.job where kind = 'agent-turn' and payload ->> 'turn' = $1",
    )
    .bind(&turn)
    .fetch_all(&mut world.server.database.connect().await?)
    .await?;
    assert!(
        jobs.len() >= 4 && jobs.iter().all(|status| status == "succeeded"),
        "{jobs:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_failed_is_thought_again_and_operators_read_of_both() -> Result<()> {
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let world =
        World::without_worker(
            move |asked, _| match (up.load(Ordering::SeqCst), results(asked)) {
                (false, _) => Say::error(400, "down"),
                (true, 0) => calls(&[("who_am_i", "{}")]),
                (true, _) => says("Here I am."),
            },
        )
        .await?;
    world.price().await?;
    let talk = world.talk(&with(&["api:who_am_i"], &json!({}))).await?;
    let first = world.say(&talk, "Who are you?").await?;
    let queued = world
        .server
        .database
        .measure("gather_turns_unfinished", Some("queued"))
        .await?;
    assert_eq!(queued, Some(1.0));
    let _worker = world.server.worker(quick()).await?;
    let failed = world.ended(&first).await?;
    assert_ended(&failed, "failed", "provider-failed");

    is_up.store(true, Ordering::SeqCst);
    let again = world
        .ask(
            "POST",
            &format!("/api/turns/{first}/retry"),
            &json!({}),
            202,
        )
        .await?;
    let turn = text(&again["id"])?;
    assert_ne!(turn, first);
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["cause"]),
        (&json!("completed"), &failed["cause"]),
        "{ended:#}"
    );
    let said = world.messages(&talk).await?;
    assert_eq!(said[1], ("bot".to_owned(), "Here I am.".to_owned()));
    let path = format!("/api/turns/{turn}/retry");
    assert_eq!(
        world.ask("POST", &path, &json!({}), 409).await?["code"],
        "turn-finished"
    );

    for (name, value, number) in [
        ("gather_turns_unfinished", Some("queued"), 0.0),
        ("gather_turns_ended_lately", Some("completed"), 1.0),
        ("gather_turns_ended_lately", Some("failed"), 1.0),
        ("gather_turns_limited_lately", Some("provider-failed"), 1.0),
        ("gather_turns_spent_microusd_lately", None, 30.0),
        ("gather_turns_oldest_queued_seconds", None, 0.0),
    ] {
        let found = world.server.database.measure(name, value).await?;
        assert_eq!(found, Some(number), "{name} of {value:?}");
    }
    for (name, value) in [
        ("gather_turn_step_seconds_lately", Some("model")),
        ("gather_turn_step_seconds_lately", Some("tool")),
        ("gather_turn_first_words_seconds_lately", None),
    ] {
        let found = world.server.database.measure(name, value).await?;
        assert!(
            found.is_some_and(|number| number > 0.0 && number < 60.0),
            "{name}: {found:?}"
        );
    }
    Ok(())
}
