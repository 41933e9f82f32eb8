//! Forks: an agent thinks on from a step of an earlier turn, elsewhere, and nothing that was done is done again.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use serde_json::{Value, json};

use super::approving::{asking, posts, question};
use super::receipts::verify;
use super::world::{World, ask, body, calls, plain, results, says, says_and_calls, text, with};

/// Forks a turn as ada. Returns the conversation, and the id of its turn.
async fn fork(world: &World, turn: &str, point: &Value) -> Result<(Value, String)> {
    let path = format!("/api/turns/{turn}/fork");
    let made = world.ask("POST", &path, point, 201).await?;
    let turn = text(&made["turn"]["id"])?;
    Ok((made, turn))
}

/// What models were told last.
fn last_told(world: &World) -> Value {
    let asked = world.models.asked();
    asked.last().map(body).unwrap_or_default()["messages"].clone()
}

/// A world whose agent makes a post and looks who it is, by one answer, and then says that it has.
async fn posting() -> Result<(World, String)> {
    let world = World::new(|asked, number| {
        let told = body(asked).to_string();
        let is_asked = told.contains("Post it") && !told.contains("Hello again");
        match (is_asked, results(asked)) {
            (false, _) => says("Hello, Ada."),
            (true, 0) => says_and_calls(
                "I will.",
                &[
                    ("create_post", "{\"title\": \"News\", \"body\": \"Good.\"}"),
                    ("who_am_i", "{}"),
                ],
            ),
            _ => says(&format!("Posted, says request {number}.")),
        }
    })
    .await?;
    let mut persona = with(&["api:create_post", "api:who_am_i"], &json!({}));
    persona["tools"][0]["approval"] = json!("never");
    let talk = world.talk(&persona).await?;
    let turn = world.say(&talk, "Hello.").await?;
    world.ended(&turn).await?;
    Ok((world, talk))
}

#[tokio::test]
async fn a_fork_goes_on_with_what_was_done_and_does_none_of_it_again() -> Result<()> {
    let (world, talk) = posting().await?;
    let turn = world.say(&talk, "Post it.").await?;
    let ended = world.ended(&turn).await?;
    let (steps, said) = (world.steps(&turn).await?, world.messages(&talk).await?);
    let told = last_told(&world);
    assert_eq!((world.models.asked().len(), steps.len()), (3, 4));

    // The second call of the answer had not been made by then, so the fork makes it.
    let (made, forked) = fork(&world, &turn, &json!({"after_step": 2.0})).await?;
    let end = world.ended(&forked).await?;
    assert_eq!(end["status"], "completed", "{end:#}");
    let original = world.get(&format!("/api/conversations/{talk}")).await?;
    assert_eq!(
        (&made["circle"], &made["title"]),
        (&original["circle"], &json!("(fork)"))
    );
    assert_eq!(world.models.asked().len(), 4, "one answer is thought anew");
    assert_eq!(last_told(&world), told, "the model is told the same");
    assert_eq!(posts(&world).await?, 1, "what was done is not done again");
    let other = text(&made["id"])?;
    let heard = world.messages(&other).await?;
    assert_eq!(heard[..3], said[..3]);
    assert_eq!(heard[3].1, "Posted, says request 3.");
    assert_eq!(heard.len(), 4);
    assert_eq!(world.rested(&other).await?.len(), 1, "copies wake nobody");

    // The fork has the steps and not their cost.
    let own = world.steps(&forked).await?;
    for at in 0..2 {
        assert_eq!(own[at]["result"], steps[at]["result"]);
        assert_eq!(own[at]["usage"]["input_tokens"], 0);
    }
    let from = json!({"turn": turn, "after_step": 2});
    assert_eq!(
        (&end["forked_from"], &end["usage"]["input_tokens"]),
        (&from, &json!(25))
    );
    // The original is as it was.
    assert_eq!(world.get(&format!("/api/turns/{turn}")).await?, ended);
    assert_eq!(world.steps(&turn).await?, steps);
    assert_eq!(world.messages(&talk).await?, said);

    let receipt = world.get(&format!("/api/turns/{forked}/receipt")).await?;
    let keys = world.get("/.well-known/jwks.json").await?;
    let folder = tempfile::tempdir()?;
    let (holds, told) = verify(folder.path(), &receipt, &keys).await?;
    let says_so = told.contains(&format!("forked from turn:{turn} after step 2"));
    assert!(holds && says_so, "{told}");
    assert_eq!(told.matches("copied").count(), 2, "{told}");
    Ok(())
}

