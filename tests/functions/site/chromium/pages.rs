//! Every page in a real browser, full and empty, in both themes and on narrow and wide screens: nobody is kept out,
//! nothing scrolls sideways or moves while it loads, nothing leaves the origin, and the policy reports nothing. With
//! `GATHER_PICTURES` set, what the pages look like is written into `target/pictures`, for a person to look at.

use super::{
    routes::{Route, routes, visit},
    world::World,
};
use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    browser::Browser,
    chromium::{Chromium, turn},
    libraries::installed,
    people::Person,
    root,
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Addresses that no link leads to, and those that are shown rather than others of their routes.
const WANTED: [&str; 9] = [
    "/channels/general/messages",
    "/channels/general",
    "/problems/not-found",
    "/publish/in-review/0.1.0",
    "/report?target=account:grace",
    "/search?query=comment",
    "/skills/sums",
    "/skills/sums/evidence",
    "/skills/sums/ratings",
];
/// Pages of failures.
const FAILURES: [&str; 2] = ["/no/such/page", "/posts/no-such-post"];
/// Routes with variable segments that no test shows, and why. A new one is better made in `world.rs`.
const UNSEEN: [(&str, &str); 1] = [(
    "/comments/{comment}",
    "It leads on to the comment among those of its post, from mails.",
)];
const SCREENS: [(u32, u32); 3] = [(360, 640), (768, 1024), (1440, 900)];
const THEMES: [&str; 2] = ["light", "dark"];
/// Where axe looks at a page: narrow screens have their own bar, and wide ones show what narrow ones hide.
const LOOKED_AT: [(&str, u32); 3] = [("light", 360), ("light", 1440), ("dark", 360)];
/// The bytes that the landing page may take over the wire, with all that it loads.
const LANDING_BYTES: f64 = 60_000.0;

/// What a page notes while it loads.
const WATCH: &str = "
    window.watched = { shift: 0, violations: [], paint: 0 };
    addEventListener('securitypolicyviolation', (event) => {
        watched.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`);
    });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) watched.shift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (entry.name === 'first-contentful-paint') watched.paint = entry.startTime;
    }).observe({ type: 'paint', buffered: true });
";
/// All of axe's rules, and the one of WCAG 2.2 that it leaves out by default.
const AXE: &str = "
    const only = arguments[0] ? { runOnly: arguments[0] } : { rules: { 'target-size': { enabled: true } } };
    const { violations } = await axe.run(document, only);
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)} — ${node.failureSummary}`));
";
/// The addresses of pictures that the browser can't show.
const PICTURES: &str = "
    const broken = [];
    await Promise.all([...document.images].map((one) => {
        one.loading = 'eager';
        return one.decode().catch(() => broken.push(one.src));
    }));
    return broken;
";
/// The widest elements that make a page scroll sideways.
const SIDEWAYS: &str = "
    const wide = document.documentElement.scrollWidth;
    if (wide <= innerWidth && wide <= arguments[0]) return [];
    const all = [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > arguments[0] + 1);
    return [`${wide} px`, ...all.slice(0, 5).map((one) => one.outerHTML.slice(0, 160))];
";

/// A browser that inspects pages, and what it has found.
struct Inspector {
    browser: Chromium,
    /// Where pictures of the pages go; `None` if nobody wants to look at them.
    folder: Option<PathBuf>,
    faults: Vec<String>,
}

impl Inspector {
    async fn new(browser: Chromium, world: &str) -> Result<Self> {
        let is_wanted = std::env::var_os("GATHER_PICTURES").is_some();
        let folder = is_wanted.then(|| root().join("target/pictures").join(world));
        folder.as_ref().map(fs::create_dir_all).transpose()?;
        let inspector = Self {
            browser,
            folder,
            faults: Vec::new(),
        };
        inspector.add(WATCH).await?;
        Ok(inspector)
    }

    /// Adds a script to every page that is loaded from now on.
    async fn add(&self, source: &str) -> Result<()> {
        let command = "Page.addScriptToEvaluateOnNewDocument";
        let script = json!({ "source": source });
        self.browser.devtools(command, script).await?;
        Ok(())
    }

