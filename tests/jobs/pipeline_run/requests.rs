//! Requests of runs: repeated, in doubt, and in the name of an account.

use super::world::World;
use anyhow::{Context, Result};
use e2e::{
    Server,
    client::refusal,
    receiver::{Answer, Receiver},
};
use serde_json::json;

#[tokio::test]
async fn a_request_that_may_have_arrived_is_decided_by_hand() -> Result<()> {
    // The first request breaks off after it arrived, the others are answered.
    let target = Receiver::start(|count| {
        if count == 0 {
            Answer::Reset
        } else {
            Answer::status(200)
        }
    })
    .await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let definition = json!({
        "nodes": {"pay": {"type": "action", "do": "http", "input": {"method": "POST", "url": format!("{origin}/pay"), "body": {"sum": 1}}}},
        "result": {"$": "nodes.pay.output.status"},
        "permissions": {"http": [origin]},
    });
    let run = world.start("pays", definition, json!(null)).await?;
    world.waits(&run, "pay").await?;
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/pay"))
        .await?;
    assert_eq!(
        (&step["status"], &step["effect"]),
        (&json!("uncertain"), &json!("once")),
        "{step}"
    );
    assert_eq!(target.count(), 1);
    let resolved = world
        .call(
            "POST",
            &format!("{run}/steps/pay/resolve"),
            json!({"outcome": "retry"}),
        )
        .await?;
    assert_eq!(resolved.0, 200, "{resolved:?}");
    let ended = world.ended(&run).await?;
    assert_eq!(
        (&ended["status"], &ended["result"]),
        (&json!("succeeded"), &json!(200)),
        "{ended}"
    );
    let taken = target.taken();
    assert_eq!(taken.len(), 2);
    assert_eq!(
        taken[0].headers["idempotency-key"],
        taken[1].headers["idempotency-key"]
    );
    let refused = world
        .call(
            "POST",
            &format!("{run}/steps/pay/resolve"),
            json!({"outcome": "failed"}),
        )
        .await?;
    assert_eq!(refusal(&refused), (409, "step-not-uncertain"));
    Ok(())
}

#[tokio::test]
async fn failed_requests_are_repeated_after_growing_pauses_or_those_that_are_asked_for()
-> Result<()> {
    let target = Receiver::start(|count| match count {
        0 | 1 => Answer::status(503),
        2 => Answer::Status(429, "retry-after: 2\r\n".to_owned()),
        // By the clock of whoever answers.
        3 => {
            let times = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:40 GMT\r\n";
            Answer::Status(503, times.to_owned())
        }
        _ => Answer::status(200),
    })
    .await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let fetch = json!({"type": "action", "do": "http", "effect": "repeatable",
        "input": {"method": "POST", "url": format!("{origin}/a"), "body": {"sum": 1}},
        "retry": {"attempts": 6, "first_ms": 300}});
    let definition = json!({"nodes": {"fetch": fetch}, "permissions": {"http": [origin]}});
    let run = world.start("retries", definition, json!(null)).await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let (_, step) = world
        .ada
        .get(&world.server, &format!("{run}/steps/fetch"))
        .await?;
    assert_eq!(step["attempts"], 5, "{step}");
    let taken = target.taken();
    let pauses = taken.windows(2).map(|two| two[1].at - two[0].at);
    // Of the pauses of its own, a fifth may be missing.
    for (pause, least_ms) in pauses.zip([240, 480, 2_000, 3_000]) {
        assert!(pause.as_millis() >= least_ms, "{pause:?} < {least_ms} ms");
    }
    Ok(())
}

#[tokio::test]
async fn the_platforms_own_api_is_called_in_the_name_of_the_account() -> Result<()> {
    let world = World::new().await?;
    let post = json!({"type": "action", "do": "api", "input": {"method": "POST", "path": "/api/posts",
        "body": {"title": {"$": "input.title"}, "body": "By a run."}}});
    let definition = json!({
        "nodes": {"post": post, "tell": {"type": "action", "do": "notify", "input": {"to": world.ada.id, "title": "Posted"}}},
        "edges": [{"from": "post", "to": "tell"}],
        "result": {"$": "nodes.post.output.body.id"},
        "permissions": {"scopes": ["social:write"]},
    });
    let run = world
        .start("posts", definition, json!({"title": "A report"}))
        .await?;
    let ended = world.ended(&run).await?;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let post = ended["result"].as_str().context("the post's id")?;
    let (_, post) = world
        .ada
        .get(&world.server, &format!("/api/posts/{post}"))
        .await?;
    assert_eq!(
        (&post["title"], &post["author"]["id"]),
        (&json!("A report"), &json!(world.ada.id)),
        "{post}"
    );
    let (_, inbox) = world.ada.get(&world.server, "/api/inbox?kind=run").await?;
    assert_eq!(inbox["items"][0]["title"], "Posted", "{inbox}");
    Ok(())
}
