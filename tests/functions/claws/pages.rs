//! The pages of claws, in a browser without scripts, and the commands for them.

use anyhow::{Context, Result, ensure};
use e2e::{
    browser::{Browser, Page},
    people::Person,
};
use serde_json::json;
use std::time::{Duration, Instant};

use crate::jobs::agent_turn::world::{World, says};
use crate::platform::chat::commands::User;

/// The longest time until something has happened, on a machine with much to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Loads a page until it shows a text in an element.
async fn until(browser: &Browser, path: &str, element: &str, text: &str) -> Result<Page> {
    let begin = Instant::now();
    loop {
        let page = browser.get(path).await?;
        if page.text(element).contains(text) {
            return Ok(page);
        }
        ensure!(begin.elapsed() < LIMIT, "{text}: {}", page.text("main"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_claw_is_made_talked_with_and_deleted_on_its_pages() -> Result<()> {
    let world = World::new(|_, _| says("Hello, *Grace*.")).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let browser = grace.browser(&world.server)?;
    let list = browser.get("/claws").await?;
    assert!(list.has(".empty"), "{}", list.text("main"));
    let form = "form[action='/claws']";
    let fields = [("name", "helper"), ("persona", "nobody-knows")];
    let refused = browser.submit(&list, form, &fields).await?;
    assert_eq!(refused.status, 422, "{}", refused.text("main"));
    assert!(
        refused.text("main").contains("persona"),
        "{}",
        refused.text("main")
    );
    let made = browser
        .submit(&refused, form, &[("persona", "critic")])
        .await?;
    assert_eq!(made.text("h1 bdi"), "helper", "{}", made.text("main"));
    let topic = made.path.replace("/claws/", "claw:");
    assert_eq!(
        made.attribute(".live-claw", "data-follows").as_ref(),
        Some(&topic)
    );
    let part = made
        .attribute(".live-claw", "data-part")
        .context("its part")?;
    until(&browser, &part, ".live-claw > p .status", "running").await?;
    let runs = browser.get(&made.path).await?;
    assert!(
        runs.text("ol.rows").contains("provisioned"),
        "{}",
        runs.text("main")
    );

    let change = "form[action$='/change']";
    let paused = browser.submit(&runs, change, &[("what", "pause")]).await?;
    assert!(paused.has("button[value=resume]"), "{}", paused.html);
    let resumed = browser
        .submit(&paused, change, &[("what", "resume")])
        .await?;
    until(&browser, &part, ".live-claw > p .status", "running").await?;
    let messages = "form[action$='/messages']";
    let empty = browser.submit(&resumed, messages, &[("body", " ")]).await?;
    assert_eq!(empty.status, 422, "{}", empty.text("main"));
    let talk = browser
        .submit(&empty, messages, &[("body", "Good morning.")])
        .await?;
    assert!(
        talk.path.starts_with("/channels/") && talk.html.contains("Good morning."),
        "{}",
        talk.path
    );
    until(&browser, &talk.path, "main", "Hello, Grace.").await?;
    let costs = until(&browser, &made.path, ".live-claw table", "1 call").await?;
    assert!(costs.text(".live-claw table").contains("25 in"));

    // The list follows the claws that it shows.
    let list = browser.get("/claws?status=running").await?;
    assert_eq!(list.attribute("ul.rows", "data-follows"), Some(topic));
    let part = list.attribute("ul.rows", "data-part").context("its part")?;
    assert_eq!(part, "/parts/claws?status=running");
    let rows = browser.get(&part).await?;
    assert!(rows.text("ul.rows").contains("helper"), "{}", rows.html);

    let stopped = browser.submit(&costs, change, &[("what", "stop")]).await?;
    assert!(stopped.has("button[value=start]"), "{}", stopped.html);
    let late = browser.submit(&runs, change, &[("what", "pause")]).await?;
    assert_eq!(late.status, 409, "what was shown before has changed");
    let list = browser.get("/claws?status=failed").await?;
    assert!(list.has(".empty"), "{}", list.text("main"));
    let list = browser
        .submit(&stopped, change, &[("what", "delete")])
        .await?;
    assert_eq!(list.path, "/claws");
    let begin = Instant::now();
    while !browser.get("/claws").await?.has(".empty") {
        ensure!(begin.elapsed() < LIMIT, "it is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    commands(&world).await
}

/// The same with commands, over the same server.
async fn commands(world: &World) -> Result<()> {
    let user = User::register_as(&world.server.url, "alan").await?;
    let run = async |arguments: &[&str]| -> Result<String> {
        let (done, printed, said) = user.run(&[&["claw"], arguments].concat(), "").await?;
        ensure!(done, "{arguments:?}: {printed}{said}");
        Ok(printed)
    };
    assert!(run(&["list"]).await?.contains("None."));
    let made = [
        "create",
        "worker-bee",
        "--persona",
        "critic",
        "--daily-limit-microusd",
        "1000",
        "--json",
    ];
    let made: serde_json::Value = serde_json::from_str(&run(&made).await?)?;
    assert_eq!(
        (&made["status"], &made["budget"]),
        (
            &json!("running"),
            &json!({"limit_microusd": 1000, "period": "day"})
        )
    );
    let list = run(&["list", "--status", "running"]).await?;
    assert!(list.contains("worker-bee  critic"), "{list}");
    run(&["pause", "worker-bee"]).await?;
    run(&["resume", "worker-bee"]).await?;
    assert!(
        run(&["stop", "worker-bee"])
            .await?
            .contains("shall be stopped")
    );
    run(&["start", "worker-bee"]).await?;
    let history = run(&["history", "worker-bee"]).await?;
    assert!(
        history.contains("created") && history.contains("provisioned"),
        "{history}"
    );
    run(&["delete", "worker-bee"]).await?;
    // It ends with the claw.
    let followed = user.run(&["claw", "history", "worker-bee", "-f"], "");
    let (_, printed, said) = tokio::time::timeout(LIMIT, followed).await??;
    assert!(
        printed.contains("delete") || said.contains("not"),
        "{printed}{said}"
    );
    Ok(())
}
