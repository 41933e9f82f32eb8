//! Secrets themselves: who sees and changes them, versions and grants.

use super::world::{CANARY, store};
use anyhow::{Context, Result};
use e2e::{Server, agents::Agent};
use futures::future::join_all;
use serde_json::{Value, json};

const SECRETS: &str = "/api/vault/secrets";

fn new(name: &str) -> Value {
    json!({"name": name, "kind": "token", "value": CANARY})
}

/// A request with `If-Match`; the status and the answer.
async fn matching(
    server: &Server,
    agent: &Agent,
    method: &str,
    path: &str,
    tag: &str,
    body: &Value,
) -> Result<(u16, Value)> {
    let request = agent.request(server, method, path).header("if-match", tag);
    let response = request.json(body).send().await?;
    let status = response.status().as_u16();
    Ok((
        status,
        serde_json::from_slice(&response.bytes().await?).unwrap_or_default(),
    ))
}

#[tokio::test]
async fn a_secret_is_stored_changed_and_deleted_without_showing_its_value() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let (status, made) = ada.send(&server, "POST", SECRETS, &new("github")).await?;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        (&made["version"], &made["state"]),
        (&json!(1), &json!("active"))
    );
    assert_eq!(made["account_id"], json!(ada.id));
    let (status, taken) = ada.send(&server, "POST", SECRETS, &new("github")).await?;
    assert_eq!((status, &taken["code"]), (409, &json!("name-taken")));

    let by_name = format!("{SECRETS}/github");
    let response = ada.request(&server, "GET", &by_name).send().await?;
    assert_eq!(response.headers()["etag"], "\"1\"");
    let read: Value = response.json().await?;
    assert_eq!(read, made);
    assert!(!read.to_string().contains("Canary"));
    let (status, _) = ada.get(&server, &format!("{SECRETS}/vault:github")).await?;
    assert_eq!(status, 200);

    let note = json!({"note": "for the build"});
    let (status, refused) = ada.send(&server, "PATCH", &by_name, &note).await?;
    assert_eq!(
        (status, &refused["code"]),
        (428, &json!("precondition-required"))
    );
    let (status, refused) = matching(&server, &ada, "PATCH", &by_name, "\"7\"", &note).await?;
    assert_eq!(
        (status, &refused["code"]),
        (412, &json!("version-mismatch"))
    );
    let (status, changed) = matching(&server, &ada, "PATCH", &by_name, "\"1\"", &note).await?;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        (&changed["version"], &changed["note"]),
        (&json!(2), &note["note"])
    );
    let used = json!({"use": {"origins": ["https://API.example.org:443"], "place": {"query": "key"}}, "expires_at": "2999-01-01T00:00:00Z"});
    let (status, changed) = matching(&server, &ada, "PATCH", &by_name, "\"2\"", &used).await?;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        changed["use"]["origins"],
        json!(["https://api.example.org"])
    );
    let (_, changed) = matching(
        &server,
        &ada,
        "PATCH",
        &by_name,
        "*",
        &json!({"use": null, "expires_at": null}),
    )
    .await?;
    assert_eq!(
        (&changed["use"], &changed["expires_at"]),
        (&Value::Null, &Value::Null)
    );

    let (status, _) = ada.send(&server, "DELETE", &by_name, &Value::Null).await?;
    assert_eq!(status, 204);
    for (method, path) in [("GET", &by_name), ("DELETE", &by_name)] {
        let (status, _) = ada.send(&server, method, path, &Value::Null).await?;
        assert_eq!(status, 404);
    }
    let rotation = json!({"value": CANARY});
    let path = format!("{SECRETS}/{}/versions", made["id"].as_str().context("id")?);
    let (status, _) = matching(&server, &ada, "POST", &path, "*", &rotation).await?;
    assert_eq!(status, 404, "what was deleted stays so");
    let (status, _) = ada.send(&server, "POST", SECRETS, &new("github")).await?;
    assert_eq!(status, 201, "the name is free again");
    Ok(())
}

