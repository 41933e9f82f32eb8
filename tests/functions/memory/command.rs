//! `gather memory`, as a process beside a real server.

use crate::platform::chat::commands::User;
use anyhow::{Context, Result, ensure};
use e2e::{Server, errands::quick};
use serde_json::Value;
use skill::statement::{Envelope, Jwks};

/// What a command prints, which succeeds.
async fn printed(user: &User, arguments: &[&str]) -> Result<String> {
    let (done, printed, said) = user.run(arguments, "").await?;
    ensure!(done, "{arguments:?}: {said}");
    Ok(printed)
}

#[tokio::test]
async fn a_memory_is_added_found_and_forgotten() -> Result<()> {
    let server = Server::start().await?;
    let _worker = server.worker(quick()).await?;
    let user = User::register_as(&server.url, "grace").await?;
    let add = [
        "memory",
        "add",
        "Grace prefers\ntea.",
        "--kind",
        "preference",
        "--tag",
        "drinks",
        "--json",
    ];
    let made: Value = serde_json::from_str(&printed(&user, &add).await?)?;
    let id = made["id"].as_str().context("id")?;
    assert_eq!(
        (made["kind"].as_str(), made["scope"].as_str()),
        (Some("preference"), Some("agent"))
    );
    let found = printed(&user, &["memory", "search", "tea", "--mode", "text"]).await?;
    assert!(
        found.starts_with(id) && found.contains("Grace prefers tea."),
        "{found}"
    );
    let counted = printed(&user, &["memory", "forget", id, "--dry-run"]).await?;
    assert!(
        counted.starts_with("Would forget 1 memories in 1 versions"),
        "{counted}"
    );
    let gone: Value =
        serde_json::from_str(&printed(&user, &["memory", "forget", id, "--json"]).await?)?;
    let envelope: Envelope = serde_json::from_value(gone["statement"].clone())?;
    let keys: Jwks = server.get("/.well-known/jwks.json").await?.json().await?;
    assert_eq!(envelope.verify(&keys)?.predicate["ids"][0], id);
    assert_eq!(
        printed(&user, &["memory", "search", "tea", "--mode", "text"]).await?,
        "None.\n"
    );
    let (done, _, said) = user
        .run(&["memory", "add", "my password is hunter22!"], "")
        .await?;
    assert!(!done && said.contains("credential"), "{said}");
    Ok(())
}