#[tokio::test]
async fn a_fork_begins_anew_or_goes_on_after_the_last_step() -> Result<()> {
    let (world, talk) = posting().await?;
    let turn = world.say(&talk, "Post it.").await?;
    world.ended(&turn).await?;
    let (_, anew) = fork(&world, &turn, &json!({"after_step": 0})).await?;
    assert_eq!(world.ended(&anew).await?["status"], "completed");
    assert_eq!((world.models.asked().len(), posts(&world).await?), (5, 2));
    // The last step is the answer, which is said there too.
    let (made, same) = fork(&world, &turn, &json!({})).await?;
    let ended = world.ended(&same).await?;
    assert_eq!(
        (&ended["status"], &ended["forked_from"]["after_step"]),
        (&json!("completed"), &json!(4))
    );
    let heard = world.messages(&text(&made["id"])?).await?;
    assert_eq!(heard, world.messages(&talk).await?);
    assert_eq!((world.models.asked().len(), posts(&world).await?), (5, 2));
    // A fork can be forked, and talked with.
    let (made, again) = fork(&world, &same, &json!({"after_step": 3})).await?;
    assert_eq!(world.ended(&again).await?["status"], "completed");
    let next = world.say(&text(&made["id"])?, "Hello again.").await?;
    assert_eq!(world.ended(&next).await?["status"], "completed");
    assert_eq!(posts(&world).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_call_that_waits_is_not_done_and_is_approved_for_each_turn() -> Result<()> {
    let (world, talk) = asking().await?;
    let (turn, path, yes) = question(&world, &talk).await?;
    for step in [2, 3, -1] {
        let refused = world
            .ask(
                "POST",
                &format!("/api/turns/{turn}/fork"),
                &json!({"after_step": step}),
                422,
            )
            .await?;
        assert_eq!(refused["code"], "invalid-input", "{step}");
        assert!(refused.to_string().contains("after_step"), "{refused:#}");
    }
    let (_, forked) = fork(&world, &turn, &json!({})).await?;
    world
        .until(&forked, |turn| turn["waiting_for"] == "approval")
        .await?;
    let (own, of_turn) = (world.steps(&forked).await?, world.steps(&turn).await?);
    assert_ne!(own[1]["approval"], of_turn[1]["approval"]);
    world.ask("POST", &path, &yes, 200).await?;
    assert_eq!(world.ended(&turn).await?["status"], "completed");
    assert_eq!(
        world.get(&format!("/api/turns/{forked}")).await?["status"],
        "waiting"
    );
    assert_eq!(posts(&world).await?, 1);
    // What is thought again keeps what the fork began with.
    world
        .ask(
            "POST",
            &format!("/api/turns/{forked}/cancel"),
            &json!({}),
            200,
        )
        .await?;
    let path = format!("/api/turns/{forked}/retry");
    let again = world.ask("POST", &path, &json!({}), 202).await?;
    assert_eq!(
        again["forked_from"],
        json!({"turn": forked, "after_step": 1})
    );
    Ok(())
}

#[tokio::test]
async fn a_fork_copies_what_its_maker_may_read_and_nobody_else_makes_one() -> Result<()> {
    let world = World::without_worker(|_, _| calls(&[])).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let circle = world
        .circle(
            &json!({"name": "table", "mode": "mention"}),
            &plain(),
            &["bot"],
        )
        .await?;
    for name in ["bob", "eve"] {
        let path = format!("/api/circles/{circle}/members");
        let member = json!({"account": name});
        world.ask("POST", &path, &member, 201).await?;
    }
    let new = json!({"circle": circle, "title": "Plans", "limits": {"steps": 7}});
    let talk = world.conversation(&new).await?;
    let messages = format!("/api/conversations/{talk}/messages");
    let whisper = json!({"body": "Not for ada.", "visible_to": ["eve"]});
    let whisper = ask(&world.server, &bob, "POST", &messages, &whisper, 201).await?;
    let gone = world.post(&talk, &json!({"body": "Regretted."})).await?;
    let first = ask(
        &world.server,
        &bob,
        "POST",
        &messages,
        &json!({"body": "First."}),
        201,
    )
    .await?;
    let cause = json!({"body": "@bot, well?", "reply_to": first["message"]["id"]});
    let posted = world.post(&talk, &cause).await?;
    let turn = text(&posted["turns"][0]["id"])?;
    world.post(&talk, &json!({"body": "Later."})).await?;
    let path = format!(
        "/api/channels/{talk}/messages/{}",
        text(&gone["message"]["id"])?
    );
    world.ask("DELETE", &path, &Value::Null, 204).await?;

    let (made, forked) = fork(&world, &turn, &json!({})).await?;
    assert_eq!(
        (&made["title"], &made["limits"]["steps"]),
        (&json!("Plans (fork)"), &json!(7))
    );
    let path = format!("/api/conversations/{}/messages?since=0", text(&made["id"])?);
    let copied = world.get(&path).await?;
    let copied = copied["items"].as_array().context("items")?;
    let told: Vec<_> = copied.iter().map(|one| one["body"].as_str()).collect();
    assert_eq!(told, [None, Some("First."), Some("@bot, well?")]);
    assert_eq!(copied[0]["deleted"], true);
    assert_eq!(copied[1]["author"]["name"], "bob");
    assert_eq!(copied[1]["created_at"], first["message"]["created_at"]);
    assert_eq!(copied[2]["reply_to"], copied[1]["id"]);
    let begun = world.get(&format!("/api/turns/{forked}")).await?;
    assert_eq!(
        (&begun["status"], &begun["cause"]),
        (&json!("queued"), &copied[2]["id"])
    );

    let code = async |who: &Agent, turn: &str, status: u16| -> Result<String> {
        let path = format!("/api/turns/{turn}/fork");
        let refused = ask(&world.server, who, "POST", &path, &json!({}), status).await?;
        text(&refused["code"])
    };
    assert_eq!(code(&bob, &turn, 403).await?, "forbidden");
    // What eve does in its turns, its own program knows.
    let whispered = text(&whisper["turns"][0]["id"])?;
    assert_eq!(code(&eve, &whispered, 409).await?, "turn-not-forkable");
    assert_eq!(code(&world.ada, &whispered, 404).await?, "not-found");
    let path = format!("/api/circles/{circle}/members/bob");
    world.ask("DELETE", &path, &Value::Null, 204).await?;
    assert_eq!(code(&bob, &turn, 404).await?, "not-found");
    Ok(())
}
