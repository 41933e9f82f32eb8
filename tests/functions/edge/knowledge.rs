//! What an edge asks for: keys, revocations and shares of limits; and who may.

use anyhow::{Context, Result, anyhow};
use e2e::{Server, agents::Agent, master_key};
use gather::secrets::edge_key;
use serde_json::{Value, json};
use service_token::{EDGE, EGRESS, OnBehalf};

fn token(key: &str, issuer: &str, audience: &str) -> Result<String> {
    service_token::make(key, issuer, audience, &OnBehalf::default())
        .map_err(|error| anyhow!("{error}"))
}

fn service() -> Result<String> {
    token(&edge_key(&master_key()), "edge", EDGE)
}

async fn ask(
    server: &Server,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Result<(u16, Value)> {
    let method = method.parse()?;
    let mut request = server.http.request(method, format!("{}{path}", server.url));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}

async fn news(server: &Server, since: Option<&Value>) -> Result<Value> {
    let since = since.and_then(Value::as_str).unwrap_or_default();
    let path = match since {
        "" => "/api/edge/news".to_owned(),
        since => format!("/api/edge/news?since={}", since.replace('+', "%2B")),
    };
    let (status, news) = ask(server, "GET", &path, &service()?, &Value::Null).await?;
    assert_eq!(status, 200, "{news}");
    Ok(news)
}

#[tokio::test]
async fn an_edge_hears_of_keys_and_of_what_has_ended() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let first = news(&server, None).await?;
    let kid = first["keys"][0]["kid"].as_str().context("a key")?;
    let header = ada.token.split('.').next().context("a header")?;
    let header = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, header)?;
    let header: Value = serde_json::from_slice(&header)?;
    assert_eq!(header["kid"], kid);
    assert_eq!(first["keys"][0]["crv"], "Ed25519");

    let (_, me) = ada.get(&server, "/api/events/session").await?;
    let ended = ada
        .send(
            &server,
            "DELETE",
            &format!(
                "/api/sessions/{}",
                me["session"].as_str().context("a session")?
            ),
            &Value::Null,
        )
        .await?;
    assert_eq!(ended.0, 204, "{ended:?}");
    let second = news(&server, Some(&first["now"])).await?;
    let revoked = second["revoked"].as_array().context("revoked")?;
    assert!(revoked.contains(&me["session"]), "{second}");

    let suspend = format!(
        "update identity.account set generation = generation + 1, changed_at = now() where id = '{}'",
        ada.id
    );
    server.database.execute(&suspend).await?;
    let third = news(&server, Some(&second["now"])).await?;
    let changed = third["changed"].as_array().context("changed")?;
    assert!(changed.iter().any(|one| one[0] == json!(ada.id)), "{third}");
    Ok(())
}

#[tokio::test]
async fn nobody_but_an_edge_is_answered() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let key = edge_key(&master_key());
    let lease = json!({"callback": "https://edge.example.org/"});
    let wanted = json!({"leases": [{"account": ada.id, "want": 1}]});
    let operations = [
        ("GET", "/api/edge/news", Value::Null),
        ("PUT", "/api/edge/topics/feed:all", lease),
        ("DELETE", "/api/edge/topics/feed:all", Value::Null),
        ("POST", "/api/edge/limits", wanted),
    ];
    for (method, path, body) in &operations {
        for bad in [
            String::new(),
            ada.token.clone(),
            token("another key, as long as a key must be", "edge", EDGE)?,
            token(&key, "edge", EGRESS)?,
            token(&key, "edge", "edge-push")?,
            token(&key, "llm", EDGE)?,
        ] {
            let (status, refused) = ask(&server, method, path, &bad, body).await?;
            assert_eq!(
                (status, &refused["code"]),
                (401, &json!("unauthenticated")),
                "{method} {path}"
            );
        }
        let (status, answer) = ask(&server, method, path, &service()?, body).await?;
        assert!(status < 300, "{method} {path}: {status} {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn callbacks_into_private_networks_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for callback in [
        "http://edge.example.org/push",
        "https://127.0.0.1/push",
        "https://169.254.169.254/latest",
        "https://localhost/push",
        "not an address",
    ] {
        let lease = json!({"callback": callback});
        let asked = ask(
            &server,
            "PUT",
            "/api/edge/topics/feed:all",
            &service()?,
            &lease,
        )
        .await?;
        assert_eq!(
            (asked.0, &asked.1["code"]),
            (422, &json!("invalid-input")),
            "{callback}"
        );
    }
    let lease = json!({"callback": "https://edge.example.org/push"});
    let asked = ask(
        &server,
        "PUT",
        "/api/edge/topics/nothing",
        &service()?,
        &lease,
    )
    .await?;
    assert_eq!((asked.0, &asked.1["code"]), (422, &json!("invalid-input")));
    Ok(())
}

#[tokio::test]
async fn all_shares_together_are_no_more_than_the_limit() -> Result<()> {
    let server = Server::told(&[("rate_limits", "relaxed=40")]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let wanted = json!({"leases": [{"account": ada.id, "want": 100}]});
    let mut granted = 0;
    for _ in 0..100 {
        let (status, answer) =
            ask(&server, "POST", "/api/edge/limits", &service()?, &wanted).await?;
        assert_eq!(status, 200, "{answer}");
        let share = answer["leases"][0]["granted"].as_u64().context("a share")?;
        if share == 0 {
            break;
        }
        granted += share;
    }
    assert_eq!(granted, 40);
    Ok(())
}
