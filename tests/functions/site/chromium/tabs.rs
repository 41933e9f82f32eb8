//! One channel in several tabs of a real browser: they share one stream, come back after a restart, and lose and repeat
//! nothing.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    chromium::{Chromium, turn},
    people::Person,
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const ENTER: &str = "\u{e007}";
const PATH: &str = "/channels/general";

/// A channel, somebody who looks at it in a browser, and somebody who writes in it.
struct World {
    server: Server,
    browser: Arc<Chromium>,
    alan: Person,
    messages: String,
}

impl World {
    async fn new() -> Result<Option<Self>> {
        let Some(turn) = turn().await? else {
            return Ok(None);
        };
        let server = Server::start().await?;
        let [browser] = turn.open(&server).await?;
        let grace = Person::register(&server, "grace").await?;
        let alan = Person::register(&server, "alan").await?;
        let new = json!({ "name": "general" });
        let (_, channel) = grace.send(&server, "POST", "/api/channels", &new).await?;
        let channel = format!("/api/channels/{}", channel["id"].as_str().context("an id")?);
        let join = format!("{channel}/join");
        alan.send(&server, "POST", &join, &json!({})).await?;
        browser.sign_in(&grace).await?;
        Ok(Some(Self {
            server,
            browser: Arc::new(browser),
            alan,
            messages: format!("{channel}/messages"),
        }))
    }

    /// Writes a message as alan.
    async fn write(&self, text: &str) -> Result<()> {
        let body = json!({ "body": text });
        let written = self
            .alan
            .send(&self.server, "POST", &self.messages, &body)
            .await?;
        ensure!(written.0 == 201, "{written:?}");
        Ok(())
    }

    /// All that was written, the newest last.
    async fn written(&self) -> Result<Vec<String>> {
        let (_, list) = self.alan.get(&self.server, &self.messages).await?;
        let items = list["items"].as_array().context("messages")?;
        let mut texts: Vec<_> = items
            .iter()
            .map(|item| item["body"].as_str().unwrap_or_default().to_owned())
            .collect();
        if list["items"][0]["seq"].as_i64() > list["items"][1]["seq"].as_i64() {
            texts.reverse();
        }
        Ok(texts)
    }

