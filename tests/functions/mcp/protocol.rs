//! Model Context Protocol: by hand in both revisions.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    client::read,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

pub const MODERN: &str = "2026-07-28";

pub struct World {
    pub server: Server,
    pub ada: Agent,
}

impl World {
    pub async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
        Ok(Self { server, ada })
    }

    /// As a client of 2025-11-25 asks after its handshake.
    pub async fn legacy(&self, method: &str, params: Value) -> Result<Value> {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .ada
            .request(&self.server, "POST", "/mcp")
            .header("mcp-protocol-version", "2025-11-25");
        Ok(request.json(&message).send().await?.json().await?)
    }

    /// As a client of 2026-07-28 asks.
    pub async fn modern(&self, method: &str, mut params: Value) -> Result<(u16, Value)> {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
        });
        let message = json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": params});
        let request = self
            .ada
            .request(&self.server, "POST", "/mcp")
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", method)
            .header("mcp-name", params["name"].as_str().unwrap_or_default());
        read(request.json(&message).send().await?).await
    }
}

#[tokio::test]
async fn a_client_of_2025_lists_and_calls() -> Result<()> {
    let world = World::new().await?;
    let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let answer = world.legacy("initialize", initialize).await?;
    assert_eq!(
        answer["result"]["protocolVersion"], "2025-11-25",
        "{answer:#}"
    );
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(
        world
            .ada
            .request(&world.server, "POST", "/mcp")
            .json(&note)
            .send()
            .await?
            .status(),
        202
    );
    assert_eq!(world.legacy("ping", json!({})).await?["result"], json!({}));
    let listed = world.legacy("tools/list", json!({})).await?;
    let tools = listed["result"]["tools"].as_array().context("tools")?;
    let find = |name: &str| {
        tools
            .iter()
            .find(|tool| tool["name"] == name)
            .with_context(|| name.to_owned())
    };
    assert_eq!(
        find("adder__add")?["inputSchema"]["properties"]["a"]["type"],
        "integer"
    );
    assert_eq!(
        find("adder__add")?["outputSchema"]["properties"]["result"]["type"],
        "integer"
    );
    assert_eq!(
        find("adder__greet")?["outputSchema"]["properties"]["result"]["properties"]["text"]["type"],
        "string"
    );
    assert!(
        find("search_skills").is_ok() && find("held_skills").is_err(),
        "without its scope it is not listed"
    );

    let called = world
        .legacy(
            "tools/call",
            json!({"name": "adder__add", "arguments": {"a": 40, "b": 2}}),
        )
        .await?;
    assert_eq!(
        called["result"]["structuredContent"],
        json!({"result": 42}),
        "{called:#}"
    );
    assert_eq!(called["result"]["content"][0]["text"], "42");
    assert!(called["result"]["_meta"]["gather/receipt"]["payload"].is_string());
    let failed = world
        .legacy(
            "tools/call",
            json!({"name": "adder__greet", "arguments": {"name": ""}}),
        )
        .await?;
    assert_eq!(failed["result"]["isError"], true);
    assert!(
        failed["result"]["content"][0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("nobody is there")),
        "{failed:#}"
    );
    let wrong = world
        .legacy(
            "tools/call",
            json!({"name": "adder__add", "arguments": {"a": "x"}}),
        )
        .await?;
    assert_eq!(
        wrong["result"]["isError"], true,
        "the model can read what is wrong: {wrong:#}"
    );
    for unknown in ["adder__nope", "nope__add", "nope", "../x__y", "held_skills"] {
        let answer = world.legacy("tools/call", json!({"name": unknown})).await?;
        assert_eq!(answer["error"]["code"], -32602, "{unknown}: {answer:#}");
    }
    assert_eq!(
        world.legacy("resources/list", json!({})).await?["error"]["code"],
        -32601
    );
    Ok(())
}

#[tokio::test]
async fn a_client_of_2026_needs_no_handshake() -> Result<()> {
    let world = World::new().await?;
    let (status, found) = world.modern("server/discover", json!({})).await?;
    assert_eq!(
        (status, &found["result"]["supportedVersions"][0]),
        (200, &json!(MODERN)),
        "{found:#}"
    );
    let (_, listed) = world.modern("tools/list", json!({})).await?;
    assert!(
        listed["result"]["ttlMs"].is_u64() && listed["result"]["resultType"] == "complete",
        "{listed:#}"
    );
    let (status, called) = world
        .modern(
            "tools/call",
            json!({"name": "adder__add", "arguments": {"a": 1, "b": 2}}),
        )
        .await?;
    assert_eq!(
        (status, &called["result"]["structuredContent"]["result"]),
        (200, &json!(3)),
        "{called:#}"
    );
    let (status, gone) = world.modern("initialize", json!({})).await?;
    assert_eq!((status, &gone["error"]["code"]), (404, &json!(-32601)));
    Ok(())
}

