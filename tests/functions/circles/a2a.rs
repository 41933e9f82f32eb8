//! A2A 1.0: cards, tasks and streams, by hand and with the official clients.

use anyhow::{Context, Result, ensure};
use e2e::agents::Agent;
use e2e::libraries::{installed, run};
use serde_json::{Value, json};

use crate::jobs::agent_turn::world::{World, ask, begins, body, plain, says, speaker};

/// A world with the public agent `bot` of ada's.
async fn public(world: &World) -> Result<()> {
    let persona = world.persona(&plain()).await?;
    let new = json!({"name": "open", "mode": "mention", "public": true, "members": [
        {"persona": persona, "name": "bot", "public": true}, {"persona": persona, "name": "shy"}]});
    world.ask("POST", "/api/circles", &new, 201).await?;
    Ok(())
}

/// Calls a method, and returns the whole answer.
async fn call(
    world: &World,
    who: &Agent,
    door: &str,
    method: &str,
    params: Value,
) -> Result<Value> {
    let request = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let answer = world
        .server
        .http
        .post(format!("{}/a2a/{door}", world.server.url))
        .bearer_auth(&who.token)
        .header("a2a-version", "1.0")
        .json(&request)
        .send()
        .await?;
    ensure!(answer.status() == 200, "{}", answer.status());
    Ok(answer.json().await?)
}

fn message(id: &str, text: &str) -> Value {
    json!({"message": {"messageId": id, "role": "ROLE_USER", "parts": [{"text": text}]}})
}

/// The tasks of a list with these parameters, and the number of all that fit.
async fn tasks(world: &World, who: &Agent, params: Value) -> Result<(Vec<Value>, Value)> {
    let listed = call(world, who, "agents/bot", "ListTasks", params).await?;
    let result = &listed["result"];
    let tasks = result["tasks"].as_array().cloned();
    Ok((
        tasks.with_context(|| listed.to_string())?,
        result["totalSize"].clone(),
    ))
}

async fn lists_hold_what_is_asked_for(world: &World, who: &Agent) -> Result<()> {
    let whole = json!({"status": "TASK_STATE_UNSPECIFIED", "includeArtifacts": true});
    let (all, total) = tasks(world, who, whole).await?;
    assert_eq!(total, json!(all.len()));
    assert!(all.iter().any(|task| task["artifacts"] != json!([])));
    for state in ["COMPLETED", "CANCELED", "FAILED", "REJECTED"] {
        let state = format!("TASK_STATE_{state}");
        let expected: Vec<&Value> = all
            .iter()
            .filter(|task| task["status"]["state"] == state)
            .map(|task| &task["id"])
            .collect();
        let (some, total) = tasks(world, who, json!({"status": state, "historyLength": 0})).await?;
        let ids: Vec<&Value> = some.iter().map(|task| &task["id"]).collect();
        assert_eq!(
            (ids, total),
            (expected.clone(), json!(expected.len())),
            "{state}"
        );
        for task in &some {
            let members = task.as_object().context("a task")?;
            assert!(!members.contains_key("artifacts") && !members.contains_key("history"));
        }
    }
    // Those that changed last come first, page by page.
    let mut paged = vec![];
    let mut token = json!("");
    loop {
        let params = json!({"pageSize": 1, "pageToken": token, "includeArtifacts": true});
        let page = call(world, who, "agents/bot", "ListTasks", params).await?;
        paged.extend(page["result"]["tasks"].as_array().context("tasks")?.clone());
        token = page["result"]["nextPageToken"].clone();
        if token == "" {
            break;
        }
    }
    assert_eq!(paged, all);
    let times = all.iter().map(|task| task["status"]["timestamp"].as_str());
    assert!(times.is_sorted_by(|before, after| before >= after));
    let (later, total) = tasks(
        world,
        who,
        json!({"statusTimestampAfter": "2099-01-01T00:00:00Z"}),
    )
    .await?;
    assert_eq!((later, total), (vec![], json!(0)));
    Ok(())
}

