//! What clients rely on in requests of conversations, turns and members: shapes, codes, fields, and repeated requests.

use anyhow::{Context, Result};
use e2e::agents::Agent;
use e2e::client::read;
use serde_json::{Value, json};

use crate::jobs::agent_turn::servers::server;
use crate::jobs::agent_turn::world::{World, ask, plain, says, text};

/// Sends a request with a key twice, and returns both answers and the location of the first.
async fn twice(
    world: &World,
    path: &str,
    body: &Value,
    status: u16,
) -> Result<(Value, Value, Option<String>)> {
    let send = || {
        let request = world.ada.request(&world.server, "POST", path);
        request.header("idempotency-key", path).json(body).send()
    };
    let first = send().await?;
    let location = first.headers().get("location");
    let location = location.and_then(|at| at.to_str().ok()).map(str::to_owned);
    let (first, second) = (read(first).await?, read(send().await?).await?);
    assert_eq!(
        (first.0, second.0),
        (status, status),
        "{path}: {} {}",
        first.1,
        second.1
    );
    Ok((first.1, second.1, location))
}

/// A world whose model is at its servers of tools too, and a circle of ada's with the agents `one` and `two`.
async fn pair(mode: &str) -> Result<(World, String)> {
    let world = World::without_worker(|asked, _| match asked.path.as_str() {
        "/mcp" => server(asked, 0),
        _ => says("Hello."),
    })
    .await?;
    let new = json!({"name": "pair", "mode": mode});
    world.circle(&new, &plain(), &["one", "two"]).await?;
    let talk = world.conversation(&json!({"circle": "pair"})).await?;
    Ok((world, talk))
}

/// The field of a request that is refused as invalid.
async fn field(world: &World, method: &str, path: &str, body: Value) -> Result<String> {
    let refused = world.ask(method, path, &body, 422).await?;
    assert_eq!(refused["code"], "invalid-input", "{path}: {refused:#}");
    text(&refused["errors"][0]["field"])
}

#[tokio::test]
async fn a_conversation_is_deleted_with_all_that_is_in_it() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let eve = Agent::sign_in(&world.server, "eve", 3).await?;
    let member = json!({"account": "bob"});
    world
        .ask("POST", "/api/circles/pair/members", &member, 201)
        .await?;
    let posted = world
        .post(&talk, &json!({"body": "@one, the canary is yellow."}))
        .await?;
    let turn = text(&posted["turns"][0]["id"])?;
    let job = world.get(&format!("/api/turns/{turn}")).await?["job"].clone();
    let path = format!("/api/conversations/{talk}");
    ask(&world.server, &eve, "DELETE", &path, &json!({}), 404).await?;
    let refused = ask(&world.server, &bob, "DELETE", &path, &json!({}), 403).await?;
    assert_eq!(refused["code"], "forbidden");
    world.ask("DELETE", &path, &json!({}), 204).await?;
    for gone in [
        path.clone(),
        format!("{path}/messages"),
        format!("{path}/turns"),
        format!("/api/channels/{talk}"),
        format!("/api/turns/{turn}"),
        format!("/api/turns/{turn}/steps"),
        format!("/api/events?topic=conversation:{talk}"),
    ] {
        let (status, answer) = world.ada.get(&world.server, &gone).await?;
        assert_eq!(status, 404, "{gone}: {answer:#}");
    }
    world.ask("DELETE", &path, &json!({}), 404).await?;
    assert_eq!(world.get("/api/conversations").await?["items"], json!([]));
    let mut database = world.server.database.connect().await?;
    let status: String =
        sqlx::query_scalar("select status::text from jobs.job where id = $1::uuid")
            .bind(text(&job)?)
            .fetch_one(&mut database)
            .await?;
    assert_eq!(status, "cancelled");
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from events.event e where e.data::text like '%canary%')
             + (select count(*) from inbox.item i where i.text like '%canary%')",
    )
    .fetch_one(&mut database)
    .await?;
    assert_eq!(left, 0, "nothing is left of its words");
    // A moderator of the circle deletes what others have begun there.
    let new = json!({"circle": "pair"});
    let made = ask(&world.server, &bob, "POST", "/api/conversations", &new, 201).await?;
    let path = format!("/api/conversations/{}", text(&made["id"])?);
    world.ask("DELETE", &path, &json!({}), 204).await?;
    // A direct channel stays.
    let direct = world
        .ask("POST", "/api/dms", &json!({"to": ["one"]}), 201)
        .await?;
    let path = format!("/api/conversations/{}", text(&direct["id"])?);
    world.ask("DELETE", &path, &json!({}), 403).await?;
    Ok(())
}

