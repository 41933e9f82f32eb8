//! Whose address limits and the audit trail see: the host's word alone, and that of the platform's own functions.

use anyhow::Result;
use e2e::{Server, agents::Agent, sockets::Client, spin};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

/// The addresses of the refusals that are on record, the oldest first.
async fn refused_from(server: &Server) -> Result<Vec<String>> {
    let addresses = sqlx::query_scalar(
        "select address from audit.entry where action = 'access.refused' order by at, id",
    );
    Ok(addresses
        .fetch_all(&mut server.database.connect().await?)
        .await?)
}

#[tokio::test]
async fn a_function_that_asks_another_says_who_visits() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    // Without the scope that the skill's function wants: it puts the refusal on record.
    let ada = ada.with_scope(&server.database, "profile:read").await?;
    for address in ["203.0.113.7", "2001:db8:1:2:3::9"] {
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "adder__add", "arguments": {} },
        });
        let request = ada
            .request(&server, "POST", "/mcp")
            .header("mcp-protocol-version", "2025-11-25")
            .header("x-forwarded-for", address);
        let answer: serde_json::Value = request.json(&call).send().await?.json().await?;
        assert_eq!(answer["result"]["isError"], true, "{answer:#}");
    }
    let seen = refused_from(&server).await?;
    assert_eq!(seen, ["203.0.113.7", "2001:db8:1:2::/64"]);
    Ok(())
}

#[tokio::test]
async fn a_gateway_says_who_visits() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let ada = ada.with_scope(&server.database, "profile:read").await?;
    let (gateway, alone) = server.gateway(&server.database.admin, |_| {}).await?;
    let bearer = format!("Bearer {}", ada.token);
    let channel = uuid::Uuid::now_v7();
    // The gateway within the host, which Spin has none of, and one of its own; signed in by header, and by a frame.
    let (first, second) = ("203.0.113.7", "2001:db8:1:2::/64");
    let mut gateways = vec![(&alone, "2001:db8:1:2:3::9", second)];
    if spin::program().is_none() {
        gateways.insert(0, (&server.url, first, first));
    }
    for (url, address, _) in &gateways {
        let by_header = [("authorization", &*bearer), ("x-forwarded-for", *address)];
        let mut first = Client::connect(url, "/ws", &by_header).await?;
        let mut second = Client::connect(url, "/ws", &by_header[1..]).await?;
        let token = json!({ "type": "authenticate", "token": ada.token });
        second.send(&token).await?;
        for client in [&mut first, &mut second] {
            client.until("authenticated").await?;
            let post = json!({ "type": "post", "channel": channel, "body": "refused" });
            client.send(&post).await?;
            let refused = client.until("error").await?;
            assert_eq!(refused.last().expect("a frame")["code"], "forbidden");
        }
    }
    let seen = refused_from(&server).await?;
    let expected = gateways.iter().flat_map(|(_, _, seen)| [*seen; 2]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
    gateway.stop().await;
    Ok(())
}

#[tokio::test]
async fn nobody_outside_says_where_they_come_from() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let ada = ada.with_scope(&server.database, "profile:read").await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let path = "/api/skills/adder/invoke";
    for (name, value) in [
        ("gather-visitor", format!("{now};198.51.100.66;AAAA")),
        ("gather-visitor", "198.51.100.66".to_owned()),
        ("spin-client-addr", "198.51.100.66:1".to_owned()),
        ("x-client-addr", "198.51.100.66:1".to_owned()),
        ("forwarded", "for=198.51.100.66".to_owned()),
        ("x-real-ip", "198.51.100.66".to_owned()),
        ("gather-caller", ada.id.to_string()),
    ] {
        let request = ada
            .request(&server, "POST", path)
            .header("x-forwarded-for", "203.0.113.8")
            .header(name, value);
        let call = json!({ "tool": "add", "arguments": {} });
        let response = request.json(&call).send().await?;
        assert_eq!(response.status(), 403, "{name}");
        assert!(!response.headers().contains_key("gather-caller"), "{name}");
    }
    let seen = refused_from(&server).await?;
    assert_eq!(seen, ["203.0.113.8"; 7]);
    Ok(())
}
