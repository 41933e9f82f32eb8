//! Calls of skills: which version is called, its receipt and its fuel.

use super::catalogue::World;
use anyhow::{Context, Result};
use e2e::publishing::{approved, fixture, invoke, manifest, upload};
use serde_json::{Value, json};
use skill::statement::{Envelope, RECEIPT};
use sqlx::Connection;

#[tokio::test]
async fn a_receipt_says_what_was_called_and_holds() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let (_, answer) = invoke(server, bob, "adder", "greet", json!({"name": "Zoë"})).await?;
    assert_eq!(
        answer["result"],
        json!({"text": "Hello, Zoë!", "length": 11})
    );
    let envelope: Envelope = serde_json::from_value(answer["receipt"].clone())?;
    // The sandbox publishes its key when it starts, beside the calls.
    let statement = envelope.verify(&world.keys().await?)?;
    assert_eq!(statement.predicate_type, RECEIPT);
    assert_eq!(statement.subject[0].name, "adder@1.0.0");
    assert_eq!(
        format!("sha256:{}", statement.subject[0].digest.sha256),
        skill::digest::of_bytes(&fixture("adder")?)
    );
    assert_eq!(
        statement.predicate["input"]["sha256"],
        skill::digest::of_json(&json!({"name": "Zoë"}))?
    );
    assert_eq!(
        statement.predicate["output"]["sha256"],
        skill::digest::of_json(&answer["result"])?
    );
    assert_eq!(statement.predicate["account"], json!(bob.id));

    let (status, failed) = invoke(server, bob, "adder", "greet", json!({"name": ""})).await?;
    assert_eq!(
        (status, &failed["code"], &failed["error"]),
        (422, &json!("skill-failed"), &json!("nobody is there"))
    );
    let envelope: Envelope = serde_json::from_value(failed["receipt"].clone())?;
    assert_eq!(
        envelope.verify(&world.keys().await?)?.predicate["outcome"],
        "failed"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_input_uses_the_same_fuel() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    approved(server, ada, &manifest("adder", "1.0.0"), "adder").await?;
    let mut fuel = Vec::new();
    for _ in 0..5 {
        let (_, answer) = invoke(server, bob, "adder", "greet", json!({"name": "Ada"})).await?;
        fuel.push(answer["usage"]["fuel"].as_u64());
    }
    assert!(
        fuel[0].is_some() && fuel.iter().all(|one| *one == fuel[0]),
        "{fuel:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_highest_approved_version_is_called_until_it_is_taken_back() -> Result<()> {
    let world = World::new().await?;
    let World { server, ada, bob } = &world;
    for version in ["1.9.0", "1.10.0", "2.0.0-beta.1"] {
        approved(server, ada, &manifest("adder", version), "adder").await?;
    }
    let latest = async || -> Result<Value> {
        Ok(server
            .get("/api/skills/adder")
            .await?
            .json::<Value>()
            .await?["latest_version"]
            .clone())
    };
    assert_eq!(latest().await?, "1.10.0");
    let path = "/api/skills/adder/versions/1.10.0";
    assert_eq!(bob.send(server, "DELETE", path, &json!({})).await?.0, 403);
    assert_eq!(ada.send(server, "DELETE", path, &json!({})).await?.0, 204);
    assert_eq!(
        ada.send(server, "DELETE", path, &json!({})).await?.0,
        204,
        "again is no harm"
    );
    assert_eq!(latest().await?, "1.9.0");
    let (status, yanked) = bob.get(server, path).await?;
    assert_eq!((status, &yanked["status"]), (200, &json!("yanked")));
    assert_eq!(
        server.get(&format!("{path}/component")).await?.status(),
        200,
        "still downloadable"
    );
    let call = json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "version": "1.10.0"});
    assert_eq!(
        bob.send(server, "POST", "/api/skills/adder/invoke", &call)
            .await?
            .0,
        200,
        "who names it goes on"
    );
    for (version, status) in [("9.9.9", 404), ("2.0.0-beta.1", 200)] {
        let call = json!({"tool": "add", "arguments": {"a": 1, "b": 1}, "version": version});
        assert_eq!(
            bob.send(server, "POST", "/api/skills/adder/invoke", &call)
                .await?
                .0,
            status,
            "{version}"
        );
    }
    let versions: Value = server
        .get("/api/skills/adder/versions?limit=2")
        .await?
        .json()
        .await?;
    assert_eq!(
        (
            &versions["items"][0]["version"],
            &versions["items"][1]["version"]
        ),
        (&json!("2.0.0-beta.1"), &json!("1.10.0"))
    );
    let next = versions["next"].as_str().context("a next page")?;
    let versions: Value = server
        .get(&format!("/api/skills/adder/versions?limit=2&after={next}"))
        .await?
        .json()
        .await?;
    assert_eq!(
        (&versions["items"][0]["version"], &versions["next"]),
        (&json!("1.9.0"), &Value::Null)
    );
    Ok(())
}

#[tokio::test]
async fn a_version_taken_back_while_another_is_approved_is_not_the_latest() -> Result<()> {
    let World { server, ada, .. } = &World::new().await?;
    approved(server, ada, &manifest("adder", "2.0.0"), "adder").await?;
    let older = manifest("adder", "1.5.0");
    assert_eq!(upload(server, ada, &older, fixture("adder")?).await?.0, 202);
    let mut connection = server.database.connect().await?;
    let mut taking_back = connection.begin().await?;
    sqlx::query("select skills.yank(id) from skills.version where version = '2.0.0'")
        .execute(&mut *taking_back)
        .await?;
    let approving = e2e::publishing::decide(server, &older, "approve");
    let committing = async {
        server.database.until_waiting(1).await?;
        anyhow::Ok(taking_back.commit().await?)
    };
    let (approving, committing) = tokio::join!(approving, committing);
    approving?;
    committing?;
    let (_, skill) = ada.get(server, "/api/skills/adder").await?;
    assert_eq!(skill["latest_version"], "1.5.0", "{skill:#}");
    Ok(())
}