#[tokio::test]
async fn repeated_requests_begin_and_add_things_once() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let next = format!("/api/conversations/{talk}/next");
    let speaker = json!({"speaker": "two"});
    let (first, second, location) = twice(&world, &next, &speaker, 202).await?;
    let turn = &first["turn"];
    assert_eq!(
        (&turn["agent"]["name"], &turn["conversation"]),
        (&json!("two"), &json!(talk))
    );
    assert_eq!(first, second);
    assert_eq!(location, Some(format!("/api/turns/{}", text(&turn["id"])?)));
    let refused = world.ask("POST", &next, &speaker, 409).await?;
    assert_eq!(refused["code"], "turn-running");
    let turn = format!("/api/turns/{}", text(&turn["id"])?);
    world
        .ask("POST", &format!("{turn}/cancel"), &json!({}), 200)
        .await?;
    let (first, second, location) =
        twice(&world, &format!("{turn}/retry"), &json!({}), 202).await?;
    assert_eq!((&first, &first["status"]), (&second, &json!("queued")));
    assert_eq!(
        location,
        Some(format!("/api/turns/{}", text(&first["id"])?))
    );
    let source = json!({"name": "sky", "kind": "mcp", "url": format!("{}/mcp", world.models.url)});
    let (first, second, _) = twice(&world, "/api/tool-sources", &source, 201).await?;
    assert_eq!((&first, &first["name"]), (&second, &json!("sky")));
    Ok(())
}

#[tokio::test]
async fn a_client_names_its_messages_as_it_likes() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let path = format!("/api/conversations/{talk}/messages");
    let id = "6f1c1d1e-7a0b-4c3d-9e2f-0123456789ab";
    let message = json!({"body": "@one, hello.", "client_id": id});
    let posted = world.ask("POST", &path, &message, 201).await?;
    assert_eq!(posted["message"]["client_id"], id);
    let again = world.ask("POST", &path, &message, 200).await?;
    assert_eq!(again["message"]["id"], posted["message"]["id"]);
    // The name of another's turn makes no reply of it.
    let forged = json!({"body": "@two, hello.", "client_id": posted["turns"][0]["id"]});
    let posted = world.ask("POST", &path, &forged, 201).await?;
    assert_eq!(
        (&posted["message"]["turn"], &posted["message"]["hops"]),
        (&Value::Null, &json!(0))
    );
    Ok(())
}

#[tokio::test]
async fn refusals_name_the_field_that_was_given() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let path = format!("/api/conversations/{talk}");
    let messages = format!("{path}/messages");
    let members = "/api/circles/pair/members";
    for (method, path, body, expected) in [
        (
            "POST",
            messages.as_str(),
            json!({"body": "Hi", "to": ["nobody"]}),
            "to",
        ),
        (
            "POST",
            &messages,
            json!({"body": "Hi", "visible_to": ["nobody"]}),
            "visible_to",
        ),
        (
            "POST",
            "/api/conversations",
            json!({"with": ["nobody"]}),
            "with",
        ),
        (
            "POST",
            &format!("{path}/next"),
            json!({"speaker": "nobody"}),
            "speaker",
        ),
        ("POST", members, json!({"persona": "nothing"}), "persona"),
        ("POST", members, json!({"account": "nobody"}), "account"),
        (
            "PUT",
            &format!("{members}/one"),
            json!({"persona": "nothing"}),
            "persona",
        ),
        (
            "PUT",
            &format!("{members}/one"),
            json!({"account": "two"}),
            "account",
        ),
    ] {
        assert_eq!(
            field(&world, method, path, body).await?,
            expected,
            "{method} {path}"
        );
    }
    world
        .ask("GET", "/api/circles/pa%00ir", &json!({}), 404)
        .await?;
    let put = json!({"account": "one", "role": "observer", "order": 7});
    let changed = world
        .ask("PUT", &format!("{members}/one"), &put, 200)
        .await?;
    assert_eq!(
        (&changed["role"], &changed["order"]),
        (&json!("observer"), &json!(7))
    );
    // Who is no member yet is added by it, as in channels.
    Agent::sign_in(&world.server, "bob", 2).await?;
    let put = json!({"role": "moderator"});
    let added = world
        .ask("PUT", &format!("{members}/bob"), &put, 201)
        .await?;
    assert_eq!(
        (&added["role"], &added["account"]["name"]),
        (&json!("moderator"), &json!("bob"))
    );
    world
        .ask("PUT", &format!("{members}/nobody"), &put, 404)
        .await?;
    world
        .ask("DELETE", &format!("{members}/nobody"), &json!({}), 404)
        .await?;
    Ok(())
}

