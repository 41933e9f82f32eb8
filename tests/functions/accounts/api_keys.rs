//! API keys, in place of signing in.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::{code, until_status},
    people::Person,
};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

async fn with_key(server: &Server, method: Method, path: &str, key: &str) -> Result<Response> {
    let request = server.http.request(method, format!("{}{path}", server.url));
    Ok(request.bearer_auth(key).json(&json!({})).send().await?)
}

async fn create(server: &Server, person: &Person, body: Value) -> Result<(String, String)> {
    let (status, body) = person.send(server, "POST", "/api/keys", &body).await?;
    assert_eq!(status, 201);
    let text = |name: &str| body[name].as_str().map(str::to_owned).context("a text");
    Ok((text("id")?, text("key")?))
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let (id, key) = create(
        &server,
        &grace,
        json!({ "name": "ci", "scopes": ["teams:create"] }),
    )
    .await?;
    assert!(key.starts_with("gk_") && key.len() == 46, "{key}");
    let own = with_key(&server, Method::GET, "/api/accounts/me", &key).await?;
    assert_eq!(
        own.json::<Value>().await?["scopes"],
        json!(["teams:create"])
    );
    let me = with_key(&server, Method::GET, "/api/users/me", &key).await?;
    assert_eq!(me.json::<Value>().await?["name"], "grace");
    let team = server
        .http
        .post(format!("{}/api/teams", server.url))
        .bearer_auth(&key);
    assert_eq!(
        team.json(&json!({ "name": "a-team" }))
            .send()
            .await?
            .status(),
        201
    );
    for (method, path) in [
        (Method::POST, "/api/keys"),
        (Method::GET, "/api/keys"),
        (Method::DELETE, "/api/sessions"),
        (Method::PUT, "/api/users/me/password"),
        (Method::POST, "/api/accounts/me/delete"),
        (Method::POST, "/api/skills/x/invoke"),
        (Method::GET, "/api/audit"),
    ] {
        let refused = with_key(&server, method, path, &key).await?;
        assert_eq!(
            code(refused).await?,
            (403, "forbidden".to_owned()),
            "{path}"
        );
    }

    let (_, listed) = grace.get(&server, "/api/keys").await?;
    assert_eq!(listed["items"][0]["id"], id.as_str());
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&key), "shown once");
    let mut admin = server.database.connect().await?;
    let kept: String = sqlx::query_scalar("select k::text from identity.api_key k")
        .fetch_one(&mut admin)
        .await?;
    assert!(!kept.contains(&key), "{kept}");
    Ok(())
}

#[tokio::test]
async fn a_revoked_or_expired_key_is_refused_within_two_seconds_on_every_host() -> Result<()> {
    let server = Server::start().await?;
    let second = server.second_host().await?;
    let grace = Person::register(&server, "grace").await?;
    let other = Person::register(&server, "other").await?;
    let expires = time::OffsetDateTime::now_utc() + Duration::from_secs(4);
    let soon = expires.format(&time::format_description::well_known::Rfc3339)?;
    let (id, key) = create(&server, &grace, json!({ "name": "ci", "scopes": [] })).await?;
    let (_, short) = create(
        &server,
        &grace,
        json!({ "name": "short", "scopes": [], "expires_at": soon }),
    )
    .await?;
    let status = async |host: &Server, key: &str| {
        anyhow::Ok(
            with_key(host, Method::GET, "/api/users/me", key)
                .await?
                .status()
                .as_u16(),
        )
    };
    for host in [&server, &second] {
        assert_eq!(
            (status(host, &key).await?, status(host, &short).await?),
            (200, 200)
        );
    }
    let revoke = |person: &Person| {
        person
            .request(&server, "DELETE", &format!("/api/keys/{id}"))
            .send()
    };
    assert_eq!(revoke(&other).await?.status(), 404, "another one's");
    assert_eq!(revoke(&grace).await?.status(), 204);
    assert_eq!(revoke(&grace).await?.status(), 404);
    for host in [&server, &second] {
        until_status(401, async || status(host, &key).await).await?;
    }
    let left = expires - time::OffsetDateTime::now_utc();
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
    until_status(401, async || status(&second, &short).await)
        .await
        .context("expired")?;
    for wrong in ["gk_", "gk_made-up", &key[..45], &format!("{key}x")] {
        assert_eq!(status(&server, wrong).await?, 401, "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_caller_does_not_have_no_key_gets() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for (body, status, what) in [
        (
            json!({ "name": "k", "scopes": ["admin:all"] }),
            403,
            "forbidden",
        ),
        (
            json!({ "name": "k", "scopes": ["audit:read"] }),
            403,
            "forbidden",
        ),
        (
            json!({ "name": "k", "scopes": ["nonsense"] }),
            403,
            "forbidden",
        ),
        (
            json!({ "name": "k", "scopes": ["account:manage"] }),
            422,
            "invalid-input",
        ),
        (
            json!({ "name": "k", "scopes": [], "expires_at": "9999-12-31T23:59:59-15:00" }),
            422,
            "invalid-input",
        ),
        (
            json!({ "name": "k", "scopes": [], "expires_in": 3600 }),
            422,
            "invalid-input",
        ),
        (json!({ "name": "", "scopes": [] }), 422, "invalid-input"),
        (
            json!({ "name": "k", "scopes": [], "expires_at": "2020-01-01T00:00:00Z" }),
            422,
            "invalid-input",
        ),
        (
            json!({ "name": "k", "scopes": vec!["kb:read"; 51] }),
            422,
            "invalid-input",
        ),
    ] {
        let response = ada
            .request(&server, "POST", "/api/keys")
            .json(&body)
            .send()
            .await?;
        assert_eq!(code(response).await?, (status, what.to_owned()), "{body}");
    }
    let far = json!({ "name": "far", "scopes": [], "expires_at": "2030-01-01T00:00:00+18:00" });
    let far = ada
        .request(&server, "POST", "/api/keys")
        .json(&far)
        .send()
        .await?;
    assert_eq!(
        far.json::<Value>().await?["expires_at"],
        "2029-12-31T06:00:00Z"
    );
    // A role that is taken away is taken from the keys too.
    let body = json!({ "name": "k", "scopes": ["skills:publish"] });
    let made: Value = ada
        .request(&server, "POST", "/api/keys")
        .json(&body)
        .send()
        .await?
        .json()
        .await?;
    let key = made["key"].as_str().context("key")?;
    let yank = "/api/skills/nothing/versions/1.0.0";
    let operator = Person::register(&server, "operator")
        .await?
        .into_admin(&server)
        .await?;
    let (_, all) = create(
        &server,
        &operator,
        json!({ "name": "all", "scopes": ["admin:all"] }),
    )
    .await?;
    assert_eq!(
        with_key(&server, Method::GET, "/api/audit", &all)
            .await?
            .status(),
        200
    );
    assert_eq!(
        with_key(&server, Method::POST, "/api/keys", &all)
            .await?
            .status(),
        403,
        "no key makes a key"
    );
    assert_eq!(
        with_key(&server, Method::DELETE, yank, key).await?.status(),
        404
    );
    server
        .database
        .execute(&format!(
            "select identity.set_roles('{}', '{{guest}}', null, null, null)",
            ada.id
        ))
        .await?;
    until_status(403, async || {
        let refused = with_key(&server, Method::DELETE, yank, key).await?;
        anyhow::Ok(refused.status().as_u16())
    })
    .await?;
    Ok(())
}