    /// Loads a page, and looks at it in each theme on each screen.
    async fn inspect(&mut self, address: &str, name: &str) -> Result<()> {
        let browser = &self.browser;
        let mut faults: BTreeSet<String> = BTreeSet::new();
        browser.screen(1440, 900).await?;
        browser.theme("light").await?;
        browser.goto(address).await?;
        browser.until("document.readyState === 'complete'").await?;
        for theme in THEMES {
            browser.theme(theme).await?;
            for (width, height) in SCREENS {
                let is_looked_at = LOOKED_AT.contains(&(theme, width));
                if self.folder.is_none() && !is_looked_at {
                    continue;
                }
                browser.screen(width, height).await?;
                if let Some(folder) = &self.folder {
                    let file = format!("{name}-{width}-{theme}.png");
                    browser.picture(&folder.join(file)).await?;
                }
                if is_looked_at {
                    let found = Self::faults(browser, theme, width).await?;
                    faults.extend(
                        found
                            .into_iter()
                            .map(|what| format!("{theme}, {width} px: {what}")),
                    );
                }
            }
        }
        let watched = browser.run("return watched", &[]).await?;
        faults.extend(texts(&watched["violations"]).map(|what| format!("policy: {what}")));
        let faults = faults
            .into_iter()
            .map(|fault| format!("{address}: {fault}"));
        self.faults.extend(faults);
        Ok(())
    }

    /// What axe finds on a page, and what makes it scroll sideways.
    async fn faults(browser: &Chromium, theme: &str, width: u32) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        if width == 360 {
            let wide = browser.run(SIDEWAYS, &[json!(width)]).await?;
            faults.extend(texts(&wide).map(|what| format!("scrolls sideways: {what}")));
            // A bar over the end of the screen covers nothing on a screen that is long enough.
            let long = "return document.documentElement.scrollHeight + 200";
            let long = browser.run(long, &[]).await?.as_u64().unwrap_or_default();
            let long = u32::try_from(long.min(200_000))?;
            browser.screen(width, long).await?;
            let broken = browser.run(PICTURES, &[]).await?;
            faults.extend(texts(&broken).map(|address| format!("no picture is {address}")));
        }
        // Themes differ in their colours alone.
        let rules = (theme == "dark").then_some(["color-contrast"]);
        let found = browser.run(AXE, &[json!(rules)]).await?;
        faults.extend(texts(&found).map(str::to_owned));
        Ok(faults)
    }

    /// What the browser says after all pages: errors, and requests to others.
    async fn end(mut self, refusals: &BTreeSet<String>) -> Result<Vec<String>> {
        for entry in self.browser.log("browser").await? {
            let text = entry["message"].as_str().unwrap_or_default();
            // A page that is refused is one of those that are looked at.
            let is_refused = refusals
                .iter()
                .any(|address| text.contains(&format!("{address} - ")));
            if entry["level"] == "SEVERE" && !is_refused {
                self.faults.push(format!("console: {text}"));
            }
        }
        for address in requests(&self.browser).await? {
            let address = address["url"].as_str().unwrap_or_default().to_owned();
            let is_own = address.starts_with(&self.browser.origin)
                || address.starts_with(&self.browser.origin.replacen("http", "ws", 1));
            if !is_own && !address.starts_with("data:") {
                self.faults.push(format!("a request to {address}"));
            }
        }
        Ok(self.faults)
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The parameters of the browser's events about its network, such as `Network.loadingFinished`.
async fn events(browser: &Chromium) -> Result<Vec<(String, Value)>> {
    let mut events = Vec::new();
    for entry in browser.log("performance").await? {
        let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or_default())?;
        let message = &message["message"];
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        events.push((method, message["params"].clone()));
    }
    Ok(events)
}

async fn requests(browser: &Chromium) -> Result<Vec<Value>> {
    let events = events(browser).await?;
    let sent = events
        .into_iter()
        .filter_map(|(method, parameters)| match method.as_str() {
            "Network.requestWillBeSent" => Some(parameters["request"].clone()),
            "Network.webSocketCreated" => Some(parameters),
            _ => None,
        });
    Ok(sent.collect())
}

/// The file's name for an address.
fn file_name(route: &str) -> String {
    let name = route
        .trim_matches('/')
        .replace(['/', '{', '}', '?', '=', ':'], "_");
    if name.is_empty() {
        "landing".to_owned()
    } else {
        name
    }
}

