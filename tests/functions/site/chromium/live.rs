//! Pages that follow what happens, in a real browser: they show it without being loaded again.

use anyhow::{Context, Result, ensure};
use e2e::{chromium::turn, people::Person};
use serde_json::json;

use crate::jobs::pipeline_run::world::World;

#[tokio::test]
async fn a_run_is_watched_as_it_goes_on() -> Result<()> {
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let world = World::new().await?;
    let server = &world.server;
    let [browser] = turn.open(server).await?;
    let grace = Person::register(server, "grace").await?;
    let definition = json!({
        "nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}, "done": {"type": "transform", "value": 42}},
        "edges": [{"from": "hold", "to": "done"}], "result": {"$": "nodes.done.output"},
    });
    let new = json!({"name": "watched", "definition": definition});
    let made = grace.send(server, "POST", "/api/pipelines", &new).await?;
    ensure!(made.0 == 201, "{made:?}");
    let path = "/api/pipelines/watched/runs";
    let (_, run) = grace.send(server, "POST", path, &json!({})).await?;
    let id = run["id"].as_str().context("an id")?;
    browser.sign_in(&grace).await?;
    browser.goto(&format!("/runs/{id}")).await?;
    browser
        .until("document.querySelector('.live-run .status').textContent === 'waiting'")
        .await?;
    browser
        .run(
            "window.isSame = true; document.getElementById('graph').focus()",
            &[],
        )
        .await?;
    // What is typed stays when the page shows what has changed.
    let typed = "document.querySelector('#step textarea[name=data]').value = '[42]'";
    browser.run(typed, &[]).await?;
    for (what, status) in [("pause", "paused"), ("resume", "waiting")] {
        let path = format!("/api/runs/{id}/{what}");
        let told = grace.send(server, "POST", &path, &json!({})).await?;
        ensure!(told.0 == 202, "{told:?}");
        let shown =
            format!("document.querySelector('.live-run .status').textContent === '{status}'");
        browser.until(&shown).await?;
        let kept = "return document.querySelector('#step textarea[name=data]').value";
        assert_eq!(browser.run(kept, &[]).await?, json!("[42]"), "{status}");
    }
    let go = format!("/api/runs/{id}/signals/go");
    let sent = grace.send(server, "POST", &go, &json!({})).await?;
    ensure!(sent.0 == 202, "{sent:?}");
    browser
        .until("document.querySelector('.live-run .status').textContent === 'succeeded'")
        .await?;
    let seen = "return [window.isSame, document.getElementById('result').textContent, document.activeElement.id,
        'follows' in document.querySelector('.live-run').dataset, document.querySelectorAll('.graph .succeeded').length]";
    let seen = browser.run(seen, &[]).await?;
    assert_eq!(seen, json!([true, "42", "graph", false, 2]));

    // A definition is checked while it is typed.
    browser.goto("/pipelines/new").await?;
    let typed =
        "const text = document.getElementById('definition'); text.value = '{\"nodes\": {}}';
        text.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(typed, &[]).await?;
    browser
        .until("document.querySelector('#verdict .problems code')")
        .await?;
    Ok(())
}
