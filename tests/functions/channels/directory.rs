//! Channels through the front door: the directory, members and their roles, privacy.

use super::actions::{channel, each, post};
use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::{read, refusal},
    sockets::Client,
};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_public_channel_is_found_joined_changed_and_left() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let new = json!({ "name": "general", "topic": "Всё и ничего" });
    let request = ada.request(&server, "POST", "/api/channels").json(&new);
    let made = request.header("idempotency-key", "k").send().await?;
    assert_eq!(made.status(), 201);
    let location = made.headers()["location"].to_str()?.to_owned();
    let made: Value = made.json().await?;
    assert_eq!(made["role"], "owner");
    let again = ada.request(&server, "POST", "/api/channels").json(&new);
    let again = again.header("idempotency-key", "k").send().await?;
    assert_eq!(read(again).await?, (201, made.clone()));
    let taken = bob.send(&server, "POST", "/api/channels", &new).await?;
    assert_eq!(refusal(&taken), (409, "name-taken"));
    for bad in [
        "a",
        "Ab",
        "unread",
        "a b",
        "01890000-0000-7000-8000-000000000000",
    ] {
        let refused = bob
            .send(&server, "POST", "/api/channels", &json!({ "name": bad }))
            .await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{bad}");
    }
    let turned = json!({ "name": "turned", "topic": "a\u{202e}b" });
    assert_eq!(
        bob.send(&server, "POST", "/api/channels", &turned).await?.0,
        422
    );

    // Found by name, by topic in another case, by id.
    for query in ["gener", "%D0%92%D0%A1%D0%81", "general%20%D0%BD%D0%B8"] {
        let (_, list) = bob
            .get(&server, &format!("/api/channels?query={query}"))
            .await?;
        assert_eq!(each(&list, "name"), ["general"], "{query}");
    }
    let (_, none) = bob.get(&server, "/api/channels?query=%25").await?;
    assert_eq!(none["items"], json!([]));
    for path in [location.as_str(), "/api/channels/general"] {
        let (status, seen) = bob.get(&server, path).await?;
        assert_eq!(
            (status, &seen["id"], &seen["role"]),
            (200, &made["id"], &Value::Null)
        );
    }
    let (_, joined) = bob.get(&server, "/api/channels?joined=true").await?;
    assert_eq!(joined["items"], json!([]));

    // Who is no member reads, and writes nothing.
    let unasked = json!({ "body": "hi" });
    let refused = bob
        .send(&server, "POST", "/api/channels/general/messages", &unasked)
        .await?;
    assert_eq!(refusal(&refused), (403, "not-a-member"));
    let (status, seen) = bob
        .send(&server, "POST", "/api/channels/general/join", &json!({}))
        .await?;
    assert_eq!(
        (status, &seen["role"], &seen["members"]),
        (200, &json!("member"), &json!(2))
    );
    assert_eq!(
        bob.send(&server, "POST", "/api/channels/general/join", &json!({}))
            .await?
            .0,
        200
    );
    let (_, joined) = bob.get(&server, "/api/channels?joined=true").await?;
    assert_eq!(each(&joined, "name"), ["general"]);

    let change = async |who: &Agent, change: Value| {
        who.send(&server, "PATCH", "/api/channels/general", &change)
            .await
    };
    assert_eq!(
        refusal(&change(&bob, json!({ "topic": "mine" })).await?),
        (403, "forbidden")
    );
    let (status, changed) = change(&ada, json!({ "topic": "new", "slow_mode_ms": 1000.0 })).await?;
    assert_eq!(
        (status, &changed["topic"], &changed["version"]),
        (200, &json!("new"), &json!(2))
    );
    let (_, list) = bob.get(&server, "/api/channels?query=new").await?;
    assert_eq!(each(&list, "name"), ["general"]);

    // Archived, it is read, and nothing changes.
    assert_eq!(change(&ada, json!({ "archived": true })).await?.0, 200);
    let (_, open) = bob.get(&server, "/api/channels").await?;
    assert_eq!(open["items"], json!([]));
    let (_, archived) = bob.get(&server, "/api/channels?archived=true").await?;
    assert_eq!(each(&archived, "name"), ["general"]);
    let closed = (409, "channel-archived");
    let messages = "/api/channels/general/messages";
    let late = bob
        .send(&server, "POST", messages, &json!({ "body": "x" }))
        .await?;
    assert_eq!(refusal(&late), closed);
    assert_eq!(
        refusal(&change(&ada, json!({ "topic": "x" })).await?),
        closed
    );
    assert_eq!(change(&ada, json!({ "archived": false })).await?.0, 200);

    // The last owner stays while others are in it.
    let leave = async |who: &Agent| {
        let nothing = json!({});
        who.send(&server, "POST", "/api/channels/general/leave", &nothing)
            .await
    };
    assert_eq!(refusal(&leave(&ada).await?), (409, "last-owner"));
    assert_eq!(leave(&bob).await?.0, 204);
    assert_eq!(refusal(&leave(&bob).await?), (403, "not-a-member"));
    assert_eq!(leave(&ada).await?.0, 204);
    let (_, empty) = bob.get(&server, "/api/channels/general").await?;
    assert_eq!(
        (&empty["archived"], &empty["members"]),
        (&json!(true), &json!(0))
    );
    Ok(())
}