#[tokio::test]
async fn nobody_else_sees_a_secret_unless_it_is_granted() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let id = store(&server, &ada, "github", "https://api.example.org").await?;
    let path = format!("{SECRETS}/{id}");
    for reference in [id.as_str(), "github"] {
        let path = format!("{SECRETS}/{reference}");
        assert_eq!(bob.get(&server, &path).await?.0, 404);
        let (status, _) = bob.send(&server, "DELETE", &path, &Value::Null).await?;
        assert_eq!(status, 404);
    }
    let grant = format!("{path}/grants/account:{}", bob.id);
    let (status, given) = ada
        .send(&server, "PUT", &grant, &json!({"calls": 3}))
        .await?;
    assert_eq!(status, 200, "{given}");
    assert_eq!((&given["calls"], &given["used"]), (&json!(3), &json!(0)));
    let (_, listed) = ada.get(&server, &format!("{path}/grants")).await?;
    assert_eq!(listed["items"], json!([given]));

    assert_eq!(bob.get(&server, &path).await?.0, 200);
    let (_, seen) = bob.get(&server, SECRETS).await?;
    assert_eq!(seen["items"][0]["id"], json!(id));
    assert_eq!(
        bob.get(&server, &format!("{SECRETS}/github")).await?.0,
        404,
        "a name is the owner's"
    );
    for (method, path) in [
        ("DELETE", path.clone()),
        ("PUT", grant.clone()),
        ("GET", format!("{path}/uses")),
    ] {
        let (status, refused) = bob.send(&server, method, &path, &json!({})).await?;
        assert_eq!(
            (status, &refused["code"]),
            (403, &json!("forbidden")),
            "{method} {path}"
        );
    }
    let (status, _) = ada.send(&server, "DELETE", &grant, &Value::Null).await?;
    assert_eq!(status, 204);
    assert_eq!(bob.get(&server, &path).await?.0, 404);
    for (subject, status) in [
        ("account:00000000-0000-7000-8000-000000000000", 404),
        ("stranger:1", 404),
        ("claw:00000000-0000-7000-8000-000000000000", 200),
    ] {
        let grant = format!("{path}/grants/{subject}");
        assert_eq!(
            ada.send(&server, "PUT", &grant, &json!({})).await?.0,
            status,
            "{subject}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_team_secret_is_seen_by_members_and_managed_by_owners() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let bob = Agent::sign_in(&server, "bob", 2).await?;
    let eve = Agent::sign_in(&server, "eve", 3).await?;
    let (_, team) = ada
        .send(&server, "POST", "/api/teams", &json!({"name": "crew"}))
        .await?;
    let team = team["id"].as_str().context("id")?;
    let member = format!("/api/teams/{team}/members/{}", bob.id);
    let (status, _) = ada
        .send(&server, "PUT", &member, &json!({"role": "member"}))
        .await?;
    assert!(status < 300, "{status}");
    let mut of_team = new("deploy");
    of_team["team_id"] = json!(team);
    assert_eq!(bob.send(&server, "POST", SECRETS, &of_team).await?.0, 403);
    assert_eq!(eve.send(&server, "POST", SECRETS, &of_team).await?.0, 404);
    let (status, made) = ada.send(&server, "POST", SECRETS, &of_team).await?;
    assert_eq!((status, &made["team_id"]), (201, &json!(team)), "{made}");
    let path = format!("{SECRETS}/{}", made["id"].as_str().context("id")?);
    assert_eq!(bob.get(&server, &path).await?.0, 200);
    assert_eq!(eve.get(&server, &path).await?.0, 404);
    assert_eq!(
        bob.send(&server, "DELETE", &path, &Value::Null).await?.0,
        403
    );
    let mut of_platform = new("own");
    of_platform["platform"] = json!(true);
    assert_eq!(
        ada.send(&server, "POST", SECRETS, &of_platform).await?.0,
        403
    );
    assert_eq!(
        ada.send(&server, "DELETE", &path, &Value::Null).await?.0,
        204
    );
    Ok(())
}

#[tokio::test]
async fn of_rotations_at_the_same_moment_one_wins() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = store(&server, &ada, "github", "https://api.example.org").await?;
    let path = format!("{SECRETS}/{id}/versions");
    let rotations = (0..20).map(|number| {
        let body = json!({"value": format!("{CANARY}{number}"), "overlap_ms": 60_000});
        let (server, ada, path) = (&server, &ada, &path);
        async move { matching(server, ada, "POST", path, "\"1\"", &body).await }
    });
    let mut statuses = Vec::new();
    for rotation in join_all(rotations).await {
        statuses.push(rotation?.0);
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(
        statuses[1..].iter().all(|status| *status == 412),
        "{statuses:?}"
    );
    let (_, read) = ada.get(&server, &format!("{SECRETS}/{id}")).await?;
    let states: Vec<_> = read["versions"]
        .as_array()
        .context("versions")?
        .iter()
        .map(|version| (version["version"].clone(), version["state"].clone()))
        .collect();
    assert_eq!(
        states,
        [(json!(2), json!("current")), (json!(1), json!("former"))]
    );
    let (status, refused) = matching(
        &server,
        &ada,
        "DELETE",
        &format!("{path}/2"),
        "*",
        &Value::Null,
    )
    .await?;
    assert_eq!((status, &refused["code"]), (422, &json!("invalid-input")));
    let (status, _) = matching(
        &server,
        &ada,
        "DELETE",
        &format!("{path}/1"),
        "\"2\"",
        &Value::Null,
    )
    .await?;
    assert_eq!(status, 204);
    let (status, _) = matching(
        &server,
        &ada,
        "DELETE",
        &format!("{path}/1"),
        "*",
        &Value::Null,
    )
    .await?;
    assert_eq!(status, 404);
    let sealed: i64 =
        sqlx::query_scalar("select count(*) from vault.version where sealed is not null")
            .fetch_one(&mut server.database.connect().await?)
            .await?;
    assert_eq!(sealed, 1, "what ended is erased");
    Ok(())
}

#[tokio::test]
async fn bad_values_are_refused_unquoted() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let id = store(&server, &ada, "github", "https://api.example.org").await?;
    let values = [
        (json!({"canary": "canary"}), 422),
        (json!(["canary"]), 422),
        (json!(4_142_434_445_i64), 422),
        (json!(true), 422),
        (Value::Null, 422),
        (json!("canary\n-1234"), 422),
        (json!("canary\r-1234"), 422),
        (json!("canary\u{1}-1234"), 422),
        (json!("canäry-1234"), 422),
        (json!("canary"), 422),
        (json!("canary-".repeat(10_000)), 413),
    ];
    for (value, expected) in values {
        let create = json!({"name": "other", "kind": "token", "value": value.clone()});
        let (status, made) = ada.send(&server, "POST", SECRETS, &create).await?;
        let rotate = json!({"value": value});
        let path = format!("{SECRETS}/{id}/versions");
        let (rotated, answer) = matching(&server, &ada, "POST", &path, "*", &rotate).await?;
        assert_eq!((status, rotated), (expected, expected), "{made} {answer}");
        for answer in [made.to_string(), answer.to_string()] {
            assert!(
                !answer.contains("canary") && !answer.contains("4142"),
                "{answer}"
            );
        }
    }
    for body in [
        "{\"name\": \"other\", \"kind\": \"token\", \"value\": \"canary-12",
        "{\"value\": \"canary-\\ud800-123\"}",
    ] {
        let request = ada
            .request(&server, "POST", SECRETS)
            .header("content-type", "application/json");
        let response = request.body(body).send().await?;
        assert_eq!(response.status(), 400);
        let text = response.text().await?;
        assert!(!text.contains("canary"), "{text}");
    }
    Ok(())
}
