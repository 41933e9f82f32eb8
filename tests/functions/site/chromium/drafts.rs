//! Drafts in a real browser: what somebody writes is there until it was sent, whatever happens to the form.

use anyhow::Result;
use e2e::{
    Server,
    chromium::{Chromium, turn},
    people::Person,
};
use serde_json::json;

const BUTTON: &str = "form.compose .actions button";
const BODY: &str = "textarea[name=body]";

#[tokio::test]
async fn a_draft_lasts_until_it_was_sent() -> Result<()> {
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let mut server = Server::start().await?;
    let [browser] = turn.open(&server).await?;
    let grace = Person::register(&server, "grace").await?;
    browser.sign_in(&grace).await?;
    browser.goto("/posts/new").await?;
    browser.fill("input[name=title]", "A long text").await?;
    browser.fill(BODY, "Two thousand words.").await?;

    network(&browser, true).await?;
    browser.click(BUTTON).await?;
    browser
        .until("document.getElementById('toasts').textContent.includes('nothing was lost')")
        .await?;
    network(&browser, false).await?;
    write_again(&browser).await?;

    // The server is away while the form is sent.
    let restarted = server.restarted(async || {
        browser.click(BUTTON).await?;
        browser
            .until("location.protocol === 'chrome-error:'")
            .await?;
        Ok(())
    });
    server = restarted.await?;
    write_again(&browser).await?;

    // The server has taken the form, and its answer is lost: the same text makes no second post.
    let lost = format!(
        "const form = document.querySelector('form.compose');
         form.dispatchEvent(new Event('submit', {{ cancelable: true }}));
         await fetch(form.action, {{ method: 'POST', body: new URLSearchParams(new FormData(form)) }});
         return document.querySelector({BODY:?}).value"
    );
    assert_eq!(browser.run(&lost, &[]).await?, "Two thousand words.");
    write_again(&browser).await?;
    browser.click(BUTTON).await?;
    browser
        .until("/^.posts.[0-9a-f-]{36}$/.test(location.pathname) && !location.search")
        .await?;
    let posts = "return (await (await fetch('/api/posts')).json()).items.length";
    assert_eq!(browser.run(posts, &[]).await?, 1);
    let post = browser.path().await?;
    let drafts = "return Object.keys(sessionStorage).filter((name) => name.startsWith('draft:'))";
    assert_eq!(browser.run(drafts, &[]).await?, json!([]), "it was sent");

    // A change of a text is a draft as well.
    browser.goto(&format!("{post}/edit")).await?;
    browser.fill(BODY, "Three thousand words.").await?;
    browser.goto(&format!("{post}/edit")).await?;
    browser
        .until("document.querySelector('textarea[name=body]')?.value === 'Three thousand words.'")
        .await?;
    browser.click(BUTTON).await?;
    browser
        .until(&format!(
            "location.pathname === {post:?} && !location.search"
        ))
        .await?;
    assert_eq!(browser.run(drafts, &[]).await?, json!([]));
    drop(server);
    Ok(())
}

/// Opens the form again, which has the text.
async fn write_again(browser: &Chromium) -> Result<()> {
    browser.goto("/posts/new").await?;
    browser
        .until("document.querySelector('input[name=title]')?.value === 'A long text' && document.querySelector('textarea[name=body]').value === 'Two thousand words.'")
        .await?;
    Ok(())
}

async fn network(browser: &Chromium, is_off: bool) -> Result<()> {
    let conditions = json!({ "offline": is_off, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.devtools("Network.enable", json!({})).await?;
    browser
        .devtools("Network.emulateNetworkConditions", conditions)
        .await?;
    Ok(())
}
