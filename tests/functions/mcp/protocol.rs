//! Model Context Protocol: by hand in both revisions, with the official clients, and by the public
//! conformance suite.

use anyhow::{Context, Result, bail};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, manifest},
    root,
};
use serde_json::{Value, json};
use std::{io::Seek, path::PathBuf};
use tokio::{net::TcpListener, process::Command, sync::OnceCell};

const MODERN: &str = "2026-07-28";

struct World {
    server: Server,
    ada: Agent,
}

impl World {
    async fn new() -> Result<Self> {
        let server = Server::start().await?;
        let ada = Agent::sign_in(&server, "ada", 1).await?;
        approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
        Ok(Self { server, ada })
    }

    /// As a client of 2025-11-25 asks after its handshake.
    async fn legacy(&self, method: &str, params: Value) -> Result<Value> {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self
            .ada
            .request(&self.server, "POST", "/mcp")
            .header("mcp-protocol-version", "2025-11-25");
        Ok(request.json(&message).send().await?.json().await?)
    }

    /// As a client of 2026-07-28 asks.
    async fn modern(&self, method: &str, mut params: Value) -> Result<(u16, Value)> {
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
        let response = request.json(&message).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
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

/// The folder with the official clients and the suite; `None`: they can't be installed here.
async fn clients() -> Result<Option<PathBuf>> {
    let _machine = e2e::MACHINE.lock().await;
    static INSTALLED: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let folder = INSTALLED.get_or_try_init(async || {
        let folder = root().join("target/mcp-clients");
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "client.mjs", "client.py"] {
            std::fs::copy(
                root().join("tests/functions/mcp/clients").join(file),
                folder.join(file),
            )?;
        }
        let steps: [(&str, &[&str]); 3] = [
            ("npm", &["install", "--no-audit", "--no-fund", "--silent"]),
            ("python3", &["-m", "venv", "venv"]),
            ("venv/bin/pip", &["install", "--quiet", "mcp==2.3.0"]),
        ];
        for (program, arguments) in steps {
            let program = if program.contains('/') {
                folder.join(program)
            } else {
                program.into()
            };
            let status = Command::new(&program)
                .args(arguments)
                .current_dir(&folder)
                .status()
                .await;
            if !status.is_ok_and(|status| status.success()) {
                return skip(&format!(
                    "{} {} does not work here",
                    program.display(),
                    arguments.join(" ")
                ));
            }
        }
        anyhow::Ok(Some(folder))
    });
    Ok(folder.await?.clone())
}

fn skip<T>(why: &str) -> Result<Option<T>> {
    if std::env::var_os("GATHER_TESTS_SKIP_NONE").is_some() {
        bail!("nothing may be skipped: {why}");
    }
    eprintln!("skipped: {why}");
    Ok(None)
}

async fn run(program: PathBuf, arguments: &[&str]) -> Result<String> {
    let output = Command::new(&program).args(arguments).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{}: {text}", program.display());
    Ok(text)
}

#[tokio::test]
async fn the_official_clients_list_and_call() -> Result<()> {
    let Some(folder) = clients().await? else {
        return Ok(());
    };
    let world = World::new().await?;
    let url = format!("{}/mcp", world.server.url);
    let script = |name: &str| folder.join(name).display().to_string();
    for (program, script) in [
        ("node_modules/node/bin/node", script("client.mjs")),
        ("venv/bin/python", script("client.py")),
    ] {
        let text = run(folder.join(program), &[&script, &url, &world.ada.token]).await?;
        assert!(
            text.contains("adder__add: 42") && text.contains("adder__greet is an error"),
            "{program}: {text}"
        );
    }
    Ok(())
}

/// The suite sends no token, and wants tools of names that a skill's can't have: this stands between, and adds
/// the one and maps the other, as a gateway would.
async fn gateway(world: &World) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (http, url, token) = (
        world.server.http.clone(),
        format!("{}/mcp", world.server.url),
        world.ada.token.clone(),
    );
    let forward = move |request: axum::extract::Request| {
        let (http, url, token) = (http.clone(), url.clone(), token.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20)
                .await
                .unwrap_or_default();
            let body = mapped(&String::from_utf8_lossy(&body));
            let mut forwarded = http
                .request(parts.method, url)
                .bearer_auth(token)
                .body(body);
            for (name, value) in &parts.headers {
                let is_own = ["content-length", "host", "authorization"].contains(&name.as_str());
                match value.to_str() {
                    Ok(tool) if name == "mcp-name" => {
                        forwarded = forwarded.header(name, mapped(tool));
                    }
                    _ if !is_own => forwarded = forwarded.header(name, value),
                    _ => {}
                }
            }
            if let Some(host) = parts.headers.get("host").filter(|host| {
                !host.to_str().is_ok_and(|host| {
                    host.starts_with("127.0.0.1") || host.starts_with("localhost")
                })
            }) {
                forwarded = forwarded.header("host", host);
            }
            let Ok(response) = forwarded.send().await else {
                return axum::response::Response::builder()
                    .status(502)
                    .body(axum::body::Body::empty());
            };
            let mut answer = axum::response::Response::builder().status(response.status().as_u16());
            if let Some(kind) = response.headers().get("content-type") {
                answer = answer.header("content-type", kind);
            }
            answer.body(axum::body::Body::from(
                response.bytes().await.unwrap_or_default(),
            ))
        }
    };
    let router = axum::Router::new()
        .fallback(async move |request| forward(request).await.unwrap_or_default());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://127.0.0.1:{}/mcp", address.port()))
}

