//! The OpenAPI document: generated, committed and served are the same, and say what is served.

use anyhow::{Context, Result};
use e2e::{Server, root};
use serde_json::{Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn generated() -> Result<String> {
    let document = guest::openapi::merge([
        channels::router().into_openapi(),
        webhooks::router().into_openapi(),
        events::router().into_openapi(),
        identity::router().into_openapi(),
        inbox::router().into_openapi(),
        jobs::router().into_openapi(),
        mcp::router().into_openapi(),
        skills::router().into_openapi(),
        site::router().into_openapi(),
    ]);
    Ok(document.to_pretty_json()? + "\n")
}

#[test]
fn the_committed_document_is_the_generated_one() -> Result<()> {
    let file = root().join("static/openapi.json");
    let generated = generated()?;
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&file, &generated)?;
    }
    let committed = std::fs::read_to_string(&file)?;
    assert!(
        committed == generated,
        "run: UPDATE_OPENAPI=1 cargo test -p e2e -- openapi published_table"
    );
    Ok(())
}

/// Two types of one name would overwrite each other in the document.
#[test]
fn names_of_types_and_operations_stand_once() -> Result<()> {
    let mut names = std::collections::HashMap::new();
    for folder in std::fs::read_dir(root().join("functions"))? {
        let folder = folder?.path().join("src");
        for file in std::fs::read_dir(&folder)? {
            let file = file?.path();
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            // Attributes, then the type: from one derive to the next.
            for part in text
                .split("#[derive(")
                .skip(1)
                .filter(|part| part.contains("ToSchema"))
            {
                let attributes = part.split("pub ").next().unwrap_or_default();
                if !attributes
                    .split(")]")
                    .next()
                    .is_some_and(|derives| derives.contains("ToSchema"))
                {
                    continue;
                }
                let renamed = attributes.split("schema(as = ").nth(1);
                let declared = part.split("struct ").nth(1).or(part.split("enum ").nth(1));
                let name = renamed.or(declared).context("a name")?;
                let name = name
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default();
                let other = names.insert(name.to_owned(), file.clone());
                assert!(
                    other.is_none(),
                    "{name} is a schema of {} and of {other:?}",
                    file.display()
                );
            }
        }
    }
    assert!(names.len() > 50, "{names:?}");
    let document: Value = serde_json::from_str(&generated()?)?;
    let mut ids = std::collections::HashSet::new();
    for item in document["paths"].as_object().context("paths")?.values() {
        for operation in item.as_object().into_iter().flat_map(|item| item.values()) {
            let id = operation["operationId"].as_str().context("an id")?;
            assert!(
                ids.insert(id.to_owned()),
                "{id} is the id of two operations"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_served_document_is_the_committed_one_and_version_3_1() -> Result<()> {
    let server = Server::start().await?;
    let served: Value = server.get("/openapi.json").await?.json().await?;
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(
        root().join("static/openapi.json"),
    )?)?;
    assert_eq!(served, committed);
    assert!(
        served["openapi"]
            .as_str()
            .is_some_and(|v| v.starts_with("3.1"))
    );
    Ok(())
}

#[tokio::test]
async fn every_documented_route_is_served_and_no_other_method() -> Result<()> {
    let server = Server::start().await?;
    let document: Value = serde_json::from_str(&generated()?)?;
    for (path, item) in document["paths"].as_object().context("paths")? {
        let filled = path.replace(['{', '}'], "");
        for method in METHODS {
            let request = server.http.request(
                method.to_uppercase().parse()?,
                format!("{}{filled}", server.url),
            );
            let status = request.json(&json!({})).send().await?.status().as_u16();
            let operation = &item[method];
            if operation.is_null() {
                // A literal path may be shadowed by none, and a parameter may stand for another's word.
                assert!(
                    [404, 405, 401].contains(&status),
                    "{method} {path} is served ({status}) but not documented"
                );
                continue;
            }
            assert!(
                status != 405 && status < 500,
                "{method} {path} is documented, but answers {status}"
            );
            let documented = operation["responses"].as_object().context("responses")?;
            let class = format!("{}XX", status / 100);
            assert!(
                documented.contains_key(&status.to_string()) || documented.contains_key(&class),
                "{method} {path} answers {status}, which is not among {:?}",
                documented.keys().collect::<Vec<_>>()
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_a_token_says_so_and_refuses_without() -> Result<()> {
    let server = Server::start().await?;
    let document: Value = serde_json::from_str(&generated()?)?;
    let mut open = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in METHODS.iter().filter(|m| !item[**m].is_null()) {
            // An empty requirement among them: an identity is looked at, if there is one.
            let wanted = item[*method]["security"].as_array();
            if wanted.is_none_or(|wanted| wanted.contains(&json!({}))) {
                open.push(format!("{method} {path}"));
                continue;
            }
            let filled = path.replace(['{', '}'], "");
            let request = server.http.request(
                method.to_uppercase().parse()?,
                format!("{}{filled}", server.url),
            );
            let status = request.json(&json!({})).send().await?.status();
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    // What anybody may call. This list should only grow on purpose.
    open.sort();
    assert_eq!(
        open,
        [
            "get /",
            "get /.well-known/agent-card.json",
            "get /.well-known/jwks.json",
            "get /.well-known/oauth-protected-resource",
            "get /.well-known/oauth-protected-resource/mcp",
            "get /account/admin",
            "get /account/forgot",
            "get /account/reset",
            "get /account/verify",
            "get /api/health/status",
            "get /api/sessions/provider",
            "get /api/sessions/provider/callback",
            "get /api/skills",
            "get /api/skills/{name}",
            "get /api/skills/{name}/reviews",
            "get /api/skills/{name}/versions",
            "get /api/skills/{name}/versions/{version}",
            "get /api/skills/{name}/versions/{version}/attestations",
            "get /api/skills/{name}/versions/{version}/component",
            "get /api/status",
            "get /docs",
            "get /health/live",
            "get /health/ready",
            "get /llms.txt",
            "get /openapi.json",
            "get /problems/{code}",
            "get /static/site.css",
            "post /account/admin",
            "post /account/forgot",
            "post /account/reset",
            "post /account/verify",
            "post /api/agents/authenticate",
            "post /api/agents/challenge",
            "post /api/agents/register",
            "post /api/hooks/{source}/{token}",
            "post /api/sessions",
            "post /api/sessions/passkey",
            "post /api/sessions/passkey/options",
            "post /api/tokens/refresh",
            "post /api/users/password/forgot",
            "post /api/users/password/reset",
            "post /api/users/register",
            "post /api/users/verify",
        ]
    );
    Ok(())
}

/// JSON Schema takes 5.0 for an integer, as `strict-json` does and serde alone does not. Each field here has a test that
/// sends 5.0.
#[test]
fn integers_in_bodies_are_those_that_take_a_fraction_of_zero() -> Result<()> {
    let document: Value = serde_json::from_str(&generated()?)?;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("an item")? {
            let content = operation["requestBody"]["content"].as_object();
            for kind in content.into_iter().flat_map(|content| content.values()) {
                let mut fields = Vec::new();
                integers(&document, &kind["schema"], "", 0, &mut fields);
                found.extend(fields.iter().map(|field| format!("{method} {path}{field}")));
            }
        }
    }
    assert_eq!(
        found,
        [
            "post /api/channels.slow_mode_ms",
            "patch /api/channels/{channel}.slow_mode_ms",
            "put /api/skills/{name}/reviews.rating",
        ]
    );
    Ok(())
}

fn integers(document: &Value, schema: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
    if depth > 10 {
        return;
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|name| name.rsplit('/').next())
    {
        let target = &document["components"]["schemas"][name];
        return integers(document, target, at, depth + 1, found);
    }
    let is_integer = |kind: &Value| kind == "integer";
    let kinds = schema["type"].as_array();
    if is_integer(&schema["type"]) || kinds.is_some_and(|kinds| kinds.iter().any(is_integer)) {
        found.push(at.to_owned());
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        integers(document, schema, &format!("{at}.{name}"), depth + 1, found);
    }
    integers_below(document, schema, at, depth, found);
}

fn integers_below(
    document: &Value,
    schema: &Value,
    at: &str,
    depth: usize,
    found: &mut Vec<String>,
) {
    for name in ["oneOf", "anyOf", "allOf"] {
        for schema in schema[name].as_array().into_iter().flatten() {
            integers(document, schema, at, depth + 1, found);
        }
    }
    if schema["items"].is_object() {
        integers(
            document,
            &schema["items"],
            &format!("{at}[]"),
            depth + 1,
            found,
        );
    }
}
