//! Sources of hooks that functions add.

use super::hooks::Hook;
use anyhow::Result;
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{Server, agents::Agent};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// As a function's migration has it, which takes what a shop says of its orders.
const SHOP: &str = "
    create schema shop;
    create function shop.name_event(headers jsonb, content jsonb) returns text
    language sql immutable
    as $$
        select case when headers ->> 'x-shop-mode' = 'rehearsal' then null
            else replace(content ->> 'kind', '_', '-') end
    $$;
    insert into webhooks.source
        (name, verification, signature_header, signature_prefix, signature_encoding, delivery_header, max_bytes, function)
    values ('shop', 'hmac', 'x-shop-signature', 'v1:', 'base64', 'x-shop-delivery', 100000, 'shop.name_event');
    insert into webhooks.source (name) values ('till');
    insert into webhooks.source (name, verification, signature_header) values ('scale', 'hmac', 'x-scale-tag');";

fn tag(secret: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

/// A request of the shop's.
fn of_shop(secret: &str, delivery: &str, body: &str) -> Vec<(&'static str, String)> {
    let tag = BASE64_STANDARD.encode(tag(secret, body.as_bytes()));
    vec![
        ("x-shop-signature", format!("v1:{tag}")),
        ("x-shop-delivery", delivery.to_owned()),
        ("content-type", "application/json".to_owned()),
    ]
}

#[tokio::test]
async fn a_function_adds_a_source_that_signs_and_names_its_events() -> Result<()> {
    let server = Server::start().await?;
    server.database.execute(SHOP).await?;
    let hook = Hook::of(server, "shop").await?;
    assert!(hook.url.contains("/api/hooks/shop/"), "{}", hook.url);
    let secret = hook.secret.as_str();
    let send = async |headers: Vec<(&str, String)>, body: &str| -> Result<(u16, Value)> {
        hook.send(&headers, body.as_bytes().to_vec()).await
    };
    let body = json!({ "kind": "order_paid", "total": 42, "note": "🐙 \u{0}" }).to_string();
    let (status, received) = send(of_shop(secret, "a", &body), &body).await?;
    assert_eq!(status, 202, "{received}");
    assert!(received["event"].is_string(), "{received}");
    // Again, and under another id, which the signature does not cover.
    for delivery in ["a", "b"] {
        let again = send(of_shop(secret, delivery, &body), &body).await?;
        assert_eq!(again, (202, json!({ "event": null })));
    }
    // What is cut was whole when the event was named; a kind that is no name is another; a rehearsal is nothing.
    let large = json!({ "note": "y".repeat(90_000), "kind": "stock" }).to_string();
    let (status, _) = send(of_shop(secret, "c", &large), &large).await?;
    assert_eq!(status, 202);
    let odd = json!({ "kind": "Ä" }).to_string();
    let (status, _) = send(of_shop(secret, "d", &odd), &odd).await?;
    assert_eq!(status, 202);
    let rehearsal = json!({ "kind": "order_paid" }).to_string();
    let mut headers = of_shop(secret, "e", &rehearsal);
    headers.push(("x-shop-mode", "rehearsal".to_owned()));
    assert_eq!(
        send(headers, &rehearsal).await?,
        (202, json!({ "event": null }))
    );

    for (headers, body, expected) in [
        (of_shop("whsec_x", "f", "{}"), "{}", (401, "hook-refused")),
        (of_shop(secret, "f", "{ }"), "{}", (401, "hook-refused")),
        (of_shop(secret, "", "{}"), "{}", (422, "invalid-input")),
        (of_shop(secret, "f", "{"), "{", (400, "malformed-json")),
        (
            of_shop(secret, "f", &" ".repeat(100_001)),
            &" ".repeat(100_001),
            (413, "body-too-large"),
        ),
    ] {
        let (status, problem) = send(headers, body).await?;
        assert_eq!(
            (status, &problem["code"]),
            (expected.0, &json!(expected.1)),
            "{problem}"
        );
    }
    let events = hook.events().await?;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["type"].as_str(), event["data"]["cut"].as_bool()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("hook.shop.order-paid"), Some(false)),
            (Some("hook.shop.stock"), Some(true)),
            (Some("hook.shop.other"), Some(false)),
        ]
    );
    let data = &events[0]["data"];
    assert_eq!(
        (&data["delivery"], &data["hook"]),
        (&json!("a"), &json!(hook.id))
    );
    assert_eq!(
        data["payload"],
        json!({ "kind": "order_paid", "total": 42, "note": "🐙 " })
    );
    Ok(())
}

