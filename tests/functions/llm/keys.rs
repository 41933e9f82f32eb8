//! Keys of providers: they go to the origin that they are bound to and to nobody else, and stand nowhere in the clear.

use anyhow::{Context, Result};
use e2e::{
    agents::Agent,
    models::{Asked, Say},
};
use serde_json::{Value, json};

use super::world::{World, well};
use crate::functions::vault::canary::{dump, encodings};
use crate::functions::vault::world::CANARY;

/// A provider that quotes the key that it gets, in each way.
fn quotes(asked: &Asked) -> Say {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let key = |name: &str| {
        let value = asked
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let told = format!("{}{}", key("authorization"), key("x-api-key"));
    let hex: String = told.bytes().map(|byte| format!("{byte:02x}")).collect();
    match body["model"].as_str() {
        Some("refuses") => {
            let error = format!(
                "Incorrect API key provided: {told} ({hex}). See https://a.example/?key={told}"
            );
            let body = json!({"error": {"message": error, "type": "x", "code": told}}).to_string();
            Say::Whole(
                401,
                vec![("x-key", told.clone()), ("x-request-id", hex)],
                body,
            )
        }
        Some("says") => {
            let chunk = json!({"id": told, "choices": [{"index": 0, "delta": {"content": told}, "finish_reason": "stop"}]});
            Say::stream(&format!("data: {chunk}\n\ndata: [DONE]\n\n"))
        }
        _ => well(asked),
    }
}

/// Stores the canary as a secret of ada's; its id.
async fn secret(world: &World, name: &str, kind: &str, used: Option<Value>) -> Result<String> {
    let mut new = json!({"name": name, "kind": kind, "value": CANARY});
    if let Some(used) = used {
        new["use"] = used;
    }
    let (status, made) = world
        .ada
        .send(&world.server, "POST", "/api/vault/secrets", &new)
        .await?;
    assert_eq!(status, 201, "{made}");
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

async fn provide(
    world: &World,
    agent: &Agent,
    name: &str,
    protocol: &str,
    secret: &str,
) -> Result<(u16, Value)> {
    let new =
        json!({"name": name, "protocol": protocol, "url": world.models.url, "secret": secret});
    agent
        .send(&world.server, "POST", "/api/llm/providers", &new)
        .await
}

#[tokio::test]
async fn a_key_is_sent_to_its_provider_and_shown_nowhere() -> Result<()> {
    let world = World::new(|asked, _| quotes(asked)).await?;
    secret(&world, "key", "provider", None).await?;
    let mut shown = Vec::new();
    for (name, protocol) in [("keyed", "openai"), ("claude", "anthropic")] {
        let (status, made) = provide(&world, &world.ada, name, protocol, "vault:key").await?;
        assert_eq!((status, &made["has_secret"]), (201, &json!(true)), "{made}");
        shown.push(made.to_string());
        let check = format!(
            "/api/llm/providers/{}/check",
            made["id"].as_str().context("an id")?
        );
        shown.push(
            world
                .ada
                .send(&world.server, "POST", &check, &json!({}))
                .await?
                .1
                .to_string(),
        );
    }
    for model in [
        "keyed/m",
        "keyed/refuses",
        "keyed/says",
        "claude/m",
        "claude/refuses",
    ] {
        let (provider, name) = model.split_once('/').context("a name")?;
        let targets =
            json!({"targets": [{"provider": provider, "model": name}], "capture": "full"});
        world.alias("captured", &targets).await?;
        for stream in [false, true] {
            let response = world.chat("captured", stream).await?;
            shown.push(format!("{:?}", response.headers()));
            let call = world.call(&response).await?;
            shown.push(call.to_string());
            shown.push(response.text().await?);
        }
    }
    let asked = world.models.asked();
    let calls = asked.iter().filter(|asked| !asked.body.is_empty());
    for asked in calls {
        let is_anthropic = asked.path.ends_with("/messages");
        let (own, other) = if is_anthropic {
            (("x-api-key", CANARY.to_owned()), "authorization")
        } else {
            (("authorization", format!("Bearer {CANARY}")), "x-api-key")
        };
        assert_eq!(asked.headers[own.0], own.1.as_str());
        assert!(!asked.headers.contains_key(other));
    }
    for path in [
        "/api/llm/calls?limit=100",
        "/api/llm/providers",
        "/api/ai/models",
        "/api/vault/secrets/key/uses?limit=100",
        "/api/accounts/me/export",
    ] {
        let response = world.ada.request(&world.server, "GET", path).send().await?;
        shown.push(response.text().await?);
    }
    let uses = &shown[shown.len() - 2];
    assert!(
        uses.contains("component:llm") && uses.contains("\"component\":\"llm\""),
        "{uses}"
    );
    for url in [&world.server.url, &world.server.variables["egress_url"]] {
        let metrics = world
            .server
            .http
            .get(format!("{url}/metrics"))
            .send()
            .await?;
        shown.push(metrics.text().await?);
    }
    let dumped = dump(&world.server).await?;
    assert!(dumped.contains("captured"), "captures are there");
    shown.push(dumped);
    for text in &shown {
        for encoding in encodings() {
            assert!(!text.contains(&encoding), "{encoding} in {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_its_owner_gives_to_a_team_works_for_the_team() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let owner = world
        .ada
        .with_scope(&world.server.database, "admin:all")
        .await?;
    let team = json!({"name": "a-team"});
    let (status, team) = owner
        .send(&world.server, "POST", "/api/teams", &team)
        .await?;
    assert_eq!(status, 201, "{team}");
    let team = team["id"].as_str().context("an id")?;
    let member = format!("/api/teams/{team}/members/{}", bob.id);
    let role = json!({"role": "member"});
    let joined = owner.send(&world.server, "PUT", &member, &role).await?;
    assert_eq!(joined.0, 204, "{joined:?}");
    let id = secret(&world, "key", "provider", None).await?;
    let new = json!({"name": "teams", "protocol": "openai", "url": world.models.url, "secret": "vault:key", "team_id": team});
    let (status, made) = owner
        .send(&world.server, "POST", "/api/llm/providers", &new)
        .await?;
    assert_eq!(status, 201, "{made}");
    let request = bob.request(&world.server, "POST", "/v1/chat/completions");
    let answer = request
        .json(&super::world::chat("teams/m", false))
        .send()
        .await?;
    assert_eq!(answer.status(), 200, "{}", answer.text().await?);
    let asked = world.models.asked();
    assert_eq!(
        asked[0].headers["authorization"],
        format!("Bearer {CANARY}").as_str()
    );
    // It is no more visible to the others than before.
    let seen = bob
        .get(&world.server, &format!("/api/vault/secrets/{id}"))
        .await?;
    assert_eq!(seen.0, 404);
    Ok(())
}

#[tokio::test]
async fn a_key_of_the_operators_finds_room_beside_an_administrators() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let taken =
        json!({"name": "GATHER_EMBED_KEY", "kind": "provider", "value": CANARY, "platform": true});
    let (status, made) = world
        .admin
        .send(&world.server, "POST", "/api/vault/secrets", &taken)
        .await?;
    assert_eq!(status, 201, "{made}");
    let database = &world.server.database.admin;
    for _ in 0..2 {
        gather::model_providers::keep_local(database, &e2e::master_key(), &world.models.url)
            .await?;
    }
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from vault.secret where name ~ '^GATHER_EMBED_KEY' and state = 'active'",
    )
    .fetch_one(&mut world.server.database.connect().await?)
    .await?;
    assert_eq!(kept, 2);
    Ok(())
}

#[tokio::test]
async fn a_key_is_bound_by_those_who_may_and_to_one_origin() -> Result<()> {
    let world = World::new(|asked, _| well(asked)).await?;
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let elsewhere = json!({"origins": ["https://a.example"], "place": {"header": "x-key"}});
    let here = json!({"origins": [world.models.origin()], "place": {"header": "x-key"}});
    let own = secret(&world, "key", "provider", None).await?;
    secret(&world, "unused", "token", None).await?;
    secret(&world, "elsewhere", "token", Some(elsewhere)).await?;
    secret(&world, "here", "token", Some(here)).await?;
    for (name, status) in [
        ("unused", 422),
        ("elsewhere", 422),
        ("nothing", 404),
        ("here", 201),
    ] {
        let (got, answer) =
            provide(&world, &world.ada, name, "openai", &format!("vault:{name}")).await?;
        assert_eq!(got, status, "{name}: {answer}");
    }
    // Another's secret is not there, and one that was only granted can't be given away.
    assert_eq!(provide(&world, &bob, "x", "openai", &own).await?.0, 404);
    let grant = format!("/api/vault/secrets/{own}/grants/account:{}", bob.id);
    world
        .ada
        .send(&world.server, "PUT", &grant, &json!({}))
        .await?;
    let (status, refused) = provide(&world, &bob, "x", "openai", &own).await?;
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("secret-not-granted"))
    );

    let (_, made) = provide(&world, &world.ada, "keyed", "openai", "vault:key").await?;
    let path = format!(
        "/api/llm/providers/{}",
        made["id"].as_str().context("an id")?
    );
    let moved = json!({"url": "https://b.example/v1"});
    let (status, refused) = world
        .ada
        .send(&world.server, "PATCH", &path, &moved)
        .await?;
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("invalid-input")),
        "{refused}"
    );
    let same = json!({"url": format!("{}/v1", world.models.url)});
    assert_eq!(
        world
            .ada
            .send(&world.server, "PATCH", &path, &same)
            .await?
            .0,
        200
    );
    assert_eq!(world.chat("keyed/m", false).await?.status(), 200);
    // A body that names another address changes nothing: it goes on as it is, to the provider.
    let mut body = super::world::chat("keyed/m", false);
    body["api_base"] = json!("https://c.example");
    assert_eq!(
        world.ask("/v1/chat/completions", &body).await?.status(),
        200
    );
    // A provider's key is put into no other request.
    let fetch = format!(
        "/api/vault/fetch/{}/x",
        world.models.url.trim_start_matches("http://")
    );
    let request = world.ada.request(&world.server, "GET", &fetch);
    let refused = request.header("gather-secret", "key").send().await?;
    assert_eq!(refused.status(), 403);
    // Without the secret the provider can't be asked.
    let gone = world
        .ada
        .send(
            &world.server,
            "DELETE",
            "/api/vault/secrets/key",
            &Value::Null,
        )
        .await?;
    assert_eq!(gone.0, 204);
    assert_eq!(world.chat("keyed/m", false).await?.status(), 502);
    Ok(())
}
