//! Model Context Protocol with the official clients, and by the public conformance suite.

use super::protocol::{MODERN, World};
use anyhow::{Context, Result};
use e2e::{
    libraries::installed,
    publishing::{approved, manifest},
};
use serde_json::Value;
use std::{io::Seek, path::PathBuf};
use tokio::{net::TcpListener, process::Command, sync::OnceCell};

/// The folder with the official clients, a server and the suite; `None`: they can't be installed here.
pub async fn clients() -> Result<Option<PathBuf>> {
    let _machine = e2e::MACHINE.lock().await;
    static INSTALLED: OnceCell<Option<PathBuf>> = OnceCell::const_new();
    let folder = INSTALLED.get_or_try_init(async || {
        let files = "tests/functions/mcp/clients";
        installed("mcp-clients", files, &["mcp==2.3.0"]).await
    });
    Ok(folder.await?.clone())
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
