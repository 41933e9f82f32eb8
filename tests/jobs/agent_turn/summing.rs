//! Conversations and turns that are too long for the model: the oldest part is summed up, in a step like any other.

use anyhow::{Context, Result, ensure};
use e2e::models::{Asked, Piece, Say};
use serde_json::{Value, json};
use sqlx::Row;
use std::time::Duration;

use super::world::{World, body, calls, results, says, text};

/// The window of the models here, in tokens.
const WINDOW: usize = 4000;

/// Whether a model is asked to sum up.
pub fn sums_up(asked: &Asked) -> bool {
    let body = body(asked);
    let system = body["messages"][0]["content"].as_str();
    system.is_some_and(|text| text.starts_with("You sum up"))
}

/// What a model refuses: more than its window, and calls without results or results without calls, as providers do.
fn fault(asked: &Asked) -> Option<&'static str> {
    if asked.body.len() > WINDOW * 3 {
        return Some("too long");
    }
    let body = body(asked);
    let mut open: Vec<&str> = Vec::new();
    for message in body["messages"].as_array().into_iter().flatten() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str()?;
            let Some(at) = open.iter().position(|one| *one == id) else {
                return Some("a result without its call");
            };
            open.remove(at);
            continue;
        }
        if !open.is_empty() {
            return Some("a call without its result");
        }
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        open = calls.filter_map(|call| call["id"].as_str()).collect();
    }
    (!open.is_empty()).then_some("a call without its result")
}

async fn kinds(world: &World, turn: &str) -> Result<Vec<String>> {
    let steps = world.steps(turn).await?;
    steps.iter().map(|step| text(&step["kind"])).collect()
}

/// A conversation in which an agent speaks that is addressed, with a small window.
async fn talk(world: &World) -> Result<String> {
    let persona = json!({"name": "small", "instructions": "Answer in one sentence.", "limits": {"window_tokens": WINDOW}});
    let circle = world
        .circle(&json!({"name": "circle"}), &persona, &["bot"])
        .await?;
    world.conversation(&json!({"circle": circle})).await
}

#[tokio::test]
async fn what_was_said_first_is_summed_up_once() -> Result<()> {
    let world = World::new(|asked, _| match fault(asked) {
        Some(fault) => Say::error(400, fault),
        None if sums_up(asked) => says("They talked about apples."),
        None => says("Fine."),
    })
    .await?;
    let talk = talk(&world).await?;
    let mut first = String::new();
    for number in 0..8 {
        let long = format!("Number {number}: {}", "apples ".repeat(250));
        let posted = world.post(&talk, &json!({"body": long})).await?;
        if number == 0 {
            first = text(&posted["message"]["id"])?;
        }
    }
    let turn = world.say(&talk, "@bot, what was it about?").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let kinds_of_first = kinds(&world, &turn).await?;
    let (last, summaries) = kinds_of_first.split_last().context("steps")?;
    assert_eq!(last, "model", "{kinds_of_first:?}");
    assert!(
        (1..=4).contains(&summaries.len()) && summaries.iter().all(|kind| kind == "summary"),
        "{kinds_of_first:?}"
    );
    let steps = world.steps(&turn).await?;
    assert_eq!(steps[0]["status"], "succeeded");
    assert_eq!(steps[0]["result"], "They talked about apples.");
    assert_eq!(steps[0]["usage"]["input_tokens"], 25, "it counts");
    let asked = world.models.asked();
    let told = body(asked.last().context("a request")?).to_string();
    assert!(told.contains("They talked about apples.") && told.contains("what was it about?"));
    assert!(!told.contains("Number 0"), "{told}");

    // Nothing is summed up twice.
    let turn = world.say(&talk, "@bot, and now?").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert_eq!(kinds(&world, &turn).await?, ["model"]);
    let asked = world.models.asked();
    let told = body(asked.last().context("a request")?).to_string();
    assert!(told.contains("They talked about apples.") && told.contains("and now?"));

    // What is deleted is in no summary any more.
    let path = format!("/api/channels/{talk}/messages/{first}");
    let (status, answer) = world
        .ada
        .send(&world.server, "DELETE", &path, &Value::Null)
        .await?;
    ensure!(status == 204, "{status} {answer}");
    let before = world.models.asked().len();
    let turn = world.say(&talk, "@bot, once more?").await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert!(kinds(&world, &turn).await?.len() > 1);
    for asked in &world.models.asked()[before..] {
        assert!(!body(asked).to_string().contains("Number 0"));
    }
    Ok(())
}

