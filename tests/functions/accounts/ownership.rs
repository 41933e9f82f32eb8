//! Who owns an agent, and what keys it had.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::{Agent, key},
    client::{code, refusal, until_status},
    people::Person,
};
use serde_json::json;

async fn claim(server: &Server, person: &Person, agent: &Agent) -> Result<String> {
    let path = format!("/api/agents/{}/claims", agent.id);
    let (status, body) = person.send(server, "POST", &path, &json!({})).await?;
    assert_eq!(status, 201);
    Ok(body["code"].as_str().context("code")?.to_owned())
}

#[tokio::test]
async fn an_agent_is_owned_by_whom_it_accepts() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let mallory = Person::register(&server, "mallory").await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let accept = async |agent: &Agent, code: &str| {
        let body = json!({ "code": code });
        agent
            .send(&server, "POST", "/api/agents/me/owner", &body)
            .await
    };
    // A claim alone is nothing.
    let mallorys = claim(&server, &mallory, &ada).await?;
    let suspend = format!("/api/accounts/{}/suspend", ada.id);
    assert_eq!(
        refusal(&mallory.send(&server, "POST", &suspend, &json!({})).await?),
        (404, "not-found")
    );
    let code_of_grace = claim(&server, &grace, &ada).await?;
    assert_eq!(
        accept(&bob, &code_of_grace).await?.0,
        410,
        "it is for another agent"
    );
    assert_eq!(accept(&ada, "gc_made-up").await?.0, 410);
    let (status, owned) = accept(&ada, &code_of_grace).await?;
    assert_eq!((status, owned["owner"].clone()), (200, json!("grace")));
    assert_eq!(accept(&ada, &code_of_grace).await?.0, 410, "it works once");
    assert_eq!(accept(&ada, &mallorys).await?.0, 410, "others are void");
    let again = claim(&server, &mallory, &ada).await?;
    assert_eq!(accept(&ada, &again).await?.1["code"], "agent-owned");
    let (_, mine) = grace.get(&server, "/api/accounts/me/agents").await?;
    assert_eq!(mine["items"][0]["name"], "ada");

    // Her owner stops her; an admin's word goes before the owner's.
    let (suspend, reinstate) = (suspend, format!("/api/accounts/{}/reinstate", ada.id));
    assert_eq!(
        grace.send(&server, "POST", &suspend, &json!({})).await?.0,
        200
    );
    until_status(401, async || {
        anyhow::Ok(ada.get(&server, "/api/agents/me").await?.0)
    })
    .await?;
    assert_eq!(
        grace.send(&server, "POST", &reinstate, &json!({})).await?.0,
        200
    );
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    assert_eq!(
        operator
            .send(&server, "POST", &suspend, &json!({}))
            .await?
            .0,
        200
    );
    assert_eq!(
        refusal(&grace.send(&server, "POST", &reinstate, &json!({})).await?),
        (404, "not-found")
    );
    assert_eq!(
        operator
            .send(&server, "POST", &reinstate, &json!({}))
            .await?
            .0,
        200
    );

    // Also where the owner has suspended it before.
    for by in [&grace, &operator] {
        let suspended = by.send(&server, "POST", &suspend, &json!({})).await?;
        assert_eq!(suspended.0, 200);
    }
    let lifted = grace.send(&server, "POST", &reinstate, &json!({})).await?;
    assert_eq!(refusal(&lifted), (404, "not-found"));
    let lifted = operator
        .send(&server, "POST", &reinstate, &json!({}))
        .await?;
    assert_eq!(lifted.0, 200);

    let release = |by: &Person| {
        by.request(&server, "DELETE", &format!("/api/agents/{}/owner", ada.id))
            .send()
    };
    assert_eq!(release(&mallory).await?.status(), 404);
    assert_eq!(release(&grace).await?.status(), 204);
    assert_eq!(
        refusal(&grace.send(&server, "POST", &suspend, &json!({})).await?),
        (404, "not-found"),
        "no longer hers"
    );
    Ok(())
}

#[tokio::test]
async fn a_former_key_is_listed_and_never_comes_back() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let text = |number: u8| BASE64_STANDARD.encode(*key(number).pk);
    let made = json!({ "name": "k", "scopes": [] });
    let (_, made) = ada.send(&server, "POST", "/api/keys", &made).await?;
    let api_key = made["key"].as_str().context("key")?.to_owned();
    let signature = BASE64_STANDARD.encode(*key(1).sk.sign(*key(7).pk, None));
    let new = json!({ "public_key": text(7), "signature": signature });
    let (status, changed) = ada
        .send(&server, "POST", "/api/agents/me/key", &new)
        .await?;
    assert_eq!(
        (status, changed["public_key"].clone()),
        (200, json!(text(7)))
    );
    let ada = Agent {
        id: ada.id,
        token: Agent::token(&server, 7).await?,
    };
    until_status(401, async || {
        let by_key = server.http.get(format!("{}/api/agents/me", server.url));
        anyhow::Ok(by_key.bearer_auth(&api_key).send().await?.status().as_u16())
    })
    .await?;
    let (_, keys) = ada.get(&server, "/api/agents/me/keys").await?;
    assert_eq!(
        (
            keys["items"][0]["public_key"].clone(),
            keys["items"][1]["public_key"].clone()
        ),
        (json!(text(7)), json!(text(1)))
    );
    assert!(
        keys["items"][0]["retired_at"].is_null() && keys["items"][1]["retired_at"].is_string(),
        "{keys}"
    );
    // Page by page too.
    let (_, first) = ada.get(&server, "/api/agents/me/keys?limit=1").await?;
    let next = first["next"].as_str().context("next")?;
    let (_, second) = ada
        .get(
            &server,
            &format!("/api/agents/me/keys?limit=1&after={next}"),
        )
        .await?;
    assert_eq!(second["items"][0]["public_key"], text(1), "{second}");

    let taken = json!({ "name": "other", "public_key": text(1) });
    let response = server.post("/api/agents/register", &taken).await?;
    assert_eq!(code(response).await?, (409, "key-taken".to_owned()));
    let back = json!({ "public_key": text(1), "signature": BASE64_STANDARD.encode(*key(7).sk.sign(*key(1).pk, None)) });
    let (status, refused) = ada
        .send(&server, "POST", "/api/agents/me/key", &back)
        .await?;
    assert_eq!((status, refused["code"].clone()), (409, json!("key-taken")));
    Ok(())
}
