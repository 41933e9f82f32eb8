//! Turns of agents: a message goes in, and a reply, silence or a reason comes out.

use anyhow::Result;
use e2e::models::{Asked, Say};
use futures::future::try_join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::world::{World, assert_ended, begins, body, plain, says};

#[tokio::test]
async fn a_message_is_answered_once_and_the_log_says_how() -> Result<()> {
    let world = World::new(|_, _| says("Hello, Ada.")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Who are you?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("completed"), &Value::Null),
        "{ended:#}"
    );
    assert_eq!(ended["usage"]["input_tokens"], 25);
    assert_eq!(ended["usage"]["output_tokens"], 15);
    assert_eq!(ended["partial"], Value::Null);
    let digest = ended["persona"]["digest"].as_str().unwrap_or_default();
    assert!(digest.starts_with("sha256:"), "{ended:#}");
    let expected = [("ada", "Who are you?"), ("bot", "Hello, Ada.")]
        .map(|(who, what)| (who.to_owned(), what.to_owned()));
    assert_eq!(world.messages(&talk).await?, expected);
    let steps = world.steps(&turn).await?;
    assert_eq!(steps.len(), 1, "{steps:#?}");
    assert_eq!(
        (&steps[0]["kind"], &steps[0]["status"]),
        (&json!("model"), &json!("succeeded"))
    );
    assert_eq!(steps[0]["result"]["text"], "Hello, Ada.");

    let asked = world.models.asked();
    assert_eq!(asked.len(), 1);
    let told = body(&asked[0]);
    let system = told["messages"][0]["content"].as_str().unwrap_or_default();
    assert!(
        system.contains("Answer in one sentence.") && system.contains("`@bot`"),
        "{system}"
    );
    assert_eq!(
        told["messages"][1],
        json!({"role": "user", "content": "[ada] Who are you?"})
    );
    Ok(())
}

#[tokio::test]
async fn what_was_said_before_is_told_to_the_model() -> Result<()> {
    let world = World::new(|_, number| says(&format!("Answer {number}."))).await?;
    let talk = world.talk(&plain()).await?;
    for text in ["One", "Two"] {
        let turn = world.say(&talk, text).await?;
        assert_eq!(world.ended(&turn).await?["status"], "completed");
    }
    let told = body(&world.models.asked()[1]);
    let told = told["messages"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        told[1..],
        [
            json!({"role": "user", "content": "[ada] One"}),
            json!({"role": "assistant", "content": "Answer 0."}),
            json!({"role": "user", "content": "[ada] Two"}),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn silence_posts_nothing() -> Result<()> {
    let world = World::new(|_, _| says("[silent]")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Nothing to answer here.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("completed"), &json!("silent"))
    );
    assert_eq!(world.messages(&talk).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_model_that_fails_is_asked_again_and_then_given_up() -> Result<()> {
    let world = World::new(|_, number| match number {
        0 => Say::error(500, "down"),
        _ => says("Here I am."),
    })
    .await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Hello?").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");

    let world = World::new(|_, _| Say::error(500, "down")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Hello?").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "failed", "provider-failed");
    assert_eq!(world.messages(&talk).await?.len(), 1, "nothing is invented");
    Ok(())
}

#[tokio::test]
async fn without_a_provider_the_turn_says_so() -> Result<()> {
    let world = World::new(|_, _| says("Never asked.")).await?;
    sqlx::query("select llm.keep_platform_providers(array[]::text[], '{}')")
        .execute(&mut world.server.database.connect().await?)
        .await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Hello?").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "failed", "no-provider-configured");
    assert_eq!(world.messages(&talk).await?.len(), 1, "nothing is invented");
    assert_eq!(world.models.asked().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_turn_stops_and_keeps_what_was_said() -> Result<()> {
    let world = World::new(|_, _| begins("This will be a long")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Tell me everything.").await?;
    let is_begun = |turn: &Value| turn["partial"] == "This will be a long";
    world.until(&turn, is_begun).await?;
    let began = Instant::now();
    let path = format!("/api/turns/{turn}/cancel");
    let cancelled = world.ask("POST", &path, &json!({}), 200).await?;
    assert_eq!(cancelled["status"], "cancelled");
    // The provider's connection is closed, too.
    world.models.until_hung_up(1).await?;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let kept = world.ended(&turn).await?;
    assert_eq!(kept["partial"], "This will be a long", "{kept:#}");
    let steps = world.steps(&turn).await?;
    assert_eq!((steps.len(), &steps[0]["status"]), (1, &json!("failed")));
    assert_eq!(
        world.ask("POST", &path, &json!({}), 409).await?["code"],
        "turn-finished"
    );
    assert_eq!(world.messages(&talk).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_suspended_owner_stops_its_agents() -> Result<()> {
    let world = World::new(|_, _| begins("I think")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Think.").await?;
    world
        .until(&turn, |turn| turn["partial"] == "I think")
        .await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("select identity.set_status($1, 'suspended', 'test', null, true, null, null)")
        .bind(world.ada.id)
        .execute(&mut database)
        .await?;
    let (status, reason): (String, Option<String>) =
        sqlx::query_as("select status, reason from circles.turn where id = $1::uuid")
            .bind(uuid::Uuid::parse_str(&turn)?)
            .fetch_one(&mut database)
            .await?;
    assert_eq!(
        (status.as_str(), reason.as_deref()),
        ("cancelled", Some("suspended"))
    );
    world.models.until_hung_up(1).await?;
    Ok(())
}

/// Speaks as the agent that is asked.
fn by_name(asked: &Asked) -> Say {
    says(&format!("This is {}.", super::world::speaker(asked)))
}

#[tokio::test]
async fn messages_while_a_turn_runs_are_answered_too() -> Result<()> {
    let world = World::new(|asked, _| by_name(asked)).await?;
    let talk = world.talk(&plain()).await?;
    let posts = (0..50).map(|number| {
        let (world, talk) = (&world, &talk);
        async move {
            let message = json!({"body": format!("Message {number}.")});
            world.post(talk, &message).await
        }
    });
    try_join_all(posts).await?;
    let turns = world.rested(&talk).await?;
    assert!(
        turns.iter().all(|turn| turn["status"] == "completed"),
        "{turns:#?}"
    );
    let asked = world.models.asked();
    for number in 0..50 {
        let text = format!("[ada] Message {number}.");
        assert!(
            asked
                .iter()
                .any(|asked| body(asked).to_string().contains(&text)),
            "{text} was told to no model"
        );
    }
    Ok(())
}
