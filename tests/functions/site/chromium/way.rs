//! The whole way of a newcomer in a real browser: signing up, a passkey, a post, talk with somebody else, a skill that is
//! published and run, and its receipt.

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use e2e::{
    Server,
    chromium::{Chromium, turn},
    errands::quick,
    people::{PASSWORD, Person},
    publishing::{fixture, manifest},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Drops files as a person drags them from a folder.
const DROP: &str = "
    const files = new DataTransfer();
    for (const [name, base64] of arguments[0]) {
        files.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    }
    const drop = document.querySelector('.drop');
    for (const type of ['dragover', 'drop']) drop.dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
";

#[tokio::test]
async fn a_newcomer_goes_the_whole_way() -> Result<()> {
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let server = Server::start().await?;
    let [grace, alan] = turn.open(&server).await?;
    let _worker = server.worker(quick()).await?;
    sign_up(&grace).await?;
    add_passkey(&grace).await?;
    server
        .database
        .execute("select identity.make_admin(id::text) from identity.account where name = 'grace'")
        .await?;
    sign_in_by_passkey(&grace).await?;
    post(&grace).await?;
    let other = Person::register(&server, "alan").await?;
    alan.sign_in(&other).await?;
    talk(&grace, &alan).await?;
    publish(&grace).await?;
    run(&grace).await?;
    for browser in [&grace, &alan] {
        let errors: Vec<_> = browser.log("browser").await?;
        let errors: Vec<_> = errors
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    Ok(())
}

async fn sign_up(grace: &Chromium) -> Result<()> {
    grace.goto("/sign-up?next=%2Fposts").await?;
    grace.fill("#name", "grace").await?;
    grace.fill("#email", "grace@example.org").await?;
    grace.fill("#password", PASSWORD).await?;
    grace.click("main form button").await?;
    grace
        .until("location.pathname === '/posts' && document.body.dataset.account")
        .await?;
    Ok(())
}

async fn add_passkey(grace: &Chromium) -> Result<()> {
    grace.add_authenticator().await?;
    grace.goto("/settings").await?;
    grace.fill("#passkey-name", "A device").await?;
    grace.fill("#passkey-password", PASSWORD).await?;
    grace.click("form[data-passkey-add] button").await?;
    let added =
        "document.querySelector(\"form[action^='/settings/passkeys/']\")?.checkVisibility()";
    grace.until(added).await?;
    Ok(())
}

/// The browser offers passkeys in the fields too, and this device may take the offer before anybody presses the button.
async fn sign_in_by_passkey(grace: &Chromium) -> Result<()> {
    grace.click("details.menu summary").await?;
    grace.click("form[action='/sign-out'] button").await?;
    grace.until("!document.body.dataset.account").await?;
    grace.goto("/sign-in?next=%2Fposts%2Fnew").await?;
    let pressed = "(() => {
        const button = document.querySelector('[data-passkey-sign-in]:not([hidden]) button');
        button?.click();
        return Boolean(button || document.body.dataset.account);
    })()";
    grace.until(pressed).await?;
    grace
        .until("location.pathname === '/posts/new' && document.body.dataset.account")
        .await?;
    Ok(())
}

/// However often the button is pressed, one post is made.
async fn post(grace: &Chromium) -> Result<()> {
    grace.fill("input[name=title]", "Two steps forward").await?;
    grace
        .fill("textarea[name=body]", "It is **green**.")
        .await?;
    let twice = "const form = document.querySelector('form.compose, main form:has(textarea)');
        const button = form.querySelector('button:not([type=button])');
        button.click(); button.click(); form.requestSubmit();";
    grace.run(twice, &[]).await?;
    grace
        .until("/^.posts.[0-9a-f-]{36}$/.test(location.pathname)")
        .await?;
    grace
        .until("document.querySelector('.text strong')?.textContent === 'green'")
        .await?;
    let posts = "return (await (await fetch('/api/posts')).json()).items.length";
    assert_eq!(grace.run(posts, &[]).await?, 1, "a double click sends once");
    Ok(())
}

