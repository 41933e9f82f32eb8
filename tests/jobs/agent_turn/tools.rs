//! Calls of tools: checked, made as the agent, bounded, and approved where that is asked for.

use anyhow::Result;
use e2e::publishing::{approved, manifest};
use serde_json::{Value, json};

use super::world::{World, body, calls, results, says, text, with};

/// The results of tools in the last request to the model.
fn told(world: &World) -> Vec<String> {
    let asked = world.models.asked();
    let last = asked.last().map(body).unwrap_or_default();
    let messages = last["messages"].as_array().into_iter().flatten();
    let results = messages.filter(|message| message["role"] == "tool");
    results
        .filter_map(|message| message["content"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_tool_is_called_as_the_agent_itself() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("who_am_i", "{}")]),
        _ => says("I know."),
    })
    .await?;
    let talk = world.talk(&with(&["api:who_am_i"], &json!({}))).await?;
    let turn = world.say(&talk, "Who are you?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let told = told(&world);
    let me: Value = serde_json::from_str(&told[0])?;
    assert_eq!((told.len(), &me["name"]), (1, &json!("bot")), "{told:?}");
    let steps = world.steps(&turn).await?;
    let kinds: Vec<_> = steps
        .iter()
        .filter_map(|step| step["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["model", "tool", "model"]);
    assert_eq!(
        (&steps[1]["name"], &steps[1]["status"]),
        (&json!("who_am_i"), &json!("succeeded"))
    );
    Ok(())
}

#[tokio::test]
async fn calls_that_make_no_sense_are_told_and_the_turn_goes_on() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[
            ("no_such_tool", "{}"),
            ("search", "{\"query\": "),
            ("search", "{\"query\": 5}"),
            ("search", "[]"),
            ("search", "{\"query\": \"nothing\", \"other\": 1}"),
        ]),
        _ => says("I give up."),
    })
    .await?;
    let talk = world.talk(&with(&["api:search"], &json!({}))).await?;
    let turn = world.say(&talk, "Search.").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let told = told(&world);
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told.iter().all(|result| result.starts_with("Error: ")),
        "{told:?}"
    );
    assert!(
        told[0].contains("no such tool") && told[1].contains("not a JSON object"),
        "{told:?}"
    );
    assert!(told[2].contains("do not fit"), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_thousand_calls_in_one_answer_are_bounded() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("who_am_i", "{}"); 1000]),
        _ => says("Enough."),
    })
    .await?;
    // Each of them is the same call with the same result, so other limits hold before the count does.
    let talk = world
        .talk(&with(&["api:who_am_i"], &json!({"steps": 60})))
        .await?;
    let turn = world.say(&talk, "Go.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("limited"), &json!("looping")),
        "{ended:#}"
    );
    assert_eq!(
        world.steps(&turn).await?.len(),
        6,
        "the answer, and five calls"
    );

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

