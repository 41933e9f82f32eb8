//! What comes in by hooks as others sign it: the libraries of Standard Webhooks, and GitHub's with GitHub's examples.

use super::hooks::Hook;
use anyhow::{Context, Result, ensure};
use e2e::libraries::{run, webhook_libraries};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn what_the_libraries_of_standard_webhooks_sign_is_taken() -> Result<()> {
    let Some(folder) = webhook_libraries().await? else {
        return Ok(());
    };
    let hook = Hook::new("generic").await?;
    for script in ["sign.mjs", "sign.py"] {
        let said = run(&folder, script, &[&hook.url, &hook.secret]).await?;
        ensure!(said.contains("all is well"), "{script}: {said}");
    }
    let events = hook.events().await?;
    let from: Vec<_> = events
        .iter()
        .map(|event| &event["data"]["payload"]["from"])
        .collect();
    assert_eq!(from, ["npm", "PyPI"]);
    for event in &events {
        assert_eq!(event["type"], "hook.received");
        assert_eq!(event["data"]["payload"]["text"], "Grüße 🐙\n");
    }
    Ok(())
}

/// The kinds with a shape of their own, and the object that each tells of.
const SHAPES: [(&str, &str); 5] = [
    ("push", "commits"),
    ("pull_request", "pull_request"),
    ("issues", "issue"),
    ("workflow_run", "workflow_run"),
    ("release", "release"),
];

/// Whether a value says nothing that another one does not say, too; texts may be cut.
fn is_part(part: &Value, whole: &Value, cut: bool) -> bool {
    match (part, whole) {
        (Value::Object(part), _) => part
            .iter()
            .all(|(name, value)| is_part(value, &whole[name], cut)),
        (Value::Array(part), Value::Array(whole)) => {
            let mut pairs = part.iter().zip(whole);
            part.len() == whole.len() && pairs.all(|(part, whole)| is_part(part, whole, cut))
        }
        (Value::String(part), Value::String(whole)) if cut => whole.starts_with(part),
        _ => part == whole,
    }
}

#[tokio::test]
async fn each_example_of_githubs_becomes_an_event_of_its_kind() -> Result<()> {
    let Some(folder) = webhook_libraries().await? else {
        return Ok(());
    };
    let hook = Hook::new("github").await?;
    let said = run(&folder, "github.mjs", &[&hook.url, &hook.secret]).await?;
    let sent: Vec<Value> = serde_json::from_str(&said)?;
    let file = folder.join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let kinds: Vec<Value> = serde_json::from_slice(&std::fs::read(file)?)?;
    let examples: Vec<_> = kinds
        .iter()
        .flat_map(|kind| kind["examples"].as_array().into_iter().flatten())
        .collect();
    assert!(kinds.len() > 50 && examples.len() > 300 && sent.len() == examples.len());
    let events = hook.all_events().await?;
    let events: BTreeMap<_, _> = events
        .iter()
        .map(|event| (event["id"].as_str().unwrap_or_default(), event))
        .collect();
    let mut seen = BTreeSet::new();
    for (one, example) in sent.iter().zip(&examples) {
        let kind = one["kind"].as_str().context("kind")?;
        assert_eq!(one["status"], 202, "{kind}: {}", one["answer"]);
        let id = one["answer"]["event"].as_str();
        // Some examples are there twice.
        let is_new = seen.insert((kind, one["digest"].as_str()));
        assert_eq!(id.is_some(), is_new, "{one}");
        let Some(id) = id else { continue };
        let event = events.get(id).with_context(|| format!("no event {id}"))?;
        let data = &event["data"];
        assert_eq!(event["type"], format!("github.{}", kind.replace('_', "-")));
        assert_eq!(
            (&data["kind"], &data["delivery"]),
            (&one["kind"], &one["delivery"])
        );
        assert_eq!(data["hook"], hook.id);
        let shape = SHAPES.iter().find(|(shaped, _)| *shaped == kind);
        let Some((_, object)) = shape else {
            assert_eq!((&data["payload"], &data["cut"]), (*example, &false.into()));
            continue;
        };
        let mut payload = data["payload"].clone();
        assert!(!payload[object].is_null(), "{payload}");
        assert_eq!(payload["sender"]["login"], example["sender"]["login"]);
        assert_eq!(
            payload["repository"]["full_name"],
            example["repository"]["full_name"]
        );
        if kind == "push" {
            let total = payload
                .as_object_mut()
                .and_then(|push| push.remove("total_commits"));
            assert_eq!(
                total,
                example["commits"].as_array().map(|all| all.len().into())
            );
        }
        let cut = data["cut"].as_bool().context("cut")?;
        assert!(is_part(&payload, example, cut), "{payload:#}");
        assert!(payload.to_string().len() < example.to_string().len());
    }
    assert_eq!(events.len(), seen.len());
    Ok(())
}
