//! Agents that ask other agents of the same owner.

use anyhow::Result;
use e2e::models::{Piece, Say};
use serde_json::{Value, json};
use std::time::Duration;

use super::world::{World, assert_ended, begins, body, calls, plain, results, says, speaker, text};

/// A circle of ada's with `helper`, and a conversation with `bot`, which may ask it.
async fn pair(world: &World) -> Result<String> {
    world
        .circle(
            &json!({"name": "helpers"}),
            &json!({"name": "helpful", "description": "Knows birds."}),
            &["helper"],
        )
        .await?;
    world
        .talk(&json!({"name": "asking", "tools": [{"use": "agent:helper"}]}))
        .await
}

/// The turns of the agent `helper`.
async fn of_helper(world: &World) -> Result<Vec<Value>> {
    let members = world.get("/api/circles/helpers/members").await?;
    let all = members["items"].as_array().into_iter().flatten();
    let mut helper = all.filter(|one| one["account"]["name"] == "helper");
    let id = text(&helper.next().unwrap_or(&Value::Null)["account"]["id"])?;
    let page = world.get(&format!("/api/turns?agent={id}")).await?;
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

#[tokio::test]
async fn the_answer_of_another_agent_is_the_result_of_a_call() -> Result<()> {
    let world = World::new(|asked, _| match (speaker(asked).as_str(), results(asked)) {
        ("bot", 0) => calls(&[("ask_helper", "{\"message\": \"Which bird is it?\"}")]),
        ("bot", _) => says("It is a wren."),
        _ => says("A wren, I am sure."),
    })
    .await?;
    let talk = pair(&world).await?;
    let turn = world.say(&talk, "Which bird sings here?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    assert_eq!(
        (&steps[1]["status"], &steps[1]["result"]),
        (&json!("succeeded"), &json!("A wren, I am sure.")),
        "{steps:#?}"
    );
    let asked = world.models.asked();
    assert_eq!(asked.len(), 3);
    let told = body(&asked[1]).to_string();
    assert!(
        told.contains("[bot] Which bird is it?") && !told.contains("sings here"),
        "{told}"
    );
    let helped = of_helper(&world).await?;
    assert_eq!(
        (helped.len(), &helped[0]["status"]),
        (1, &json!("completed"))
    );
    Ok(())
}

#[tokio::test]
async fn who_is_cancelled_takes_along_whom_it_asked() -> Result<()> {
    let world = World::new(|asked, _| match speaker(asked).as_str() {
        "bot" => calls(&[("ask_helper", "{\"message\": \"Think about it.\"}")]),
        _ => begins("Let me think"),
    })
    .await?;
    let talk = pair(&world).await?;
    let turn = world.say(&talk, "What do you think?").await?;
    let waiting = world
        .until(&turn, |turn| turn["waiting_for"] == "speaker")
        .await?;
    assert_eq!(waiting["status"], "waiting");
    world.models.until_asked(2).await?;
    world
        .ask(
            "POST",
            &format!("/api/turns/{turn}/cancel"),
            &json!({}),
            200,
        )
        .await?;
    world.models.until_hung_up(1).await?;
    let helped = of_helper(&world).await?;
    assert_eq!(helped[0]["status"], "cancelled", "{helped:#?}");
    assert_eq!(
        world.get(&format!("/api/turns/{turn}")).await?["status"],
        "cancelled"
    );
    Ok(())
}

#[tokio::test]
async fn agents_that_ask_each_other_in_a_ring_end_five_deep() -> Result<()> {
    let world = World::new(|asked, _| match (speaker(asked).as_str(), results(asked)) {
        ("bot", 0) => calls(&[("ask_helper", "{\"message\": \"And you?\"}")]),
        ("helper", 0) => calls(&[("ask_bot", "{\"message\": \"And you?\"}")]),
        _ => says("I give up."),
    })
    .await?;
    let helper = json!({"name": "helpful", "tools": [{"use": "agent:bot"}]});
    world
        .circle(&json!({"name": "helpers"}), &helper, &["helper"])
        .await?;
    let talk = world
        .talk(&json!({"name": "asking", "tools": [{"use": "agent:helper"}]}))
        .await?;
    let turn = world.say(&talk, "Who knows?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert_eq!(
        world.models.asked().len(),
        12,
        "six agents, each asked twice"
    );
    Ok(())
}

#[tokio::test]
async fn nobody_waits_for_an_agent_longer_than_its_turn_may_take() -> Result<()> {
    let world = World::new(|_, _| calls(&[("ask_helper", "{\"message\": \"And you?\"}")])).await?;
    world
        .circle(&json!({"name": "helpers"}), &plain(), &["helper"])
        .await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query("update circles.seat set state = 'paused'")
        .execute(&mut database)
        .await?;
    let tools = json!([{"use": "agent:helper"}]);
    let limits = json!({"turn_ms": 2000});
    let talk = world
        .talk(&json!({"name": "asking", "tools": tools, "limits": limits}))
        .await?;
    let turn = world.say(&talk, "Who knows?").await?;
    let ended = world.ended(&turn).await?;
    assert_ended(&ended, "limited", "time");
    assert_eq!(of_helper(&world).await?[0]["status"], "cancelled");
    Ok(())
}

#[tokio::test]
async fn agents_that_one_answer_asks_think_side_by_side() -> Result<()> {
    let world = World::new(|asked, _| match (speaker(asked).as_str(), results(asked)) {
        ("bot", 0) => calls(&[
            ("ask_helper", "{\"message\": \"Which bird is it?\"}"),
            ("ask_helper", "{\"message\": \"Where does it live?\"}"),
            ("ask_nobody", "{\"message\": \"Why?\"}"),
            ("ask_helper", "{\"message\": \"What does it eat?\"}"),
            ("ask_helper", "{\"message\": \"How does it sing?\"}"),
        ]),
        ("bot", _) => says("It is a wren."),
        _ => {
            let Say::Stream(said) = says("I think so.") else {
                return Say::Silence;
            };
            let pause = Piece::Pause(Duration::from_secs(2));
            Say::Stream([vec![pause], said].concat())
        }
    })
    .await?;
    let talk = pair(&world).await?;
    let turn = world.say(&talk, "Which bird sings here?").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let steps = world.steps(&turn).await?;
    let ends: Vec<_> = steps[1..6]
        .iter()
        .map(|step| step["status"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(
        ends,
        ["succeeded", "succeeded", "failed", "succeeded", "succeeded"],
        "{steps:#?}"
    );
    let asked = world.models.asked();
    let helped: Vec<_> = asked
        .iter()
        .filter(|one| speaker(one) == "helper")
        .collect();
    assert_eq!((asked.len(), helped.len()), (6, 4));
    let second = Duration::from_millis(1900);
    assert!(
        helped[1].at - helped[0].at < second,
        "the first two at once"
    );
    assert!(
        helped[2].at - helped[0].at > second,
        "then what could not be asked"
    );
    assert!(helped[3].at - helped[2].at < second, "and the rest at once");
    Ok(())
}
