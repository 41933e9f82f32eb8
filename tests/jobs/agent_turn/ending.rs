//! Turns that end before their time: by their steps, by what they may spend, and since they go round in circles.

use anyhow::{Context, Result};
use e2e::models::{Piece, Say};
use serde_json::json;

use super::tools::told;
use super::world::{World, assert_ended, calls, plain, results, says, speaker, text, with};

#[tokio::test]
async fn a_thousand_calls_in_one_answer_are_bounded() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("who_am_i", "{}"); 1000]),
        _ => says("Enough."),
    })
    .await?;
    // Each of them is the same call with the same result, of which the model has not been told before.
    let talk = world
        .talk(&with(&["api:who_am_i"], &json!({"steps": 60})))
        .await?;
    let turn = world.say(&talk, "Go.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(told(&world).len(), 32);

    let world = World::new(|asked, _| match results(asked) {
        0 => {
            let all: Vec<String> = (0..1000)
                .map(|at| format!("{{\"query\": \"x{at}\"}}"))
                .collect();
            let all: Vec<_> = all
                .iter()
                .map(|arguments| ("search", arguments.as_str()))
                .collect();
            calls(&all)
        }
        _ => says("Enough."),
    })
    .await?;
    let talk = world
        .talk(&with(&["api:search"], &json!({"steps": 60})))
        .await?;
    let turn = world.say(&talk, "Go.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let told = told(&world);
    assert_eq!(told.len(), 32);
    assert!(told[31].contains("Only 31 calls"), "{}", told[31]);
    Ok(())
}

fn assert_told_at_three_and_stopped_at_five(world: &World) {
    assert_eq!(world.models.asked().len(), 5);
    let told = told(world);
    assert!(
        !told[1].contains("with the same result") && told[2].contains("3 times"),
        "{told:?}"
    );
}

#[tokio::test]
async fn who_repeats_a_call_is_told_and_then_stopped() -> Result<()> {
    let world = World::new(|_, _| calls(&[("search", "{\"query\": \"same\"}")])).await?;
    let talk = world.talk(&with(&["api:search"], &json!({}))).await?;
    let turn = world.say(&talk, "Search.").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "looping");
    assert_told_at_three_and_stopped_at_five(&world);
    Ok(())
}

#[tokio::test]
async fn who_repeats_a_call_that_is_refused_is_stopped_too() -> Result<()> {
    let world = World::new(|_, _| calls(&[("no_such_tool", "{}")])).await?;
    let talk = world.talk(&with(&["api:search"], &json!({}))).await?;
    let turn = world.say(&talk, "Search.").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "looping");
    assert_told_at_three_and_stopped_at_five(&world);
    Ok(())
}

#[tokio::test]
async fn who_asks_the_same_of_another_agent_is_stopped_too() -> Result<()> {
    let world = World::new(|asked, _| match speaker(asked).as_str() {
        "bot" => calls(&[("ask_helper", "{\"message\": \"Which bird is it?\"}")]),
        _ => says("A wren."),
    })
    .await?;
    world
        .circle(&json!({"name": "helpers"}), &plain(), &["helper"])
        .await?;
    let talk = world
        .talk(&json!({"name": "asking", "tools": [{"use": "agent:helper"}]}))
        .await?;
    let turn = world.say(&talk, "Which bird sings here?").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "looping");
    let asked = world.models.asked();
    let of_bot: Vec<_> = asked.iter().filter(|one| speaker(one) == "bot").collect();
    assert_eq!(of_bot.len(), 5);
    let last = super::world::body(of_bot[4]).to_string();
    assert!(last.contains("You have made this call 3 times"), "{last}");
    Ok(())
}

