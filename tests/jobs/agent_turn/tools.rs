//! Calls of tools: checked, made as the agent, bounded, and approved where that is asked for.

use anyhow::Result;
use e2e::publishing::{approved, manifest};
use serde_json::{Value, json};

use super::world::{World, body, calls, results, says, text, with};

/// The results of tools in the last request to the model.
pub(super) fn told(world: &World) -> Vec<String> {
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
    let detail = &asked["detail"];
    assert_eq!(
        (&detail["tool"], &detail["step"]),
        (&json!("create_post"), &json!(2)),
        "{asked:#}"
    );
    assert_eq!(
        detail["arguments"],
        json!({"title": "News", "body": "Something happened."})
    );
    assert!(detail["why"].is_string(), "{asked:#}");
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
