//! A sandbox that is killed while a skill of a turn works.

use anyhow::{Result, ensure};
use e2e::{
    errands::quick,
    free_address,
    publishing::{approved, manifest},
    sandboxes::{Front, sandbox},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

use super::world::{World, body, calls, results, says, with};

/// Waits until the call of a skill that a turn has begun has arrived in the sandbox.
async fn until_it_works(world: &World, front: &Front, turn: &str) -> Result<()> {
    let (before, begin) = (front.asked(), Instant::now());
    loop {
        let steps = world.steps(turn).await?;
        if steps.len() == 2 && steps[1]["status"] == "started" && front.asked() > before {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < Duration::from_secs(60),
            "no call: {steps:#?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_call_that_loses_its_sandbox_is_made_again_only_if_that_is_harmless() -> Result<()> {
    let (first_at, second_at) = (free_address()?, free_address()?);
    let front = Front::open(first_at).await?;
    let script = |asked: &e2e::models::Asked, _| {
        let tool = match body(asked)["tools"].to_string().contains("keeper__sleep") {
            true => "keeper__sleep",
            false => "sleeper__sleep",
        };
        match results(asked) {
            0 => calls(&[(tool, "{\"ms\": 1500}")]),
            _ => says("Done."),
        }
    };
    let world = World::told(&[], &[("sandbox_url", &front.url)], script).await?;
    let folder = tempfile::tempdir()?;
    let first = sandbox(&world.server, folder.path(), first_at).await?;
    let second = sandbox(&world.server, folder.path(), second_at).await?;
    let deadline = json!({"clock": true, "deadline_ms": 20_000});
    let mut sleeper = manifest("sleeper", "1.0.0");
    sleeper["permissions"] = deadline.clone();
    let mut keeper = manifest("keeper", "1.0.0");
    keeper["permissions"] = deadline;
    keeper["permissions"]["kv"] = json!({"max_bytes": 1_000});
    for skill in [&sleeper, &keeper] {
        approved(&world.server, &world.ada, skill, "probe-skill").await?;
    }
    let worker = world.server.worker(quick()).await?;
    let new = json!({"name": "table", "mode": "round_robin"});
    let one = with(&["skill:sleeper"], &json!({}));
    world.circle(&new, &one, &["one"]).await?;
    let talk = world.conversation(&json!({"circle": "table"})).await?;
    // The call of the turn that is killed begins quickly, since the component is compiled by then.
    let turn = world.say(&talk, "Sleep.").await?;
    let undisturbed = trace(&world, &turn).await?;
    assert_eq!(
        undisturbed,
        ["model succeeded", "tool succeeded", "model succeeded"]
    );
    let turn = world.say(&talk, "Sleep again.").await?;
    until_it_works(&world, &front, &turn).await?;
    front.lead_to(second_at);
    first.signal("KILL")?;
    assert_eq!(trace(&world, &turn).await?, undisturbed);
    let steps = world.steps(&turn).await?;
    assert!(!steps[1]["receipt"].is_null(), "{steps:#?}");

    let mut two = with(&["skill:keeper"], &json!({}));
    two["name"] = json!("keeping");
    let new = json!({"name": "other", "mode": "round_robin"});
    world.circle(&new, &two, &["two"]).await?;
    let talk = world.conversation(&json!({"circle": "other"})).await?;
    let turn = world.say(&talk, "Sleep.").await?;
    until_it_works(&world, &front, &turn).await?;
    second.signal("KILL")?;
    let ended = trace(&world, &turn).await?;
    assert_eq!(
        ended,
        ["model succeeded", "tool unknown", "model succeeded"]
    );
    let told = world.steps(&turn).await?[1]["result"].to_string();
    assert!(told.contains("not known whether"), "{told}");
    worker.shutdown(Duration::ZERO).await;
    Ok(())
}

/// The steps of a turn that has ended well: what each was, and how it ended.
async fn trace(world: &World, turn: &str) -> Result<Vec<String>> {
    let ended = world.ended(turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let word = |step: &Value, name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let steps = world.steps(turn).await?;
    let shown = steps
        .iter()
        .map(|step| format!("{} {}", word(step, "kind"), word(step, "status")));
    Ok(shown.collect())
}