async fn axe() -> Result<Option<String>> {
    let folder = installed("axe", "tests/functions/site/chromium/axe", &[]).await?;
    let source =
        folder.map(|folder| fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")));
    source.transpose().context("axe-core")
}

/// Inspects the pages of one visitor. Returns the routes that were found, and the faults.
async fn look(
    mut inspector: Inspector,
    server: &Server,
    who: Option<&Person>,
    axe: &str,
    also: &[&str],
) -> Result<(BTreeSet<Route>, Vec<String>)> {
    let reader = match who {
        Some(person) => {
            inspector.browser.sign_in(person).await?;
            person.browser(server)?
        }
        None => Browser::open(server)?,
    };
    let found = visit(&routes()?, &reader, also).await?;
    inspector.add(axe).await?;
    let mut refusals = BTreeSet::new();
    let failures = FAILURES
        .iter()
        .map(|&path| (path.to_owned(), path.to_owned()));
    for (route, address) in found
        .pages
        .iter()
        .map(|(r, a)| (r.clone(), a.clone()))
        .chain(failures)
    {
        if !reader.get(&address).await?.status.is_success() {
            refusals.insert(address.clone());
        }
        inspector.inspect(&address, &file_name(&route)).await?;
    }
    let routes = found.pages.into_keys().chain(found.leading_on).collect();
    Ok((routes, inspector.end(&refusals).await?))
}

#[tokio::test]
async fn pages_in_use_keep_nobody_out() -> Result<()> {
    let Some(axe) = axe().await? else {
        return Ok(());
    };
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let world = World::new().await?;
    let [for_grace, for_stranger] = turn.open(&world.server).await?;
    let for_grace = Inspector::new(for_grace, "full").await?;
    let for_stranger = Inspector::new(for_stranger, "stranger").await?;
    landing(&for_stranger.browser).await?;
    let also = [&WANTED[..], &[world.crowded.as_str()]].concat();
    let (of_grace, of_stranger) = tokio::try_join!(
        look(for_grace, &world.server, Some(&world.grace), &axe, &also),
        look(for_stranger, &world.server, None, &axe, &also),
    )?;
    let seen: BTreeSet<_> = of_grace.0.union(&of_stranger.0).cloned().collect();
    let is_unseen =
        |route: &Route| !seen.contains(route) && UNSEEN.iter().all(|(other, _)| other != route);
    let unseen = routes()?.into_iter().filter(is_unseen);
    let unseen =
        unseen.map(|route| format!("No link leads to {route}: let `world.rs` make such a page."));
    let faults = of_grace.1.into_iter().chain(of_stranger.1);
    let faults: Vec<_> = unseen.chain(faults).collect();
    ensure!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
    Ok(())
}

#[tokio::test]
async fn pages_without_content_keep_nobody_out() -> Result<()> {
    let Some(axe) = axe().await? else {
        return Ok(());
    };
    let Some(turn) = turn().await? else {
        return Ok(());
    };
    let server = Server::told(&[("rate_limits", "off")]).await?;
    let [browser] = turn.open(&server).await?;
    let person = Person::register(&server, "grace").await?;
    let person = person.into_admin(&server).await?;
    let inspector = Inspector::new(browser, "empty").await?;
    let (_, faults) = look(inspector, &server, Some(&person), &axe, &WANTED).await?;
    ensure!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
    Ok(())
}

/// The landing page is light, and stands still while it loads.
async fn landing(browser: &Chromium) -> Result<()> {
    let kept = |is_off: bool| {
        browser.devtools(
            "Network.setCacheDisabled",
            json!({ "cacheDisabled": is_off }),
        )
    };
    kept(true).await?;
    for (width, height) in SCREENS {
        browser.screen(width, height).await?;
        // What was loaded before does not count.
        events(browser).await?;
        browser.goto("/").await?;
        browser
            .until("document.readyState === 'complete' && watched.paint")
            .await?;
        // What loads after everything else is part of it.
        let idle = "await new Promise((done) => requestIdleCallback(done, { timeout: 5000 })); return watched";
        let watched = browser.run(idle, &[]).await?;
        let events = events(browser).await?;
        let loaded = events
            .iter()
            .filter(|(method, _)| method == "Network.loadingFinished");
        let bytes: f64 = loaded
            .filter_map(|(_, finished)| finished["encodedDataLength"].as_f64())
            .sum();
        let paint = watched["paint"].as_f64().unwrap_or_default();
        println!("landing at {width} px: {bytes} bytes, first paint after {paint:.0} ms");
        ensure!(
            bytes > 5_000.0 && bytes <= LANDING_BYTES,
            "{bytes} bytes at {width} px"
        );
        let shift = watched["shift"].as_f64().unwrap_or(1.0);
        ensure!(shift < 0.001, "it moves by {shift} at {width} px");
    }
    kept(false).await?;
    Ok(())
}
