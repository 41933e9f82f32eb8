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
    let topic = run.path.replace("/runs/", "run:");
    assert_eq!(run.attribute(".live-run", "data-follows"), Some(topic));
    assert_eq!(run.texts(".graph .node text"), ["done", "hold"]);
    let cancelled = browser.submit(&run, "form[action$='/cancel']", &[]).await?;
    assert!(
        cancelled.text(".live-run .status").contains("cancelled"),
        "{}",
        cancelled.text("main")
    );
    assert!(
        cancelled.attribute(".live-run", "data-follows").is_none(),
        "it is not asked for again"
    );
    let pipeline = browser.get(&path).await?;
    assert!(pipeline.text("main").contains("cancelled"));
    Ok(())
}

/// A definition that greets, with another value.
fn greeting(value: &str) -> String {
    let definition = json!({
        "nodes": {"greet": {"type": "transform", "value": value}, "done": {"type": "merge"}},
        "edges": [{"from": "greet", "to": "done"}],
    });
    definition.to_string()
}

#[tokio::test]
async fn a_definition_is_checked_and_published_in_the_editor() -> Result<()> {
    let server = Server::start().await?;
    let ada = Person::register(&server, "ada").await?;
    let browser = ada.browser(&server)?;
    let list = browser.get("/pipelines").await?;
    assert!(list.has("a[href='/pipelines/new']"), "{}", list.html);
    let page = browser.get("/pipelines/new").await?;
    let form = "form.editor";
    let checked = browser.submit(&page, form, &[("what", "check")]).await?;
    assert!(
        checked.text("#verdict").contains("can be published") && checked.has("#verdict svg"),
        "the example: {}",
        checked.text("main")
    );
    let cycle = json!({
        "nodes": {"a": {"type": "merge"}, "b": {"type": "transform", "value": {"$": "nodes.c.output +"}}},
        "edges": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}],
    });
    for (text, expected) in [
        ("{\"nodes\": ", vec!["It is not JSON", "line 1"]),
        (&cycle.to_string(), vec!["nodes.b.value"]),
        ("{\"nodes\": {}, \"nodes\": {}}", vec!["nodes"]),
    ] {
        for what in ["check", "publish"] {
            let fields = [("definition", text), ("what", what), ("name", "mine")];
            let said = browser.submit(&page, form, &fields).await?;
            let verdict = said.text("#verdict");
            for word in &expected {
                assert!(
                    verdict.contains(word),
                    "{what} {text}: {}",
                    said.text("main")
                );
            }
            assert_eq!(
                said.text("textarea[name=definition]"),
                text.trim(),
                "nothing is lost"
            );
        }
        let fields = [("definition", text)];
        let (_, mut filled) = page.filled(form, &fields)?;
        filled.retain(|(name, _)| name != "what");
        let filled: Vec<_> = filled
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let part = browser.post("/parts/pipelines/check", &filled).await?;
        assert!(part.html.contains(expected[0]), "{}", part.html);
    }

    let first = greeting("one");
    let fields = [("definition", first.as_str()), ("name", "Not A Name")];
    let refused = browser.submit(&page, form, &fields).await?;
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .text("form.editor .error")
            .contains("must have 1 to 60"),
        "{}",
        refused.text("main")
    );
    let made = browser.submit(&refused, form, &[("name", "mine")]).await?;
    assert_eq!(
        (made.text("h1").as_str(), made.texts(".graph .node text")),
        ("mine", vec!["done".to_owned(), "greet".to_owned()])
    );

    let edit = browser.get(&format!("{}/edit", made.path)).await?;
    assert!(
        edit.text("textarea[name=definition]").contains("\"one\""),
        "{}",
        edit.html
    );
    let second = greeting("two");
    let fields = [
        ("definition", second.as_str()),
        ("note", "It says two."),
        ("activate", "true"),
    ];
    let published = browser.submit(&edit, form, &fields).await?;
    let main = published.text("main");
    assert!(
        main.contains("It says two.") && main.contains("\"two\""),
        "{main}"
    );
    let earlier = browser.get(&format!("{}?version=1", made.path)).await?;
    assert!(
        earlier.text("main").contains("while 2 is active"),
        "{}",
        earlier.text("main")
    );
    let change = "form[action$='/change']";
    let back = browser
        .submit(&earlier, change, &[("what", "activate")])
        .await?;
    assert!(
        back.text("main").contains("\"one\""),
        "{}",
        back.text("main")
    );
    let paused = browser.submit(&back, change, &[("what", "pause")]).await?;
    assert!(
        !paused.has("form[action$='/run']"),
        "{}",
        paused.text("main")
    );
    let gone = browser
        .submit(&paused, change, &[("what", "archive")])
        .await?;
    assert!(
        gone.text("main").contains("You have none yet"),
        "{}",
        gone.text("main")
    );
    Ok(())
}

#[tokio::test]
async fn long_lists_of_runs_have_pages_and_filters() -> Result<()> {
    let server = Server::start().await?;
    let ada = Person::register(&server, "ada").await?;
    let browser = ada.browser(&server)?;
    let new = json!({"name": "many", "definition": serde_json::from_str::<serde_json::Value>(&greeting("x"))?});
    let (_, made) = ada.send(&server, "POST", "/api/pipelines", &new).await?;
    let id = made["id"].as_str().context("id")?;
    let none = browser.get("/runs?status=failed").await?;
    assert!(
        none.text("main").contains("No run is so"),
        "{}",
        none.text("main")
    );
    sqlx::query(
        "select pipelines.start($1, $2, null, '{}', null, 0, null) from generate_series(1, 60)",
    )
    .bind(id.parse::<uuid::Uuid>()?)
    .bind(ada.id)
    .execute(&mut server.database.connect().await?)
    .await?;
    let pipeline = browser.get(&format!("/pipelines/{id}")).await?;
    assert_eq!(pipeline.all("[data-follows] li").len(), 20);
    let all = pipeline
        .attribute("[data-follows] a[href^='/runs?']", "href")
        .context("a link to all runs")?;
    let first = browser.get(&all).await?;
    let next = first
        .attribute("a[rel=next]", "href")
        .context("a next page")?;
    let second = browser.get(&next).await?;
    assert_eq!(
        (
            first.all("ul.rows li").len(),
            second.all("ul.rows li").len()
        ),
        (50, 10)
    );
    let queued = browser.get(&format!("{all}&status=queued")).await?;
    assert_eq!(queued.all("ul.rows li").len(), 50);
    let failed = browser.get(&format!("{all}&status=failed")).await?;
    assert_eq!(failed.all("ul.rows li").len(), 0);
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
    let month = browser.get("/schedules").await?;
    let today = month.text(".calendar [aria-current=date]");
    assert!(
        today.contains("Mornings") && today.contains("succeeded"),
        "{today}"
    );
    let later = month.attribute("a[rel=next]", "href").context("later")?;
    let later = browser.get(&later).await?;
    let planned = month.texts(".calendar td").join(" ") + &later.texts(".calendar td").join(" ");
    assert!(planned.contains("planned"), "{planned}");
    // The first week of the next month may begin with the last days of this one.
    let last = later.attribute("a[rel=next]", "href").context("last")?;
    let last = browser.get(&last).await?;
    assert!(!last.has(".calendar [aria-current=date]"), "another month");
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