#[tokio::test]
async fn roles_say_who_adds_promotes_and_takes_out() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let id = channel(&server, &ada, "team", true).await?;
    let members = format!("/api/channels/{id}/members");
    let add = async |by: &Agent, account: &str, role: &str| {
        let new = json!({ "account": account, "role": role });
        by.send(&server, "POST", &members, &new).await
    };
    let (status, added) = add(&ada, "bob", "moderator").await?;
    assert_eq!(
        (status, &added["role"], &added["name"]),
        (201, &json!("moderator"), &json!("bob"))
    );
    assert_eq!(
        add(&ada, "bob", "member").await?.1["role"],
        "moderator",
        "it keeps its role"
    );
    assert_eq!(
        refusal(&add(&ada, "nobody", "member").await?),
        (404, "not-found")
    );
    assert_eq!(
        refusal(&add(&bob, "eve", "owner").await?),
        (403, "forbidden")
    );
    assert_eq!(add(&bob, "eve", "member").await?.0, 201);
    assert_eq!(
        refusal(&add(&eve, "bob", "member").await?),
        (403, "forbidden")
    );
    let (_, list) = eve.get(&server, &members).await?;
    let mut names: Vec<_> = each(&list, "name");
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["ada", "bob", "eve"]);
    let (_, first) = eve.get(&server, &format!("{members}?limit=2")).await?;
    let next = first["next"].as_str().context("next")?;
    let (_, second) = eve
        .get(&server, &format!("{members}?limit=2&after={next}"))
        .await?;
    assert_eq!(
        (each(&first, "name").len(), each(&second, "name").len()),
        (2, 1)
    );

    let put = async |by: &Agent, account: Uuid, role: &str| {
        let path = format!("{members}/{account}");
        let role = json!({ "role": role });
        by.send(&server, "PUT", &path, &role).await
    };
    let out = async |by: &Agent, account: Uuid| {
        let path = format!("{members}/{account}");
        by.send(&server, "DELETE", &path, &json!({})).await
    };
    assert_eq!(
        refusal(&put(&bob, eve.id, "moderator").await?),
        (403, "forbidden")
    );
    assert_eq!(
        refusal(&put(&ada, ada.id, "member").await?),
        (409, "last-owner")
    );
    assert_eq!(refusal(&out(&bob, ada.id).await?), (403, "forbidden"));
    assert_eq!(refusal(&out(&eve, bob.id).await?), (403, "forbidden"));
    assert_eq!(put(&ada, bob.id, "owner").await?.0, 200);
    assert_eq!(out(&bob, ada.id).await?.0, 204, "owners are equal");
    assert_eq!(refusal(&out(&ada, bob.id).await?), (404, "not-found"));
    assert_eq!(refusal(&out(&bob, ada.id).await?), (404, "not-found"));
    let by_name = format!("{members}/eve");
    let out = bob.send(&server, "DELETE", &by_name, &json!({})).await?;
    assert_eq!(out.0, 204);
    Ok(())
}

/// Every operation on a channel or a message, as a stranger tries it.
async fn tries(
    server: &Server,
    who: &Agent,
    channel: &str,
    message: &str,
) -> Result<Vec<(String, (u16, Value))>> {
    let document: Value = serde_json::from_str(&std::fs::read_to_string(
        e2e::root().join("static/openapi.json"),
    )?)?;
    let mut answers = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        // Sockets are the gateway's.
        if !path.starts_with("/api/channels/{channel}") || path.ends_with("/ws") {
            continue;
        }
        for method in ["get", "post", "put", "patch", "delete"] {
            if item[method].is_null() {
                continue;
            }
            let filled = path
                .replace("{channel}", channel)
                .replace("{message}", message)
                .replace("{account}", &who.id.to_string())
                .replace("{version}", "1")
                .replace("{emoji}", "%F0%9F%91%8D");
            let query = if path.ends_with("/search") {
                "?query=secret"
            } else {
                ""
            };
            let body = json!({
                "body": "x", "account": "bob", "role": "member", "message_id": message, "notify": "all",
                "action": "hide", "reason": "x", "topic": "x",
            });
            let answer = who
                .send(
                    server,
                    &method.to_uppercase(),
                    &format!("{filled}{query}"),
                    &body,
                )
                .await?;
            answers.push((format!("{method} {path}"), answer));
        }
    }
    assert!(answers.len() >= 25, "{answers:#?}");
    Ok(answers)
}

