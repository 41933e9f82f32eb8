//! Messages in channels: writing, history, edits, deletions, reactions, pins, counts, moderation.

use crate::functions::channels::directory::{channel, each, post, refusal, send};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

/// A server with three agents, and a channel.
pub struct World {
    pub server: Server,
    pub ada: Agent,
    pub bob: Agent,
    pub eve: Agent,
    /// A public channel, which ada owns and bob is in.
    pub path: String,
    pub id: String,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        let bob = Agent::sign_in(&server, "bob", 2).await?;
        let eve = Agent::sign_in(&server, "eve", 3).await?;
        let id = channel(&server, &ada, "general", false).await?;
        let path = format!("/api/channels/{id}");
        let joined = send(&server, &bob, "POST", &format!("{path}/join"), json!({})).await?;
        assert_eq!(joined.0, 200);
        Ok(Self {
            server,
            ada,
            bob,
            eve,
            path,
            id,
        })
    }

    pub async fn send(
        &self,
        who: &Agent,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<(u16, Value)> {
        send(
            &self.server,
            who,
            method,
            &format!("{}{path}", self.path),
            body,
        )
        .await
    }

    pub async fn get(&self, who: &Agent, path: &str) -> Result<Value> {
        let (status, body) = who
            .get(&self.server, &format!("{}{path}", self.path))
            .await?;
        assert_eq!(status, 200, "{path}: {body:#}");
        Ok(body)
    }

    pub async fn post(&self, who: &Agent, body: &str) -> Result<(String, Value)> {
        let message = post(&self.server, who, &self.id, body).await?;
        Ok((format!("/messages/{}", text(&message, "id")?), message))
    }

    /// The events of the channel that an account may read.
    pub async fn events(&self, who: &Agent) -> Result<Vec<Value>> {
        let path = format!("/api/events?topic=channel:{}&limit=1000", self.id);
        let (status, page) = who.get(&self.server, &path).await?;
        assert_eq!(status, 200, "{page:#}");
        Ok(page["items"].as_array().context("items")?.clone())
    }

    pub async fn unread(&self, who: &Agent) -> Result<(i64, i64)> {
        let (_, list) = who.get(&self.server, "/api/channels/unread").await?;
        let all = list.as_array().context("a list")?;
        let own = all
            .iter()
            .find(|one| one["channel"] == json!(self.id))
            .context("the channel")?;
        Ok((
            own["unread"].as_i64().context("n")?,
            own["mentions"].as_i64().context("n")?,
        ))
    }
}

/// A text of an answer.
pub fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| value.to_string())
}

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
        send(&world.server, &world.ada, "POST", &path, new.clone())
            .await?
            .0,
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
async fn history_is_read_both_ways_and_around_while_others_post() -> Result<()> {
    let world = World::new().await?;
    let mut ids = Vec::new();
    for n in 1..=25 {
        ids.push(text(&world.post(&world.ada, &format!("m{n}")).await?.1, "id")?.to_owned());
    }
    let seqs = |page: &Value| -> Vec<i64> {
        each(page, "seq")
            .iter()
            .filter_map(|seq| seq.as_i64())
            .collect()
    };
    let page = world.get(&world.bob, "/messages").await?;
    assert_eq!(seqs(&page), (6..=25).rev().collect::<Vec<_>>());
    // What is posted while somebody pages back moves nothing.
    world.post(&world.bob, "m26").await?;
    let next = text(&page, "next")?;
    for field in ["after", "before"] {
        let page = world
            .get(&world.bob, &format!("/messages?{field}={next}"))
            .await?;
        assert_eq!(seqs(&page), (1..=5).rev().collect::<Vec<_>>());
        assert_eq!(page["next"], Value::Null);
    }
    let mut path = format!("/messages?limit=10&after={}", ids[0]);
    let mut read = Vec::new();
    loop {
        let page = world.get(&world.eve, &path).await?;
        read.extend(seqs(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        world.post(&world.bob, "more").await?;
        path = format!("/messages?limit=10&after={next}");
    }
    assert_eq!(read, (2..=28).collect::<Vec<_>>());
    let before = world.get(&world.bob, "/messages?limit=3&before=10").await?;
    assert_eq!(seqs(&before), [9, 8, 7]);
    for (around, limit, expected) in [
        (13, 5, vec![11, 12, 13, 14, 15]),
        (1, 5, vec![1, 2, 3, 4, 5]),
        (13, 1, vec![13]),
        (13, 2, vec![13, 14]),
    ] {
        let page = world
            .get(
                &world.bob,
                &format!("/messages?limit={limit}&around={around}"),
            )
            .await?;
        assert_eq!(seqs(&page), expected, "{around} {limit}");
        let next = text(&page, "next")?;
        let after = world
            .get(&world.bob, &format!("/messages?limit=1&after={next}"))
            .await?;
        assert_eq!(seqs(&after), [expected[expected.len() - 1] + 1]);
        if expected[0] > 1 {
            let previous = text(&page, "previous")?;
            let before = world
                .get(&world.bob, &format!("/messages?limit=1&before={previous}"))
                .await?;
            assert_eq!(seqs(&before), [expected[0] - 1]);
        }
    }
    let by_id = world
        .get(&world.bob, &format!("/messages?limit=3&around={}", ids[12]))
        .await?;
    assert_eq!(seqs(&by_id), [12, 13, 14]);
    for (query, status) in [
        ("before=x", 422),
        ("limit=0", 422),
        ("limit=101", 422),
        ("before=3&after=1", 422),
        ("around=01890000-0000-7000-8000-000000000000", 404),
    ] {
        let path = format!("{}/messages?{query}", world.path);
        assert_eq!(
            world.bob.get(&world.server, &path).await?.0,
            status,
            "{query}"
        );
    }
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

#[tokio::test]
async fn words_of_any_language_are_found() -> Result<()> {
    let world = World::new().await?;
    for body in [
        "我们明天开会讨论预算",
        "今日は会議があります",
        "Завтра СОВЕЩАНИЕ",
        "cafe\u{301} 100% sure",
        "**bo**ld",
    ] {
        world.post(&world.ada, body).await?;
    }
    for (query, seq) in [
        ("开会", 1),
        ("会議", 2),
        ("совещание", 3),
        ("CAFÉ", 4),
        ("100%", 4),
        ("sure 100", 4),
        ("bold", 5),
    ] {
        let request = world
            .bob
            .request(&world.server, "GET", &format!("{}/search", world.path));
        let found: Value = request
            .query(&[("query", query)])
            .send()
            .await?
            .json()
            .await?;
        assert_eq!(each(&found, "seq"), [seq], "{query}");
    }
    let request = world
        .bob
        .request(&world.server, "GET", &format!("{}/search", world.path));
    assert_eq!(
        request
            .query(&[("query", "10_")])
            .send()
            .await?
            .json::<Value>()
            .await?["items"],
        json!([])
    );
    let first = world.get(&world.bob, "/search?query=o&limit=1").await?;
    let next = text(&first, "next");
    assert!(next.is_err() && each(&first, "seq") == [5], "{first:#}");
    Ok(())
}
