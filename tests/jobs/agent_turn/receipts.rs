//! Receipts of turns: what an agent did, signed, and verified with the platform's keys alone.

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::command;
use e2e::publishing::{approved, manifest};
use serde_json::{Value, json};
use std::path::Path;
use tokio::process::Command;

use super::world::{World, begins, calls, plain, results, says, with};

/// The end of `gather turn verify`: whether the receipt holds, and what it prints.
pub(super) async fn verify(folder: &Path, receipt: &Value, keys: &Value) -> Result<(bool, String)> {
    std::fs::write(folder.join("receipt.json"), receipt.to_string())?;
    std::fs::write(folder.join("keys.json"), keys.to_string())?;
    let output = Command::new(command()?)
        .args(["turn", "verify", "receipt.json", "--keys", "keys.json"])
        .current_dir(folder)
        .output()
        .await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[tokio::test]
async fn the_keys_alone_verify_what_an_agent_did() -> Result<()> {
    let world = World::new(|asked, _| match results(asked) {
        0 => calls(&[("adder__add", "{\"a\": 2, \"b\": 3}")]),
        _ => says("The canary says five."),
    })
    .await?;
    let skill = manifest("adder", "1.0.0");
    approved(&world.server, &world.ada, &skill, "adder").await?;
    let talk = world.talk(&with(&["skill:adder"], &json!({}))).await?;
    let turn = world
        .say(&talk, "Add two and three for the canary.")
        .await?;
    let ended = world.ended(&turn).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");

    let receipt = world.get(&format!("/api/turns/{turn}/receipt")).await?;
    let again = world.get(&format!("/api/turns/{turn}/receipt")).await?;
    assert_eq!(receipt, again, "a turn has one receipt");
    let payload = receipt["payload"].as_str().context("payload")?;
    let payload = String::from_utf8(BASE64_STANDARD.decode(payload)?)?;
    assert!(!payload.contains("canary"), "{payload}");
    let statement: Value = serde_json::from_str(&payload)?;
    let stated = &statement["predicate"];
    assert_eq!(stated["persona"]["digest"], ended["persona"]["digest"]);
    assert_eq!(stated["usage"], ended["usage"]);
    assert_eq!(stated["steps"].as_array().map(Vec::len), Some(3));
    assert!(stated["steps"][1]["receipt"]["payload"].is_string());

    let keys = world.get("/.well-known/jwks.json").await?;
    let folder = tempfile::tempdir()?;
    let (holds, said) = verify(folder.path(), &receipt, &keys).await?;
    assert!(holds && said.contains("receipt of adder@1.0.0"), "{said}");
    // Whatever is changed shows.
    let mut changed = receipt.clone();
    let other = payload.replacen("completed", "cancelled", 1);
    changed["payload"] = json!(BASE64_STANDARD.encode(other));
    let (holds, said) = verify(folder.path(), &changed, &keys).await?;
    assert!(!holds && said.contains("signature"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_turn_that_has_not_ended_has_no_receipt() -> Result<()> {
    let world = World::new(|_, _| begins("I think")).await?;
    let talk = world.talk(&plain()).await?;
    let turn = world.say(&talk, "Think.").await?;
    let path = format!("/api/turns/{turn}");
    let refused = world
        .ask("GET", &format!("{path}/receipt"), &json!({}), 409)
        .await?;
    assert_eq!(refused["code"], "turn-running");
    world
        .ask("POST", &format!("{path}/cancel"), &json!({}), 200)
        .await?;
    let receipt = world.get(&format!("{path}/receipt")).await?;
    let keys = world.get("/.well-known/jwks.json").await?;
    let folder = tempfile::tempdir()?;
    let (holds, said) = verify(folder.path(), &receipt, &keys).await?;
    assert!(holds && said.contains("cancelled"), "{said}");
    Ok(())
}
