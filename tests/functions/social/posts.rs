//! Posts through the front door: writing, votes, edits, deletions, search.

use crate::functions::channels::actions::{each, grow_up};
use crate::functions::social::town::{Town, text};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal};
use futures::future::try_join_all;
use serde_json::{Value, json};

#[tokio::test]
async fn a_post_is_rendered_once_and_told_to_readers() -> Result<()> {
    let town = Town::new().await?;
    let attack = "**Hi** @bob <script>alert(1)</script> <b hx-get=\"/x\" id=\"main\">x</b> ![i](https://e.example/i.png)";
    let (path, post) = town
        .tagged(
            &town.ada,
            "First <b>post</b>",
            attack,
            &["Rust", "東京", "rust"],
        )
        .await?;
    let html = text(&post, "html")?;
    assert!(html.contains("<strong>Hi</strong> @bob"), "{html}");
    for gone in ["<script", "alert", "hx-get", "id=", "<img"] {
        assert!(!html.contains(gone), "{gone} in {html}");
    }
    assert_eq!(
        (&post["body"], &post["tags"], &post["author"]["name"]),
        (&json!(attack), &json!(["rust", "東京"]), &json!("ada"))
    );
    assert_eq!(
        (
            &post["score"],
            &post["vote"],
            &post["comments"],
            &post["version"]
        ),
        (&json!(0), &json!(0), &json!(0), &json!(1))
    );
    let seen = town.get(&town.bob, &path).await?;
    assert_eq!(
        (&seen["mentioned"], &seen["html"]),
        (&json!(true), &post["html"])
    );
    assert_eq!(
        town.inbox(&town.bob).await?,
        [("ada mentioned you in a post".to_owned(), {
            "First <b>post</b>\nHi @bob alert(1) x i".to_owned()
        })]
    );
    for topic in [
        "feed:all".to_owned(),
        "tag:rust".to_owned(),
        format!("post:{}", text(&post, "id")?),
    ] {
        let told = town.events(&town.eve, &topic).await?;
        assert!(
            told.contains("post.created") && told.contains("e.example"),
            "{topic}: {told}"
        );
    }
    // A stranger reads it as everybody does, writes nothing, and a bad token is not a stranger.
    for (stranger, pointer) in [("/api/posts", "/items/0"), (path.as_str(), "")] {
        let answer = town.server.get(stranger).await?;
        assert_eq!(answer.status(), 200, "{stranger}");
        let body: Value = answer.json().await?;
        let read = body.pointer(pointer).context("a post")?;
        assert_eq!(
            (&read["html"], &read["vote"], &read["mentioned"]),
            (&post["html"], &json!(0), &json!(false))
        );
        let request = town
            .server
            .http
            .get(format!("{}{stranger}", town.server.url));
        let refused = request.bearer_auth("nonsense").send().await?;
        assert_eq!(refused.status(), 401, "{stranger}");
    }
    let new = json!({ "title": "x", "body": "x" });
    let refused = town.server.post("/api/posts", &new).await?;
    assert_eq!(refused.status(), 401);
    let reader = town
        .ada
        .with_scope(&town.server.database, "kb:read")
        .await?;
    let refused = town
        .send(
            &reader,
            "POST",
            "/api/posts",
            json!({ "title": "x", "body": "x" }),
        )
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));

    for (new, field) in [
        (json!({ "title": "", "body": "x" }), "title"),
        (json!({ "title": "a\nb", "body": "x" }), "title"),
        (json!({ "title": "a\u{202e}b", "body": "x" }), "title"),
        (json!({ "title": "a".repeat(301), "body": "x" }), "title"),
        (json!({ "title": "x", "body": " " }), "body"),
        (json!({ "title": "x", "body": "a\0" }), "body"),
        (json!({ "title": "x", "body": "a".repeat(65_537) }), "body"),
        (
            json!({ "title": "x", "body": ">".repeat(10_000) + "x" }),
            "body",
        ),
        (
            json!({ "title": "x", "body": "<div>".repeat(5000) }),
            "body",
        ),
        (
            json!({ "title": "x", "body": "- ".repeat(20_000) + "x" }),
            "body",
        ),
        (
            json!({ "title": "x", "body": "x", "tags": ["a b"] }),
            "tags[0]",
        ),
        (
            json!({ "title": "x", "body": "x", "tags": ["<b>"] }),
            "tags[0]",
        ),
        (
            json!({ "title": "x", "body": "x", "tags": vec!["t"; 11] }),
            "tags",
        ),
    ] {
        let refused = town.send(&town.ada, "POST", "/api/posts", new).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{field}");
        assert_eq!(refused.1["errors"][0]["field"], field);
    }
    // What is odd but flat is a post, and nobody who reads it meets a fault.
    for body in [
        "*".repeat(50_000),
        "[".repeat(50_000),
        "\u{202e}turned".to_owned(),
    ] {
        town.post(&town.ada, "odd", &body).await?;
    }
    let bomb = json!({ "title": "x", "body": "*".repeat(5 << 20) });
    assert_eq!(
        town.send(&town.ada, "POST", "/api/posts", bomb).await?.0,
        413
    );
    assert_eq!(town.titles(&town.bob, "sort=new").await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_repeated_post_is_one_and_a_stale_change_none() -> Result<()> {
    let town = Town::new().await?;
    let new = json!({ "title": "Once", "body": "only" });
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = town.ada.request(&town.server, "POST", "/api/posts");
        let answer = request
            .header("idempotency-key", "k")
            .json(&new)
            .send()
            .await?;
        assert_eq!(answer.status(), 201);
        answers.push(answer.json::<Value>().await?);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(town.titles(&town.ada, "").await?, ["Once"]);

    let path = format!("/api/posts/{}", text(&answers[0], "id")?);
    let change = json!({ "title": "Twice", "version": 1.0 });
    let (status, changed) = town.send(&town.ada, "PATCH", &path, change.clone()).await?;
    assert_eq!(
        (status, &changed["version"], &changed["body"]),
        (200, &json!(2), &json!("only"))
    );
    assert!(changed["edited_at"].is_string());
    let refused = town.send(&town.ada, "PATCH", &path, change.clone()).await?;
    assert_eq!(refusal(&refused), (409, "version-conflict"));
    let refused = town.send(&town.bob, "PATCH", &path, change).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    // What changes nothing is no version.
    let same = town
        .send(&town.ada, "PATCH", &path, json!({ "title": "Twice" }))
        .await?;
    assert_eq!(same.1["version"], 2);
    Ok(())
}

#[tokio::test]
async fn a_young_account_writes_five_posts_an_hour() -> Result<()> {
    let town = Town::new().await?;
    let young = Agent::sign_in(&town.server, "young", 4).await?;
    let new = |n: usize| json!({ "title": format!("{n}"), "body": "x" });
    let sent = try_join_all((0..10).map(|n| {
        let body = new(n);
        let (town, young) = (&town, &young);
        async move { town.send(young, "POST", "/api/posts", body).await }
    }))
    .await?;
    let written = sent.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(written, 5, "{sent:#?}");
    let request = young.request(&town.server, "POST", "/api/posts");
    let refused = request.json(&new(11)).send().await?;
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str()?.parse()?;
    assert!((3000..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await?["code"], "new-account");
    grow_up(&town.server).await?;
    town.post(&young, "grown", "up").await?;
    Ok(())
}

#[tokio::test]
async fn votes_of_many_at_once_add_up() -> Result<()> {
    let server = Server::start().await?;
    let mut agents = Vec::new();
    for n in 1..=8 {
        agents.push(Agent::sign_in(&server, &format!("agent-{n}"), n).await?);
    }
    let new = json!({ "title": "Vote", "body": "now", "tags": ["v"] });
    let (_, post) = agents[0].send(&server, "POST", "/api/posts", &new).await?;
    let path = format!("/api/posts/{}", text(&post, "id")?);
    let comment = json!({ "body": "me too" });
    let comments = format!("{path}/comments");
    let (_, comment) = agents[0].send(&server, "POST", &comments, &comment).await?;
    let comment_path = format!("/api/comments/{}", text(&comment, "id")?);
    let (server, agents) = (&server, &agents);
    for target in [&path, &comment_path] {
        let votes = (0..160).map(|n| {
            let body = json!({ "value": f64::from((n * 7 % 3) - 1) });
            let url = format!("{target}/vote");
            let who = &agents[usize::try_from(n % 8).unwrap_or_default()];
            async move { who.send(server, "PUT", &url, &body).await }
        });
        for (status, answer) in try_join_all(votes).await? {
            assert_eq!(status, 200, "{answer}");
        }
        let mut sum = 0;
        for agent in agents {
            let seen = agent.get(server, target).await?.1;
            sum += seen["vote"].as_i64().context("vote")?;
        }
        let seen = agents[1].get(server, target).await?.1;
        assert_eq!(seen["score"], json!(sum), "{target}");
    }
    // The last word of each counts, in the lists too.
    for (n, agent) in agents.iter().enumerate() {
        let value = if n == 7 { -1 } else { 1 };
        let url = format!("{path}/vote");
        let voted = agent
            .send(server, "PUT", &url, &json!({ "value": value }))
            .await?;
        assert_eq!((voted.0, &voted.1["vote"]), (200, &json!(value)));
    }
    let seen = agents[7].get(server, "/api/posts?sort=top&tag=v").await?.1;
    assert_eq!(
        (&seen["items"][0]["score"], &seen["items"][0]["vote"]),
        (&json!(6), &json!(-1))
    );
    for bad in [
        json!({ "value": 2 }),
        json!({ "value": -2 }),
        json!({ "value": 0.5 }),
        json!({}),
    ] {
        let refused = agents[0]
            .send(server, "PUT", &format!("{path}/vote"), &bad)
            .await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{bad}");
    }
    let zero = json!({ "value": 0 });
    for _ in 0..2 {
        let voted = agents[0]
            .send(server, "PUT", &format!("{path}/vote"), &zero)
            .await?;
        assert_eq!(voted.1, json!({ "score": 5, "vote": 0 }));
    }
    // Who leaves takes the votes along.
    let leaving = json!({ "name": "agent-2" });
    let gone = agents[1]
        .send(server, "POST", "/api/accounts/me/delete", &leaving)
        .await?;
    assert_eq!(gone.0, 204, "{gone:?}");
    let seen = agents[7].get(server, &path).await?.1;
    assert_eq!(seen["score"], json!(4));
    // Who votes is told to nobody.
    let told = agents[7]
        .get(
            server,
            &format!("/api/events?topic=post:{}&limit=1000", text(&post, "id")?),
        )
        .await?;
    let told = &told.1["items"];
    let voted = told.as_array().context("events")?;
    let voted: Vec<_> = voted
        .iter()
        .filter(|one| one["type"] == "post.voted")
        .collect();
    assert!(!voted.is_empty());
    assert!(!json!(voted).to_string().contains(&agents[0].id.to_string()));
    Ok(())
}

#[tokio::test]
async fn a_deletion_and_an_edit_reach_every_copy() -> Result<()> {
    let town = Town::new().await?;
    let (path, post) = town
        .tagged(&town.ada, "Canary one", "canary one @bob", &["birds"])
        .await?;
    let id = text(&post, "id")?;
    let keyed = town.ada.request(&town.server, "POST", "/api/posts");
    let keyed = keyed.header("idempotency-key", "k");
    let new = json!({ "title": "canary", "body": "kept for a repeated request" });
    let kept: Value = keyed.json(&new).send().await?.json().await?;
    let comment = town
        .comment(&town.eve, &path, "canary in a comment", None)
        .await?;

    let edit = json!({ "title": "Edited", "body": "sparrow" });
    assert_eq!(town.send(&town.ada, "PATCH", &path, edit).await?.0, 200);
    assert_eq!(
        town.inbox(&town.bob).await?,
        [],
        "the mention was edited out"
    );
    for topic in ["feed:all", "tag:birds", &format!("post:{id}"), "account:me"] {
        let told = town.events(&town.bob, topic).await?;
        assert!(!told.contains("canary one"), "{topic}: {told}");
    }
    assert_eq!(town.titles(&town.bob, "query=sparrow").await?, ["Edited"]);
    assert_eq!(town.titles(&town.bob, "query=one").await?, [""; 0]);
    // What it said before is its author's and the moderators'.
    let revisions = format!("{path}/revisions");
    assert_eq!(town.status(&town.bob, &revisions).await?, 403);
    for who in [&town.ada, &town.moderator] {
        let said = town.get(who, &revisions).await?;
        assert_eq!(each(&said, "title"), ["Edited", "Canary one"]);
    }
    let struck = town
        .send(&town.ada, "DELETE", &format!("{revisions}/1"), json!({}))
        .await?;
    assert_eq!(struck.0, 204);
    let said = town.get(&town.moderator, &revisions).await?;
    assert_eq!(each(&said, "body"), ["sparrow", ""]);

    let refused = town.send(&town.bob, "DELETE", &path, json!({})).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    for _ in 0..2 {
        assert_eq!(
            town.send(&town.ada, "DELETE", &path, json!({})).await?.0,
            204
        );
    }
    let stub = town.get(&town.bob, &path).await?;
    assert_eq!(stub["deleted"], true);
    for field in ["title", "body", "html", "author"] {
        assert_eq!(stub[field], Value::Null, "{field}");
    }
    let thread = town.get(&town.bob, &format!("{path}/comments")).await?;
    assert_eq!(
        each(&thread, "body"),
        ["canary in a comment"],
        "the thread stays"
    );
    for topic in ["feed:all", "tag:birds", &format!("post:{id}")] {
        let told = town.events(&town.bob, topic).await?;
        assert!(
            !told.contains("sparrow") && told.contains("post.deleted"),
            "{told}"
        );
    }
    assert_eq!(town.titles(&town.bob, "query=sparrow").await?, [""; 0]);
    assert_eq!(town.titles(&town.bob, "tag=birds").await?, [""; 0]);
    assert_eq!(town.status(&town.ada, &revisions).await?, 404);
    for (method, below, body) in [
        ("PATCH", "", json!({ "title": "x" })),
        ("PUT", "/vote", json!({ "value": 1 })),
        ("POST", "/comments", json!({ "body": "x" })),
    ] {
        let refused = town
            .send(&town.ada, method, &format!("{path}{below}"), body)
            .await?;
        assert_eq!(refusal(&refused), (404, "not-found"), "{method} {below}");
    }
    // With the last comment the place goes, too.
    let comment = format!("/api/comments/{}", text(&comment, "id")?);
    assert_eq!(
        town.send(&town.eve, "DELETE", &comment, json!({})).await?.0,
        204
    );
    assert_eq!(town.status(&town.bob, &path).await?, 404);

    let other = format!("/api/posts/{}", text(&kept, "id")?);
    assert_eq!(
        town.send(&town.ada, "DELETE", &other, json!({})).await?.0,
        204
    );
    assert_eq!(town.status(&town.ada, &other).await?, 404);
    let mut database = town.server.database.connect().await?;
    let left: i64 = sqlx::query_scalar(
        "select (select count(*) from social.idempotency_key k where k.body like '%repeated%')
             + (select count(*) from social.post p where p::text like '%sparrow%' or p::text like '%canary%')
             + (select count(*) from events.event e where e.data::text like '%sparrow%')",
    )
    .fetch_one(&mut database)
    .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn posts_are_found_by_words_of_any_language() -> Result<()> {
    let town = Town::new().await?;
    for (title, body) in [
        ("天気", "今日は天気がいいですね。散歩しましょう"),
        ("Привет", "Всем ПРИВЕТ из Москвы"),
        ("cafe\u{301}", "un CAFÉ crème"),
        ("Percent", "100% of it_em \\ done"),
    ] {
        town.tagged(&town.ada, title, body, &["languages"]).await?;
    }
    for (query, found) in [
        ("散歩", "天気"),
        ("天気 今日", "天気"),
        ("привет москв", "Привет"),
        ("CAFÉ", "cafe\u{301}"),
        ("100%", "Percent"),
        ("it_em", "Percent"),
        ("\\", "Percent"),
    ] {
        let page = town
            .ada
            .request(&town.server, "GET", "/api/posts")
            .query(&[("query", query)])
            .send()
            .await?;
        let page: Value = page.json().await?;
        assert_eq!(each(&page, "title"), [found], "{query}");
    }
    for none in ["0%25x", "unknown", "it-em"] {
        assert_eq!(
            town.titles(&town.ada, &format!("query={none}")).await?,
            [""; 0],
            "{none}"
        );
    }
    assert_eq!(town.titles(&town.ada, "query=languages").await?.len(), 4);
    // The search over everything finds them, a misspelt word too.
    let (path, _) = town.post(&town.ada, "Sparrow", "small").await?;
    town.comment(&town.bob, &path, "a sparrow is a bird", None)
        .await?;
    let url = path.replace("/api/posts/", "/posts/");
    let found = town.get(&town.eve, "/api/search?query=sparrow").await?;
    assert_eq!(each(&found, "type"), ["post", "comment"], "{found:#}");
    assert_eq!(each(&found, "url")[0], &json!(url));
    let found = town
        .get(&town.eve, "/api/search?query=sparow&type=post")
        .await?;
    assert_eq!(each(&found, "url"), [&json!(url)]);
    Ok(())
}
