//! Tasks of A2A: what a circle's turns make of them together, and messages that are sent to one which goes on.

use anyhow::{Result, ensure};
use e2e::agents::Agent;
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{
    World, begins, body, calls, plain, results, says, speaker, with,
};

/// Calls a method of a door as bob, and returns the whole answer.
async fn call(
    world: &World,
    bob: &Agent,
    door: &str,
    method: &str,
    params: Value,
) -> Result<Value> {
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = bob.request(&world.server, "POST", &format!("/a2a/{door}"));
    Ok(answer
        .header("a2a-version", "1.0")
        .json(&request)
        .send()
        .await?
        .json()
        .await?)
}

/// A message with what belongs to it, whose answer is not waited for.
fn message(id: &str, text: &str, more: Value) -> Value {
    let mut message = json!({"messageId": id, "role": "ROLE_USER", "parts": [{"text": text}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    json!({"message": message, "configuration": {"returnImmediately": true}})
}

/// Begins a task, and returns it.
async fn begun(world: &World, bob: &Agent, door: &str, id: &str, text: &str) -> Result<Value> {
    let answer = call(
        world,
        bob,
        door,
        "SendMessage",
        message(id, text, json!({})),
    )
    .await?;
    ensure!(answer["result"]["task"]["id"].is_string(), "{answer:#}");
    Ok(answer["result"]["task"].clone())
}

/// A task when its state is one of these.
async fn until(
    world: &World,
    bob: &Agent,
    door: &str,
    task: &Value,
    states: &[&str],
) -> Result<Value> {
    let begin = std::time::Instant::now();
    loop {
        let read = call(world, bob, door, "GetTask", json!({"id": task["id"]})).await?;
        let state = read["result"]["status"]["state"]
            .as_str()
            .unwrap_or_default();
        if states
            .iter()
            .any(|one| state == format!("TASK_STATE_{one}"))
        {
            return Ok(read["result"].clone());
        }
        ensure!(begin.elapsed().as_secs() < 60, "{states:?}: {read:#}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A world in whose public circle `one` speaks first and `two`, who has tools, second.
async fn round(script: fn(&e2e::models::Asked) -> e2e::models::Say) -> Result<(World, Agent)> {
    let world = World::new(move |asked, _| match speaker(asked).as_str() {
        "one" => says("I am one."),
        _ => script(asked),
    })
    .await?;
    let one = world.persona(&plain()).await?;
    let mut two = with(&["api:create_post"], &json!({"steps": 3}));
    two["tools"][0]["approval"] = json!("always");
    let two = world.persona(&two).await?;
    let new = json!({"name": "open", "mode": "round_robin", "public": true, "members": [
        {"persona": one, "name": "one"}, {"persona": two, "name": "two"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    Ok((world, bob))
}

const DOOR: &str = "circles/open";

#[tokio::test]
async fn a_task_of_a_circle_says_that_a_later_speaker_waits_for_approval() -> Result<()> {
    let (world, bob) = round(|asked| match results(asked) {
        0 => calls(&[(
            "create_post",
            r#"{"title": "News", "body": "Is there any?"}"#,
        )]),
        _ => says("I am two."),
    })
    .await?;
    let task = begun(&world, &bob, DOOR, "m1", "Who are you?").await?;
    until(&world, &bob, DOOR, &task, &["AUTH_REQUIRED"]).await?;
    let states = json!({"status": "TASK_STATE_AUTH_REQUIRED"});
    let listed = call(&world, &bob, DOOR, "ListTasks", states).await?;
    assert_eq!(listed["result"]["tasks"][0]["id"], task["id"], "{listed:#}");
    let asked = world.get("/api/approvals?state=pending").await?;
    let approval = &asked["items"][0];
    let path = format!(
        "/api/approvals/{}/decision",
        approval["id"].as_str().unwrap_or_default()
    );
    let decision = json!({"decision": "approve", "digest": approval["digest"]});
    world.ask("POST", &path, &decision, 200).await?;
    let done = until(&world, &bob, DOOR, &task, &["COMPLETED"]).await?;
    let said: Vec<&Value> = done["artifacts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["parts"][0]["text"])
        .collect();
    assert_eq!(said, ["I am one.", "I am two."], "{done:#}");
    Ok(())
}

#[tokio::test]
async fn a_task_of_a_circle_ends_as_its_last_speaker_does() -> Result<()> {
    let (world, bob) = round(
        |asked| match body(asked).to_string().contains("long story") {
            true => begins("Once upon"),
            false => calls(&[("nothing", "{}")]),
        },
    )
    .await?;
    let limited = begun(&world, &bob, DOOR, "m1", "Who are you?").await?;
    let limited = until(&world, &bob, DOOR, &limited, &["FAILED", "COMPLETED"]).await?;
    assert_eq!(
        limited["status"]["state"], "TASK_STATE_FAILED",
        "{limited:#}"
    );
    let why = limited["status"]["message"]["parts"][0]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(why.starts_with("limited: "), "{why}");
    let task = begun(&world, &bob, DOOR, "m2", "Tell a long story.").await?;
    let id = json!({"id": task["id"]});
    let begin = std::time::Instant::now();
    loop {
        let read = call(&world, &bob, DOOR, "GetTask", id.clone()).await?;
        if read["result"]["artifacts"].as_array().map(Vec::len) == Some(1) {
            break;
        }
        ensure!(begin.elapsed().as_secs() < 60, "{read:#}");
    }
    let gone = call(&world, &bob, DOOR, "CancelTask", id.clone()).await?;
    assert_eq!(
        gone["result"]["status"]["state"], "TASK_STATE_CANCELED",
        "{gone:#}"
    );
    let twice = call(&world, &bob, DOOR, "CancelTask", id).await?;
    assert_eq!(twice["error"]["code"], -32002, "{twice:#}");
    Ok(())
}

#[tokio::test]
async fn a_message_to_a_task_that_goes_on_belongs_to_it() -> Result<()> {
    let world =
        World::without_worker(
            |asked, _| match body(asked).to_string().contains("And in French") {
                true => says("Bonjour."),
                false => says("Hello."),
            },
        )
        .await?;
    let persona = world.persona(&plain()).await?;
    let new = json!({"name": "open", "mode": "mention", "public": true, "members": [
        {"persona": persona, "name": "bot", "public": true}, {"persona": persona, "name": "shy"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    for door in ["agents/bot", DOOR] {
        let task = begun(&world, &bob, door, "m1", "Greet me.").await?;
        // It is at work when the second message comes.
        sqlx::query(
            "update circles.turn set status = 'running', started_at = now() where id = $1::uuid",
        )
        .bind(task["id"].as_str())
        .execute(&mut world.server.database.connect().await?)
        .await?;
        let more = message("m2", "And in French?", json!({"taskId": task["id"]}));
        for _ in 0..2 {
            let answer = call(&world, &bob, door, "SendMessage", more.clone()).await?;
            assert_eq!(
                answer["result"]["task"]["id"], task["id"],
                "{door}: {answer:#}"
            );
        }
        let context = task["contextId"].as_str().unwrap_or_default();
        let turns = format!("/api/conversations/{context}/turns");
        let (_, listed) = bob.get(&world.server, &turns).await?;
        assert_eq!(
            listed["items"].as_array().map(Vec::len),
            Some(1),
            "{door}: {listed:#}"
        );
        let other = message("m3", "Something else.", json!({"contextId": context}));
        let answer = call(&world, &bob, door, "SendMessage", other).await?;
        assert_ne!(
            answer["result"]["task"]["id"], task["id"],
            "{door}: {answer:#}"
        );
    }
    // Whom it addresses, in a circle, answers within the task too.
    let task = begun(&world, &bob, DOOR, "m4", "Greet me.").await?;
    let more = message("m5", "@shy, and in French?", json!({"taskId": task["id"]}));
    let answer = call(&world, &bob, DOOR, "SendMessage", more).await?;
    assert_eq!(answer["result"]["task"]["id"], task["id"], "{answer:#}");
    let listed = call(
        &world,
        &bob,
        DOOR,
        "ListTasks",
        json!({"contextId": task["contextId"]}),
    )
    .await?;
    assert_eq!(listed["result"]["totalSize"], 1, "{listed:#}");
    let _worker = world.server.worker(e2e::errands::quick()).await?;
    let done = until(&world, &bob, DOOR, &task, &["COMPLETED"]).await?;
    assert_eq!(
        done["artifacts"].as_array().map(Vec::len),
        Some(2),
        "{done:#}"
    );
    // To a task that has ended, nothing is sent.
    let late = message("m6", "Thanks.", json!({"taskId": task["id"]}));
    let refused = call(&world, &bob, DOOR, "SendMessage", late).await?;
    assert_eq!(refused["error"]["code"], -32004, "{refused:#}");
    Ok(())
}
