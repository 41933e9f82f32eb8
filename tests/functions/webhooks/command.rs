//! `gather webhook` and `gather hook`, as processes beside a real server.

use crate::{jobs::webhook_delivery::world::World, platform::chat::commands::User};
use anyhow::{Context, Result, ensure};
use e2e::{
    errands::quick,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// What a command prints, which succeeds.
async fn printed(user: &User, arguments: &[&str]) -> Result<String> {
    let (done, printed, said) = user.run(arguments, "").await?;
    ensure!(done, "{arguments:?}: {said}");
    Ok(printed)
}

async fn as_json(user: &User, arguments: &[&str]) -> Result<Value> {
    let arguments = [arguments, &["--json"]].concat();
    Ok(serde_json::from_str(&printed(user, &arguments).await?)?)
}

/// What a command says that fails.
async fn refusal(user: &User, arguments: &[&str]) -> Result<String> {
    let (done, printed, said) = user.run(arguments, "").await?;
    ensure!(!done, "{arguments:?}: {printed}");
    Ok(said)
}

#[tokio::test]
async fn a_webhook_is_added_tested_watched_and_rotated() -> Result<()> {
    let good = Receiver::start(|_| Answer::status(204)).await?;
    let world = World::new(&[("good.example", &good)]).await?;
    let user = User::register_as(&world.server.url, "grace").await?;
    let _worker = world.worker(quick()).await?;
    assert_eq!(printed(&user, &["webhook", "list"]).await?, "None.\n");
    let add = [
        "webhook",
        "add",
        "http://good.example/x",
        "--topic",
        "account:me",
        "--type",
        "inbox.*",
    ];
    let made = printed(&user, &add).await?;
    assert!(
        made.contains("whsec_") && made.contains("Next: gather webhook test"),
        "{made}"
    );
    let listed = as_json(&user, &["webhook", "list"]).await?;
    let id = listed["items"][0]["id"].as_str().context("id")?;
    assert!(made.contains(id), "{made}");
    let shown = printed(&user, &["webhook", "list"]).await?;
    assert!(
        shown.contains("enabled") && shown.contains("http://good.example/x"),
        "{shown}"
    );

    let tested = printed(&user, &["webhook", "test", id]).await?;
    assert!(
        tested.contains(&format!("Next: gather webhook deliveries {id}")),
        "{tested}"
    );
    let begin = Instant::now();
    loop {
        let deliveries = printed(&user, &["webhook", "deliveries", id]).await?;
        if deliveries.contains("delivered") {
            assert!(
                deliveries.contains("1 attempts  webhook.test  204"),
                "{deliveries}"
            );
            break;
        }
        ensure!(begin.elapsed() < LIMIT, "{deliveries}");
    }
    assert_eq!(good.count(), 1);
    let rotated = printed(&user, &["webhook", "rotate", id]).await?;
    assert!(
        rotated.contains("whsec_") && rotated.contains("signs too until"),
        "{rotated}"
    );

    let private = [
        "webhook",
        "add",
        "https://10.0.0.1/",
        "--topic",
        "account:me",
    ];
    let said = refusal(&user, &private).await?;
    assert!(
        said.contains("private network") && said.contains("invalid-input"),
        "{said}"
    );
    let nobody = "0192f5c0-0000-7000-8000-000000000000";
    for command in ["test", "rotate", "deliveries"] {
        let said = refusal(&user, &["webhook", command, nobody]).await?;
        assert!(said.contains("not-found"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hook_is_added_and_takes_what_is_sent() -> Result<()> {
    let world = World::new(&[]).await?;
    let user = User::register_as(&world.server.url, "grace").await?;
    let shown = printed(&user, &["hook", "add", "github"]).await?;
    assert!(
        shown.contains("/api/hooks/github/") && shown.contains("Events on  hook:"),
        "{shown}"
    );
    let made = as_json(&user, &["hook", "add", "generic"]).await?;
    let text = |name: &str| made[name].as_str().context("a text");
    let request = world
        .server
        .http
        .post(text("url")?)
        .json(&json!({ "n": 1 }));
    let answer = request
        .header("x-hook-secret", text("secret")?)
        .send()
        .await?;
    assert_eq!(answer.status(), 202);
    let said = refusal(&user, &["hook", "add", "nonsense"]).await?;
    assert!(said.contains("`github`, `generic`"), "{said}");
    Ok(())
}