    /// Waits until the gateway has this number of sockets.
    async fn until_sockets(&self, expected: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            let metrics = self.server.text("/metrics").await?;
            let line = metrics
                .lines()
                .find_map(|line| line.strip_prefix("gather_realtime_sockets "));
            if line == Some(expected) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < Duration::from_secs(90),
                "{line:?} sockets and not {expected}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn shows(text: &str) -> String {
    format!(
        "[...document.querySelectorAll('.message .text')].filter((one) => one.textContent.trim() === {text:?}).length === 1"
    )
}

#[tokio::test]
async fn tabs_share_one_stream_and_come_back() -> Result<()> {
    let Some(mut world) = World::new().await? else {
        return Ok(());
    };
    let browser = Arc::clone(&world.browser);
    browser.goto(PATH).await?;
    let mut tabs = vec![browser.tab().await?];
    for _ in 0..4 {
        tabs.push(browser.open_tab().await?);
        browser.goto(PATH).await?;
    }
    world.until_sockets("1").await?;
    world.write("to all tabs").await?;
    for tab in &tabs {
        browser.to_tab(tab).await?;
        browser.until(&shows("to all tabs")).await?;
    }
    world.until_sockets("1").await?;

    // The tab that keeps the stream goes, and another one takes over.
    browser.to_tab(&tabs.remove(0)).await?;
    browser.close_tab().await?;
    browser.to_tab(&tabs[3]).await?;
    world.write("to the others").await?;
    for tab in &tabs {
        browser.to_tab(tab).await?;
        browser.until(&shows("to the others")).await?;
    }
    world.until_sockets("1").await?;
    browser
        .run("await navigator.serviceWorker.ready", &[])
        .await?;

    // What is written while the stream is away is caught up on.
    let lost = "window.lost = []; new MutationObserver(() => lost.push(document.getElementById('connection').textContent))
        .observe(document.getElementById('connection'), { childList: true, characterData: true, subtree: true })";
    browser.run(lost, &[]).await?;
    let tab = browser.tab().await?;
    let restarted = world.server.restarted(async || {
        // A page that can't be loaded says so, and is loaded when the server is back.
        browser.open_tab().await?;
        browser.goto("/posts").await?;
        browser
            .until("document.querySelector('main .offline h1')?.textContent === 'The server can’t be reached'")
            .await?;
        Ok(())
    });
    world.server = restarted.await?;
    browser.click(".offline a.button").await?;
    browser
        .until("location.pathname === '/posts' && document.querySelector('h1').textContent === 'Posts'")
        .await?;
    browser.close_tab().await?;
    browser.to_tab(&tab).await?;
    world.write("after the restart").await?;
    browser.until(&shows("after the restart")).await?;
    browser
        .until("lost.some((text) => text.startsWith('Connection lost')) && lost.some((text) => text.startsWith('Caught up'))")
        .await?;
    world.until_sockets("1").await?;
    Ok(())
}

#[tokio::test]
async fn what_is_written_is_sent_once_and_never_lost() -> Result<()> {
    let Some(world) = World::new().await? else {
        return Ok(());
    };
    let browser = &world.browser;
    browser.goto(PATH).await?;
    compose(browser).await?;
    fail_and_retry(&world).await?;
    keep_focus(&world).await?;
    let written = world.written().await?;
    assert_eq!(written, ["日本", "unsent", "later"], "each once");
    Ok(())
}

/// Enter that ends a composition sends nothing.
async fn compose(browser: &Chromium) -> Result<()> {
    browser.click("#composer textarea").await?;
    let composed = json!({ "text": "にほん", "selectionStart": 3, "selectionEnd": 3 });
    browser
        .devtools("Input.imeSetComposition", composed)
        .await?;
    let enter = json!({ "type": "rawKeyDown", "windowsVirtualKeyCode": 229, "key": "Enter", "code": "Enter" });
    browser.devtools("Input.dispatchKeyEvent", enter).await?;
    // Some browsers tell of the key after the end of the composition, in the same instant.
    let late = "document.querySelector('#composer textarea').addEventListener('compositionend', (event) => {
            event.target.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
            window.composed = true;
        }, { once: true })";
    browser.run(late, &[]).await?;
    browser
        .devtools("Input.insertText", json!({ "text": "日本" }))
        .await?;
    browser.until("window.composed").await?;
    let state = "return [document.querySelector('#composer textarea').value, document.querySelectorAll('.message, #outbox li').length]";
    assert_eq!(browser.run(state, &[]).await?, json!(["日本", 0]));
    // The next one sends. Right after a composition it may still belong to it.
    let began = Instant::now();
    while browser.run(state, &[]).await?[0] != json!("") {
        ensure!(
            began.elapsed() < Duration::from_secs(90),
            "it is never sent"
        );
        browser.press(ENTER).await?;
    }
    browser.until(&shows("日本")).await?;
    Ok(())
}

/// A message that can't be sent stays, over a reload too, until it is sent again.
async fn fail_and_retry(world: &World) -> Result<()> {
    let browser = &world.browser;
    network(browser, true).await?;
    browser.fill("#composer textarea", "unsent").await?;
    browser.press(ENTER).await?;
    browser
        .until("document.querySelector('#outbox li[role=alert]')?.textContent.includes('Not sent')")
        .await?;
    network(browser, false).await?;
    let retry = "for (const button of document.querySelectorAll('#outbox button')) if (button.textContent === 'Retry') { button.click(); button.click(); }";
    browser.run(retry, &[]).await?;
    browser.until(&shows("unsent")).await?;
    browser
        .until("!document.querySelector('#outbox li')")
        .await?;

    network(browser, true).await?;
    browser.fill("#composer textarea", "later").await?;
    browser.press(ENTER).await?;
    browser
        .until("document.querySelector('#outbox li[role=alert]')")
        .await?;
    network(browser, false).await?;
    browser.post("refresh", json!({})).await?;
    browser.until(&shows("later")).await?;
    Ok(())
}

/// The focus is on a control or its successor after the message was replaced.
async fn keep_focus(world: &World) -> Result<()> {
    let browser = &world.browser;
    let react = "const button = document.querySelector('.message .quick button.reaction'); button.closest('details').open = true; button.focus(); return button.value";
    let emoji = browser.run(react, &[]).await?;
    browser.press(ENTER).await?;
    let mine = "document.querySelector('.message .reaction[aria-pressed=true]')";
    browser.until(mine).await?;
    browser.until("document.activeElement !== document.body && document.activeElement.closest('.message')").await?;
    browser.run(&format!("{mine}.focus()"), &[]).await?;
    browser.press(ENTER).await?;
    browser.until(&format!("!{mine}")).await?;
    browser.until("document.activeElement !== document.body && document.activeElement.closest('.message, #scroller')").await?;
    ensure!(emoji.is_string(), "{emoji}");
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