async fn talk(grace: &Chromium, alan: &Chromium) -> Result<()> {
    grace.goto("/channels/new").await?;
    grace.fill("#name", "general").await?;
    grace
        .click("form[action='/channels'] .actions button")
        .await?;
    grace
        .until("location.pathname === '/channels/general' && document.querySelector('#composer')")
        .await?;
    alan.goto("/channels").await?;
    alan.click("form[action='/channels/general/join'] button")
        .await?;
    alan.until("document.querySelector('#composer')").await?;

    say(alan, "Hello from alan").await?;
    grace.until(&shown("Hello from alan")).await?;
    say(grace, "Hello from grace").await?;
    alan.until(&shown("Hello from grace")).await?;
    // Each sees that the other is there.
    for (browser, name) in [(grace, "alan"), (alan, "grace")] {
        let dot = format!(
            "document.querySelector('.members [data-name={name}]')?.dataset.presence === 'online'"
        );
        browser.until(&dot).await.context("presence")?;
    }
    // Who joins is heard of, and no viewer loads the page again for that.
    let loads = "return performance.getEntriesByType('resource').filter((one) => new URL(one.name).pathname === location.pathname).length";
    assert_eq!(grace.run(loads, &[]).await?, 0);
    // Typing shows, and ends. It lasts for seconds only, so somebody types until it was seen.
    let watch = "window.typed = []; const line = document.getElementById('typing');
        new MutationObserver(() => typed.push(line.textContent)).observe(line, { childList: true })";
    grace.run(watch, &[]).await?;
    let seen = "return typed.some((text) => text.startsWith('alan is typing'))";
    let began = Instant::now();
    while grace.run(seen, &[]).await? != true {
        ensure!(
            began.elapsed() < Duration::from_secs(90),
            "typing never shows"
        );
        alan.fill("#composer textarea", "half a sentence").await?;
    }
    grace
        .until("document.getElementById('typing').textContent === ''")
        .await?;
    Ok(())
}

async fn say(browser: &Chromium, text: &str) -> Result<()> {
    browser.fill("#composer textarea", text).await?;
    browser.press("\u{e007}").await?;
    browser.until(&shown(text)).await?;
    let focus = browser.until("document.activeElement.name").await?;
    assert_eq!(focus, "body", "the focus stays in the composer");
    Ok(())
}

fn shown(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.message .text')].filter((one) => one.textContent.trim() === {text:?}).length === 1"
    )
}

async fn publish(grace: &Chromium) -> Result<()> {
    grace.goto("/publish").await?;
    let files: Vec<(&str, String)> = vec![
        ("adder.wasm", BASE64_STANDARD.encode(fixture("adder")?)),
        (
            "skill.json",
            BASE64_STANDARD.encode(manifest("sums", "1.0.0").to_string()),
        ),
    ];
    grace.run(DROP, &[json!(files)]).await?;
    grace
        .until("document.getElementById('chosen').textContent.startsWith('adder.wasm') && document.getElementById('manifest').value.includes('sums')")
        .await?;
    grace.click("#publish .actions button").await?;
    grace
        .until("location.pathname === '/publish/sums/1.0.0'")
        .await?;
    grace
        .until("document.querySelector('main').textContent.includes('approved')")
        .await?;
    Ok(())
}

async fn run(grace: &Chromium) -> Result<()> {
    grace.goto("/skills/sums").await?;
    let names: Value = grace
        .run(
            "return [...document.querySelectorAll(\"#tool-add form [name^='arg-']\")].map((one) => one.name)",
            &[],
        )
        .await?;
    for (name, value) in names.as_array().context("names")?.iter().zip(["3", "4"]) {
        let field = format!(
            "#tool-add form [name='{}']",
            name.as_str().context("a name")?
        );
        grace.fill(&field, value).await?;
    }
    grace.click("#tool-add form button").await?;
    let sum = "document.querySelector('#tool-add .outcome code')?.textContent === '7'";
    grace.until(sum).await?;
    let verdict = "document.querySelector('#tool-add .receipt')?.dataset.verdict";
    assert_eq!(grace.until(verdict).await?, "good");
    // What the review has signed is verified in the same way.
    grace.goto("/skills/sums/evidence").await?;
    let verdict = "document.querySelector('.receipt')?.dataset.verdict";
    assert_eq!(grace.until(verdict).await?, "good");
    Ok(())
}
