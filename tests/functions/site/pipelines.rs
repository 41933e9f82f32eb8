//! The pages of pipelines and runs, as a browser without scripts sees them.

use anyhow::{Context, Result};
use e2e::{Server, people::Person};
use serde_json::json;

#[tokio::test]
async fn a_run_is_started_watched_and_cancelled_on_its_pages() -> Result<()> {
    let server = Server::start().await?;
    let ada = Person::register(&server, "ada").await?;
    let browser = ada.browser(&server)?;
    let empty = browser.get("/pipelines").await?;
    assert!(
        empty.text("main").contains("You have none yet"),
        "{}",
        empty.text("main")
    );

    let definition = json!({
        "nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}, "done": {"type": "transform", "value": 1}},
        "edges": [{"from": "hold", "to": "done"}],
    });
    let new = json!({"name": "my-pipeline", "definition": definition});
    let (status, made) = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    assert_eq!(status, 201, "{made}");
    let list = browser.get("/pipelines").await?;
    assert!(list.text("main").contains("my-pipeline"));
    let path = format!("/pipelines/{}", made["id"].as_str().context("id")?);
    let page = browser.get(&path).await?;
    assert_eq!(page.texts(".graph text"), ["done", "hold"]);
    let run = browser
        .submit(
            &page,
            &format!("form[action='{path}/run']"),
            &[("input", "{\"a\": 1}")],
        )
        .await?;
    assert!(
        run.has(".live-run") && run.text(".live-run .status").contains("queued"),
        "{}",
        run.text("main")
    );
    let cancelled = browser.submit(&run, "form[action$='/cancel']", &[]).await?;
    assert!(
        cancelled.text(".live-run .status").contains("cancelled"),
        "{}",
        cancelled.text("main")
    );
    assert!(
        cancelled.attribute(".live-run", "hx-get").is_none(),
        "it is not asked for again"
    );
    let pipeline = browser.get(&path).await?;
    assert!(pipeline.text("main").contains("cancelled"));
    Ok(())
}

#[tokio::test]
async fn a_schedule_is_made_fired_paused_and_deleted_on_its_pages() -> Result<()> {
    let server = Server::start().await?;
    let ada = Person::register(&server, "ada").await?;
    let browser = ada.browser(&server)?;
    let empty = browser.get("/schedules").await?;
    assert!(empty.text("main").contains("You have none yet"));
    let action =
        json!({"type": "send_notification", "to": [ada.id], "title": "Good morning"}).to_string();
    let fields = [
        ("name", "Mornings"),
        ("cron", "0 6 * *"),
        ("timezone", "Europe/Berlin"),
        ("action", action.as_str()),
    ];
    let refused = browser
        .submit(&empty, "form[action='/schedules']", &fields)
        .await?;
    assert!(
        refused.text("main").contains("five fields"),
        "{}",
        refused.text("main")
    );
    assert_eq!(
        refused.attribute("input[name=name]", "value").as_deref(),
        Some("Mornings")
    );
    let fields = [("cron", "0 6 * * *")];
    let made = browser
        .submit(&refused, "form[action='/schedules']", &fields)
        .await?;
    assert!(made.text("main").contains("Next"), "{}", made.text("main"));
    let fired = browser.submit(&made, "form[action$='/run']", &[]).await?;
    assert!(
        fired.text("table").contains("succeeded"),
        "{}",
        fired.text("main")
    );
    let paused = browser
        .submit(&fired, "form[action$='/pause']", &[])
        .await?;
    assert!(
        paused.text("main").contains("paused (by hand)"),
        "{}",
        paused.text("main")
    );
    let list = browser
        .submit(&paused, "form[action$='/delete']", &[])
        .await?;
    assert!(
        list.text("main").contains("You have none yet"),
        "{}",
        list.text("main")
    );
    Ok(())
}
