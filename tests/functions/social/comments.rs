//! Comments through the front door: threads, paging, permalinks, mentions, replies, deletions.

use crate::functions::channels::actions::each;
use crate::functions::social::town::{Town, text};
use anyhow::{Context, Result};
use e2e::client::refusal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Reads a thread to its end; the paths of what is on each page.
async fn paths(town: &Town, post: &str, limit: usize) -> Result<Vec<String>> {
    let (mut paths, mut after) = (Vec::new(), String::new());
    loop {
        let page = town
            .get(&town.eve, &format!("{post}/comments?limit={limit}{after}"))
            .await?;
        for path in each(&page, "path") {
            paths.push(path.as_str().context("a path")?.to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(paths),
        }
    }
}

#[tokio::test]
async fn a_thread_has_an_order_and_each_comment_a_place() -> Result<()> {
    let town = Town::new().await?;
    let (post, _) = town.post(&town.ada, "Thread", "begin").await?;
    let one = town.comment(&town.bob, &post, "one", None).await?;
    let two = town.comment(&town.eve, &post, "two", None).await?;
    let below = town
        .comment(&town.ada, &post, "one below", Some(&one))
        .await?;
    let deeper = town
        .comment(&town.bob, &post, "one deeper", Some(&below))
        .await?;
    let second = town
        .comment(&town.eve, &post, "one second", Some(&one))
        .await?;
    let thread = town.get(&town.ada, &format!("{post}/comments")).await?;
    assert_eq!(
        each(&thread, "body"),
        ["one", "one below", "one deeper", "one second", "two"]
    );
    assert_eq!(each(&thread, "depth"), [0, 1, 2, 1, 0]);
    for (child, parent) in [(&below, &one), (&deeper, &below), (&second, &one)] {
        assert_eq!(child["parent_id"], parent["id"]);
        assert!(text(child, "path")?.starts_with(text(parent, "path")?));
    }
    assert!(!text(&two, "path")?.starts_with(text(&one, "path")?));
    assert_eq!(town.get(&town.eve, &post).await?["comments"], 5);
    assert_eq!(paths(&town, &post, 2).await?.len(), 5);

    // Of another post, deleted, or not there: no comment to answer.
    let (other, _) = town.post(&town.ada, "Other", "x").await?;
    let foreign = json!({ "body": "x", "parent_id": one["id"] });
    let refused = town
        .send(&town.bob, "POST", &format!("{other}/comments"), foreign)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    let path = format!("/api/comments/{}", text(&one, "id")?);
    let refused = town.send(&town.eve, "DELETE", &path, json!({})).await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    for _ in 0..2 {
        assert_eq!(
            town.send(&town.bob, "DELETE", &path, json!({})).await?.0,
            204
        );
    }
    let thread = town.get(&town.ada, &format!("{post}/comments")).await?;
    let place = &thread["items"][0];
    assert_eq!(
        (
            &place["deleted"],
            &place["body"],
            &place["html"],
            &place["author"]
        ),
        (&json!(true), &Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        each(&thread, "depth"),
        [0, 1, 2, 1, 0],
        "it keeps its place"
    );
    assert_eq!(town.get(&town.eve, &post).await?["comments"], 4);
    let again = json!({ "body": "x", "parent_id": one["id"] });
    let refused = town
        .send(&town.eve, "POST", &format!("{post}/comments"), again)
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({ "body": "back" })),
        ("PUT", format!("{path}/vote"), json!({ "value": 1 })),
    ] {
        let refused = town.send(&town.bob, method, &path, body).await?;
        assert_eq!(refusal(&refused), (404, "not-found"), "{method}");
    }
    let told = town
        .events(&town.eve, &post.replace("/api/posts/", "post:"))
        .await?;
    assert!(
        told.contains("comment.deleted") && !told.contains("\"one\""),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn a_comment_tells_whom_it_concerns_and_nobody_else() -> Result<()> {
    let town = Town::new().await?;
    let (post, _) = town.post(&town.ada, "Title", "text").await?;
    let first = town
        .comment(&town.bob, &post, "hello @eve, not `@ada`", None)
        .await?;
    assert_eq!(
        town.inbox(&town.eve).await?[0].0,
        "bob mentioned you in a comment"
    );
    assert_eq!(
        town.inbox(&town.ada).await?[0].0,
        "bob commented on your post"
    );
    town.comment(&town.eve, &post, "I see", Some(&first))
        .await?;
    assert_eq!(town.inbox(&town.bob).await?[0].0, "eve replied to you");
    assert_eq!(town.inbox(&town.ada).await?.len(), 1, "not ada's");
    // One that is mentioned and answered hears of it once.
    town.comment(&town.ada, &post, "@bob yes", Some(&first))
        .await?;
    assert_eq!(town.inbox(&town.bob).await?.len(), 2);

    // An edit takes the mention and the text back, and brings another one.
    let path = format!("/api/comments/{}", text(&first, "id")?);
    let edit = json!({ "body": "hello @operator", "version": 1.0 });
    let (status, edited) = town.send(&town.bob, "PATCH", &path, edit.clone()).await?;
    assert_eq!((status, &edited["version"]), (200, &json!(2)));
    assert_eq!(town.inbox(&town.eve).await?, []);
    assert_eq!(town.inbox(&town.moderator).await?.len(), 1);
    assert_eq!(town.inbox(&town.ada).await?[0].1, "hello @operator");
    let refused = town.send(&town.bob, "PATCH", &path, edit).await?;
    assert_eq!(refusal(&refused), (409, "version-conflict"));
    let refused = town
        .send(&town.eve, "PATCH", &path, json!({ "body": "mine" }))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    assert_eq!(
        town.send(&town.bob, "DELETE", &path, json!({})).await?.0,
        204
    );
    assert_eq!(town.inbox(&town.ada).await?, []);
    assert_eq!(town.inbox(&town.moderator).await?, []);

    for bad in [
        json!({ "body": "" }),
        json!({ "body": "a".repeat(16_385) }),
        json!({ "body": ">".repeat(10_000) + "x" }),
        json!({ "body": "x", "parent_id": "none" }),
    ] {
        let refused = town
            .send(&town.eve, "POST", &format!("{post}/comments"), bad)
            .await?;
        assert_eq!(refusal(&refused), (422, "invalid-input"));
    }
    Ok(())
}

#[tokio::test]
async fn long_and_deep_threads_are_read_to_the_end_and_around_each_comment() -> Result<()> {
    let town = Town::new().await?;
    let (post, made) = town.post(&town.ada, "Long", "thread").await?;
    let id = text(&made, "id")?;
    // 1,000 answers to the post, and a chain of 500 below the first.
    let fill = format!(
        "insert into social.comment (post_id, author_id, path, depth, body, html, plain, words)
         select '{id}', '{0}', social.segment(n), 0, 'c' || n, 'x', 'x', 'x' from generate_series(1, 1000) n;
         insert into social.comment (post_id, author_id, path, depth, body, html, plain, words, parent_id)
         select '{id}', '{0}', social.segment(1) || c.path, n, 'd' || n, 'x', 'x', 'x', null
         from generate_series(1, 499) n
         cross join lateral (select string_agg(social.segment(1000 + k), '' order by k) as path
             from generate_series(1, n) k) c;
         update social.post set last_comment = 1499",
        town.bob.id
    );
    town.server.database.execute(&fill).await?;
    let all = paths(&town, &post, 100).await?;
    assert_eq!(all.len(), 1499);
    let sorted: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(
        sorted.into_iter().collect::<Vec<_>>(),
        all,
        "in order, each once"
    );

    let mut database = town.server.database.connect().await?;
    let rows: Vec<(uuid::Uuid, String)> =
        sqlx::query_as("select id, path from social.comment order by path collate \"C\"")
            .fetch_all(&mut database)
            .await?;
    for place in [0, 1, 250, 498, 499, 500, 501, 900, 1497, 1498] {
        let (comment, path) = &rows[place];
        let page = town
            .get(
                &town.eve,
                &format!("{post}/comments?limit=9&around={comment}"),
            )
            .await?;
        let seen = each(&page, "path");
        assert_eq!(seen.len(), 9, "{place}");
        assert!(seen.contains(&&json!(path)), "{place}");
        let first = rows
            .iter()
            .position(|row| *seen[0] == json!(row.1))
            .context("there")?;
        assert!(
            seen.iter()
                .zip(&rows[first..])
                .all(|(one, row)| **one == json!(row.1)),
            "{place}: without a gap"
        );
        // What comes before and after joins on.
        match page["previous"].as_str() {
            Some(previous) => {
                let before = town
                    .get(
                        &town.eve,
                        &format!("{post}/comments?limit=3&before={previous}"),
                    )
                    .await?;
                assert_eq!(
                    each(&before, "path").last(),
                    Some(&&json!(rows[first - 1].1))
                );
            }
            None => assert_eq!(first, 0),
        }
        match page["next"].as_str() {
            Some(next) => {
                let after = town
                    .get(&town.eve, &format!("{post}/comments?limit=3&after={next}"))
                    .await?;
                assert_eq!(each(&after, "path")[0], &json!(rows[first + 9].1));
            }
            None => assert_eq!(first + 9, rows.len()),
        }
    }
    let deepest = &rows[499].0;
    let one = json!({ "body": "deep", "parent_id": deepest });
    let comments = format!("{post}/comments");
    let (status, deep) = town.send(&town.eve, "POST", &comments, one).await?;
    assert_eq!((status, &deep["depth"]), (201, &json!(500)));
    let deeper = json!({ "body": "too deep", "parent_id": deep["id"] });
    let refused = town.send(&town.eve, "POST", &comments, deeper).await?;
    assert_eq!(refusal(&refused), (409, "thread-too-deep"));

    for (query, status, code) in [
        ("after=x", 422, "invalid-cursor"),
        ("after=b11", 422, "invalid-cursor"),
        ("before=a11", 422, "invalid-cursor"),
        ("after=a11&before=b11", 422, "invalid-input"),
        (
            "around=00000000-0000-0000-0000-000000000000",
            404,
            "not-found",
        ),
        ("limit=0", 422, "invalid-input"),
        ("limit=101", 422, "invalid-input"),
    ] {
        let refused = town
            .eve
            .get(&town.server, &format!("{comments}?{query}"))
            .await?;
        assert_eq!(refusal(&refused), (status, code), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_comment_said_before_is_its_authors_and_the_moderators() -> Result<()> {
    let town = Town::new().await?;
    let (post, _) = town.post(&town.ada, "Post", "text").await?;
    let comment = town.comment(&town.bob, &post, "canary", None).await?;
    let path = format!("/api/comments/{}", text(&comment, "id")?);
    let revisions = format!("{path}/revisions");
    let edit = async |body: &str| {
        let edit = json!({ "body": body });
        let edited = town.send(&town.bob, "PATCH", &path, edit).await?;
        assert_eq!(edited.0, 200, "{edited:?}");
        anyhow::Ok(())
    };
    edit("sparrow").await?;
    edit("sparrow").await?;
    for who in [&town.bob, &town.moderator] {
        let said = town.get(who, &revisions).await?;
        assert_eq!(each(&said, "body"), ["sparrow", "canary"]);
        let html = text(&said["items"][1], "html")?;
        assert!(html.contains("<p>canary</p>"), "{html}");
        assert_eq!(each(&said, "version"), [2, 1]);
        assert_eq!(each(&said, "struck"), [false, false]);
        assert_eq!(each(&said, "written_at")[1], &comment["created_at"]);
        assert_eq!(said["next"], Value::Null);
    }
    let exported = async || {
        let export = town.get(&town.bob, "/api/accounts/me/export").await?;
        anyhow::Ok(export["social"]["comments"][0]["revisions"].clone())
    };
    assert_eq!(exported().await?[0]["body"], "canary");
    assert_eq!(town.status(&town.eve, &revisions).await?, 403);
    let hide = json!({ "action": "hide", "reason": "rude" });
    let hidden = town
        .send(&town.moderator, "PUT", &format!("{path}/moderation"), hide)
        .await?;
    assert_eq!(hidden.0, 200, "{hidden:?}");
    assert_eq!(town.status(&town.eve, &revisions).await?, 403);
    assert_eq!(town.status(&town.bob, &revisions).await?, 200);

    for (who, version, status) in [
        (&town.eve, 1, 403),
        (&town.bob, 2, 404),
        (&town.bob, 7, 404),
        (&town.moderator, 1, 204),
        (&town.bob, 1, 204),
    ] {
        let version = format!("{revisions}/{version}");
        let struck = town.send(who, "DELETE", &version, json!({})).await?;
        assert_eq!(struck.0, status, "{version}");
    }
    let said = town.get(&town.bob, &revisions).await?;
    assert_eq!(each(&said, "body"), ["sparrow", ""]);
    assert_eq!(each(&said, "struck"), [false, true]);
    assert_eq!(exported().await?, json!([]));

    let deleted = town
        .send(&town.moderator, "DELETE", &path, json!({}))
        .await?;
    assert_eq!(deleted.0, 204, "{deleted:?}");
    for who in [&town.bob, &town.moderator] {
        assert_eq!(town.status(who, &revisions).await?, 404);
    }
    assert_eq!(kept(&town).await?, 0);
    Ok(())
}

/// How many former versions of comments are kept.
async fn kept(town: &Town) -> Result<i64> {
    let mut admin = town.server.database.connect().await?;
    let kept = sqlx::query_scalar("select count(*) from social.comment_revision");
    Ok(kept.fetch_one(&mut admin).await?)
}

#[tokio::test]
async fn a_leaver_takes_along_what_its_comments_said_before() -> Result<()> {
    let town = Town::new().await?;
    let (post, _) = town.post(&town.ada, "Post", "text").await?;
    for who in [&town.bob, &town.eve] {
        let comment = town.comment(who, &post, "before", None).await?;
        let path = format!("/api/comments/{}", text(&comment, "id")?);
        let edit = json!({ "body": "after" });
        assert_eq!(town.send(who, "PATCH", &path, edit).await?.0, 200);
    }
    assert_eq!(kept(&town).await?, 2);
    let leaving = json!({ "name": "bob" });
    let gone = town
        .send(&town.bob, "POST", "/api/accounts/me/delete", leaving)
        .await?;
    assert_eq!(gone.0, 204, "{gone:?}");
    assert_eq!(kept(&town).await?, 1, "another one's stays");
    Ok(())
}
