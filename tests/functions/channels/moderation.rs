//! What keeps channels bearable: moderation, pins, slow mode, limits of new accounts, blocks.

use crate::functions::channels::actions::{each, grow_up};
use crate::functions::channels::world::{World, text};
use anyhow::Result;
use e2e::{Server, agents::Agent, client::refusal, people::Person};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn what_a_moderator_hides_stays_hidden_and_a_lock_stops_every_verb() -> Result<()> {
    let world = World::new().await?;
    let admin = Person::register(&world.server, "root-1")
        .await?
        .into_admin(&world.server)
        .await?;
    let (path, message) = world.post(&world.bob, "ugly words").await?;
    let moderation = format!("{path}/moderation");
    let hide = json!({ "action": "hide", "reason": "rude" });
    for who in [&world.bob, &world.eve] {
        let refused = world.send(who, "PUT", &moderation, hide.clone()).await?;
        assert_eq!(refusal(&refused), (403, "forbidden"));
    }
    let url = format!("{}{moderation}", world.path);
    let done = admin.send(&world.server, "PUT", &url, &hide).await?;
    assert_eq!(done.0, 200);
    let seen = world.get(&world.eve, &path).await?;
    assert_eq!(
        (&seen["hidden"], &seen["body"], &seen["author"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    let own = world.get(&world.bob, &path).await?;
    assert_eq!(
        (&own["body"], &own["moderation"]["reason"]),
        (&json!("ugly words"), &json!("rude"))
    );
    assert_eq!(world.get(&world.ada, &path).await?["body"], "ugly words");
    assert_eq!(
        world.get(&world.eve, "/search?query=ugly").await?["items"],
        json!([])
    );
    let events = json!(world.events(&world.eve).await?).to_string();
    assert!(!events.contains("ugly"), "{events}");

    let locked = (409, "message-locked");
    let thumb = format!("{path}/reactions/%F0%9F%91%8D");
    for (who, method, path, body) in [
        (&world.bob, "PATCH", &path, json!({ "body": "nicer" })),
        (&world.bob, "DELETE", &path, json!({})),
        (&world.bob, "PUT", &thumb, json!({})),
    ] {
        assert_eq!(
            refusal(&world.send(who, method, path, body).await?),
            locked,
            "{method}"
        );
    }
    // Neither its author nor a role in the channel undoes what the platform's moderators did.
    for who in [&world.bob, &world.ada] {
        let refused = world.send(who, "DELETE", &moderation, json!({})).await?;
        assert_eq!(refusal(&refused), (403, "forbidden"));
    }
    // A lock shows nothing of what is hidden, and nobody pins it.
    let lock = json!({ "action": "lock", "reason": "enough" });
    assert_eq!(admin.send(&world.server, "PUT", &url, &lock).await?.0, 200);
    let seen = world.get(&world.eve, &path).await?;
    assert_eq!(
        (&seen["hidden"], &seen["body"]),
        (&json!(true), &Value::Null)
    );
    let events = json!(world.events(&world.eve).await?).to_string();
    assert!(!events.contains("ugly"), "{events}");
    let pin = json!({ "action": "pin", "reason": "look" });
    let refused = admin.send(&world.server, "PUT", &url, &pin).await?;
    assert_eq!(refusal(&refused), locked);
    let done = admin.request(&world.server, "DELETE", &url).send().await?;
    assert_eq!(done.status(), 204);
    assert_eq!(world.get(&world.eve, &path).await?["body"], "ugly words");

    // A channel's own moderators do so there, and only there.
    let (own, _) = world.post(&world.ada, "mine").await?;
    let own = format!("{own}/moderation");
    let lock = json!({ "action": "lock", "reason": "enough" });
    assert_eq!(
        world
            .send(&world.ada, "PUT", &moderation, lock.clone())
            .await?
            .0,
        200
    );
    let refused = world
        .send(&world.bob, "PATCH", &path, json!({ "body": "x" }))
        .await?;
    assert_eq!(refusal(&refused), locked);
    assert_eq!(
        world
            .send(&world.ada, "DELETE", &moderation, json!({}))
            .await?
            .0,
        204
    );
    assert_eq!(world.send(&world.ada, "PUT", &own, lock).await?.0, 200);
    let refused = world.send(&world.ada, "DELETE", &own, json!({})).await?;
    assert_eq!(
        refusal(&refused),
        (403, "forbidden"),
        "nobody for themselves"
    );
    let audit = admin
        .request(&world.server, "GET", "/api/audit?action=message.hide")
        .send()
        .await?;
    let audit: Value = audit.json().await?;
    assert_eq!(audit["items"][0]["subject"], message["id"], "{audit:#}");
    Ok(())
}

#[tokio::test]
async fn pins_are_few_and_slow_mode_and_youth_limit_posts() -> Result<()> {
    let world = World::new().await?;
    let (path, message) = world.post(&world.bob, "pin me").await?;
    let pin = format!("/pins/{}", text(&message, "id")?);
    assert_eq!(
        refusal(&world.send(&world.bob, "PUT", &pin, json!({})).await?),
        (403, "forbidden")
    );
    for _ in 0..2 {
        assert_eq!(world.send(&world.ada, "PUT", &pin, json!({})).await?.0, 204);
    }
    assert_eq!(
        each(&world.get(&world.eve, "/pins").await?, "body"),
        ["pin me"]
    );
    assert_eq!(world.get(&world.eve, &path).await?["pinned"], true);
    assert_eq!(
        world.send(&world.ada, "DELETE", &pin, json!({})).await?.0,
        204
    );
    assert_eq!(world.get(&world.eve, "/pins").await?["items"], json!([]));
    let fill = format!(
        "insert into channels.message (id, channel_id, seq, author_id, body, html, plain, words)
         select platform.uuid_v7(), '{0}', 1000 + n, '{1}', 'x', 'x', 'x', 'x' from generate_series(1, 50) n;
         insert into channels.pin (channel_id, message_id) select channel_id, id from channels.message where seq > 1000",
        world.id, world.ada.id
    );
    world.server.database.execute(&fill).await?;
    assert_eq!(
        refusal(&world.send(&world.ada, "PUT", &pin, json!({})).await?),
        (409, "too-many-pins")
    );

    let slow = json!({ "slow_mode_ms": 60_000.0 });
    assert_eq!(world.send(&world.ada, "PATCH", "", slow).await?.0, 200);
    let request = world
        .bob
        .request(&world.server, "POST", &format!("{}/messages", world.path));
    let refused = request.json(&json!({ "body": "again" })).send().await?;
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str()?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.json::<Value>().await?["code"], "slow-mode");
    // The 60 of this hour are used up by the owner, whom slow mode does not bind.
    for n in 50..60 {
        world.post(&world.ada, &format!("{n}")).await?;
    }
    let refused = world
        .send(&world.ada, "POST", "/messages", json!({ "body": "61" }))
        .await?;
    assert_eq!(refusal(&refused), (429, "new-account"));
    grow_up(&world.server).await?;
    world.post(&world.ada, "61").await?;
    Ok(())
}

/// Lets an account block another one.
pub async fn block(server: &Server, blocker: &Agent, blocked: Uuid) -> Result<()> {
    let path = format!("/api/blocks/{blocked}");
    let made = blocker.send(server, "PUT", &path, &json!({})).await?;
    assert_eq!(made.0, 200, "{made:?}");
    Ok(())
}

#[tokio::test]
async fn blocks_and_mutes_hide_and_silence() -> Result<()> {
    let world = World::new().await?;
    let direct = world
        .bob
        .send(&world.server, "POST", "/api/dms", &json!({ "to": ["ada"] }))
        .await?;
    block(&world.server, &world.ada, world.bob.id).await?;
    let (path, _) = world.post(&world.bob, "you see me not @ada").await?;
    let (own, _) = world.post(&world.eve_joins().await?, "hello").await?;
    assert_eq!(world.unread(&world.ada).await?, (1, 0), "not bob's");
    assert_eq!(
        world
            .ada
            .get(&world.server, &format!("{}{path}", world.path))
            .await?
            .0,
        404
    );
    assert_eq!(
        each(&world.get(&world.ada, "/messages").await?, "body"),
        ["hello"]
    );
    assert_eq!(
        world.get(&world.ada, "/search?query=see").await?["items"],
        json!([])
    );
    let thumb = format!("{own}/reactions/%F0%9F%91%8D");
    world.send(&world.bob, "PUT", &thumb, json!({})).await?;
    assert_eq!(world.get(&world.ada, &own).await?["reactions"], json!([]));
    assert_eq!(
        each(&world.get(&world.eve, "/messages").await?, "body").len(),
        2,
        "others do"
    );
    let id = text(&direct.1, "id")?;
    let path = format!("/api/channels/{id}/messages");
    let refused = world
        .bob
        .send(&world.server, "POST", &path, &json!({ "body": "x" }))
        .await?;
    assert_eq!(refusal(&refused), (403, "forbidden"));
    let both = world
        .bob
        .send(
            &world.server,
            "POST",
            "/api/dms",
            &json!({ "to": ["ada", "eve"] }),
        )
        .await?;
    assert_eq!(
        refusal(&both),
        (422, "invalid-input"),
        "as an account that is not there"
    );
    Ok(())
}

impl World {
    /// Eve, a member from now on.
    async fn eve_joins(&self) -> Result<Agent> {
        self.send(&self.eve, "POST", "/join", json!({})).await?;
        Ok(Agent {
            id: self.eve.id,
            token: self.eve.token.clone(),
        })
    }
}