#[tokio::test]
async fn a_private_channel_is_to_outsiders_as_one_that_is_not_there() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &ada, "hidden", true).await?;
    let message = post(&server, &ada, &id, "a secret for @bob").await?;
    let message = message["id"].as_str().context("id")?;
    let unknown = Uuid::now_v7().to_string();
    for reference in [id.as_str(), "hidden"] {
        let there = tries(&server, &bob, reference, message).await?;
        let not_there = tries(&server, &bob, &unknown, message).await?;
        for ((operation, mut there), (_, mut other)) in there.into_iter().zip(not_there) {
            there.1["request_id"] = Value::Null;
            other.1["request_id"] = Value::Null;
            assert_eq!(there.0, 404, "{operation}: {:#}", there.1);
            assert_eq!(there, other, "{operation}");
        }
    }
    // The name is free, and nothing counts or lists it.
    let own = channel(&server, &bob, "hidden", false).await?;
    let (_, found) = bob.get(&server, "/api/channels/hidden").await?;
    assert_eq!(found["id"], json!(own));
    let (_, list) = bob.get(&server, "/api/channels?query=hidden").await?;
    assert_eq!(each(&list, "id"), [&json!(own)]);
    let (_, unread) = bob.get(&server, "/api/channels/unread").await?;
    assert_eq!(each(&unread, "channel"), [&json!(own)]);
    let other = channel(&server, &bob, "another", false).await?;
    let one = format!("/api/channels/unread?channel={other}");
    let (_, unread) = bob.get(&server, &one).await?;
    assert_eq!(each(&unread, "channel"), [&json!(other)]);
    let (status, _) = bob
        .get(&server, &format!("/api/events?topic=channel:{id}"))
        .await?;
    assert_eq!(status, 404);
    let (_, events) = bob.get(&server, "/api/events?topic=account:me").await?;
    assert!(!events.to_string().contains("secret"), "{events:#}");

    // Its members know it by its name, and go on to do so where a public one has the same.
    let (_, seen) = ada.get(&server, &format!("/api/channels/{id}")).await?;
    assert_eq!(seen["name"], "hidden");

    // Who is taken out sees no more of it than a stranger.
    let add = json!({ "account": "bob" });
    ada.send(
        &server,
        "POST",
        &format!("/api/channels/{id}/members"),
        &add,
    )
    .await?;
    let (status, _) = bob
        .get(&server, &format!("/api/channels/{id}/messages"))
        .await?;
    assert_eq!(status, 200);
    let out = format!("/api/channels/{id}/members/{}", bob.id);
    assert_eq!(ada.send(&server, "DELETE", &out, &json!({})).await?.0, 204);
    for (operation, answer) in tries(&server, &bob, &id, message).await? {
        assert_eq!(answer.0, 404, "{operation}");
    }
    Ok(())
}

#[tokio::test]
async fn ownership_goes_on_where_an_account_is_suspended_or_leaves() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let id = channel(&server, &ada, "team", true).await?;
    let members = format!("/api/channels/{id}/members");
    for account in ["eve", "bob"] {
        let new = json!({ "account": account });
        assert_eq!(ada.send(&server, "POST", &members, &new).await?.0, 201);
    }
    let path = format!("{members}/{}", bob.id);
    ada.send(&server, "PUT", &path, &json!({ "role": "moderator" }))
        .await?;
    let message = post(&server, &ada, &id, "mine").await?;
    let end = |account: Uuid, status: &str, function: &str| {
        format!(
            "update identity.account set status = '{status}', name = name || '-gone' where id = '{account}';
             select channels.{function}('{account}')"
        )
    };
    server
        .database
        .execute(&format!(
            "update identity.account set status = 'suspended', name = 'ada-gone' where id = '{}'",
            ada.id
        ))
        .await?;
    let (_, seen) = bob.get(&server, &format!("/api/channels/{id}")).await?;
    assert_eq!(
        seen["role"], "owner",
        "the moderator before the elder member"
    );
    server
        .database
        .execute(&end(bob.id, "deleted", "forget_account"))
        .await?;
    let (_, seen) = eve.get(&server, &format!("/api/channels/{id}")).await?;
    assert_eq!(
        (&seen["role"], &seen["members"]),
        (&json!("owner"), &json!(2))
    );
    server
        .database
        .execute(&end(ada.id, "deleted", "forget_account"))
        .await?;
    let path = format!(
        "/api/channels/{id}/messages/{}",
        message["id"].as_str().context("id")?
    );
    let (_, left) = eve.get(&server, &path).await?;
    assert_eq!(
        (&left["body"], &left["author"]["name"]),
        (&json!("mine"), &json!("ada-gone-gone"))
    );
    let (_, events) = eve
        .get(&server, &format!("/api/events?topic=channel:{id}"))
        .await?;
    let told = events["items"].as_array().context("items")?;
    let created = told
        .iter()
        .find(|event| event["type"] == "message.created")
        .context("created")?;
    assert_eq!(
        created["data"]["author"]["name"], "ada-gone-gone",
        "the old name is nowhere"
    );
    Ok(())
}

