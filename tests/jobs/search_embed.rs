//! Vectors of posts and messages: made by a job, gone with the text in the same moment, and missed by nobody while the model is
//! gone.

use crate::functions::channels::actions::{channel, post};
use crate::functions::search::meanings::{World, id, snippets};
use crate::functions::search::results::find;
use anyhow::{Context, Result, ensure};
use e2e::{agents::Agent, client::refusal, errands::quick, meanings::vector, people::Person};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

const VECTORS: &str = "select count(*) from search.vector";
const WANTED: &str = "select count(*) from search.wanted";

impl World {
    /// A change that has to succeed.
    async fn change(&self, who: &Agent, method: &str, path: &str, body: Value) -> Result<()> {
        let (status, answer) = who.send(&self.server, method, path, &body).await?;
        ensure!(status < 300, "{method} {path}: {status} {answer:#}");
        Ok(())
    }

    /// Waits until a count is as expected.
    async fn until(&self, sql: &'static str, expected: i64) -> Result<()> {
        let began = Instant::now();
        while self.number(sql).await? != expected {
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "not {expected}: {sql}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn what_changes_loses_its_meaning_in_the_same_moment() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let worker = server.worker(quick()).await?;
    let moderator = Person::register(server, "root-1").await?;
    let moderator = moderator.into_admin(server).await?;
    let open = channel(server, ada, "open", false).await?;
    let messages = format!("/api/channels/{open}/messages");
    let message = id(&post(server, ada, &open, "A car.").await?)?;
    let message = format!("{messages}/{message}");
    let written = format!(
        "/api/posts/{}",
        world.post(ada, "Road", "An automobile.").await?
    );
    world.embedded().await?;
    assert_eq!(world.number(VECTORS).await?, 2);
    // From now on nobody makes new ones.
    worker.shutdown(Duration::from_secs(20)).await;

    let none: [&str; 0] = [];
    for (path, changed) in [
        (&message, json!({ "body": "A physician." })),
        (&written, json!({ "body": "A physician." })),
    ] {
        let before = world.number(VECTORS).await?;
        world.change(ada, "PATCH", path, changed).await?;
        assert_eq!(world.number(VECTORS).await?, before - 1, "{path}");
    }
    assert_eq!(world.found(ada, "semantic", "car").await?, none);
    assert_eq!(world.number(WANTED).await?, 2);
    // Words go on alone until the vectors are there.
    let found = world.found(ada, "hybrid", "physician").await?;
    assert_eq!(found, ["message: A physician.", "post: A physician."]);

    let worker = server.worker(quick()).await?;
    server.database.execute("select search.wake()").await?;
    world.embedded().await?;
    let found = world.found(ada, "semantic", "medicine").await?;
    assert_eq!(found, ["message: A physician.", "post: A physician."]);
    worker.shutdown(Duration::from_secs(20)).await;

    // Hidden, shown again, deleted.
    for path in [&message, &written] {
        let hide = json!({ "action": "hide", "reason": "rude" });
        let moderation = format!("{path}/moderation");
        let hidden = moderator.send(server, "PUT", &moderation, &hide).await?;
        assert_eq!(hidden.0, 200, "{hidden:?}");
    }
    assert_eq!(
        (world.number(VECTORS).await?, world.number(WANTED).await?),
        (0, 0)
    );
    assert_eq!(world.found(ada, "semantic", "medicine").await?, none);
    for path in [&message, &written] {
        let moderation = format!("{path}/moderation");
        let shown = moderator
            .send(server, "DELETE", &moderation, &json!({}))
            .await?;
        assert!(shown.0 < 300, "{shown:?}");
    }
    assert_eq!(world.number(WANTED).await?, 2);
    for path in [&message, &written] {
        world.change(ada, "DELETE", path, json!({})).await?;
    }
    assert_eq!(world.number(WANTED).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_channel_takes_the_meaning_of_its_messages_along() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let worker = server.worker(quick()).await?;
    let open = channel(server, ada, "open", false).await?;
    for body in ["A car.", "A vessel.", "Glad tidings."] {
        post(server, ada, &open, body).await?;
    }
    world.post(ada, "Road", "An automobile.").await?;
    world.embedded().await?;
    worker.shutdown(Duration::from_secs(20)).await;
    post(server, ada, &open, "A car that waits.").await?;
    assert_eq!(
        (world.number(VECTORS).await?, world.number(WANTED).await?),
        (4, 1)
    );
    world
        .change(ada, "DELETE", &format!("/api/channels/{open}"), json!({}))
        .await?;
    assert_eq!(
        (world.number(VECTORS).await?, world.number(WANTED).await?),
        (1, 0)
    );
    assert_eq!(
        world.found(ada, "semantic", "car").await?,
        ["post: An automobile."]
    );
    Ok(())
}

#[tokio::test]
async fn a_job_that_read_an_older_text_stores_nothing() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let written = world.post(ada, "Road", "An automobile.").await?;
    let mut database = server.database.connect().await?;
    let store = "select search.put_vectors('post', $1, $2, 'local', $3)";
    let mut put = async |number: i64| -> Result<bool> {
        let query = sqlx::query_scalar(store)
            .bind(Uuid::parse_str(&written)?)
            .bind(number);
        Ok(query
            .bind(json!([vector("car")]))
            .fetch_one(&mut database)
            .await?)
    };
    let read = world.number("select number from search.wanted").await?;
    let path = format!("/api/posts/{written}");
    world
        .change(ada, "PATCH", &path, json!({ "body": "A physician." }))
        .await?;
    assert!(!put(read).await?, "an older text");
    let read = world.number("select number from search.wanted").await?;
    assert!(put(read).await?);
    assert!(!put(read).await?, "it has them");
    // A change of nothing but the tags keeps them.
    world
        .change(ada, "PATCH", &path, json!({ "tags": ["road"] }))
        .await?;
    assert_eq!(world.number(VECTORS).await?, 1);
    world
        .change(ada, "PATCH", &path, json!({ "body": "A vessel." }))
        .await?;
    let read = world.number("select number from search.wanted").await?;
    world.change(ada, "DELETE", &path, json!({})).await?;
    assert!(!put(read).await?, "a deleted text");
    assert_eq!(world.number(VECTORS).await?, 0);
    Ok(())
}

#[tokio::test]
async fn words_go_on_while_the_model_is_gone_and_vectors_catch_up() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    world.meanings.silence(true);
    let _worker = server.worker(quick()).await?;
    let open = channel(server, ada, "open", false).await?;
    post(server, ada, &open, "An automobile.").await?;
    post(server, ada, &open, "The vehicle and the automobile.").await?;
    let asked = |mode| [("query", "automobile"), ("mode", mode)];
    let (status, page) = find(server, Some(ada), &asked("hybrid")).await?;
    assert_eq!(
        (status, &page["mode"], &page["degraded"]),
        (200, &json!("text"), &json!(true))
    );
    let (_, text) = find(server, Some(ada), &asked("text")).await?;
    assert_eq!(
        page["items"], text["items"],
        "a missing half takes nothing away"
    );
    let refused = find(server, Some(ada), &asked("semantic")).await?;
    assert_eq!(refusal(&refused), (503, "meaning-unavailable"));
    // What began by words alone goes on so, and what began by both does not turn into something else.
    let begun = [asked("hybrid").as_slice(), &[("limit", "1")]].concat();
    let (_, page) = find(server, Some(ada), &begun).await?;
    let after = page["next"].as_str().context("next")?;
    world.meanings.silence(false);
    server
        .database
        .execute("delete from llm.breaker; select search.wake()")
        .await?;
    world.embedded().await?;
    let whole = world
        .page(ada, "hybrid", &[("query", "automobile"), ("limit", "1")])
        .await?;
    let more = [begun.as_slice(), &[("after", after)]].concat();
    let (_, second) = find(server, Some(ada), &more).await?;
    assert_eq!(
        (&second["mode"], &second["degraded"]),
        (&json!("text"), &json!(true))
    );
    assert_eq!(snippets(&second)?.len(), 1);
    world.meanings.silence(true);
    let after = whole["next"].as_str().context("next")?;
    let more = [begun.as_slice(), &[("after", after)]].concat();
    let refused = find(server, Some(ada), &more).await?;
    assert_eq!(refusal(&refused), (503, "meaning-unavailable"));
    Ok(())
}

#[tokio::test]
async fn an_author_who_may_not_ask_holds_nobody_up() -> Result<()> {
    let world = World::new().await?;
    let (server, ada, bob) = (&world.server, &world.ada, &world.bob);
    world.post(bob, "Road", "An automobile of bob.").await?;
    world.post(ada, "Road", "An automobile of ada.").await?;
    let of_bob = |status: &str| {
        format!(
            "update identity.account set status = '{status}' where id = '{}'",
            bob.id
        )
    };
    server.database.execute(&of_bob("suspended")).await?;
    let _worker = server.worker(quick()).await?;
    world.until(VECTORS, 1).await?;
    world
        .until(
            "select count(*) from search.wanted where tries > 0 and ready_at > now()",
            1,
        )
        .await?;
    let found = world.found(ada, "semantic", "vehicle").await?;
    assert_eq!(found, ["post: An automobile of ada."]);
    // Later he is tried again.
    server.database.execute(&of_bob("active")).await?;
    server
        .database
        .execute("update search.wanted set ready_at = now(); select search.wake()")
        .await?;
    world.embedded().await?;
    assert_eq!(world.number(VECTORS).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_long_post_is_found_by_its_last_sentence() -> Result<()> {
    let world = World::new().await?;
    let (server, ada) = (&world.server, &world.ada);
    let _worker = server.worker(quick()).await?;
    let filler = "Nothing to see in this sentence at all. ".repeat(1_600);
    world
        .post(
            ada,
            "Long",
            &format!("{}The physician came.", &filler[..63_000]),
        )
        .await?;
    world.embedded().await?;
    assert_eq!(world.found(ada, "semantic", "medicine").await?.len(), 1);
    let asked = world.meanings.models.asked();
    assert!(
        asked.iter().all(|asked| asked.body.len() < 64_000),
        "a batch is too long"
    );
    Ok(())
}