#[tokio::test]
async fn the_official_clients_talk_with_an_agent() -> Result<()> {
    let files = "tests/functions/circles/clients";
    let packages = ["a2a-sdk[signing]==1.3.0", "httpx"];
    let Some(folder) = installed("a2a-clients", files, &packages).await? else {
        return Ok(());
    };
    let world = World::new(|asked, _| {
        if body(asked).to_string().contains("long story") {
            begins("Once upon")
        } else {
            says("Hello, client.")
        }
    })
    .await?;
    public(&world).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let dan = Agent::sign_in(&world.server, "dan", 4).await?;
    let url = format!("{}/a2a/agents/bot", world.server.url);
    let keys = format!("{}/.well-known/jwks.json", world.server.url);
    for (script, who) in [("client.py", &bob), ("client.mjs", &dan)] {
        let said = run(&folder, script, &[&url, &who.token, &keys]).await?;
        assert!(said.contains("all is well"), "{script}: {said}");
    }
    // A stranger is told nothing of it.
    let carol = Agent::sign_in(&world.server, "carol", 3).await?;
    let listed = call(&world, &bob, "agents/bot", "ListTasks", json!({})).await?;
    let task = listed["result"]["tasks"][0]["id"].clone();
    lists_hold_what_is_asked_for(&world, &bob).await?;
    let other = call(&world, &carol, "agents/bot", "GetTask", json!({"id": task})).await?;
    assert_eq!(other["error"]["code"], -32001, "{other:#}");
    Ok(())
}

#[tokio::test]
async fn a_card_is_there_for_what_is_public_alone() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    public(&world).await?;
    let card = |door: &str| {
        format!(
            "{}/a2a/{door}/.well-known/agent-card.json",
            world.server.url
        )
    };
    let answer = world.server.http.get(card("agents/bot")).send().await?;
    assert_eq!(answer.status(), 200);
    let tag = answer.headers().get("etag").context("ETag")?.clone();
    let shown: Value = answer.json().await?;
    assert_eq!(
        shown["supportedInterfaces"][0]["protocolVersion"], "1.0",
        "{shown:#}"
    );
    assert_eq!(shown["signatures"].as_array().map(Vec::len), Some(1));
    let again = world
        .server
        .http
        .get(card("agents/bot"))
        .header("if-none-match", tag)
        .send()
        .await?;
    assert_eq!(again.status(), 304);
    assert_eq!(
        world
            .server
            .http
            .get(card("circles/open"))
            .send()
            .await?
            .status(),
        200
    );
    for none in ["agents/shy", "agents/ada", "circles/closed", "others/bot"] {
        assert_eq!(
            world.server.http.get(card(none)).send().await?.status(),
            404,
            "{none}"
        );
    }
    let off = json!({"public": false});
    world
        .ask("PUT", "/api/circles/open/members/bot", &off, 200)
        .await?;
    assert_eq!(
        world
            .server
            .http
            .get(card("agents/bot"))
            .send()
            .await?
            .status(),
        404
    );
    Ok(())
}