#[tokio::test]
async fn the_platforms_own_endpoints_are_tools_with_the_callers_rights() -> Result<()> {
    let world = World::new().await?;
    let call = async |name: &str, arguments: Value| -> Result<Value> {
        Ok(world
            .legacy("tools/call", json!({"name": name, "arguments": arguments}))
            .await?["result"]
            .clone())
    };
    let me = call("who_am_i", json!({})).await?;
    assert_eq!(me["structuredContent"]["name"], "ada", "{me:#}");
    let found = call("search_skills", json!({"query": "test", "limit": 1})).await?;
    assert_eq!(
        found["structuredContent"]["items"][0]["name"], "adder",
        "{found:#}"
    );
    let jobs = call("list_jobs", json!({})).await?;
    let job = jobs["structuredContent"]["items"][0]["id"].clone();
    assert_eq!(
        call("read_job", json!({"job": job})).await?["structuredContent"]["kind"],
        "skill-review"
    );
    let bob = Agent::sign_in(&world.server, "bob", 2).await?;
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read_job", "arguments": {"job": job}}});
    let (_, answer) = bob.send(&world.server, "POST", "/mcp", &message).await?;
    assert_eq!(
        answer["result"]["isError"], true,
        "somebody else's job: {answer:#}"
    );
    assert_eq!(call("read_skill", json!({})).await?["isError"], true);
    assert_eq!(
        call("read_skill", json!({"name": "../jobs"})).await?["isError"],
        true
    );
    Ok(())
}

#[tokio::test]
async fn tools_come_in_pages() -> Result<()> {
    let world = World::new().await?;
    world
        .server
        .database
        .execute(
            "insert into skills.skill (name, owner_id) select 'copy-' || lpad(n::text, 3, '0'), owner_id from skills.skill, generate_series(1, 120) n;
             insert into skills.version (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, status, published_by)
             select c.id, '1.0.0', v.precedence, false, v.digest, v.manifest, v.tools, v.facts, 'approved', v.published_by
             from skills.skill c, skills.version v where c.name like 'copy-%' and v.id = (select latest_id from skills.skill where name = 'adder');
             update skills.skill s set latest_id = v.id from skills.version v where v.skill_id = s.id",
        )
        .await?;
    let mut names = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = world
            .legacy(
                "tools/list",
                if cursor.is_null() {
                    json!({})
                } else {
                    json!({"cursor": cursor})
                },
            )
            .await?;
        let tools = page["result"]["tools"]
            .as_array()
            .with_context(|| format!("{page:#}"))?;
        names.extend(
            tools
                .iter()
                .filter_map(|tool| tool["name"].as_str().map(str::to_owned)),
        );
        cursor = page["result"]["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let skills: Vec<_> = names.iter().filter(|name| name.contains("__")).collect();
    assert_eq!(skills.len(), 242);
    assert!(
        skills.windows(2).all(|pair| pair[0] < pair[1]),
        "in order, each once"
    );
    let wrong = world
        .legacy("tools/list", json!({"cursor": "nonsense"}))
        .await?;
    assert_eq!(wrong["error"]["code"], -32602);
    Ok(())
}

#[tokio::test]
async fn who_has_no_token_is_told_where_to_read_how() -> Result<()> {
    let server = Server::start().await?;
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let refused = server.post("/mcp", &message).await?;
    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"].to_str()?.to_owned();
    let address = challenge.split('"').nth(1).context("resource_metadata")?;
    let metadata: Value = server.http.get(address).send().await?.json().await?;
    assert_eq!(
        metadata["resource"],
        format!("{}/mcp", server.url),
        "{challenge}"
    );
    for method in ["GET", "DELETE"] {
        let response = server
            .http
            .request(method.parse()?, format!("{}/mcp", server.url))
            .send()
            .await?;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["allow"].to_str()?
            ),
            (405, "POST"),
            "{method}"
        );
    }
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let evil = ada
        .request(&server, "POST", "/mcp")
        .header("origin", "http://evil.example")
        .json(&message)
        .send()
        .await?;
    assert_eq!(evil.status(), 403);
    for (body, code) in [
        ("{", -32700),
        ("[]", -32600),
        ("{\"jsonrpc\": \"2.0\", \"id\": 1}", -32600),
    ] {
        let answer = ada
            .request(&server, "POST", "/mcp")
            .body(body)
            .send()
            .await?;
        assert_eq!(
            (
                answer.status().as_u16(),
                answer.json::<Value>().await?["error"]["code"].as_i64()
            ),
            (400, Some(code))
        );
    }
    Ok(())
}
