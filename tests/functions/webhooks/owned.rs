//! Webhooks as their owners manage them. What is sent to them is in `tests/jobs/webhook_delivery`.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use serde_json::{Value, json};

#[tokio::test]
async fn a_webhook_is_its_owners_and_shows_its_secret_once() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let new = json!({ "url": "https://a.example/x?key=1", "topics": ["account:me"], "types": ["inbox.*"] });
    let (status, made) = ada.send(&server, "POST", "/api/webhooks", &new).await?;
    assert_eq!(status, 201, "{made}");
    let secret = made["secret"].as_str().context("secret")?;
    assert!(secret.starts_with("whsec_"), "{made}");
    assert_eq!(made["topics"], json!([format!("account:{}", ada.id)]));
    let path = format!("/api/webhooks/{}", made["id"].as_str().context("id")?);

    let (_, shown) = ada.send(&server, "GET", &path, &json!({})).await?;
    assert_eq!(
        (&shown["state"], &shown["secret"]),
        (&json!("enabled"), &Value::Null)
    );
    let change = json!({ "types": [], "url": "https://b.example/" });
    let (status, changed) = ada.send(&server, "PATCH", &path, &change).await?;
    assert_eq!(
        (status, &changed["types"]),
        (200, &Value::Null),
        "{changed}"
    );
    assert_eq!(changed["url"], "https://b.example/");

    let (status, rotated) = ada
        .send(&server, "POST", &format!("{path}/rotate"), &json!({}))
        .await?;
    assert_eq!(status, 200, "{rotated}");
    assert_ne!(rotated["secret"], made["secret"]);
    for _ in 0..3 {
        let (status, _) = ada
            .send(&server, "POST", &format!("{path}/rotate"), &json!({}))
            .await?;
        assert_eq!(status, 200);
    }
    let (status, refused) = ada
        .send(&server, "POST", &format!("{path}/rotate"), &json!({}))
        .await?;
    assert_eq!(
        (status, &refused["code"]),
        (409, &json!("too-many-secrets"))
    );

    for (method, path) in [
        ("GET", path.clone()),
        ("PATCH", path.clone()),
        ("POST", format!("{path}/rotate")),
        ("POST", format!("{path}/enable")),
        ("POST", format!("{path}/test")),
        ("GET", format!("{path}/deliveries")),
        ("DELETE", path.clone()),
    ] {
        let (status, problem) = bob.send(&server, method, &path, &json!({})).await?;
        assert_eq!(
            (status, &problem["code"]),
            (404, &json!("not-found")),
            "{method} {path}"
        );
    }
    let (_, listed) = bob
        .send(&server, "GET", "/api/webhooks", &json!({}))
        .await?;
    assert_eq!(listed["items"], json!([]));
    let (_, listed) = ada
        .send(&server, "GET", "/api/webhooks", &json!({}))
        .await?;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));

    let exported = "select webhooks.export_account($1)::text";
    let exported: String = sqlx::query_scalar(exported)
        .bind(ada.id)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert!(exported.contains("b.example") && !exported.contains("whsec_"));
    let (status, _) = ada.send(&server, "DELETE", &path, &json!({})).await?;
    assert_eq!(status, 204);
    let left = "select (select count(*) from events.subscription) + (select count(*) from webhooks.secret)";
    let left: i64 = sqlx::query_scalar(left)
        .fetch_one(&mut server.database.connect().await?)
        .await?;
    assert_eq!(left, 0);
    Ok(())
}

#[tokio::test]
async fn what_no_webhook_can_be_is_said() -> Result<()> {
    let server = Server::told(&[("webhook_hosts", "inside.example")]).await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let of_bob = format!("account:{}", bob.id);
    for (url, topic, kind, field) in [
        ("http://a.example/", "account:me", "a.*", "url"),
        ("https://localhost/", "account:me", "a.*", "url"),
        ("https://127.0.0.1:8443/", "account:me", "a.*", "url"),
        ("https://169.254.169.254/", "account:me", "a.*", "url"),
        ("https://[::ffff:10.0.0.1]/", "account:me", "a.*", "url"),
        ("https://2130706433/", "account:me", "a.*", "url"),
        ("https://u:p@a.example/", "account:me", "a.*", "url"),
        ("nonsense", "account:me", "a.*", "url"),
        ("https://a.example/", "account", "a.*", "topics[0]"),
        ("https://a.example/", &of_bob, "a.*", "topics"),
        ("https://a.example/", "all:all", "a.*", "topics"),
        ("https://a.example/", "account:me", "*", "types[0]"),
    ] {
        let new = json!({ "url": url, "topics": [topic], "types": [kind] });
        let (status, problem) = ada.send(&server, "POST", "/api/webhooks", &new).await?;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!("invalid-input")),
            "{problem}"
        );
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(named, field, "{problem}");
    }
    // Whom the operator vouches for may speak without TLS.
    let new = json!({ "url": "http://inside.example/", "topics": ["account:me"] });
    let (status, made) = ada.send(&server, "POST", "/api/webhooks", &new).await?;
    assert_eq!(status, 201, "{made}");
    // A change is checked as much, and so is a test: the operator may have vouched for more hosts before.
    let path = format!("/api/webhooks/{}", made["id"].as_str().context("id")?);
    for url in [
        "https://192.168.0.1/",
        "http://a.example/",
        "https://printer.local/",
    ] {
        let change = json!({ "url": url });
        let (status, problem) = ada.send(&server, "PATCH", &path, &change).await?;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!("url")),
            "{problem}"
        );
    }
    let before = "update webhooks.webhook set url = 'https://former.internal/'";
    server.database.execute(before).await?;
    let test = format!("{path}/test");
    let (status, problem) = ada.send(&server, "POST", &test, &json!({})).await?;
    assert_eq!(
        (status, &problem["errors"][0]["field"]),
        (422, &json!("url")),
        "{problem}"
    );
    assert!(
        problem["errors"][0]["detail"]
            .to_string()
            .contains("private network"),
        "{problem}"
    );
    server
        .database
        .execute(
            "insert into webhooks.webhook (owner_id, url, topics, subscription)
             select w.owner_id, w.url, w.topics, w.subscription from webhooks.webhook w, generate_series(1, 49)",
        )
        .await?;
    let (status, problem) = ada.send(&server, "POST", "/api/webhooks", &new).await?;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("too-many-webhooks"))
    );
    let gone = "select webhooks.forget_account($1)";
    let mut connection = server.database.connect().await?;
    sqlx::query(gone)
        .bind(ada.id)
        .execute(&mut connection)
        .await?;
    let (_, listed) = ada
        .send(&server, "GET", "/api/webhooks", &json!({}))
        .await?;
    assert_eq!(listed["items"], json!([]));
    Ok(())
}