#[tokio::test]
async fn limits_of_steps_end_a_turn_with_what_was_done() -> Result<()> {
    let world = World::new(|asked, _| {
        let arguments = format!("{{\"query\": \"x{}\"}}", results(asked));
        calls(&[("search", arguments.as_str())])
    })
    .await?;
    let talk = world
        .talk(&with(&["api:search"], &json!({"steps": 3})))
        .await?;
    let turn = world.say(&talk, "Search ten times.").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "steps");
    let messages = world.messages(&talk).await?;
    assert!(
        messages[1].1.contains("Done so far: search"),
        "{messages:?}"
    );
    // The next message is answered as if nothing had been.
    let turn = world.say(&talk, "Again.").await?;
    assert_eq!(world.ended(&turn).await?["reason"], "steps");
    // Of the persona's limits and the conversation's, the lower ones hold.
    let circle = &world.get(&format!("/api/conversations/{talk}")).await?["circle"];
    let talk = json!({"circle": circle, "limits": {"steps": 2, "turn_ms": 86_400_000}});
    let talk = world.conversation(&talk).await?;
    let turn = world.say(&talk, "Search ten times.").await?;
    assert_eq!(world.ended(&turn).await?["reason"], "steps");
    assert_eq!(world.steps(&turn).await?.len(), 2);
    let path = format!("/api/conversations/{talk}");
    let change = json!({"limits": {"steps": 50}});
    let changed = world.ask("PATCH", &path, &change, 200).await?;
    assert_eq!(changed["limits"], json!({"steps": 50}), "{changed:#}");
    let turn = world.say(&talk, "Search ten times.").await?;
    world.ended(&turn).await?;
    assert_eq!(world.steps(&turn).await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn calls_that_are_refused_count_as_steps_and_are_told_of() -> Result<()> {
    let world = World::new(|asked, _| {
        let names: Vec<String> = (0..20)
            .map(|at| format!("nothing_{}_{at}", results(asked)))
            .collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_str(), "{}")).collect();
        calls(&all)
    })
    .await?;
    let talk = world
        .talk(&with(&["api:search"], &json!({"steps": 3})))
        .await?;
    let turn = world.say(&talk, "Search.").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "steps");
    assert_eq!(world.steps(&turn).await?.len(), 3);
    // Nothing came of it, and the model has said nothing: who asked is told nonetheless.
    let messages = world.messages(&talk).await?;
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[1]
            .1
            .contains("Tried without success: nothing_0_0, nothing_0_1")
            && messages[1].1.contains("no more steps"),
        "{messages:?}"
    );
    let reply = text(&ended["reply"])?;
    assert!(!reply.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_left_to_spend_bounds_all_turns_together() -> Result<()> {
    let world = World::new(|_, _| says("Five words are said here.")).await?;
    world.price().await?;
    // A call says 15 tokens, which cost a microdollar each. With a rest the gateway would let a model say less, which this
    // one does not heed.
    let circle = world
        .circle(
            &json!({"name": "poor", "budget": {"limit_microusd": 30, "period": "total"}}),
            &json!({"name": "brief", "limits": {"output_tokens": 15}}),
            &["bot"],
        )
        .await?;
    let change = json!({"mode": "round_robin"});
    world
        .ask("PATCH", &format!("/api/circles/{circle}"), &change, 200)
        .await?;
    let mut turns = vec![];
    for number in 0..6 {
        let talk = world.conversation(&json!({"circle": circle})).await?;
        turns.push(world.say(&talk, &format!("Number {number}.")).await?);
    }
    let mut completed = 0;
    for turn in &turns {
        let ended = world.ended(turn).await?;
        match ended["status"].as_str() {
            Some("completed") => completed += 1,
            _ => assert_ended(&ended, "limited", "budget"),
        }
    }
    assert!((1..=2).contains(&completed), "{completed}");
    let circle = world.get(&format!("/api/circles/{circle}")).await?;
    let spent = circle["budget"]["spent_microusd"]
        .as_i64()
        .unwrap_or_default();
    assert!(spent <= 30, "{circle:#}");
    assert_eq!(
        world.models.asked().len(),
        completed,
        "nobody was asked who could not be paid"
    );
    Ok(())
}

#[tokio::test]
async fn a_model_that_talks_on_is_cut_off_when_the_time_is_over() -> Result<()> {
    let half = json!({"choices": [{"delta": {"content": "Half of it"}}]});
    let half = format!("data: {half}\n\n");
    let world = World::new(move |_, _| Say::Stream(vec![Piece::text(&half), Piece::Hold])).await?;
    let talk = world.talk(&with(&[], &json!({"turn_ms": 1_500}))).await?;
    let turn = world.say(&talk, "Go.").await?;
    assert_ended(&world.ended(&turn).await?, "limited", "time");
    let steps = world.steps(&turn).await?;
    assert_eq!((steps.len(), &steps[0]["status"]), (1, &json!("failed")));
    let (_, said) = world.messages(&talk).await?.pop().context("a message")?;
    assert!(said.starts_with("Half of it\n\nI stop here"), "{said}");
    Ok(())
}
