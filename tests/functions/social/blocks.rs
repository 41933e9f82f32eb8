//! Blocks and mutes: nothing of who is blocked is shown, told or counted, and nobody else hears of it.

use crate::functions::channels::actions::each;
use crate::functions::social::town::{Town, text};
use anyhow::Result;
use e2e::{client::refusal, sockets::Client};
use serde_json::{Value, json};

#[tokio::test]
async fn a_block_is_made_listed_changed_and_taken_back() -> Result<()> {
    let town = Town::new().await?;
    let path = "/api/blocks/bob";
    assert_eq!(town.status(&town.ada, path).await?, 404);
    // The body may be missing.
    let made = town.ada.request(&town.server, "PUT", path).send().await?;
    assert_eq!(made.status(), 200);
    let made: Value = made.json().await?;
    assert_eq!(
        (&made["account"]["name"], &made["mute"]),
        (&json!("bob"), &json!(false))
    );
    let by_id = format!("/api/blocks/{}", town.eve.id);
    let muted = town
        .send(&town.ada, "PUT", &by_id, json!({ "mute": true }))
        .await?;
    assert_eq!((muted.0, &muted.1["mute"]), (200, &json!(true)));
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = town
            .get(&town.ada, &format!("/api/blocks?limit=1{after}"))
            .await?;
        seen.extend(each(&page, "mute").into_iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [json!(false), json!(true)]);
    assert_eq!(
        town.get(&town.bob, "/api/blocks").await?["items"],
        json!([])
    );
    assert_eq!(
        town.status(&town.bob, "/api/blocks/ada").await?,
        404,
        "bob isn't told"
    );
    let changed = town
        .send(&town.ada, "PUT", path, json!({ "mute": true }))
        .await?;
    assert_eq!(changed.1["mute"], true);
    for _ in 0..2 {
        assert_eq!(
            town.send(&town.ada, "DELETE", path, json!({})).await?.0,
            204
        );
    }
    assert_eq!(town.status(&town.ada, path).await?, 404);
    let refused = town
        .send(&town.ada, "PUT", "/api/blocks/ada", json!({}))
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    let refused = town
        .send(&town.ada, "PUT", "/api/blocks/nobody-here", json!({}))
        .await?;
    assert_eq!(refusal(&refused), (404, "not-found"));
    let text = town.ada.request(&town.server, "PUT", path).body("mute");
    assert_eq!(text.send().await?.status(), 415);
    Ok(())
}

#[tokio::test]
async fn nothing_of_who_is_blocked_is_shown_or_told() -> Result<()> {
    let town = Town::new().await?;
    let (theirs, _) = town
        .tagged(&town.bob, "Canary", "hello @ada", &["canary-tag"])
        .await?;
    let (own, _) = town.post(&town.ada, "Own", "post").await?;
    let before = town.comment(&town.bob, &own, "canary before", None).await?;
    assert_eq!(town.inbox(&town.ada).await?.len(), 2);
    let topic = theirs.replace("/api/posts/", "post:");
    let path = format!("/api/events?topic={topic}");
    assert_eq!(town.status(&town.ada, &path).await?, 200);

    for mute in [false, true] {
        let block = json!({ "mute": mute });
        assert_eq!(
            town.send(&town.ada, "PUT", "/api/blocks/bob", block)
                .await?
                .0,
            200
        );
        let told = town.inbox(&town.ada).await?;
        assert!(
            !told.iter().any(|(title, _)| title.starts_with("bob")),
            "what was told before goes, too: {told:?}"
        );
        // Written under a block as ever.
        let after = town
            .comment(&town.bob, &own, "canary @ada", Some(&before))
            .await?;
        let second = town.post(&town.bob, "Canary two", "@ada").await?.0;
        let answer = town
            .comment(&town.eve, &own, "to bob", Some(&after))
            .await?;
        for path in [
            theirs.clone(),
            format!("{theirs}/comments"),
            second,
            format!("/api/comments/{}", text(&after, "id")?),
        ] {
            assert_eq!(town.status(&town.ada, &path).await?, 404, "{path}");
        }
        for query in ["sort=new", "tag=canary-tag", "author=bob", "query=canary"] {
            let titles = town.titles(&town.ada, query).await?;
            assert!(!titles.concat().contains("Canary"), "{query}: {titles:?}");
        }
        let thread = town.get(&town.ada, &format!("{own}/comments")).await?;
        assert!(
            each(&thread, "author")
                .iter()
                .all(|author| author["name"] == "eve")
        );
        assert!(each(&thread, "id").contains(&&answer["id"]));
        let told = town.inbox(&town.ada).await?;
        assert_eq!(told.len(), usize::from(mute), "{told:?}");
        assert_eq!(
            town.status(&town.ada, &path).await?,
            404,
            "the right to the topic ended"
        );
        for topic in [
            "feed:all".to_owned(),
            "tag:canary-tag".to_owned(),
            own.replace("/api/posts/", "post:"),
        ] {
            let told = town.events(&town.ada, &topic).await?;
            assert!(!told.to_lowercase().contains("canary"), "{topic}: {told}");
            let others = town.events(&town.eve, &topic).await?;
            assert!(
                others.to_lowercase().contains("canary"),
                "{topic}: others do"
            );
        }
        // For the second round: what eve has written to ada's post is told to ada.
        town.comment(&town.eve, &own, "eve here", None).await?;
    }
    // Moderators see what their blocks do not concern, whoever blocked whom.
    assert_eq!(town.status(&town.moderator, &theirs).await?, 200);
    assert_eq!(town.status(&town.eve, &theirs).await?, 200);
    assert_eq!(
        town.send(&town.ada, "DELETE", "/api/blocks/bob", json!({}))
            .await?
            .0,
        204
    );
    assert_eq!(town.status(&town.ada, &theirs).await?, 200);
    assert_eq!(town.status(&town.ada, &path).await?, 200);
    Ok(())
}

