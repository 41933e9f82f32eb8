//! Scopes: who reads, writes and manages what in each.

use super::world::{contents, done, note, path, search};
use crate::functions::channels::actions::{channel, post};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, client::refusal, errands::quick, people::Person};
use serde_json::{Value, json};

async fn add(
    server: &Server,
    who: &Agent,
    scope: &str,
    id: &Value,
    content: &str,
) -> Result<(u16, Value)> {
    let new = json!({"content": content, "scope": scope, "scope_id": id});
    who.send(server, "POST", "/api/memory", &new).await
}

#[tokio::test]
async fn a_team_shares_a_memory_by_the_roles_of_its_members() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let (status, team) = ada
        .send(&server, "POST", "/api/teams", &json!({"name": "makers"}))
        .await?;
    assert_eq!(status, 201, "{team}");
    let id = &team["id"];
    let member = format!(
        "/api/teams/{}/members/{}",
        id.as_str().context("id")?,
        bob.id
    );
    let set = async |role: &str| {
        ada.send(&server, "PUT", &member, &json!({"role": role}))
            .await
    };
    assert!(set("viewer").await?.0 < 300);
    let (status, made) = add(&server, &ada, "circle", id, "The makers meet on Mondays.").await?;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        bob.get(&server, &path(&made)?).await?.1["content"],
        made["content"]
    );
    assert_eq!(
        contents(&search(&server, &bob, "mondays", &[]).await?),
        ["The makers meet on Mondays."]
    );
    assert_eq!(
        refusal(&add(&server, &bob, "circle", id, "Bob was here.").await?),
        (403, "forbidden")
    );
    assert!(set("member").await?.0 < 300);
    let (status, by_bob) = add(&server, &bob, "circle", id, "Bob was here.").await?;
    assert_eq!(status, 201, "{by_bob}");
    // What others noted, only an owner has forgotten; one's own, a member has.
    let answer = bob
        .send(&server, "DELETE", &path(&made)?, &Value::Null)
        .await?;
    assert_eq!(refusal(&answer), (403, "forbidden"));
    let all = json!({"scope": "circle", "scope_id": id});
    assert_eq!(
        refusal(
            &bob.send(&server, "POST", "/api/memory/forget", &all)
                .await?
        ),
        (403, "forbidden")
    );
    let answer = bob
        .send(&server, "DELETE", &path(&by_bob)?, &Value::Null)
        .await?;
    assert_eq!(answer.0, 204);
    assert_eq!(
        refusal(&ada.get(&server, &path(&by_bob)?).await?),
        (410, "forgotten")
    );
    assert_eq!(
        refusal(&eve.get(&server, &path(&by_bob)?).await?),
        (404, "not-found")
    );
    for scope in [
        add(&server, &eve, "circle", id, "x").await?,
        eve.get(&server, &path(&made)?).await?,
    ] {
        assert_eq!(refusal(&scope), (404, "not-found"));
    }
    assert_eq!(
        contents(&search(&server, &eve, "mondays", &[]).await?),
        [""; 0]
    );
    Ok(())
}

#[tokio::test]
async fn everybody_reads_what_is_global_and_few_write_it() -> Result<()> {
    let server = Server::start().await?;
    let _worker = server.worker(quick()).await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let none = Value::Null;
    assert_eq!(
        refusal(&add(&server, &ada, "global", &none, "x").await?),
        (403, "forbidden")
    );
    let (status, made) = add(
        &server,
        &admin,
        "global",
        &none,
        "The platform sleeps at night.",
    )
    .await?;
    assert_eq!((status, &made["scope_id"]), (201, &none), "{made}");
    assert_eq!(
        contents(&search(&server, &ada, "platform", &[]).await?),
        ["The platform sleeps at night."]
    );
    let found = search(&server, &ada, "platform", &[("scope", "global")]).await?;
    assert_eq!(contents(&found).len(), 1);
    // A token without the scope does not change what is everybody's, though its account could.
    let narrow = admin
        .with_scope(&server.database, "memory:read memory:write")
        .await?;
    let answer = narrow.send(&server, "DELETE", &path(&made)?, &none).await?;
    assert_eq!(refusal(&answer), (403, "forbidden"));
    let own = json!({"author": admin.id});
    let kept = done(&server, &narrow, "/api/memory/forget", &own).await?;
    assert_eq!(kept["counts"]["memories"], 0, "{kept}");
    let gone = done(&server, &admin, "/api/memory/forget", &own).await?;
    assert_eq!(gone["counts"]["memories"], 1, "{gone}");
    Ok(())
}

