//! Direct channels: one for each set of accounts.

use super::actions::{channel, each, post};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn a_direct_channel_is_one_a_set_and_cannot_be_left() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let open = async |by: &Agent, to: Value| {
        let new = json!({ "to": to });
        by.send(&server, "POST", "/api/dms", &new).await
    };
    let (status, made) = open(&ada, json!(["bob"])).await?;
    assert_eq!(
        (status, &made["kind"], &made["name"]),
        (201, &json!("direct"), &Value::Null)
    );
    assert_eq!(each(&made["to"], "name"), ["bob"]);
    for to in [
        json!([bob.id]),
        json!(["bob", "bob"]),
        json!(["ada", "bob"]),
    ] {
        let (status, again) = open(&ada, to).await?;
        assert_eq!((status, &again["id"]), (200, &made["id"]));
    }
    let (status, other_side) = open(&bob, json!(["ada"])).await?;
    assert_eq!((status, &other_side["id"]), (200, &made["id"]));
    assert_eq!(
        open(&ada, json!(["bob", "eve"])).await?.0,
        201,
        "another set"
    );
    assert_eq!(open(&ada, json!(["ada"])).await?.0, 201, "notes to oneself");
    let unknown: Vec<_> = (0..9).map(|_| Uuid::now_v7()).collect();
    assert_eq!(
        refusal(&open(&ada, json!(["bob", "nobody"])).await?),
        (422, "invalid-input")
    );
    assert_eq!(
        refusal(&open(&ada, json!(unknown)).await?),
        (422, "invalid-input")
    );
    assert_eq!(
        refusal(&open(&ada, json!([])).await?),
        (422, "invalid-input")
    );

    let id = made["id"].as_str().context("id")?;
    let path = format!("/api/channels/{id}");
    let direct = (409, "direct-channel");
    let new = json!({ "account": "eve" });
    for refused in [
        ada.send(&server, "POST", &format!("{path}/leave"), &json!({}))
            .await?,
        ada.send(&server, "POST", &format!("{path}/members"), &new)
            .await?,
        ada.send(
            &server,
            "DELETE",
            &format!("{path}/members/{}", bob.id),
            &json!({}),
        )
        .await?,
        ada.send(&server, "PATCH", &path, &json!({ "topic": "x" }))
            .await?,
        ada.send(&server, "DELETE", &path, &json!({})).await?,
    ] {
        assert_eq!(refusal(&refused), direct);
    }
    assert_eq!(eve.get(&server, &path).await?.0, 404);

    // It shows to the other side with its first message, can be hidden, and comes back with the next one.
    let listed = async |who: &Agent| {
        let (_, list) = who.get(&server, "/api/channels?joined=true").await?;
        anyhow::Ok(each(&list, "id").contains(&&json!(id)))
    };
    let hidden = json!({ "notify": "all", "hidden": true });
    assert_eq!(
        bob.send(&server, "PUT", &format!("{path}/settings"), &hidden)
            .await?
            .0,
        200
    );
    assert!(!listed(&bob).await?);
    post(&server, &ada, id, "hello").await?;
    assert!(listed(&bob).await?);
    let general = channel(&server, &bob, "general", false).await?;
    let refused = bob
        .send(
            &server,
            "PUT",
            &format!("/api/channels/{general}/settings"),
            &hidden,
        )
        .await?;
    assert_eq!(refusal(&refused), (422, "invalid-input"));
    Ok(())
}
