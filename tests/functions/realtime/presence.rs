//! What is kept nowhere: who types, and who is there.

use anyhow::{Context, Result, bail};
use e2e::{Server, agents::Agent, sockets::Client};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn typing_is_told_to_who_is_there_and_kept_nowhere() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    server
        .database
        .execute(
            "create function public.everybody(account uuid, id text) returns boolean language sql immutable
             as $$ select true $$;
             update events.topic_kind set reader = 'public.everybody' where kind = 'channel'",
        )
        .await?;
    let channel = uuid::Uuid::now_v7();
    let topic = format!("channel:{channel}");
    let mut writer = Client::signed_in(&server.url, &ada).await?;
    let mut reader = Client::signed_in(&server.url, &bob).await?;
    writer
        .send(&json!({ "type": "typing", "channel": channel }))
        .await?;
    assert_eq!(writer.frame().await?["code"], "not-subscribed");
    writer.subscribe(&topic, None).await?;
    reader.subscribe(&topic, None).await?;
    // A gateway that has just begun may not listen yet to what is kept nowhere: somebody types on until it is told.
    let frame = loop {
        writer
            .send(&json!({ "type": "typing", "channel": channel }))
            .await?;
        if let Ok(frame) = timeout(Duration::from_secs(3), reader.frame()).await {
            break frame?;
        }
    };
    assert_eq!(
        (&frame["type"], &frame["account"]),
        (&json!("typing"), &json!(ada.id))
    );
    assert!(frame["until"].is_string());
    writer
        .send(&json!({ "type": "presence", "state": "online" }))
        .await?;
    reader.until("presence").await?;
    let url = format!("{}/api/channels/{channel}/presence", server.url);
    let present: Value = server
        .http
        .get(url)
        .bearer_auth(&bob.token)
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(present[0]["account"], json!(ada.id));
    let kept: i64 = sqlx::query_scalar("select count(*) from events.event where topic = $1")
        .bind(&topic)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert_eq!(kept, 0);
    Ok(())
}

/// Says something of who is there until a reader hears of it.
async fn say(writer: &mut Client, state: &str, reader: &mut Client, heard: &str) -> Result<Value> {
    for _ in 0..20 {
        writer
            .send(&json!({ "type": "presence", "state": state }))
            .await?;
        // The same is told again after a while only.
        let told = timeout(Duration::from_secs(3), async {
            loop {
                let frame = reader.frame().await?;
                if frame["type"] == "presence" && frame["state"] == heard {
                    return anyhow::Ok(frame);
                }
                assert!(frame["state"] != "offline", "{frame}");
            }
        });
        if let Ok(frame) = told.await {
            return frame;
        }
    }
    bail!("{heard} is never heard")
}

#[tokio::test]
async fn an_account_is_as_present_as_the_most_present_of_its_sockets() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    server
        .database
        .execute(
            "create function public.everybody(account uuid, id text) returns boolean language sql immutable
             as $$ select true $$;
             update events.topic_kind set reader = 'public.everybody' where kind = 'channel'",
        )
        .await?;
    let (gateway, url) = server.gateway(&server.database.admin, |_| {}).await?;
    for _ in 0..20 {
        let channel = uuid::Uuid::now_v7();
        let topic = format!("channel:{channel}");
        let mut reader = Client::signed_in(&server.url, &bob).await?;
        let mut tab = Client::signed_in(&server.url, &ada).await?;
        let mut other = Client::signed_in(&url, &ada).await?;
        for client in [&mut reader, &mut tab, &mut other] {
            client.subscribe(&topic, None).await?;
        }
        let begun = Instant::now();
        say(&mut other, "away", &mut reader, "away").await?;
        say(&mut tab, "online", &mut reader, "online").await?;
        let frame = json!({ "type": "presence", "state": "offline" });
        tab.send(&frame).await?;
        let mut told = reader.until("presence").await?.pop().context("a frame")?;
        // What was said before may have been told twice.
        while told["state"] == "online" {
            told = reader.until("presence").await?.pop().context("a frame")?;
        }
        // What nobody repeats is over by itself; a machine that is too slow to see it tries again.
        if begun.elapsed() > Duration::from_secs(20) {
            continue;
        }
        assert_eq!(told["account"], json!(ada.id));
        assert_eq!(told["state"], "away", "the other socket is still there");
        let path = format!("/api/channels/{channel}/presence");
        let (_, present) = bob.get(&server, &path).await?;
        assert_eq!(present[0]["state"], "away");
        other.send(&frame).await?;
        while told["state"] != "offline" {
            told = reader.until("presence").await?.pop().context("a frame")?;
        }
        assert_eq!(bob.get(&server, &path).await?.1, json!([]));
        gateway.stop().await;
        return Ok(());
    }
    bail!("the machine is too slow")
}
