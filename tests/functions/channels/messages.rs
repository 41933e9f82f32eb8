//! Messages in channels: writing, edits, deletions, reactions, counts.

use super::world::{World, text};
use crate::functions::channels::actions::{channel, each, post};
use anyhow::{Context, Result};
use e2e::client::refusal;
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_is_rendered_once_and_told_to_readers() -> Result<()> {
    let world = World::new().await?;
    let attack = "**Hi** @bob <script>alert(1)</script> <b hx-get=\"/x\" id=\"main\" class=\"y\">x</b> ![i](https://e.example/i.png)";
    let (_, message) = world.post(&world.ada, attack).await?;
    let html = text(&message, "html")?;
    assert!(html.contains("<strong>Hi</strong> @bob"), "{html}");
    for gone in ["<script", "alert", "hx-get", "id=", "class=", "<img"] {
        assert!(!html.contains(gone), "{gone} in {html}");
    }
    assert_eq!(
        (&message["seq"], &message["version"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&message["author"]["name"], &message["body"]),
        (&json!("ada"), &json!(attack))
    );
    let events = world.events(&world.bob).await?;
    let told = events
        .iter()
        .find(|event| event["type"] == "message.created")
        .context("told")?;
    assert_eq!(told["data"]["body"], json!(attack));
    assert_eq!(told["data"]["html"], message["html"]);
    let one = world
        .get(&world.bob, &format!("/messages/{}", text(&message, "id")?))
        .await?;
    assert_eq!(
        (&one["mentioned"], &message["mentioned"]),
        (&json!(true), &json!(false))
    );

    for (body, accepted) in [
        ("a".repeat(16_384), 201),
        ("a".repeat(16_385), 422),
        (String::new(), 422),
        (" \n".to_owned(), 422),
        ("a\0b".to_owned(), 422),
        (">".repeat(10_000) + "x", 422),
        ("<div>".repeat(3000), 422),
        ("*".repeat(16_000), 201),
        ("[".repeat(16_000), 201),
        ("\u{202e}turned".to_owned(), 201),
    ] {
        let (status, answer) = world
            .send(&world.ada, "POST", "/messages", json!({ "body": body }))
            .await?;
        assert_eq!(status, accepted, "{:.40} {answer:.200}", body);
    }
    let foreign = channel(&world.server, &world.ada, "other", false).await?;
    let other = post(&world.server, &world.ada, &foreign, "there").await?;
    for (reply_to, status) in [
        (&message["id"], 201),
        (&other["id"], 422),
        (&json!(world.ada.id), 422),
    ] {
        let reply = json!({ "body": "re", "reply_to": reply_to });
        assert_eq!(
            world.send(&world.bob, "POST", "/messages", reply).await?.0,
            status
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_client_id_is_the_same_message() -> Result<()> {
    let world = World::new().await?;
    let new = json!({ "body": "once", "client_id": "c-1" });
    let (status, first) = world
        .send(&world.ada, "POST", "/messages", new.clone())
        .await?;
    assert_eq!((status, &first["client_id"]), (201, &json!("c-1")));
    let other = json!({ "body": "another text", "client_id": "c-1" });
    for again in [new.clone(), other] {
        let (status, same) = world.send(&world.ada, "POST", "/messages", again).await?;
        assert_eq!(
            (status, &same["id"], &same["body"]),
            (200, &first["id"], &json!("once"))
        );
    }
    let (status, theirs) = world
        .send(&world.bob, "POST", "/messages", new.clone())
        .await?;
    assert_eq!(status, 201, "another author");
    assert_ne!(theirs["id"], first["id"]);
    let elsewhere = channel(&world.server, &world.ada, "elsewhere", false).await?;
    let path = format!("/api/channels/{elsewhere}/messages");
    assert_eq!(
        world.ada.send(&world.server, "POST", &path, &new).await?.0,
        201
    );
    // Deleted, it is the same message still.
    let path = format!("/messages/{}", text(&first, "id")?);
    assert_eq!(
        world.send(&world.ada, "DELETE", &path, json!({})).await?.0,
        204
    );
    let (status, same) = world.send(&world.ada, "POST", "/messages", new).await?;
    assert_eq!(
        (status, &same["id"], &same["deleted"]),
        (200, &first["id"], &json!(true))
    );
    Ok(())
}

#[tokio::test]
async fn an_edit_keeps_what_was_said_for_author_and_moderators() -> Result<()> {
    let world = World::new().await?;
    let (path, _) = world.post(&world.bob, "my password is hunter2").await?;
    let (status, edited) = world
        .send(&world.bob, "PATCH", &path, json!({ "body": "nothing" }))
        .await?;
    assert_eq!(
        (status, &edited["version"], &edited["body"]),
        (200, &json!(2), &json!("nothing"))
    );
    assert!(edited["edited_at"].is_string());
    let refused = world
        .send(&world.ada, "PATCH", &path, json!({ "body": "mine" }))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    let refused = world
        .send(&world.eve, "PATCH", &path, json!({ "body": "mine" }))
        .await?;
    assert_eq!(refusal(&refused), (403, "not-a-member"));
    // What is kept of the event of its posting says what the message says now.
    let events = json!(world.events(&world.eve).await?).to_string();
    assert!(
        !events.contains("hunter2") && events.contains("nothing"),
        "{events}"
    );
    let (_, list) = world
        .eve
        .get(
            &world.server,
            &format!("{}/search?query=hunter2", world.path),
        )
        .await?;
    assert_eq!(list["items"], json!([]));

    let revisions = format!("{path}/revisions");
    for reader in [&world.bob, &world.ada] {
        let read = world.get(reader, &revisions).await?;
        assert_eq!(each(&read, "body"), ["nothing", "my password is hunter2"]);
    }
    let refused = world
        .eve
        .get(&world.server, &format!("{}{revisions}", world.path))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    for (version, status) in [(1, 204), (2, 404)] {
        let version = format!("{revisions}/{version}");
        let struck = world
            .send(&world.bob, "DELETE", &version, json!({}))
            .await?;
        assert_eq!(struck.0, status);
    }
    let read = world.get(&world.ada, &revisions).await?;
    assert_eq!(each(&read, "body"), ["nothing", ""]);
    assert_eq!(each(&read, "struck"), [false, true]);
    Ok(())
}

#[tokio::test]
async fn a_deletion_reaches_every_copy_and_keeps_the_place() -> Result<()> {
    let world = World::new().await?;
    let new = json!({ "body": "canary @bob" });
    let request = world
        .ada
        .request(&world.server, "POST", &format!("{}/messages", world.path));
    let message: Value = request
        .json(&new)
        .header("idempotency-key", "k")
        .send()
        .await?
        .json()
        .await?;
    let path = format!("/messages/{}", text(&message, "id")?);
    world
        .send(
            &world.ada,
            "PATCH",
            &path,
            json!({ "body": "canary two @bob" }),
        )
        .await?;
    let pin = format!("/pins/{}", text(&message, "id")?);
    assert_eq!(world.send(&world.ada, "PUT", &pin, json!({})).await?.0, 204);
    let thumb = format!("{path}/reactions/%F0%9F%91%8D");
    assert_eq!(
        world.send(&world.bob, "PUT", &thumb, json!({})).await?.0,
        200
    );
    let refused = world.send(&world.bob, "DELETE", &path, json!({})).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    for _ in 0..2 {
        assert_eq!(
            world.send(&world.ada, "DELETE", &path, json!({})).await?.0,
            204
        );
    }
    for reader in [&world.ada, &world.bob, &world.eve] {
        let history = world.get(reader, "/messages").await?;
        let gone = &history["items"][0];
        assert_eq!((&gone["deleted"], &gone["seq"]), (&json!(true), &json!(1)));
        assert_eq!(
            (&gone["author"], &gone["body"], &gone["html"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(
            (&gone["reactions"], &gone["pinned"]),
            (&json!([]), &json!(false))
        );
        for copy in ["/search?query=canary", "/pins"] {
            assert_eq!(world.get(reader, copy).await?["items"], json!([]), "{copy}");
        }
        let events = json!(world.events(reader).await?).to_string();
        assert!(!events.contains("canary"), "{events}");
    }
    let revisions = world
        .ada
        .get(&world.server, &format!("{}{path}/revisions", world.path))
        .await?;
    assert_eq!(revisions.0, 404);
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({ "body": "x" })),
        ("PUT", thumb, json!({})),
        ("PUT", pin, json!({})),
    ] {
        assert_eq!(
            world.send(&world.ada, method, &path, body).await?.0,
            404,
            "{path}"
        );
    }
    let mut admin = world.server.database.connect().await?;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from channels.message m where m::text like '%canary%')
              + (select count(*) from channels.revision r where r::text like '%canary%')
              + (select count(*) from channels.idempotency_key k where k::text like '%canary%')
              + (select count(*) from events.event e where e::text like '%canary%')",
    )
    .fetch_one(&mut admin)
    .await?;
    assert_eq!(left, 0, "no row has it");
    // Deleted whole, a channel leaves nothing either.
    world.post(&world.ada, "canary three").await?;
    let refused = world.send(&world.bob, "DELETE", "", json!({})).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    assert_eq!(
        world.send(&world.ada, "DELETE", "", json!({})).await?.0,
        204
    );
    assert_eq!(world.bob.get(&world.server, &world.path).await?.0, 404);
    let left: i64 =
        sqlx::query_scalar("select count(*) from events.event e where e::text like '%canary%'")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn one_glyph_is_one_reaction_of_an_account() -> Result<()> {
    let world = World::new().await?;
    let (path, _) = world.post(&world.ada, "react").await?;
    let put = |who, emoji: &str| {
        let path = format!("{path}/reactions/{emoji}");
        let world = &world;
        async move { world.send(who, "PUT", &path, json!({})).await }
    };
    for emoji in ["%F0%9F%91%8D", "%F0%9F%91%8D%EF%B8%8F", "%F0%9F%91%8D"] {
        let (status, message) = put(&world.bob, emoji).await?;
        assert_eq!(status, 200);
        assert_eq!(
            message["reactions"],
            json!([{ "emoji": "👍", "count": 1, "me": true }])
        );
    }
    let (_, message) = put(&world.ada, "%F0%9F%91%8D").await?;
    assert_eq!(message["reactions"][0]["count"], 2);
    for emoji in [
        "a",
        "%E4%B8%AD",
        "%F0%9F%91%8D%F0%9F%91%8D",
        &"%F0%9F%91%8D".repeat(300),
    ] {
        assert_eq!(put(&world.bob, emoji).await?.0, 422, "{emoji:.20}");
    }
    assert_eq!(
        refusal(&put(&world.eve, "%F0%9F%91%8D").await?),
        (403, "not-a-member")
    );
    let remove = format!("{path}/reactions/%F0%9F%91%8D%EF%B8%8F");
    for _ in 0..2 {
        let (status, message) = world.send(&world.bob, "DELETE", &remove, json!({})).await?;
        assert_eq!(
            (status, &message["reactions"][0]["count"]),
            (200, &json!(1))
        );
    }
    let events = world.events(&world.eve).await?;
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "message.reaction")
        .collect();
    assert_eq!(told.len(), 3, "what changed nothing is not told");
    assert_eq!(told[2]["data"]["added"], false);
    Ok(())
}

#[tokio::test]
async fn counts_are_those_of_the_rows_and_marks_never_go_back() -> Result<()> {
    let world = World::new().await?;
    let mut ids = Vec::new();
    for body in ["one", "two @bob", "three @bob", "`@bob` four", "@all five"] {
        ids.push(text(&world.post(&world.ada, body).await?.1, "id")?.to_owned());
    }
    world.post(&world.bob, "own").await?;
    assert_eq!(
        world.unread(&world.bob).await?,
        (5, 3),
        "@all counts for an owner"
    );
    let mark = |who, id: &str| {
        let body = json!({ "message_id": id });
        let world = &world;
        async move { world.send(who, "PUT", "/read", body).await }
    };
    assert_eq!(mark(&world.bob, &ids[1]).await?.0, 204);
    assert_eq!(world.unread(&world.bob).await?, (3, 2));
    assert_eq!(mark(&world.bob, &ids[0]).await?.0, 204);
    assert_eq!(world.unread(&world.bob).await?, (3, 2), "not backwards");
    let path = format!("/messages/{}", ids[2]);
    world
        .send(&world.ada, "PATCH", &path, json!({ "body": "three" }))
        .await?;
    assert_eq!(
        world.unread(&world.bob).await?,
        (3, 1),
        "the mention was edited out"
    );
    world.send(&world.ada, "DELETE", &path, json!({})).await?;
    assert_eq!(world.unread(&world.bob).await?, (2, 1));
    assert_eq!(
        mark(&world.bob, &ids[2]).await?.0,
        204,
        "a deleted one can be read"
    );
    let hide = json!({ "action": "hide", "reason": "spam" });
    let path = format!("/messages/{}/moderation", ids[4]);
    assert_eq!(world.send(&world.ada, "PUT", &path, hide).await?.0, 200);
    assert_eq!(world.unread(&world.bob).await?, (1, 0));
    assert_eq!(mark(&world.bob, &ids[4]).await?.0, 204);
    assert_eq!(world.unread(&world.bob).await?, (0, 0));
    assert_eq!(
        refusal(&mark(&world.eve, &ids[4]).await?),
        (403, "not-a-member")
    );
    let foreign = channel(&world.server, &world.ada, "other", false).await?;
    let foreign = post(&world.server, &world.ada, &foreign, "x").await?;
    assert_eq!(mark(&world.bob, text(&foreign, "id")?).await?.0, 404);

    let reads = world.get(&world.ada, "/reads").await?;
    let reads = reads.as_array().context("a list")?;
    assert_eq!(reads.len(), 1);
    assert_eq!(
        (&reads[0]["account"], &reads[0]["message_id"]),
        (&json!(world.bob.id), &json!(ids[4]))
    );
    let refused = world
        .eve
        .get(&world.server, &format!("{}/reads", world.path))
        .await?;
    assert_eq!(refusal(&refused), (403, "not-a-member"));
    let told = json!(world.events(&world.eve).await?).to_string();
    assert!(
        !told.contains("channel.read"),
        "an outsider hears nobody's reading: {told}"
    );
    let told = json!(world.events(&world.ada).await?).to_string();
    assert!(told.contains("channel.read"));
    // Who joins has read what was there.
    world.send(&world.eve, "POST", "/join", json!({})).await?;
    assert_eq!(world.unread(&world.eve).await?, (0, 0));
    Ok(())
}