#[tokio::test]
async fn calls_and_results_pair_after_a_summary() -> Result<()> {
    let world = World::new(|asked, number| {
        if let Some(fault) = fault(asked) {
            return Say::error(400, fault);
        }
        if sums_up(asked) {
            return says("I searched for many things.");
        }
        if number >= 30 {
            return says("That was all.");
        }
        let query = format!("{{\"query\": \"{number} {}\"}}", "plum ".repeat(30));
        calls(&[("search", &query), ("who_am_i", "{}")])
    })
    .await?;
    let persona = json!({"name": "small", "instructions": "Search.", "limits": {"window_tokens": WINDOW, "steps": 200},
        "tools": [{"use": "api:search"}, {"use": "memory"}]});
    let talk = world.talk(&persona).await?;
    let turn = world.say(&talk, "Search for everything.").await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let kinds = kinds(&world, &turn).await?;
    assert!(kinds.contains(&"summary".to_owned()), "{kinds:?}");
    let steps = world.steps(&turn).await?;
    let failed = steps
        .iter()
        .filter(|step| step["kind"] != "tool" && step["status"] != "succeeded");
    assert_eq!(failed.count(), 0, "{steps:#?}");
    let asked = world.models.asked();
    let last = asked.last().context("a request")?;
    assert!(
        body(last)
            .to_string()
            .contains("I searched for many things.")
    );
    assert!(results(last) > 0, "the newest results stay");
    Ok(())
}

#[tokio::test]
async fn a_message_that_a_failing_model_was_told_is_told_again() -> Result<()> {
    let slow = |say: Say| match say {
        Say::Stream(mut pieces) => {
            pieces.insert(0, Piece::Pause(Duration::from_millis(1500)));
            Say::Stream(pieces)
        }
        other => other,
    };
    let world = World::new(move |_, number| match number {
        0 => slow(says("First.")),
        1 => Say::error(500, "down"),
        _ => says("Second."),
    })
    .await?;
    let persona = world.persona(&super::world::plain()).await?;
    let new = json!({"name": "alone", "mode": "round_robin", "rules": {"on_busy": "steer"},
        "members": [{"persona": persona, "name": "one"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let talk = world.conversation(&json!({"circle": "alone"})).await?;
    let turn = world.say(&talk, "One.").await?;
    world.models.until_asked(1).await?;
    assert_eq!(world.say(&talk, "Two.").await?, turn, "the same turn");
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    let said = world.messages(&talk).await?;
    assert_eq!(said.last().context("a message")?.1, "Second.", "{said:?}");
    Ok(())
}

/// The pages that PostgreSQL reads for what a model is told.
async fn pages(world: &World, turn: &str) -> Result<i64> {
    let mut database = world.server.database.connect().await?;
    let explain = "explain (analyze, buffers, timing off, format json)
        select circles.turn_messages(t.id, 0), circles.summary_of(t) from circles.turn t where t.id = $1::uuid";
    let mut plan = Value::Null;
    // The first time, the catalogue is read, too.
    for _ in 0..2 {
        let row = sqlx::query(explain)
            .bind(uuid::Uuid::parse_str(turn)?)
            .fetch_one(&mut database)
            .await?;
        plan = row.get(0);
    }
    let plan = &plan[0]["Plan"];
    let count = |name: &str| plan[name].as_i64().unwrap_or_default();
    Ok(count("Shared Hit Blocks") + count("Shared Read Blocks"))
}

#[tokio::test]
async fn what_is_read_for_a_step_does_not_grow_with_the_conversation() -> Result<()> {
    let world = World::new(|_, _| says("Fine.")).await?;
    let talk = talk(&world).await?;
    // An account younger than a day may post little.
    world
        .server
        .database
        .execute("update identity.account set created_at = now() - interval '2 days'")
        .await?;
    let more = "insert into channels.message (channel_id, seq, author_id, body, html, plain, words)
        select c.id, c.last_seq + n, $2, 'Word ' || n, 'x', 'x', 'x' from channels.channel c, generate_series(1, $3) n
        where c.id = $1";
    let grow = async |count: i32| -> Result<()> {
        let mut database = world.server.database.connect().await?;
        let id = uuid::Uuid::parse_str(&talk)?;
        let added = sqlx::query(more).bind(id).bind(world.ada.id).bind(count);
        added.execute(&mut database).await?;
        sqlx::query("update channels.channel set last_seq = last_seq + $2 where id = $1")
            .bind(id)
            .bind(count)
            .execute(&mut database)
            .await?;
        sqlx::query("vacuum analyze channels.message")
            .execute(&mut database)
            .await?;
        Ok(())
    };
    grow(200).await?;
    let turn = world.say(&talk, "@bot?").await?;
    world.ended(&turn).await?;
    let few = pages(&world, &turn).await?;
    grow(5000).await?;
    let many = pages(&world, &turn).await?;
    assert!(
        many * 5 <= few * 6,
        "{few} pages of a short conversation, {many} of a long one"
    );
    Ok(())
}