#[tokio::test]
async fn a_task_is_cancelled_and_a_circle_answers_until_it_rests() -> Result<()> {
    let world = World::new(|asked, _| {
        match (
            speaker(asked).as_str(),
            body(asked).to_string().contains("long story"),
        ) {
            ("bot", true) => begins("Once upon"),
            ("bot", false) => says("Ask @shy."),
            (name, _) => says(&format!("I am {name}.")),
        }
    })
    .await?;
    public(&world).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let mut story = message("m1", "Tell a long story.");
    story["configuration"] = json!({"returnImmediately": true});
    let begun = call(&world, &bob, "agents/bot", "SendMessage", story).await?;
    let task = begun["result"]["task"].clone();
    assert!(
        ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"]
            .contains(&task["status"]["state"].as_str().unwrap_or_default()),
        "{begun:#}"
    );
    let id = json!({"id": task["id"]});
    let gone = call(&world, &bob, "agents/bot", "CancelTask", id.clone()).await?;
    assert_eq!(
        gone["result"]["status"]["state"], "TASK_STATE_CANCELED",
        "{gone:#}"
    );
    let twice = call(&world, &bob, "agents/bot", "CancelTask", id.clone()).await?;
    assert_eq!(twice["error"]["code"], -32002, "{twice:#}");
    let late = call(&world, &bob, "agents/bot", "SubscribeToTask", id).await?;
    assert_eq!(
        (&late["error"]["code"], &late["error"]["data"][0]["reason"]),
        (&json!(-32004), &json!("UNSUPPORTED_OPERATION")),
        "{late:#}"
    );
    // A task stays in its conversation.
    let mut story = message("m3", "Tell another long story.");
    story["configuration"] = json!({"returnImmediately": true});
    let other = call(&world, &bob, "agents/bot", "SendMessage", story).await?;
    let mut more = message("m4", "Longer, please.");
    more["message"]["taskId"] = other["result"]["task"]["id"].clone();
    more["message"]["contextId"] = task["contextId"].clone();
    let refused = call(&world, &bob, "agents/bot", "SendMessage", more).await?;
    assert_eq!(refused["error"]["code"], -32602, "{refused:#}");

    let answered = call(
        &world,
        &bob,
        "circles/open",
        "SendMessage",
        message("m2", "Who are you?"),
    )
    .await?;
    let task = &answered["result"]["task"];
    assert_eq!(
        task["status"]["state"], "TASK_STATE_COMPLETED",
        "{answered:#}"
    );
    let said: Vec<_> = task["artifacts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["parts"][0]["text"].as_str())
        .collect();
    assert_eq!(said, ["Ask @shy.", "I am shy."]);
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_is_an_error_of_the_protocol() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    public(&world).await?;
    let door = "agents/bot";
    for (method, params, code) in [
        ("Nonsense", json!({}), -32601),
        ("SendMessage", json!({}), -32602),
        ("SendMessage", message("m1", " "), -32602),
        ("SendMessage", message("m\0", "a"), -32602),
        (
            "SendMessage",
            json!({"message": {"messageId": "m", "parts": [{"url": "http://a"}]}}),
            -32005,
        ),
        (
            "SendMessage",
            json!({"message": {"messageId": "m", "contextId": "x", "parts": [{"text": "a"}]}}),
            -32602,
        ),
        (
            "SendMessage",
            json!({"message": {"messageId": "m", "taskId": "x", "parts": [{"text": "a"}]}}),
            -32001,
        ),
        ("GetTask", json!({"id": "x"}), -32001),
        ("GetExtendedAgentCard", json!({}), -32004),
        ("ListTasks", json!({"pageToken": "x"}), -32602),
        ("CreateTaskPushNotificationConfig", json!({}), -32003),
        ("ListTasks", json!({"pageSize": 0}), -32602),
        ("ListTasks", json!({"status": "NONSENSE"}), -32602),
        ("ListTasks", json!({"historyLength": -1}), -32602),
        ("ListTasks", json!({"statusTimestampAfter": "now"}), -32602),
    ] {
        let answer = call(&world, &world.ada, door, method, params).await?;
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&json!(7), &json!(code)),
            "{method}: {answer:#}"
        );
    }
    let url = format!("{}/a2a/{door}", world.server.url);
    let send = |version: &'static str, body: &'static str| {
        let request = world
            .server
            .http
            .post(&url)
            .bearer_auth(&world.ada.token)
            .header("a2a-version", version);
        request
            .header("content-type", "application/json")
            .body(body)
    };
    let list = r#"{"jsonrpc": "2.0", "id": 1, "method": "ListTasks"}"#;
    for (version, body, code) in [
        ("0.3", list, -32009),
        ("1.0", "{", -32700),
        ("1.0", "[]", -32600),
    ] {
        let answer: Value = send(version, body).send().await?.json().await?;
        assert_eq!(answer["error"]["code"], code, "{answer:#}");
    }
    let nobody = world
        .server
        .http
        .post(&url)
        .header("a2a-version", "1.0")
        .body(list)
        .send()
        .await?;
    assert_eq!(nobody.status(), 401);
    ask(
        &world.server,
        &world.ada,
        "POST",
        "/a2a/agents/shy",
        &json!({}),
        404,
    )
    .await?;
    Ok(())
}