fn mapped(text: &str) -> String {
    text.replace("test_simple_text", "conformance__simple-text")
        .replace("test_error_handling", "adder__greet")
}

/// What the suite asks of servers and concerns what is offered here. The rest is about what is not: images,
/// audio and resources as results, progress and logging during a call, completions, resources, prompts,
/// elicitation, sampling and roots (`input-required-…`), and streams beside the answers.
const SCENARIOS: [(&str, &[&str]); 2] = [
    (
        MODERN,
        &[
            "tools-list",
            "tools-call-simple-text",
            "tools-call-error",
            "dns-rebinding-protection",
            "http-header-validation",
        ],
    ),
    (
        "2025-11-25",
        &[
            "server-initialize",
            "ping",
            "tools-list",
            "tools-call-simple-text",
            "tools-call-error",
            "dns-rebinding-protection",
        ],
    ),
];

/// Checks of `server-stateless` and `caching` that need what is not offered: diagnostic tools that ask the
/// client for something, log or stream, and lists of prompts and resources.
const NOT_OFFERED: [&str; 8] = [
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
    "sep-2549-prompts-list-caching-hints",
    "sep-2549-resources-list-caching-hints",
    "sep-2549-resources-templates-list-caching-hints",
    "sep-2549-resources-read-caching-hints",
];

#[tokio::test]
async fn the_public_conformance_suite_passes() -> Result<()> {
    let Some(folder) = clients().await? else {
        return Ok(());
    };
    let world = World::new().await?;
    approved(
        &world.server,
        &world.ada,
        &manifest("conformance", "1.0.0"),
        "probe-skill",
    )
    .await?;
    let url = gateway(&world).await?;
    let suite = folder
        .join("node_modules/@modelcontextprotocol/conformance/dist/index.js")
        .display()
        .to_string();
    let node = folder.join("node_modules/node/bin/node");
    for (version, scenarios) in SCENARIOS {
        for scenario in scenarios {
            run(
                node.clone(),
                &[
                    &suite,
                    "server",
                    "--url",
                    &url,
                    "--spec-version",
                    version,
                    "--scenario",
                    scenario,
                ],
            )
            .await
            .with_context(|| format!("{version} {scenario}"))?;
        }
    }
    for scenario in ["server-stateless", "caching"] {
        // A file, since what node has not yet written to a pipe is lost when the suite ends its process.
        let mut printed = tempfile::tempfile()?;
        Command::new(&node)
            .args([
                &suite,
                "server",
                "--url",
                &url,
                "--spec-version",
                MODERN,
                "--scenario",
                scenario,
                "--verbose",
            ])
            .stdout(printed.try_clone()?)
            .status()
            .await?;
        printed.rewind()?;
        let text = std::io::read_to_string(printed)?;
        // Words stand before and after the list.
        let list = text.split_once("\n[").map(|(_, rest)| format!("[{rest}"));
        let list = list.with_context(|| text.clone())?;
        let mut values = serde_json::Deserializer::from_str(&list).into_iter::<Vec<Value>>();
        let checks = values.next().with_context(|| text.clone())??;
        assert!(checks.len() > 3, "{text}");
        let failures: Vec<_> = checks
            .iter()
            .filter(|check| {
                check["status"] == "FAILURE"
                    && !check["id"]
                        .as_str()
                        .is_some_and(|id| NOT_OFFERED.contains(&id))
            })
            .collect();
        assert!(failures.is_empty(), "{scenario}: {failures:#?}");
    }
    Ok(())
}