#[tokio::test]
async fn every_list_of_channels_has_its_index() -> Result<()> {
    let database = e2e::Database::create().await?;
    let mut admin = database.connect().await?;
    sqlx::raw_sql("set enable_seqscan = off; set enable_sort = off; set search_path = channels")
        .execute(&mut admin)
        .await?;
    let me = "'00000000-0000-7000-8000-000000000000'::uuid";
    for (what, sql) in [
        ("the directory", "select * from channel c where not c.private and c.archived_at is null and c.name > 'a' order by c.name limit 21".to_owned()),
        ("the archive", "select * from channel c where not c.private and c.archived_at is not null and c.name > 'a' order by c.name limit 21".to_owned()),
        ("one's own channels", format!("select * from member b join channel c on c.id = b.channel_id where b.account_id = {me} order by b.channel_id desc limit 21")),
        ("members", format!("select * from member b where b.channel_id = {me} order by b.account_id limit 21")),
        ("history", format!("select * from readable_message({me}) r where r.channel_id = {me} and r.seq < 5 order by r.seq desc limit 21")),
        ("search", format!("select * from message w join readable_message({me}) r on r.id = w.id where w.channel_id = {me} and w.words like '%abc%'")),
        ("pins", format!("select * from pin p join readable_message({me}) r on r.id = p.message_id where p.channel_id = {me}")),
        ("receipts", format!("select * from member b where b.channel_id = {me} and b.read_at is not null order by b.read_at desc limit 1000")),
        ("messages of an account", format!("select * from message own join readable_message({me}) m on m.id = own.id where own.author_id = {me}")),
    ] {
        let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain {sql}")))
            .fetch_all(&mut admin)
            .await?;
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Function Scan"), "{what}:\n{plan}");
    }
    Ok(())
}

#[tokio::test]
async fn a_channel_that_becomes_private_keeps_its_new_name_from_those_outside() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &ada, "open", false).await?;
    let mut outside = Client::signed_in(&server.url, &bob).await?;
    outside.subscribe(&format!("channel:{id}"), None).await?;
    let change = json!({ "private": true, "name": "merger-x" });
    let path = format!("/api/channels/{id}");
    assert_eq!(ada.send(&server, "PATCH", &path, &change).await?.0, 200);
    let told = outside.until("denied").await?;
    assert!(!json!(told).to_string().contains("merger-x"), "{told:#?}");
    Ok(())
}

#[tokio::test]
async fn a_channel_that_is_deleted_leaves_nothing_in_events_and_inboxes() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = channel(&server, &ada, "short-lived", false).await?;
    let path = format!("/api/channels/{id}");
    let joined = bob
        .send(&server, "POST", &format!("{path}/join"), &json!({}))
        .await?;
    assert_eq!(joined.0, 200);
    post(&server, &ada, &id, "a canary for @bob").await?;
    let places = ["/api/inbox", "/api/events?topic=account:me"];
    for place in places {
        let (_, told) = bob.get(&server, place).await?;
        assert!(told.to_string().contains("canary"), "{place}: {told:#}");
    }
    assert_eq!(ada.send(&server, "DELETE", &path, &json!({})).await?.0, 204);
    for place in places {
        let (_, told) = bob.get(&server, place).await?;
        assert!(!told.to_string().contains("canary"), "{place}: {told:#}");
    }
    let kept = "select count(*) from events.event e where e.data::text like '%canary%'";
    let mut database = server.database.connect().await?;
    let kept: i64 = sqlx::query_scalar(kept).fetch_one(&mut database).await?;
    assert_eq!(kept, 0);
    Ok(())
}
