//! Input that is refused, by every operation that takes any: what is said of it, and by which word.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    publishing::{approved, fixture, manifest},
    root,
};
use serde_json::{Value, json};

/// The first error of a refused body, as field and detail.
async fn refusal(
    agent: &Agent,
    server: &Server,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(String, String)> {
    let request = agent.request(server, method, path);
    let request = request.header("content-type", "application/json");
    let response = request.body(body.to_owned()).send().await?;
    let status = response.status();
    let problem: Value = response.json().await?;
    assert_eq!(status, 422, "{path} {body}: {problem:#}");
    let error = &problem["errors"][0];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Ok((text("field"), text("detail")))
}

#[tokio::test]
async fn an_array_is_no_object_for_any_operation() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    for (path, body) in [
        ("/api/teams", r#"["name", "text"]"#),
        ("/api/agents/register", r#"["other", "AAAA", "text"]"#),
        ("/api/agents/challenge", r#"["AAAA"]"#),
        ("/api/keys", r#"["name", ["kb:read"], null]"#),
        (
            "/api/skills/adder/invoke",
            r#"["add", {"a": 1, "b": 2}, null]"#,
        ),
    ] {
        let told = refusal(&ada, &server, "POST", path, body).await?;
        let expected = (
            "body".to_owned(),
            "must be an object, not an array".to_owned(),
        );
        assert_eq!(told, expected, "{path}");
    }
    // Every operation that takes JSON.
    let document = std::fs::read_to_string(root().join("static/openapi.json"))?;
    let document: Value = serde_json::from_str(&document)?;
    let mut count = 0;
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            // Below /v1 bodies and errors are those of others' protocols, as for MCP.
            let is_foreign = path == "/mcp" || path.starts_with("/v1/");
            if operation["requestBody"]["content"]["application/json"].is_null() || is_foreign {
                continue;
            }
            let path = path.replace("{name}", "adder").replace(['{', '}'], "");
            let request = ada.request(&server, &method.to_uppercase(), &path);
            let response = request.json(&json!([])).send().await?;
            let status = response.status().as_u16();
            let problem: Value = response.json().await.unwrap_or_default();
            // What the caller may not do, or there isn't, is told before the body is read, and so is a missing `If-Match`.
            assert!(
                [403, 404, 422, 428].contains(&status),
                "{method} {path}: {status} {problem}"
            );
            if status == 422 {
                let error = &problem["errors"][0];
                assert_eq!(
                    error["detail"], "must be an object, not an array",
                    "{method} {path}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 12, "{count}");
    Ok(())
}

#[tokio::test]
async fn refused_input_is_told_in_words_of_json() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let review = "/api/skills/adder/reviews";
    for (method, path, body, field, detail) in [
        (
            "POST",
            "/api/teams",
            "7",
            "body",
            "must be an object, not a number",
        ),
        ("POST", "/api/teams", "{}", "name", "is missing"),
        (
            "POST",
            "/api/teams",
            r#"{"name": 7}"#,
            "name",
            "must be a string, not a number",
        ),
        (
            "PUT",
            review,
            r#"{"rating": "5"}"#,
            "rating",
            "not a string",
        ),
        (
            "PUT",
            review,
            r#"{"rating": 5.5}"#,
            "rating",
            "not a number with a fraction",
        ),
        (
            "PUT",
            review,
            r#"{"rating": -1e300}"#,
            "rating",
            "must be an integer",
        ),
        (
            "POST",
            "/api/keys",
            r#"{"name": "k", "scopes": {}}"#,
            "scopes",
            "must be an array, not an object",
        ),
        (
            "POST",
            "/api/keys",
            r#"{"name": "k", "scopes": [7]}"#,
            "scopes[0]",
            "must be a string, not a number",
        ),
    ] {
        let (told_field, told) = refusal(&ada, &server, method, path, body).await?;
        assert_eq!(told_field, field, "{body}: {told}");
        assert!(told.contains(detail), "{body}: {told}");
    }
    for (query, field, detail) in [
        ("limit=x", "limit", "must be an integer"),
        ("limit=99999999999999999999", "limit", "is too large"),
        ("status=asleep", "status", "must be one of"),
    ] {
        let (status, problem) = ada.get(&server, &format!("/api/jobs?{query}")).await?;
        assert_eq!(
            (status, &problem["errors"][0]["field"]),
            (422, &json!(field)),
            "{problem:#}"
        );
        let told = problem["errors"][0]["detail"]
            .as_str()
            .context("a detail")?;
        assert!(told.contains(detail), "{query}: {told}");
    }
    let (status, problem) = ada.get(&server, "/api/jobs/seven").await?;
    assert_eq!((status, &problem["code"]), (404, &json!("not-found")));
    assert_eq!(problem["detail"], "`job` in the path must be a UUID.");
    Ok(())
}

#[tokio::test]
async fn repeated_members_are_refused_where_they_would_be_signed() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    let call = r#"{"tool": "add", "arguments": {"a": 1, "b": 2, "a": 3}}"#;
    let (field, detail) = refusal(&ada, &server, "POST", "/api/skills/adder/invoke", call).await?;
    assert_eq!((&*field, &*detail), ("arguments.a", "is given twice"));

    let message = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "adder__add", "arguments": {"a": 1, "b": 2, "a": 3}}}"#;
    let request = ada.request(&server, "POST", "/mcp");
    let request = request.header("content-type", "application/json");
    let answer: Value = request.body(message).send().await?.json().await?;
    assert_eq!(answer["error"]["code"], -32600, "{answer}");

    for (text, field) in [
        (
            r#"{"name": "other", "version": "1.0.0", "description": "x", "name": "third"}"#,
            "manifest.name",
        ),
        (r#"["other", "1.0.0", "x"]"#, "manifest"),
        (
            r#"{"name": "other", "version": "1.0.0", "description": "x", "permissions": [[], null, true, true]}"#,
            "manifest.permissions",
        ),
        (
            r#"{"name": "other", "version": "1.0.0", "description": "x", "examples": [{"tool": "add", "arguments": {"a": 1, "a": 2}, "result": 1}]}"#,
            "manifest.examples[0].arguments.a",
        ),
    ] {
        let form = reqwest::multipart::Form::new().text("manifest", text).part(
            "component",
            reqwest::multipart::Part::bytes(fixture("adder")?),
        );
        let request = ada.request(&server, "POST", "/api/skills").multipart(form);
        let response = request.send().await?;
        assert_eq!(response.status(), 422);
        let problem: Value = response.json().await?;
        assert_eq!(problem["errors"][0]["field"], field, "{problem:#}");
    }
    Ok(())
}
