//! The pages of secrets in a browser without scripts: values go in and never come back.

use anyhow::{Context, Result};
use e2e::{Server, browser::Page, people::Person};
use reqwest::StatusCode;
use serde_json::json;

use crate::functions::vault::target::{Target, ok};

const VALUE: &str = "canary-of-the-pages";

/// Checks that a page does not have the value.
fn silent(page: &Page) {
    assert!(!page.html.contains("canary"), "{}", page.html);
}

#[tokio::test]
async fn secrets_are_stored_used_granted_rotated_and_deleted() -> Result<()> {
    let target = Target::start(|_| ok("fine")).await?;
    let server = Server::letting_out(&[&target.origin]).await?;
    let grace = Person::register(&server, "grace").await?;
    let alan = Person::register(&server, "alan").await?;
    let browser = grace.browser(&server)?;
    let page = browser.get("/secrets").await?;
    let new = [
        ("name", "github"),
        ("kind", "token"),
        ("value", VALUE),
        ("origins", target.origin.as_str()),
        ("place", "header"),
        ("detail", "x-key"),
        ("format", "Bearer {}"),
        ("note", "<i>ours</i>"),
    ];
    let form = "form[action='/secrets']";
    let mut short = new;
    short[2].1 = "canary";
    let refused = browser.submit(&page, form, &short).await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.attribute("#name", "value").as_deref(),
        Some("github")
    );
    silent(&refused);
    let page = browser.submit(&page, form, &new).await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert!(page.text("h1").contains("github") && page.text("dl").contains("<i>ours</i>"));
    silent(&page);
    let own = page.path.clone();

    let fetch = format!("/api/vault/fetch/{}/x", target.host());
    let request = grace.request(&server, "GET", &fetch);
    let fetched = request.header("gather-secret", "github").send().await?;
    assert_eq!(fetched.status(), 200);
    assert_eq!(target.seen()[0].headers["x-key"], format!("Bearer {VALUE}"));
    let page = browser.get(&own).await?;
    assert!(
        page.text("table").contains(&grace.id.to_string()),
        "{}",
        page.html
    );

    let subject = format!("account:{}", alan.id);
    let grants = format!("form[action='{own}/grants']");
    let nobody = browser
        .submit(&page, &grants, &[("subject", "alan")])
        .await?;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{}", nobody.html);
    assert!(nobody.has("[role=alert]"));
    let page = browser
        .submit(&page, &grants, &[("subject", &subject), ("calls", "2")])
        .await?;
    assert!(
        page.text("main").contains("used 0 of 2 times"),
        "{}",
        page.html
    );
    // Who may only use it sees neither grants nor uses, and no way to change it.
    let other = alan.browser(&server)?;
    let seen = other.get(&own).await?;
    assert_eq!(seen.status, StatusCode::OK);
    assert!(
        !seen.has("table") && !seen.has("main form"),
        "{}",
        seen.html
    );
    assert!(
        other
            .get("/secrets")
            .await?
            .text(".rows")
            .contains("granted to you")
    );
    let page = browser
        .submit(&page, &format!("form[action='{own}/grants/end']"), &[])
        .await?;
    assert!(!page.html.contains(&subject), "{}", page.html);
    assert_eq!(other.get(&own).await?.status, StatusCode::NOT_FOUND);

    let versions = format!("form[action='{own}/versions']");
    let rotated = browser
        .submit(
            &page,
            &versions,
            &[("value", "another-canary"), ("overlap", "10")],
        )
        .await?;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.html);
    assert!(
        rotated.text("#values + .rows").contains("former"),
        "{}",
        rotated.html
    );
    silent(&rotated);
    // The form of the page before is too late.
    let late = browser
        .submit(
            &page,
            &versions,
            &[("value", "a-third-canary"), ("overlap", "0")],
        )
        .await?;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    silent(&late);
    let page = browser
        .submit(&rotated, &format!("form[action='{own}/versions/end']"), &[])
        .await?;
    assert!(
        !page.text("#values + .rows").contains("former"),
        "{}",
        page.html
    );
    let page = browser
        .submit(&page, &format!("form[action='{own}/delete']"), &[])
        .await?;
    assert_eq!(page.path, "/secrets");
    assert!(!page.has(".rows li"), "{}", page.html);
    assert_eq!(browser.get(&own).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn owners_can_be_chosen_as_far_as_the_visitor_may() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    assert!(!browser.get("/secrets").await?.has("#secret-owner"));
    let made = grace.request(&server, "POST", "/api/teams");
    let team: serde_json::Value = made
        .json(&json!({"name": "crew"}))
        .send()
        .await?
        .json()
        .await?;
    let team = team["id"].as_str().context("a team")?;
    let page = browser.get("/secrets").await?;
    assert_eq!(page.all("#secret-owner option").len(), 2, "no platform");
    let new = [
        ("name", "deploy"),
        ("kind", "opaque"),
        ("value", VALUE),
        ("owner", team),
    ];
    let page = browser
        .submit(&page, "form[action='/secrets']", &new)
        .await?;
    assert!(page.text("dl").contains("of a team"), "{}", page.html);
    let forced = [
        ("name", "all"),
        ("kind", "opaque"),
        ("value", VALUE),
        ("owner", "platform"),
    ];
    let page = browser.get("/secrets").await?;
    let refused = browser
        .submit(&page, "form[action='/secrets']", &forced)
        .await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.html);
    silent(&refused);
    Ok(())
}

#[tokio::test]
async fn all_grants_are_on_the_pages() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    let new = [("name", "deploy"), ("kind", "opaque"), ("value", VALUE)];
    let page = browser.get("/secrets").await?;
    let page = browser.submit(&page, "form[action='/secrets']", &new);
    let secret = page.await?.path;
    let grants = format!("/api/vault{secret}/grants");
    for n in 0..101 {
        let subject = format!("{grants}/claw:0192f5c0-0000-7000-8000-{n:012}");
        let granted = grace.send(&server, "PUT", &subject, &json!({})).await?;
        assert_eq!(granted.0, 200, "{granted:?}");
    }
    let page = browser.get(&secret).await?;
    let rows = "#grants + .rows li";
    assert_eq!(page.all(rows).len(), 100);
    let more = page.attribute(".next a[href$='#grants']", "href");
    let more = browser.get(&more.context("more grants")?).await?;
    assert_eq!(more.all(rows).len(), 1);
    Ok(())
}
