//! What moderators do to posts and comments, and what is reported to them.

use crate::functions::channels::actions::{channel, each, post};
use crate::functions::social::town::{Town, text};
use anyhow::{Context, Result};
use e2e::{client::refusal, people::Person};
use serde_json::{Value, json};

/// A moderator's action; what it answers.
fn action(action: &str) -> Value {
    json!({ "action": action, "reason": "rude" })
}

#[tokio::test]
async fn a_hidden_post_leaks_nowhere() -> Result<()> {
    let town = Town::new().await?;
    let (path, made) = town
        .tagged(&town.ada, "Canary", "canary @bob", &["canary-tag"])
        .await?;
    let id = text(&made, "id")?;
    let comment = town
        .comment(&town.bob, &path, "below the canary", None)
        .await?;
    let comment_path = format!("/api/comments/{}", text(&comment, "id")?);
    let moderation = format!("{path}/moderation");
    for who in [&town.ada, &town.bob] {
        let refused = town.send(who, "PUT", &moderation, action("hide")).await?;
        assert_eq!(refusal(&refused), (403, "forbidden"));
    }
    let hidden = town
        .send(&town.moderator, "PUT", &moderation, action("hide"))
        .await?;
    assert_eq!((hidden.0, &hidden.1["hidden"]), (200, &json!(true)));

    // To others it is not there, nor anything below it.
    let (_, unknown) = town
        .bob
        .get(
            &town.server,
            "/api/posts/00000000-0000-7000-8000-000000000000",
        )
        .await?;
    for below in ["", "/comments", "/revisions"] {
        let (status, body) = town
            .bob
            .get(&town.server, &format!("{path}{below}"))
            .await?;
        assert_eq!(
            (status, &body["detail"]),
            (404, &unknown["detail"]),
            "{below}"
        );
    }
    assert_eq!(
        town.status(&town.bob, &comment_path).await?,
        404,
        "even its own"
    );
    for below in ["", "/comments"] {
        let stranger = town.server.get(&format!("{path}{below}")).await?;
        assert_eq!(stranger.status(), 404, "{below}");
    }
    for list in [
        "/api/posts",
        "/api/posts?sort=top&tag=canary-tag",
        "/api/search?query=canary",
    ] {
        let stranger: Value = town.server.get(list).await?.json().await?;
        assert_eq!(stranger["items"], json!([]), "{list}");
    }
    for query in [
        "",
        "tag=canary-tag",
        "author=ada",
        "query=canary",
        "sort=top",
    ] {
        assert_eq!(town.titles(&town.bob, query).await?, [""; 0], "{query}");
        assert_eq!(town.titles(&town.ada, query).await?, [""; 0], "{query}");
    }
    for topic in ["feed:all", "tag:canary-tag", "account:me"] {
        let told = town.events(&town.bob, topic).await?;
        assert!(!told.contains("canary @bob"), "{topic}: {told}");
    }
    let (status, _) = town
        .bob
        .get(&town.server, &format!("/api/events?topic=post:{id}"))
        .await?;
    assert_eq!(status, 404);
    assert_eq!(town.inbox(&town.bob).await?, []);
    let mut database = town.server.database.connect().await?;
    for (who, count) in [(&town.bob, 0_i64), (&town.ada, 0), (&town.moderator, 0)] {
        let found: i64 =
            sqlx::query_scalar("select count(*) from social.search($1, 'canary', '{post}', 10)")
                .bind(who.id)
                .fetch_one(&mut database)
                .await?;
        assert_eq!(found, count);
    }
    // Its author and moderators read it, with the reason; the author changes nothing.
    for who in [&town.ada, &town.moderator] {
        let seen = town.get(who, &path).await?;
        assert_eq!(
            (
                &seen["body"],
                &seen["hidden"],
                &seen["moderation"]["reason"]
            ),
            (&json!("canary @bob"), &json!(true), &json!("rude"))
        );
    }
    for (method, below, body) in [
        ("PATCH", "", json!({ "title": "x" })),
        ("DELETE", "", json!({})),
        ("PUT", "/vote", json!({ "value": 1 })),
        ("POST", "/comments", json!({ "body": "x" })),
    ] {
        let path = format!("{path}{below}");
        let refused = town.send(&town.ada, method, &path, body.clone()).await?;
        assert_eq!(refusal(&refused), (409, "post-locked"), "{method} {below}");
        let refused = town.send(&town.bob, method, &path, body).await?;
        assert_eq!(refusal(&refused), (404, "not-found"), "{method} {below}");
    }
    let refused = town
        .send(&town.ada, "DELETE", &moderation, json!({}))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    assert!(
        town.inbox(&town.ada)
            .await?
            .contains(&("A post of yours: hidden".to_owned(), "rude".to_owned()))
    );
    let audit = town
        .get(&town.moderator, "/api/audit?action=post.hide")
        .await?;
    assert_eq!(audit["items"][0]["subject"], made["id"], "{audit:#}");

    let restored = town
        .send(&town.moderator, "DELETE", &moderation, json!({}))
        .await?;
    assert_eq!(restored.0, 204);
    assert_eq!(town.titles(&town.bob, "tag=canary-tag").await?, ["Canary"]);
    let seen = town.get(&town.bob, &path).await?;
    assert_eq!(
        (&seen["hidden"], &seen["locked"], &seen["comments"]),
        (&json!(false), &json!(false), &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn a_lock_stops_every_verb_and_a_pin_comes_first() -> Result<()> {
    let town = Town::new().await?;
    let (path, _) = town.post(&town.ada, "Locked", "text").await?;
    let comment = town.comment(&town.bob, &path, "first", None).await?;
    let comment = format!("/api/comments/{}", text(&comment, "id")?);
    let moderation = format!("{path}/moderation");
    let locked = town
        .send(&town.moderator, "PUT", &moderation, action("lock"))
        .await?;
    assert_eq!((locked.0, &locked.1["locked"]), (200, &json!(true)));
    let vote = json!({ "value": 1 });
    for (who, method, path, body) in [
        (&town.ada, "PATCH", path.clone(), json!({ "title": "x" })),
        (&town.ada, "DELETE", path.clone(), json!({})),
        (&town.eve, "PUT", format!("{path}/vote"), vote.clone()),
        (
            &town.eve,
            "POST",
            format!("{path}/comments"),
            json!({ "body": "x" }),
        ),
        (&town.bob, "PATCH", comment.clone(), json!({ "body": "x" })),
        (&town.bob, "DELETE", comment.clone(), json!({})),
        (&town.eve, "PUT", format!("{comment}/vote"), vote.clone()),
    ] {
        let refused = town.send(who, method, &path, body).await?;
        assert_eq!(refusal(&refused), (409, "post-locked"), "{method} {path}");
    }
    assert_eq!(
        town.get(&town.eve, &path).await?["body"],
        "text",
        "it is read"
    );
    let undone = town
        .send(&town.moderator, "DELETE", &moderation, json!({}))
        .await?;
    assert_eq!(undone.0, 204);

    // A comment alone.
    let of_comment = format!("{comment}/moderation");
    let refused = town
        .send(&town.ada, "PUT", &of_comment, action("hide"))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    let hidden = town
        .send(&town.moderator, "PUT", &of_comment, action("hide"))
        .await?;
    assert_eq!(hidden.0, 200, "{hidden:?}");
    let seen = town.get(&town.eve, &format!("{path}/comments")).await?;
    let place = &seen["items"][0];
    assert_eq!(
        (&place["hidden"], &place["body"], &place["author"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    let stranger = town.server.get(&format!("{path}/comments")).await?;
    let stranger: Value = stranger.json().await?;
    assert_eq!(
        (
            &stranger["items"][0]["hidden"],
            &stranger["items"][0]["html"]
        ),
        (&json!(true), &Value::Null)
    );
    assert_eq!(town.get(&town.eve, &path).await?["comments"], 0);
    assert_eq!(
        town.get(&town.bob, &comment).await?["body"],
        "first",
        "its author does"
    );
    for (who, method, path, body) in [
        (&town.bob, "PATCH", comment.clone(), json!({ "body": "x" })),
        (&town.bob, "DELETE", comment.clone(), json!({})),
        (&town.eve, "PUT", format!("{comment}/vote"), vote),
    ] {
        let refused = town.send(who, method, &path, body).await?;
        assert_eq!(
            refusal(&refused),
            (409, "comment-locked"),
            "{method} {path}"
        );
    }
    let told = town
        .events(&town.eve, &path.replace("/api/posts/", "post:"))
        .await?;
    assert!(!told.contains("first"), "{told}");
    let undone = town
        .send(&town.moderator, "DELETE", &of_comment, json!({}))
        .await?;
    assert_eq!(undone.0, 204);
    assert_eq!(town.get(&town.eve, &path).await?["comments"], 1);

    // Nobody decides about their own.
    let (own, _) = town.post(&town.moderator, "Own", "x").await?;
    let own = format!("{own}/moderation");
    assert_eq!(
        town.send(&town.moderator, "PUT", &own, action("lock"))
            .await?
            .0,
        200
    );
    let refused = town
        .send(&town.moderator, "DELETE", &own, json!({}))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));

    let (_, newest) = town.post(&town.bob, "Newest", "x").await?;
    assert!(newest["id"].is_string());
    assert_eq!(town.titles(&town.eve, "sort=hot").await?[0], "Newest");
    let pinned = town
        .send(&town.moderator, "PUT", &moderation, action("pin"))
        .await?;
    assert_eq!((pinned.0, &pinned.1["pinned"]), (200, &json!(true)));
    assert_eq!(town.titles(&town.eve, "sort=hot").await?[0], "Locked");
    assert_eq!(town.titles(&town.eve, "sort=new").await?[0], "Newest");
    for bad in [
        json!({ "action": "burn", "reason": "x" }),
        json!({ "action": "hide" }),
        json!({ "action": "hide", "reason": " " }),
    ] {
        let refused = town.send(&town.moderator, "PUT", &moderation, bad).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"));
    }
    Ok(())
}

#[tokio::test]
async fn a_report_holds_what_was_said() -> Result<()> {
    let town = Town::new().await?;
    let (path, made) = town.post(&town.ada, "Title", "the bad post").await?;
    let comment = town
        .comment(&town.ada, &path, "the bad comment", None)
        .await?;
    let private = channel(&town.server, &town.ada, "private", true).await?;
    let invite = json!({ "account": town.bob.id });
    let members = format!("/api/channels/{private}/members");
    assert_eq!(town.send(&town.ada, "POST", &members, invite).await?.0, 201);
    post(&town.server, &town.bob, &private, "what came before").await?;
    let message = post(&town.server, &town.ada, &private, "the bad message").await?;
    let targets = [
        format!("post:{}", text(&made, "id")?),
        format!("comment:{}", text(&comment, "id")?),
        format!("message:{}", text(&message, "id")?),
        format!("account:{}", town.ada.id),
    ];
    for target in &targets {
        let report = json!({ "target": target, "reason": "It is bad." });
        let (status, first) = town
            .send(&town.bob, "POST", "/api/reports", report.clone())
            .await?;
        assert_eq!(
            (status, &first["state"]),
            (201, &json!("open")),
            "{first:#}"
        );
        assert!(first["evidence"].is_null(), "{first:#}");
        let (status, again) = town.send(&town.bob, "POST", "/api/reports", report).await?;
        assert_eq!((status, &again["id"]), (200, &first["id"]));
    }
    // What one does not see one can't report: the answer is that of what is not there.
    let mut answers = Vec::new();
    for target in [
        targets[2].clone(),
        "message:00000000-0000-7000-8000-000000000000".to_owned(),
    ] {
        let report = json!({ "target": target, "reason": "x" });
        let refused = town.send(&town.eve, "POST", "/api/reports", report).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"));
        answers.push(refused.1["errors"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    for bad in ["post:x", "skill:00000000-0000-7000-8000-000000000000", ""] {
        let report = json!({ "target": bad, "reason": "x" });
        let refused = town.send(&town.bob, "POST", "/api/reports", report).await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"), "{bad}");
    }

    // Edited, deleted, and its author gone, before anybody looks.
    let edit = json!({ "body": "harmless" });
    assert_eq!(town.send(&town.ada, "PATCH", &path, edit).await?.0, 200);
    assert_eq!(
        town.send(&town.ada, "DELETE", &path, json!({})).await?.0,
        204
    );
    let leaving = json!({ "name": "ada" });
    let gone = town
        .send(&town.ada, "POST", "/api/accounts/me/delete", leaving)
        .await?;
    assert_eq!(gone.0, 204, "{gone:?}");
    for who in [&town.bob, &town.eve] {
        assert_eq!(town.status(who, "/api/reports").await?, 403);
    }
    let open = town.get(&town.moderator, "/api/reports?state=open").await?;
    let reports = open["items"].as_array().context("items")?;
    let texts: Vec<_> = reports
        .iter()
        .map(|one| one["evidence"]["text"].clone())
        .collect();
    assert_eq!(
        texts[1..],
        [
            json!("the bad message"),
            json!("the bad comment"),
            json!("Title\n\nthe bad post")
        ]
    );
    assert_eq!(
        (
            &reports[1]["evidence"]["context"]["before"][0]["text"],
            &reports[2]["evidence"]["context"]["title"],
            &reports[3]["evidence"]["author"]["name"],
            &reports[3]["reporter"]["name"],
        ),
        (
            &json!("what came before"),
            &json!("Title"),
            &json!("ada"),
            &json!("bob")
        )
    );
    let audit = town
        .get(&town.moderator, "/api/audit?action=report.read")
        .await?;
    assert_eq!(audit["items"].as_array().map(Vec::len), Some(1));

    let resolve = format!("/api/reports/{}/resolve", text(&reports[3], "id")?);
    let refused = town.send(&town.bob, "POST", &resolve, json!({})).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    let note = json!({ "resolution": "The post is gone." });
    let (status, resolved) = town
        .send(&town.moderator, "POST", &resolve, note.clone())
        .await?;
    assert_eq!(
        (status, &resolved["state"]),
        (200, &json!("resolved")),
        "{resolved:#}"
    );
    let refused = town.send(&town.moderator, "POST", &resolve, note).await?;
    assert_eq!(refusal(&refused), (409, "report-resolved"));
    // Without a body, too.
    let other = format!("/api/reports/{}/resolve", text(&reports[2], "id")?);
    let request = town.moderator.request(&town.server, "POST", &other);
    assert_eq!(request.send().await?.status(), 200);
    assert_eq!(
        town.inbox(&town.bob).await?[1],
        (
            "A report of yours was looked at".to_owned(),
            "The post is gone.".to_owned()
        )
    );
    for (state, count) in [("open", 2), ("resolved", 2)] {
        let list = town
            .get(&town.moderator, &format!("/api/reports?state={state}"))
            .await?;
        assert_eq!(each(&list, "id").len(), count, "{state}");
    }
    Ok(())
}

#[tokio::test]
async fn a_report_of_a_person_holds_the_description() -> Result<()> {
    let town = Town::new().await?;
    let eric = Person::register(&town.server, "eric").await?;
    let about = json!({ "description": "a bad description" });
    let changed = eric.send(&town.server, "PATCH", "/api/users/me", &about);
    assert_eq!(changed.await?.0, 200);
    let report = json!({ "target": format!("account:{}", eric.id), "reason": "It is bad." });
    let reported = town.send(&town.eve, "POST", "/api/reports", report).await?;
    assert_eq!(reported.0, 201, "{reported:?}");
    let all = town.get(&town.moderator, "/api/reports").await?;
    assert_eq!(all["items"][0]["evidence"]["text"], "a bad description");
    Ok(())
}
