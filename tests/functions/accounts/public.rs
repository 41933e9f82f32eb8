//! Accounts, as anybody may see them.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    agents::{Agent, key},
    client::{code, read},
    people::Person,
    publishing::{approved, fixture, manifest, upload},
};
use serde_json::{Value, json};

/// A profile as a stranger sees it.
async fn profile(server: &Server, name: &str) -> Result<(u16, Value)> {
    read(server.get(&format!("/api/profiles/{name}")).await?).await
}

async fn change(server: &Server, person: &Person, change: &Value) -> Result<(u16, Value)> {
    person.send(server, "PATCH", "/api/users/me", change).await
}

#[tokio::test]
async fn anybody_sees_profiles_and_nothing_private_in_them() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let words = json!({ "description": "Counts things." });
    let (status, _) = ada.send(&server, "PATCH", "/api/agents/me", &words).await?;
    assert_eq!(status, 200);
    approved(&server, &ada, &manifest("adder", "1.0.0"), "adder").await?;
    // Nobody has looked at it yet.
    let (status, _) = upload(
        &server,
        &ada,
        &manifest("other", "1.0.0"),
        fixture("adder")?,
    )
    .await?;
    assert_eq!(status, 202);

    let (status, mut seen) = profile(&server, "ada").await?;
    assert_eq!(status, 200, "{seen}");
    let created_at = seen["created_at"].take();
    assert!(created_at.is_string(), "{created_at}");
    let skill =
        json!({ "name": "adder", "description": "A skill of the tests.", "version": "1.0.0" });
    assert_eq!(
        seen,
        json!({
            "id": ada.id, "kind": "agent", "name": "ada", "description": "Counts things.", "created_at": null,
            "public_key": BASE64_STANDARD.encode(*key(1).pk), "skills": [skill],
        })
    );
    let yank = "/api/skills/adder/versions/1.0.0";
    let (status, answer) = ada.send(&server, "DELETE", yank, &json!({})).await?;
    assert!(status < 300, "{status} {answer}");
    assert_eq!(profile(&server, "ada").await?.1["skills"], json!([]));

    // A person has words of their own too, and a mail address that is nobody's business.
    let (status, me) = change(&server, &grace, &json!({ "description": "Finds bugs." })).await?;
    assert_eq!((status, &me["description"]), (200, &json!("Finds bugs.")));
    let (status, me) = change(&server, &grace, &json!({})).await?;
    assert_eq!(
        (status, &me["description"]),
        (200, &json!("Finds bugs.")),
        "what is absent stays"
    );
    let (status, seen) = profile(&server, "grace").await?;
    assert_eq!(
        (status, &seen["kind"], &seen["description"], &seen["skills"]),
        (200, &json!("user"), &json!("Finds bugs."), &json!([]))
    );
    let mut fields: Vec<_> = seen.as_object().context("an object")?.keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["created_at", "description", "id", "kind", "name", "skills"]
    );
    assert!(!seen.to_string().contains("example.org"), "{seen}");

    for bad in [
        json!({ "description": "x".repeat(1001) }),
        json!({ "description": "\0" }),
    ] {
        assert_eq!(change(&server, &grace, &bad).await?.0, 422);
    }
    let (status, _) = ada.send(&server, "PATCH", "/api/users/me", &words).await?;
    assert_eq!(status, 404, "an agent is not a person");
    Ok(())
}

#[tokio::test]
async fn who_is_suspended_or_has_left_has_no_profile() -> Result<()> {
    let server = Server::start().await?;
    let operator = Person::register(&server, "operator").await?;
    let operator = operator.into_admin(&server).await?;
    let grace = Person::register(&server, "grace").await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let words = json!({ "description": "Finds bugs." });
    assert_eq!(change(&server, &grace, &words).await?.0, 200);
    let export = grace
        .request(&server, "GET", "/api/accounts/me/export")
        .send()
        .await?;
    let export: Value = export.json().await?;
    assert_eq!(export["person"]["description"], "Finds bugs.");
    for name in ["grace", "ada"] {
        assert_eq!(profile(&server, name).await?.0, 200, "{name}");
    }
    let suspend = format!("/api/accounts/{}/suspend", grace.id);
    let suspended = operator.send(&server, "POST", &suspend, &json!({})).await?;
    assert_eq!(suspended.0, 200);
    let leaving = json!({ "name": "ada" });
    let (status, _) = ada
        .send(&server, "POST", "/api/accounts/me/delete", &leaving)
        .await?;
    assert_eq!(status, 204);
    let left = format!("deleted-{}", ada.id.simple());
    for name in [
        "grace",
        "ada",
        left.as_str(),
        "nobody",
        "me",
        &grace.id.to_string(),
    ] {
        let response = server.get(&format!("/api/profiles/{name}")).await?;
        assert_eq!(
            code(response).await?,
            (404, "not-found".to_owned()),
            "{name}"
        );
    }
    let reinstate = format!("/api/accounts/{}/reinstate", grace.id);
    let back = operator
        .send(&server, "POST", &reinstate, &json!({}))
        .await?;
    assert_eq!(back.0, 200);
    let (status, seen) = profile(&server, "grace").await?;
    assert_eq!((status, &seen["description"]), (200, &json!("Finds bugs.")));
    Ok(())
}
