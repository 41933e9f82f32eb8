//! What receivers of webhooks are sent, and what becomes of it where they misbehave.

use super::world::{LIMIT, World, verifies};
use anyhow::{Context, Result};
use e2e::{
    agents::Agent,
    errands::quick,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_event_is_sent_signed_and_once() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(204)).await?;
    let world = World::new(&[("good.example", &good)]).await?;
    let (webhook, secret) = world.webhook("http://good.example/hook?x=1").await?;
    let _worker = world.worker(quick()).await?;
    for number in 0..10 {
        world.emit(number, None).await?;
    }
    let taken = good.until(10).await?;
    let mut numbers = vec![];
    for one in &taken {
        assert!(verifies(one, &secret)?, "{one:?}");
        assert!(!verifies(one, "whsec_AAAA")?);
        let body: Value = serde_json::from_slice(&one.body)?;
        assert_eq!(body["type"], "test.number");
        assert_eq!(body["topic"], format!("account:{}", world.ada.id));
        assert!(
            body["timestamp"].is_string() && body["id"].is_string(),
            "{body}"
        );
        assert_eq!(one.headers["content-type"], "application/json");
        assert_eq!(one.headers["host"], "good.example");
        numbers.push(body["data"]["n"].as_u64().context("n")?);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    let sent = world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    assert_eq!(
        (&sent["status"], &sent["attempts"], &sent["error"]),
        (&json!(204), &json!(1), &Value::Null)
    );
    let mut ids: Vec<_> = taken.iter().map(|one| &one.headers["webhook-id"]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 10);

    // A test, and the same delivery once more.
    let (status, test) = world
        .call("POST", &format!("{webhook}/test"), json!({}))
        .await?;
    assert_eq!(
        (status, &test["type"]),
        (202, &json!("webhook.test")),
        "{test}"
    );
    let taken = good.until(11).await?;
    let body: Value = serde_json::from_slice(&taken[10].body)?;
    assert_eq!(
        (&body["type"], verifies(&taken[10], &secret)?),
        (&json!("webhook.test"), true)
    );
    let of = |delivery: &Value| {
        format!(
            "/api/webhooks/deliveries/{}/redeliver",
            delivery["id"].as_str().unwrap_or_default()
        )
    };
    world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    let (status, again) = world.call("POST", &of(&sent), json!({})).await?;
    assert_eq!(
        (status, &again["state"]),
        (202, &json!("waiting")),
        "{again}"
    );
    let taken = good.until(12).await?;
    assert_eq!(json!(taken[11].headers["webhook-id"]), sent["id"]);
    let first = taken
        .iter()
        .find(|one| json!(one.headers["webhook-id"]) == sent["id"]);
    assert_eq!(first.context("the first")?.body, taken[11].body);
    Ok(())
}

#[tokio::test]
async fn attempts_repeat_id_and_body_are_signed_anew_and_carry_nothing_that_was_deleted()
-> Result<()> {
    let late = Receiver::start(|number| Answer::status(if number < 2 { 500 } else { 200 })).await?;
    let world = World::new(&[("late.example", &late)]).await?;
    let (webhook, old) = world.webhook("http://late.example/").await?;
    let _worker = world.worker(quick()).await?;
    world.emit(1, None).await?;
    let first = late.until(1).await?.remove(0);
    assert!(verifies(&first, &old)?);
    world
        .until(&webhook, |newest| newest["status"] == 500)
        .await?;
    let (_, rotated) = world
        .call("POST", &format!("{webhook}/rotate"), json!({}))
        .await?;
    let new = rotated["secret"].as_str().context("secret")?;
    let second = late.until(2).await?.remove(1);
    assert!(
        verifies(&second, &old)? && verifies(&second, new)?,
        "{second:?}"
    );
    assert_eq!(second.headers["webhook-id"], first.headers["webhook-id"]);
    assert_eq!(second.body, first.body);

    world
        .until(&webhook, |newest| {
            newest["attempts"] == 2 && newest["status"] == 500
        })
        .await?;
    world.server.database.execute("update webhooks.secret set until = now() - interval '1 second' where until is not null").await?;
    world.server.database.execute("update events.event set subject = 'thing:1' where type = 'test.number'; select events.erase('thing:1')").await?;
    // Its owner need not wait for the next attempt.
    world
        .call("POST", &format!("{webhook}/enable"), json!({}))
        .await?;
    let third = late.until(3).await?.remove(2);
    assert!(!verifies(&third, &old)? && verifies(&third, new)?);
    let body: Value = serde_json::from_slice(&third.body)?;
    assert_eq!(body["data"], json!({ "id": "1", "deleted": true }));
    let done = world
        .until(&webhook, |newest| newest["state"] == "delivered")
        .await?;
    assert_eq!(done["attempts"], 3);
    Ok(())
}