#[tokio::test]
async fn an_id_is_used_up_with_its_event_only() -> Result<()> {
    let server = Server::start().await?;
    server.database.execute(SHOP).await?;
    let hook = Hook::of(server, "shop").await?;
    let named = "create or replace function shop.name_event(headers jsonb, content jsonb) returns text
        language sql immutable as $$ select (content ->> 'count')::integer || (content ->> 'kind') $$";
    hook.server.database.execute(named).await?;
    let body = json!({ "kind": "paid", "count": "many" }).to_string();
    let headers = of_shop(&hook.secret, "a", &body);
    let (status, problem) = hook.send(&headers, body.clone().into_bytes()).await?;
    assert_eq!(
        (status, &problem["code"]),
        (500, &json!("internal")),
        "{problem}"
    );
    assert_eq!(hook.events().await?.len(), 0);
    // The sender tries again, and by then the function is mended.
    let mended =
        "create or replace function shop.name_event(headers jsonb, content jsonb) returns text
        language sql immutable as $$ select content ->> 'kind' $$";
    hook.server.database.execute(mended).await?;
    let (status, received) = hook.send(&headers, body.into_bytes()).await?;
    assert!(status == 202 && received["event"].is_string(), "{received}");
    assert_eq!(hook.events().await?[0]["type"], "hook.shop.paid");
    Ok(())
}

#[tokio::test]
async fn a_source_needs_no_function_and_no_ids() -> Result<()> {
    let server = Server::start().await?;
    server.database.execute(SHOP).await?;
    let hook = Hook::of(server, "till").await?;
    let headers = [
        ("x-hook-secret", hook.secret.clone()),
        ("content-type", "text/plain".to_owned()),
    ];
    for _ in 0..2 {
        let (status, received) = hook.send(&headers, b"ding".to_vec()).await?;
        assert!(status == 202 && received["event"].is_string(), "{received}");
    }
    let events = hook.events().await?;
    assert_eq!(events.len(), 2);
    assert!(
        events
            .iter()
            .all(|event| event["type"] == "hook.till.received")
    );

    // Without an id, what was signed is taken once.
    let hook = Hook::made(hook.server, hook.ada, "scale").await?;
    let tag = tag(&hook.secret, b"{\"g\": 5}");
    let tag = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [
        ("x-scale-tag", tag),
        ("content-type", "application/json".to_owned()),
    ];
    let (status, received) = hook.send(&headers, b"{\"g\": 5}".to_vec()).await?;
    assert!(status == 202 && received["event"].is_string(), "{received}");
    let again = hook.send(&headers, b"{\"g\": 5}".to_vec()).await?;
    assert_eq!(again, (202, json!({ "event": null })));
    assert_eq!(hook.events().await?[0]["type"], "hook.scale.received");
    Ok(())
}

#[tokio::test]
async fn a_source_that_nobody_added_has_no_hooks() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    for source in ["shop", "Shop", "", "a b"] {
        let (status, problem) = ada
            .send(&server, "POST", "/api/hooks", &json!({ "source": source }))
            .await?;
        assert_eq!(
            (status, &problem["code"]),
            (422, &json!("invalid-input")),
            "{problem}"
        );
        assert_eq!(problem["errors"][0]["field"], "source", "{problem}");
    }
    Ok(())
}