#[tokio::test]
async fn turns_are_listed_by_name_and_by_known_statuses() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let turn = world.say(&talk, "@one, hello.").await?;
    for (query, expected) in [
        ("agent=one", 1),
        ("agent=one&status=queued", 1),
        ("agent=one&status=completed", 0),
        ("agent=two", 0),
        ("agent=nobody", 0),
    ] {
        let listed = world.get(&format!("/api/turns?{query}")).await?;
        let items = listed["items"].as_array().context("items")?;
        assert_eq!(items.len(), expected, "{query}: {listed:#}");
        assert!(items.iter().all(|one| one["id"] == turn.as_str()));
    }
    let refused = field(&world, "GET", "/api/turns?status=nonsense", Value::Null).await?;
    assert_eq!(refused, "status");
    Ok(())
}

#[tokio::test]
async fn a_null_takes_away_what_was_set() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let rules = json!({"rounds": 2, "stalls": 3, "plan_signoff": true, "on_busy": "steer"});
    let budget = json!({"limit_microusd": 5, "period": "day"});
    let circle = "/api/circles/pair";
    let change = json!({"rules": rules, "budget": budget});
    let set = world.ask("PATCH", circle, &change, 200).await?;
    assert_eq!(
        (&set["rules"], &set["budget"]["limit_microusd"]),
        (&rules, &json!(5))
    );
    let kept = world
        .ask("PATCH", circle, &json!({"purpose": "Talk."}), 200)
        .await?;
    assert_eq!(kept["budget"], set["budget"]);
    let cleared = world
        .ask("PATCH", circle, &json!({"budget": null}), 200)
        .await?;
    assert_eq!(
        (&cleared["budget"], &cleared["rules"]),
        (&Value::Null, &rules)
    );
    let path = format!("/api/conversations/{talk}");
    let limits = json!({"limits": {"steps": 3}});
    assert_eq!(
        world.ask("PATCH", &path, &limits, 200).await?["limits"]["steps"],
        3
    );
    let kept = world
        .ask("PATCH", &path, &json!({"title": "Here"}), 200)
        .await?;
    assert_eq!(
        (&kept["limits"]["steps"], &kept["title"]),
        (&json!(3), &json!("Here"))
    );
    let cleared = world
        .ask("PATCH", &path, &json!({"limits": null}), 200)
        .await?;
    assert_eq!(
        (&cleared["limits"], &cleared["title"]),
        (&Value::Null, &json!("Here"))
    );
    Ok(())
}

#[tokio::test]
async fn agents_with_too_many_turns_begin_no_more() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let first = world.say(&talk, "@one, hello.").await?;
    let mut database = world.server.database.connect().await?;
    sqlx::query(
        "insert into circles.turn (channel_id, agent_id, persona_id, persona_version, cause_seq, status)
         select t.channel_id, t.agent_id, t.persona_id, t.persona_version, 0, 'queued'
         from circles.turn t, generate_series(1, 999) where t.id = $1::uuid",
    )
    .bind(&first)
    .execute(&mut database)
    .await?;
    let direct = world
        .ask("POST", "/api/dms", &json!({"to": ["two"]}), 201)
        .await?;
    let direct = format!("/api/channels/{}/messages", text(&direct["id"])?);
    let message = json!({"body": "@two, and you?"});
    for path in [format!("/api/conversations/{talk}/messages"), direct] {
        let answer = world
            .ada
            .request(&world.server, "POST", &path)
            .json(&message)
            .send()
            .await?;
        let wait = answer.headers().get("retry-after").cloned();
        let (status, refused) = read(answer).await?;
        assert_eq!(
            (status, &refused["code"]),
            (429, &json!("too-many-turns")),
            "{path}"
        );
        assert_eq!(wait.context("Retry-After")?, "10");
    }
    assert_eq!(
        world.messages(&talk).await?.len(),
        1,
        "what is refused is not stored"
    );
    sqlx::query(
        "update circles.turn set status = 'cancelled', finished_at = now() where cause_seq = 0",
    )
    .execute(&mut database)
    .await?;
    world.say(&talk, "@two, and you?").await?;
    Ok(())
}

