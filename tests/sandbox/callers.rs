//! Which components may ask the sandbox, and for what: what their manifest gives them and nothing else.

use anyhow::Result;
use e2e::{Database, http, master_key, sandbox_child};
use gather::{manifest::Manifest, sandbox, secrets};
use jwt_simple::prelude::{Claims, Duration, HS256Key, MACLike};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::{collections::BTreeMap, net::SocketAddr};

const MANIFEST: &str = r#"
    spin_manifest_version = 2
    application.name = "x"
    [component.uploader]
    source = "a.wasm"
    tool.gather.sandbox = ["upload", "download"]
    [component.caller]
    source = "a.wasm"
    tool.gather.sandbox = ["invoke"]
    [component.reviewer]
    source = "a.wasm"
    tool.gather.sandbox = ["probe", "attest"]
    [component.nobody]
    source = "a.wasm"
"#;

/// A token as a component makes it, from the key that it would be given.
fn token(component: &str) -> Result<String> {
    let key = secrets::service_key(&master_key(), "sandbox", component);
    let key = HS256Key::from_bytes(key.as_bytes()).with_key_id(component);
    let claims = Claims::create(Duration::from_secs(60))
        .with_issuer(component)
        .with_audience("gather-sandbox");
    key.authenticate(claims)
}

#[tokio::test]
async fn a_component_may_ask_what_its_manifest_says_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("spin.toml");
    std::fs::write(&file, MANIFEST)?;
    let database = Database::create().await?;
    let sandbox = sandbox::start(sandbox::Start {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        manifest: &Manifest::load(&file)?,
        database: &database.admin,
        key: &master_key(),
        cache_dir: folder.path().join("compiled"),
        child: sandbox_child()?,
        server: "http://x".to_owned(),
        components: None,
        calls: None,
        trusted_hosts: BTreeMap::new(),
    })
    .await?;
    let client = http().build()?;
    let operations = [
        ("upload", Method::POST, "/components"),
        ("download", Method::GET, "/components/sha256:00"),
        ("invoke", Method::POST, "/invoke"),
        ("probe", Method::POST, "/probe"),
        ("attest", Method::POST, "/attest"),
    ];
    let callers = [
        ("uploader", &["upload", "download"][..]),
        ("caller", &["invoke"]),
        ("reviewer", &["probe", "attest"]),
    ];
    for (component, rights) in callers {
        for (right, method, path) in operations.clone() {
            let url = format!("http://{}{path}", sandbox.address());
            let asked = client.request(method, url).bearer_auth(token(component)?);
            let answer = asked.send().await?;
            let (status, problem) = (answer.status(), answer.json::<Value>().await?);
            if rights.contains(&right) {
                // It is let in, and asks badly.
                assert_ne!(problem["code"], "forbidden", "{component} {right}");
                assert!(status.is_client_error(), "{component} {right}: {status}");
                continue;
            }
            assert_eq!(status, StatusCode::FORBIDDEN, "{component} {right}");
            assert_eq!(problem["code"], "forbidden");
            let mend =
                format!("add \"{right}\" to `sandbox` in [component.{component}.tool.gather]");
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(&mend), "{detail}");
        }
    }
    for (_, method, path) in operations {
        let url = format!("http://{}{path}", sandbox.address());
        let asked = client.request(method, url).bearer_auth(token("nobody")?);
        assert_eq!(
            asked.send().await?.status(),
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    sandbox.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}