#[tokio::test]
async fn who_is_blocked_can_not_write_directly_and_who_is_muted_can() -> Result<()> {
    let town = Town::new().await?;
    let open = json!({ "to": ["ada"] });
    let (status, direct) = town
        .send(&town.bob, "POST", "/api/dms", open.clone())
        .await?;
    assert_eq!(status, 201);
    let messages = format!("/api/channels/{}/messages", text(&direct, "id")?);
    let hello = json!({ "body": "hello" });
    assert_eq!(
        town.send(&town.ada, "PUT", "/api/blocks/bob", json!({}))
            .await?
            .0,
        200
    );
    let refused = town
        .send(&town.bob, "POST", &messages, hello.clone())
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    assert_eq!(
        town.send(&town.ada, "PUT", "/api/blocks/eve", json!({}))
            .await?
            .0,
        200
    );
    let refused = town.send(&town.eve, "POST", "/api/dms", open).await?;
    assert_eq!(
        refusal(&refused),
        (422, "invalid-input"),
        "as one that is not there"
    );

    let mute = json!({ "mute": true });
    assert_eq!(
        town.send(&town.ada, "PUT", "/api/blocks/bob", mute)
            .await?
            .0,
        200
    );
    assert_eq!(town.send(&town.bob, "POST", &messages, hello).await?.0, 201);
    assert_eq!(town.inbox(&town.ada).await?, []);
    let unread = town.get(&town.ada, "/api/channels/unread").await?;
    assert_eq!(each(&unread, "unread"), [0]);
    assert_eq!(town.get(&town.ada, &messages).await?["items"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_socket_is_told_nothing_of_who_is_blocked() -> Result<()> {
    let town = Town::new().await?;
    let (theirs, _) = town.post(&town.bob, "Theirs", "text").await?;
    let topic = theirs.replace("/api/posts/", "post:");
    let mut socket = Client::signed_in(&town.server.url, &town.ada).await?;
    for topic in ["feed:all", &topic] {
        socket.subscribe(topic, None).await?;
    }
    assert_eq!(
        town.send(&town.ada, "PUT", "/api/blocks/bob", json!({}))
            .await?
            .0,
        200
    );
    let denied = socket.until("denied").await?;
    assert_eq!(
        denied.last().map(|frame| &frame["topic"]),
        Some(&json!(topic))
    );
    town.post(&town.bob, "Canary", "live").await?;
    town.post(&town.eve, "After", "it").await?;
    // In one batch, or in two: what eve did comes without what bob did.
    let told = socket.until("post.created").await?;
    assert_eq!(
        told.last().map(|frame| &frame["data"]["title"]),
        Some(&json!("After"))
    );
    assert!(!json!(told).to_string().contains("Canary"), "{told:?}");
    Ok(())
}
