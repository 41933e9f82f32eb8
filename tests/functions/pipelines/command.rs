//! `gather pipeline`, as a process beside a real server.

use crate::platform::chat::commands::User;
use anyhow::{Context, Result, ensure};
use e2e::{Server, errands::quick};
use host::jobs::JobTimes;
use serde_json::{Value, json};
use std::time::Duration;

async fn printed(user: &User, arguments: &[&str]) -> Result<String> {
    let (done, printed, said) = user.run(arguments, "").await?;
    ensure!(done, "{arguments:?}: {printed}{said}");
    Ok(printed)
}

#[tokio::test]
async fn a_definition_is_checked_published_run_and_restarted() -> Result<()> {
    let server = Server::start().await?;
    let user = User::register_as(&server.url, "grace").await?;
    let _worker = server
        .worker(JobTimes {
            lease: Duration::from_secs(30),
            ..quick()
        })
        .await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("greeting.json");
    let file = file.to_str().context("a path")?;
    std::fs::write(file, json!({"nodes": {"a": {"type": "loop"}}}).to_string())?;
    let (done, shown, _) = user.run(&["pipeline", "check", file], "").await?;
    assert!(!done && shown.contains("nodes.a.type"), "{shown}");

    let definition = json!({
        "nodes": {"a": {"type": "transform", "value": {"$": "'Hello, ' + input"}}},
        "result": {"$": "nodes.a.output"},
    });
    std::fs::write(file, definition.to_string())?;
    assert!(
        printed(&user, &["pipeline", "check", file])
            .await?
            .contains("sha256:")
    );
    let published = printed(&user, &["pipeline", "publish", "greeting", file]).await?;
    assert!(
        published.contains("Version 1 of greeting is active"),
        "{published}"
    );
    let run = [
        "pipeline", "run", "greeting", "--input", "\"Ada\"", "--watch", "--json",
    ];
    let run: Value = serde_json::from_str(&printed(&user, &run).await?)?;
    assert_eq!(
        (&run["status"], &run["result"]),
        (&json!("succeeded"), &json!("Hello, Ada"))
    );
    let id = run["id"].as_str().context("id")?;
    let watched = printed(&user, &["pipeline", "watch", id]).await?;
    assert!(
        watched.contains("Result: \"Hello, Ada\"") && watched.contains("transform"),
        "{watched}"
    );
    let again = printed(&user, &["pipeline", "restart", id, "a"]).await?;
    assert!(again.contains("gather pipeline watch"), "{again}");
    let (done, _, said) = user.run(&["pipeline", "cancel", id], "").await?;
    assert!(!done && said.contains("has ended"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_previewed_made_listed_and_paused() -> Result<()> {
    let server = Server::start().await?;
    let user = User::register_as(&server.url, "grace").await?;
    let times = ["--cron", "30 2 * * *", "--timezone", "Europe/Berlin"];
    let preview = printed(&user, &[&["schedule", "preview"], &times[..]].concat()).await?;
    assert!(
        preview.lines().count() >= 10 && preview.contains("T02:30:00+0"),
        "{preview}"
    );
    let action = json!({"type": "call_api", "url": "/api/health/status"}).to_string();
    let add = [
        &["schedule", "add", "nightly", "--action", &action],
        &times[..],
    ]
    .concat();
    let made = printed(&user, &add).await?;
    let id = made.split_whitespace().next().context("an id")?;
    assert!(
        printed(&user, &["schedule", "list"])
            .await?
            .contains("nightly")
    );
    assert!(
        printed(&user, &["schedule", "pause", id])
            .await?
            .contains("paused")
    );
    assert!(
        !printed(&user, &["schedule", "resume", id])
            .await?
            .contains("paused")
    );
    let (done, _, said) = user
        .run(&["schedule", "add", "none", "--every-ms", "1"], "")
        .await?;
    assert!(!done && !said.is_empty(), "a name alone is not enough");
    Ok(())
}
