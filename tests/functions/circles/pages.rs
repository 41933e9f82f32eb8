//! The pages for circles and personas, in a browser without scripts.

use anyhow::{Context, Result};
use e2e::{browser::Browser, people::Person};
use reqwest::StatusCode;
use serde_json::json;

use crate::jobs::agent_turn::world::{World, begins, says};

#[tokio::test]
async fn a_person_makes_a_circle_and_talks_in_it() -> Result<()> {
    let world = World::new(|_, _| says("Hello, *Grace*.")).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let browser: Browser = grace.browser(&world.server)?;
    let page = browser.get("/personas").await?;
    assert!(
        page.html.contains("researcher") && page.html.contains("comes with the platform"),
        "{}",
        page.html
    );
    let new = [
        ("name", "greeter"),
        ("instructions", "Greet."),
        ("tools", "api:search"),
    ];
    let page = browser
        .submit(&page, "form[action='/personas']", &new)
        .await?;
    assert_eq!(page.text("h1"), "greeter", "{}", page.html);
    let page = browser.get("/circles").await?;
    let page = browser
        .submit(
            &page,
            "form[action='/circles']",
            &[("name", "friends"), ("mode", "round_robin")],
        )
        .await?;
    assert_eq!(page.text("h1"), "friends", "{}", page.html);
    let page = browser
        .submit(&page, "form[action$='/members']", &[("persona", "nobody")])
        .await?;
    assert_eq!(
        page.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        page.html
    );
    let page = browser
        .submit(
            &page,
            "form[action$='/members']",
            &[("persona", "greeter"), ("name", "greeter")],
        )
        .await?;
    assert!(page.html.contains("thinks as"), "{}", page.html);
    let page = browser
        .submit(
            &page,
            "form[action$='/conversations']",
            &[("title", "Hello")],
        )
        .await?;
    let talk = page
        .attribute("form[action^='/conversations/']", "action")
        .context("a form")?;
    browser
        .submit(
            &page,
            "form[action^='/conversations/']",
            &[("body", "Good morning.")],
        )
        .await?;
    let id = talk.trim_start_matches("/conversations/").to_owned();
    let begin = std::time::Instant::now();
    let page = loop {
        let page = browser.get(&format!("/parts/conversations/{id}")).await?;
        if page.html.contains("<em>Grace</em>") {
            break page;
        }
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(60),
            "{}",
            page.html
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let turn = page
        .attribute("a[href^='/turns/']", "href")
        .context("a turn")?;
    let page = browser.get(&turn).await?;
    assert!(
        page.html.contains("asks its model") && page.html.contains("completed"),
        "{}",
        page.html
    );
    let page = browser.submit(&page, "form[action$='/fork']", &[]).await?;
    assert_eq!(page.text("h1"), "Hello (fork)", "{}", page.html);
    Ok(())
}

#[tokio::test]
async fn a_person_proposes_votes_and_opens_the_circle() -> Result<()> {
    let world = World::without_worker(|_, _| says("Never asked.")).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let browser: Browser = grace.browser(&world.server)?;
    let page = browser.get("/circles").await?;
    let form = "form[action='/circles']";
    let page = browser
        .submit(&page, form, &[("name", "friends"), ("mode", "mention")])
        .await?;
    let form = "form[action$='/proposals']";
    let proposal = [("kind", "canon"), ("text", "The moon is green.")];
    let page = browser.submit(&page, form, &proposal).await?;
    assert!(
        page.html.contains("The moon is green.") && page.html.contains("0 of 1 vote"),
        "{}",
        page.html
    );
    let page = browser
        .submit(&page, "form[action$='/vote']", &[("value", "1")])
        .await?;
    assert!(
        page.html.contains("accepted") && page.html.contains("is for it"),
        "{}",
        page.html
    );
    assert!(page.attribute("form[action$='/vote']", "action").is_none());
    let (_, listed) = grace
        .get(&world.server, "/api/circles/friends/proposals")
        .await?;
    assert!(listed["items"][0]["memory"].is_string(), "{listed:#}");
    for (is_public, button) in [(true, "members alone talk"), (false, "Let everybody talk")] {
        let page = browser.get("/circles").await?;
        let link = page
            .attribute("main a[href^='/circles/']", "href")
            .context("the circle")?;
        let page = browser.get(&link).await?;
        let page = browser
            .submit(&page, "form[action$='/public']", &[])
            .await?;
        assert!(page.html.contains(button), "{}", page.html);
        let (_, circle) = grace.get(&world.server, "/api/circles/friends").await?;
        assert_eq!(circle["public"], is_public, "{circle:#}");
    }
    Ok(())
}

#[tokio::test]
async fn a_person_stops_an_agent() -> Result<()> {
    let world = World::new(|_, _| begins("On and on")).await?;
    let grace = Person::register(&world.server, "grace").await?;
    let browser = grace.browser(&world.server)?;
    let page = browser.get("/circles").await?;
    let page = browser
        .submit(
            &page,
            "form[action='/circles']",
            &[("name", "friends"), ("mode", "round_robin")],
        )
        .await?;
    let page = browser
        .submit(&page, "form[action$='/members']", &[("persona", "critic")])
        .await?;
    let page = browser
        .submit(&page, "form[action$='/conversations']", &[])
        .await?;
    let page = browser
        .submit(&page, "form[action^='/conversations/']", &[("body", "Go.")])
        .await?;
    world.models.until_asked(1).await?;
    let page = browser
        .submit(&page, "form[action$='/cancel']", &[])
        .await?;
    assert!(
        page.html.contains("cancelled") && !page.html.contains("/cancel"),
        "{}",
        page.html
    );
    world.models.until_hung_up(1).await?;
    let statuses: serde_json::Value =
        sqlx::query_scalar("select jsonb_agg(status) from circles.turn")
            .fetch_one(&mut world.server.database.connect().await?)
            .await?;
    assert_eq!(statuses, json!(["cancelled"]));
    Ok(())
}