#[tokio::test]
async fn a_channel_has_a_memory_in_which_only_ones_own_words_are_trusted() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let open = json!(channel(&server, &ada, "garden", false).await?);
    let closed = json!(channel(&server, &ada, "cellar", true).await?);
    let (status, made) = add(&server, &ada, "conversation", &open, "The roses are red.").await?;
    assert_eq!((status, &made["trust"]), (201, &json!("own")), "{made}");
    let (_, seen) = bob.get(&server, &path(&made)?).await?;
    assert_eq!(seen["trust"], "stranger", "{seen}");
    // Bob is not a member, so he reads the public channel's only.
    assert_eq!(
        refusal(&add(&server, &bob, "conversation", &open, "x").await?),
        (403, "forbidden")
    );
    assert_eq!(
        refusal(&add(&server, &bob, "conversation", &closed, "x").await?),
        (404, "not-found")
    );
    let id = open.as_str().context("id")?;
    let joined = bob
        .send(
            &server,
            "POST",
            &format!("/api/channels/{id}/join"),
            &json!({}),
        )
        .await?;
    assert!(joined.0 < 300, "{joined:?}");
    for (who, trust) in [(&bob, "stranger"), (&ada, "own")] {
        let said = post(&server, who, id, "Water the roses at noon.").await?;
        let source = json!([{"type": "message", "id": said["id"]}]);
        let new = json!({"content": format!("Roses, says {}.", who.id), "scope": "agent", "scope_id": ada.id, "sources": source});
        let (status, made) = ada.send(&server, "POST", "/api/memory", &new).await?;
        assert_eq!((status, &made["trust"]), (201, &json!(trust)), "{made}");
    }
    let (status, by_bob) = add(&server, &bob, "conversation", &open, "The roses are blue.").await?;
    assert_eq!((status, &by_bob["trust"]), (201, &json!("own")), "{by_bob}");
    let recall = json!({"query": "roses", "max_tokens": 2000, "scopes": [{"scope": "conversation", "scope_id": open}]});
    let (_, recalled) = ada
        .send(&server, "POST", "/api/memory/recall", &recall)
        .await?;
    let text = recalled["text"].as_str().context("a text")?;
    assert!(text.contains("red") && !text.contains("blue"), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_agents_memory_is_its_owners_too() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let person = Person::register(&server, "paula").await?;
    let made = note(&server, &ada, "The bicycle is in the shed.", json!({})).await?;
    assert_eq!(
        refusal(&person.get(&server, &path(&made)?).await?),
        (404, "not-found")
    );
    let owned = format!(
        "update identity.agent set owner_id = '{}' where account_id = '{}'",
        person.id, ada.id
    );
    server.database.execute(&owned).await?;
    assert_eq!(person.get(&server, &path(&made)?).await?.0, 200);
    assert_eq!(
        contents(&search(&server, &person, "bicycle", &[]).await?).len(),
        1
    );
    // The agent writes in it still, and forgets what it noted; the owner forgets all of it.
    let more = note(&server, &ada, "The shed is locked.", json!({})).await?;
    assert_eq!(
        ada.send(&server, "DELETE", &path(&more)?, &Value::Null)
            .await?
            .0,
        204
    );
    let all = json!({"scope": "agent", "scope_id": ada.id});
    assert_eq!(
        refusal(
            &ada.send(&server, "POST", "/api/memory/forget", &all)
                .await?
        ),
        (403, "forbidden")
    );
    assert_eq!(
        person
            .send(&server, "POST", "/api/memory/forget", &all)
            .await?
            .0,
        202
    );
    Ok(())
}