#[tokio::test]
async fn a_young_account_talks_with_its_own_agents_as_it_likes() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    for number in 0..62 {
        world
            .post(&talk, &json!({"body": format!("Message {number}.")}))
            .await?;
    }
    // What it says to itself does not count where others read.
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let shared = world.conversation(&json!({"with": [bob.id]})).await?;
    for number in 0..60 {
        world
            .post(&shared, &json!({"body": format!("Message {number}.")}))
            .await?;
    }
    let path = format!("/api/conversations/{shared}/messages");
    let refused = world
        .ask("POST", &path, &json!({"body": "One more."}), 429)
        .await?;
    assert_eq!(refused["code"], "new-account");
    world.post(&talk, &json!({"body": "Here still."})).await?;
    Ok(())
}

#[tokio::test]
async fn a_direct_channel_is_listed_and_told_like_every_conversation() -> Result<()> {
    let (world, talk) = pair("mention").await?;
    let direct = world
        .ask("POST", "/api/dms", &json!({"to": ["one"]}), 201)
        .await?;
    let direct = text(&direct["id"])?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    world
        .ask("POST", "/api/dms", &json!({"to": ["bob"]}), 201)
        .await?;
    let listed = world.get("/api/conversations").await?;
    let ids: Vec<&Value> = listed["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, [&json!(direct), &json!(talk)], "{listed:#}");
    let one = world.get(&format!("/api/conversations/{direct}")).await?;
    assert_eq!(listed["items"][0], one);
    let of_circle = world.get("/api/conversations?circle=pair").await?;
    assert_eq!(of_circle["items"].as_array().map(Vec::len), Some(1));
    let (_, others) = bob.get(&world.server, "/api/conversations").await?;
    assert_eq!(others["items"], json!([]));
    world.post(&direct, &json!({"body": "Hello."})).await?;
    let events = world
        .get(&format!("/api/events?topic=conversation:{direct}"))
        .await?;
    let created = events["items"].as_array().into_iter().flatten();
    let created: Vec<&Value> = created
        .filter(|one| one["type"] == "message.created")
        .collect();
    assert_eq!(created.len(), 1, "{events:#}");
    assert_eq!(created[0]["data"]["body"], "Hello.");
    Ok(())
}

#[tokio::test]
async fn an_agent_begins_a_conversation_with_its_greeting() -> Result<()> {
    let (world, _) = pair("mention").await?;
    let host =
        json!({"name": "host", "instructions": "Be kind.", "greeting": "Hello, *stranger*!"});
    let made = world.ask("POST", "/api/personas", &host, 201).await?;
    assert_eq!(made["greeting"], "Hello, *stranger*!");
    let member = json!({"persona": "host", "name": "host"});
    world
        .ask("POST", "/api/circles/pair/members", &member, 201)
        .await?;
    let talk = world.conversation(&json!({"with": ["host"]})).await?;
    let expected = [("host".to_owned(), "Hello, *stranger*!".to_owned())];
    assert_eq!(world.messages(&talk).await?, expected);
    assert_eq!(world.rested(&talk).await?.len(), 0, "nobody has thought");
    let change = json!({"greeting": "Good evening."});
    let path = format!("/api/personas/{}", text(&made["id"])?);
    world.ask("PATCH", &path, &change, 200).await?;
    let direct = world
        .ask("POST", "/api/dms", &json!({"to": ["host"]}), 201)
        .await?;
    let said = world.messages(&text(&direct["id"])?).await?;
    assert_eq!(said, [("host".to_owned(), "Good evening.".to_owned())]);
    // It greets neither where others would be woken by it, nor whom it does not think for.
    let both = world
        .conversation(&json!({"with": ["host", "one"]}))
        .await?;
    assert_eq!(world.messages(&both).await?, []);
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let direct = ask(
        &world.server,
        &bob,
        "POST",
        "/api/dms",
        &json!({"to": ["host"]}),
        201,
    )
    .await?;
    let path = format!("/api/conversations/{}/messages", text(&direct["id"])?);
    assert_eq!(bob.get(&world.server, &path).await?.1["items"], json!([]));
    let empty = json!({"name": "mute", "greeting": " "});
    assert_eq!(
        field(&world, "POST", "/api/personas", empty).await?,
        "greeting"
    );
    Ok(())
}
