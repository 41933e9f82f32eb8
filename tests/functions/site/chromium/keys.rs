//! Prompts for passkeys that end in time, and the site by keyboard alone.

use anyhow::{Result, ensure};
use e2e::{
    Server,
    chromium::{Chromium, turn},
    people::{PASSWORD, Person},
};
use serde_json::json;

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";
const TAB: &str = "\u{e004}";

/// A device that never answers, and challenges that last for two seconds.
const SILENT_DEVICE: &str = "
    window.prompts = [];
    const parse = PublicKeyCredential.parseRequestOptionsFromJSON.bind(PublicKeyCredential);
    PublicKeyCredential.parseRequestOptionsFromJSON = (options) => parse({ ...options, timeout: 2000 });
    navigator.credentials.get = ({ mediation, signal, publicKey }) => new Promise((_, reject) => {
        const prompt = { mediation, timeout: publicKey.timeout, ended: '' };
        prompts.push(prompt);
        signal.addEventListener('abort', () => { prompt.ended = signal.reason.name; reject(signal.reason); });
    });
";

#[tokio::test]
async fn prompts_end_and_keys_lead_everywhere() -> Result<()> {
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let server = Server::start().await?;
    let [browser] = turn.open(&server).await?;
    let grace = Person::register(&server, "grace").await?;
    prompts(&browser).await?;
    browser.sign_in(&grace).await?;
    places(&browser).await?;
    search(&browser).await?;
    form(&browser).await?;
    second_factor(&browser).await?;
    // What goes out compressed is read as it was.
    let version = "return (await (await fetch('/openapi.json')).json()).openapi";
    let version = browser.run(version, &[]).await?;
    ensure!(
        version
            .as_str()
            .is_some_and(|version| version.starts_with("3.")),
        "{version}"
    );
    Ok(())
}

/// A prompt ends before its challenge does. The offer is then made again with another challenge, and the button says so.
async fn prompts(browser: &Chromium) -> Result<()> {
    browser.add_authenticator().await?;
    let script = json!({ "source": SILENT_DEVICE });
    let command = "Page.addScriptToEvaluateOnNewDocument";
    let script = browser.devtools(command, script).await?;
    browser.goto("/sign-in").await?;
    browser
        .until("prompts.filter((one) => one.mediation === 'conditional' && one.ended === 'TimeoutError').length > 1")
        .await?;
    browser.click("[data-passkey-sign-in] button").await?;
    browser
        .until(
            "prompts.some((one) => one.mediation === 'optional' && one.ended === 'TimeoutError')",
        )
        .await?;
    browser
        .until("document.querySelector('[data-passkey-sign-in] .error:not([hidden])')?.textContent.startsWith('The prompt has ended')")
        .await?;
    // The offer is there again, and no two are at a time.
    browser
        .until("prompts.at(-1).mediation === 'conditional' && prompts.filter((one) => !one.ended).length <= 1")
        .await?;
    let identifier = json!({ "identifier": script["identifier"] });
    browser
        .devtools("Page.removeScriptToEvaluateOnNewDocument", identifier)
        .await?;
    Ok(())
}

/// Each place of the rail has its letter, and all of them are in the list of keys.
async fn places(browser: &Chromium) -> Result<()> {
    browser.goto("/").await?;
    let places = "return [...document.querySelectorAll('.rail .places [data-go]')].map((one) => [one.dataset.go, one.getAttribute('href')])";
    let places = browser.run(places, &[]).await?;
    let places: Vec<(String, String)> = serde_json::from_value(places)?;
    ensure!(places.len() > 5, "{places:?}");
    for (key, path) in &places {
        browser.press("g").await?;
        browser.press(key).await?;
        browser
            .until(&format!(
                "location.pathname === {path:?} && document.readyState === 'complete'"
            ))
            .await?;
        let same = places.iter().filter(|(other, _)| other == key).count();
        ensure!(same == 1, "{key} leads to {same} places");
    }
    browser.press("?").await?;
    browser
        .until("document.getElementById('keys').open")
        .await?;
    browser.press(ESCAPE).await?;
    browser
        .until("!document.getElementById('keys').open")
        .await?;
    Ok(())
}

async fn search(browser: &Chromium) -> Result<()> {
    browser.goto("/").await?;
    browser.press("/").await?;
    browser
        .until("document.activeElement.id === 'search'")
        .await?;
    browser.press("chann").await?;
    browser
        .until(
            "document.querySelector('#found [role=option]')?.getAttribute('href') === '/channels'",
        )
        .await?;
    browser.press(DOWN).await?;
    browser
        .until("document.querySelector('#found [aria-selected=true]')")
        .await?;
    browser.press(ENTER).await?;
    browser.until("location.pathname === '/channels'").await?;
    // Escape closes the menu that is open, and the focus is on what opened it.
    browser.click("details.menu summary").await?;
    browser
        .until("document.querySelector('details.menu').open")
        .await?;
    browser.press(ESCAPE).await?;
    browser
        .until("!document.querySelector('details.menu').open && document.activeElement.matches('details.menu summary')")
        .await?;
    Ok(())
}

/// The first stop leads to the content, and a post is written without a pointer.
async fn form(browser: &Chromium) -> Result<()> {
    browser.goto("/posts/new").await?;
    browser.press(TAB).await?;
    browser
        .until("document.activeElement.matches('a.skip') && getComputedStyle(document.activeElement).outlineStyle !== 'none'")
        .await?;
    browser.press(ENTER).await?;
    browser
        .until("document.activeElement.id === 'main'")
        .await?;
    browser.press(TAB).await?;
    browser
        .until("document.activeElement.name === 'title'")
        .await?;
    browser.press("By keyboard").await?;
    browser.press(TAB).await?;
    browser
        .until("document.activeElement.name === 'body'")
        .await?;
    browser.press("No pointer was near.").await?;
    // Ctrl and Enter send.
    browser.press("\u{e009}\u{e007}\u{e000}").await?;
    browser
        .until("document.querySelector('main h1').textContent === 'By keyboard'")
        .await?;
    Ok(())
}

/// The key of a second factor is there for a camera and for typing.
async fn second_factor(browser: &Chromium) -> Result<()> {
    browser.goto("/settings#second-factor").await?;
    browser.fill("#begin-password", PASSWORD).await?;
    browser
        .click("form[action='/settings/second-factor'] button")
        .await?;
    browser
        .until("document.querySelector('svg.camera-code')?.getBoundingClientRect().width > 150")
        .await?;
    browser
        .until("document.querySelector('.copy code').textContent.length > 20")
        .await?;
    Ok(())
}