#[tokio::test]
async fn who_is_gone_or_never_there_is_sent_nothing_until_enabled_again() -> Result<()> {
    let gone =
        Receiver::start(|number| Answer::status(if number == 0 { 410 } else { 200 })).await?;
    let dead = Receiver::start(|_| Answer::status(503)).await?;
    let world = World::new(&[("gone.example", &gone), ("dead.example", &dead)]).await?;
    let (webhook, _) = world.webhook("http://gone.example/secret-path").await?;
    let worker = world.worker(quick()).await?;
    world.emit(1, None).await?;
    let first = world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    assert_eq!(first["status"], 410);
    let (_, shown) = world.call("GET", &webhook, json!({})).await?;
    assert_eq!(shown["state"], "gone");
    world.emit(2, None).await?;
    let second = world
        .until(&webhook, |newest| {
            newest["state"] == "dead" && newest["id"] != first["id"]
        })
        .await?;
    assert_eq!((&second["attempts"], gone.taken().len()), (&json!(0), 1));
    let notes = world.notes().await?;
    assert_eq!(notes.len(), 1, "{notes:?}");
    let text = notes[0]["text"].as_str().context("text")?;
    assert!(
        text.contains("gone.example") && !text.contains("secret-path"),
        "{text}"
    );
    let redeliver = format!(
        "/api/webhooks/deliveries/{}/redeliver",
        second["id"].as_str().context("id")?
    );
    let (status, problem) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("webhook-disabled"))
    );
    let (status, shown) = world
        .call("POST", &format!("{webhook}/enable"), json!({}))
        .await?;
    assert_eq!((status, &shown["state"]), (200, &json!("enabled")));
    let (status, _) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(status, 202);
    assert_eq!(
        json!(gone.until(2).await?[1].headers["webhook-id"]),
        second["id"]
    );
    let (status, problem) = world
        .call(
            "GET",
            &format!("{webhook}/deliveries?state=nonsense"),
            json!({}),
        )
        .await?;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-input")));
    let (_, page) = world.call("DELETE", &webhook, json!({})).await?;
    assert_eq!(page, Value::Null);

    // A day of failures disables; its deliveries end, and one note says so.
    let (webhook, _) = world.webhook("http://dead.example/").await?;
    for number in 0..3 {
        world.emit(number, None).await?;
    }
    world
        .until(&webhook, |newest| newest["id"].is_string())
        .await?;
    dead.until(1).await?;
    let failed = |newest: &Value| newest["attempts"] == 0 || newest["status"] == 503;
    world.until(&webhook, failed).await?;
    world
        .server
        .database
        .execute(
            "update webhooks.webhook set failing_since = now() - interval '25 hours', retry_at = null;
             update graphile_worker._private_jobs set run_at = now() where locked_at is null",
        )
        .await?;
    let begin = Instant::now();
    loop {
        let (_, shown) = world.call("GET", &webhook, json!({})).await?;
        if shown["state"] == "failing" {
            break;
        }
        assert!(begin.elapsed() < LIMIT, "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let notes = world.notes().await?;
    assert_eq!(notes.len(), 2, "{notes:?}");
    worker.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[tokio::test]
async fn what_its_owner_may_not_read_any_more_is_not_sent() -> Result<()> {
    let late = Receiver::start(|_| Answer::status(500)).await?;
    let world = World::new(&[("late.example", &late)]).await?;
    let mut connection = world.server.database.connect().await?;
    let hook = json!({ "source": "generic" });
    let (_, hook) = world.call("POST", "/api/hooks", hook).await?;
    let topic = format!("hook:{}", hook["id"].as_str().context("id")?);
    let new = json!({ "url": "http://late.example/", "topics": [topic] });
    let (status, made) = world.call("POST", "/api/webhooks", new).await?;
    assert_eq!(status, 201, "{made}");
    let webhook = format!("/api/webhooks/{}", made["id"].as_str().context("id")?);
    let _worker = world.worker(quick()).await?;
    sqlx::query("select events.emit(array[$1], 'test.number', '{}')")
        .bind(&topic)
        .execute(&mut connection)
        .await?;
    world
        .until(&webhook, |newest| newest["status"] == 500)
        .await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    sqlx::query("update webhooks.hook set owner_id = $1")
        .bind(bob.id)
        .execute(&mut connection)
        .await?;
    let ended = world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    let why = ended["error"].as_str().context("error")?;
    assert!(why.contains("may not read"), "{ended}");
    assert_eq!(late.taken().len(), 1);
    let redeliver = format!(
        "/api/webhooks/deliveries/{}/redeliver",
        ended["id"].as_str().context("id")?
    );
    let (status, _) = world.call("POST", &redeliver, json!({})).await?;
    assert_eq!(status, 202);
    world
        .until(&webhook, |newest| newest["state"] == "dead")
        .await?;
    assert_eq!(late.taken().len(), 1);
    Ok(())
}