#[tokio::test]
async fn who_repeats_a_call_is_told_and_then_stopped() -> Result<()> {
    let world = World::new(|_, _| calls(&[("search", "{\"query\": \"same\"}")])).await?;
    let talk = world.talk(&with(&["api:search"], &json!({}))).await?;
    let turn = world.say(&talk, "Search.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("limited"), &json!("looping")),
        "{ended:#}"
    );
    assert_eq!(world.models.asked().len(), 5);
    let told = told(&world);
    assert!(
        !told[1].contains("with the same result") && told[2].contains("3 times"),
        "{told:?}"
    );
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
    assert_eq!(
        (&ended["status"], &ended["reason"]),
        (&json!("limited"), &json!("steps")),
        "{ended:#}"
    );
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
async fn a_persona_says_which_tools_do_not_exist() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    for tool in ["api:nothing", "mcp:", "a2a:x", "memories", "agent:"] {
        let refused = world
            .ask("POST", "/api/personas", &with(&[tool], &json!({})), 422)
            .await?;
        assert_eq!(refused["code"], "persona-invalid", "{refused:#}");
        assert!(
            refused["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(tool)),
            "{refused:#}"
        );
    }
    Ok(())
}

/// A persona that posts, whose calls have to be approved.
fn asking(approval_ms: u64) -> Value {
    json!({"name": "asking", "tools": [{"use": "api:create_post", "approval": "always"}],
        "limits": {"approval_ms": approval_ms}})
}

/// A model that makes one post and then says that it is done.
async fn poster() -> Result<World> {
    World::new(|asked, _| match results(asked) {
        0 => calls(&[(
            "create_post",
            "{\"title\": \"News\", \"body\": \"Something happened.\"}",
        )]),
        _ => says("Done."),
    })
    .await
}

/// The approval that a turn waits for.
async fn approval(world: &World, turn: &str) -> Result<Value> {
    world
        .until(turn, |turn| turn["waiting_for"] == "approval")
        .await?;
    let steps = world.steps(turn).await?;
    let id = text(&steps[1]["approval"])?;
    world.get(&format!("/api/approvals/{id}")).await
}

async fn posts(world: &World) -> Result<usize> {
    let page = world.get("/api/posts").await?;
    Ok(page["items"].as_array().map_or(0, Vec::len))
}

#[tokio::test]
async fn what_was_approved_runs_once() -> Result<()> {
    let world = poster().await?;
    let talk = world.talk(&asking(600_000)).await?;
    let turn = world.say(&talk, "Post it.").await?;
    let asked = approval(&world, &turn).await?;
    assert_eq!(
        posts(&world).await?,
        0,
        "nothing happens before it is approved"
    );
    assert!(
        asked["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("Something happened.")),
        "{asked:#}"
    );
    let path = format!("/api/approvals/{}", text(&asked["id"])?);
    let wrong = json!({"decision": "approve", "digest": "sha256:00"});
    assert_eq!(
        world
            .ask("POST", &format!("{path}/decision"), &wrong, 409)
            .await?["code"],
        "approval-changed"
    );
    let right = json!({"decision": "approve", "digest": asked["digest"]});
    world
        .ask("POST", &format!("{path}/decision"), &right, 200)
        .await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(posts(&world).await?, 1);
    let again = world
        .ask("POST", &format!("{path}/decision"), &right, 409)
        .await?;
    assert_eq!(again["code"], "approval-decided");
    Ok(())
}

#[tokio::test]
async fn what_was_denied_is_told_with_the_reason() -> Result<()> {
    let world = poster().await?;
    let talk = world.talk(&asking(600_000)).await?;
    let turn = world.say(&talk, "Post it.").await?;
    let asked = approval(&world, &turn).await?;
    let path = format!("/api/approvals/{}/decision", text(&asked["id"])?);
    let deny = json!({"decision": "deny", "digest": asked["digest"], "reason": "Not before noon."});
    world.ask("POST", &path, &deny, 200).await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert!(
        told(&world)[0].contains("Not before noon."),
        "{:?}",
        told(&world)
    );
    assert_eq!(world.steps(&turn).await?[1]["status"], "denied");
    assert_eq!(posts(&world).await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_approval_that_nobody_gives_expires_with_an_answer() -> Result<()> {
    let world = poster().await?;
    let talk = world.talk(&asking(1_000)).await?;
    let turn = world.say(&talk, "Post it.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(told(&world)[0].contains("in time"), "{:?}", told(&world));
    assert_eq!(posts(&world).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_cancelled_turn_takes_its_question_back() -> Result<()> {
    let world = poster().await?;
    let talk = world.talk(&asking(600_000)).await?;
    let turn = world.say(&talk, "Post it.").await?;
    let asked = approval(&world, &turn).await?;
    world
        .ask(
            "POST",
            &format!("/api/turns/{turn}/cancel"),
            &json!({}),
            200,
        )
        .await?;
    let id = text(&asked["id"])?;
    assert_eq!(
        world.get(&format!("/api/approvals/{id}")).await?["state"],
        "void"
    );
    assert_eq!(world.steps(&turn).await?[1]["status"], "denied");
    assert_eq!(posts(&world).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_skill_is_a_tool_whose_arguments_are_checked() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("adder__add", "{\"a\": 2, \"b\": \"three\"}")]),
        1 => calls(&[("adder__add", "{\"a\": 2, \"b\": 3}")]),
        _ => says("It is five."),
    })
    .await?;
    approved(
        &world.server,
        &world.ada,
        &manifest("adder", "1.0.0"),
        "adder",
    )
    .await?;
    let talk = world.talk(&with(&["skill:adder"], &json!({}))).await?;
    let turn = world.say(&talk, "Add two and three.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let told = told(&world);
    assert!(
        told[0].starts_with("Error: The arguments do not fit"),
        "{told:?}"
    );
    assert_eq!(told[1], "5", "{told:?}");
    assert_eq!(
        ended["tainted"],
        json!(true),
        "a stranger's program has answered"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_left_to_spend_bounds_all_turns_together() -> Result<()> {
    let world = World::new(|_, _| says("Five words are said here.")).await?;
    let price =
        json!({"provider": "llm", "model": "*", "input_microusd": 0, "output_microusd": 1_000_000});
    let admin = world
        .ada
        .with_scope(&world.server.database, "admin:all")
        .await?;
    let (status, put) = admin
        .send(&world.server, "PUT", "/api/llm/prices", &price)
        .await?;
    assert_eq!(status, 200, "{put:#}");
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
            _ => assert_eq!(
                (&ended["status"], &ended["reason"]),
                (&json!("limited"), &json!("budget")),
                "{ended:#}"
            ),
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
