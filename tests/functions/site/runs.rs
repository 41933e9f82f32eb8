//! The page of a run, as a browser without scripts sees it: what the run and its steps were given and have answered, how it
//! failed, what it waits for, and how it begins anew.

use anyhow::{Context, Result, ensure};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::Person,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::jobs::pipeline_run::world::{World, transform};

const LIMIT: Duration = Duration::from_secs(120);

/// Somebody with runs, and their browser.
struct Runner<'a> {
    server: &'a Server,
    person: Person,
    browser: Browser,
}

impl<'a> Runner<'a> {
    async fn new(server: &'a Server, name: &str) -> Result<Self> {
        let person = Person::register(server, name).await?;
        let browser = person.browser(server)?;
        Ok(Self {
            server,
            person,
            browser,
        })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let (status, answer) = self.person.send(self.server, "POST", path, &body).await?;
        ensure!((200..300).contains(&status), "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Makes a pipeline, and starts a run of it; the path of the run's page.
    async fn start(&self, name: &str, definition: Value, input: Value) -> Result<String> {
        let new = json!({"name": name, "definition": definition});
        self.post("/api/pipelines", new).await?;
        let path = format!("/api/pipelines/{name}/runs");
        let run = self
            .post(&path, json!({"input": input, "key": "first"}))
            .await?;
        Ok(format!("/runs/{}", run["id"].as_str().context("id")?))
    }

    /// The page, once it fits.
    async fn until(&self, path: &str, fits: impl Fn(&Page) -> bool) -> Result<Page> {
        let began = Instant::now();
        loop {
            let page = self.browser.get(path).await?;
            if fits(&page) {
                return Ok(page);
            }
            ensure!(began.elapsed() < LIMIT, "{path}: {}", page.text("main"));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ended(&self, path: &str) -> Result<Page> {
        self.until(path, |page| !page.has(".live-run[data-follows]"))
            .await
    }

    /// Follows the first link that a CSS selector finds.
    async fn follow(&self, page: &Page, link: &str) -> Result<Page> {
        let address = page.attribute(link, "href");
        let address = address.with_context(|| format!("no {link}: {}", page.text("main")))?;
        let path = address.split('#').next().unwrap_or_default();
        self.browser.get(path).await
    }
}

fn text(page: &Page, selector: &str, expected: &[&str]) {
    let text = page.texts(selector).join(" ");
    for part in expected {
        assert!(
            text.contains(part),
            "{part} in {selector}: {}",
            page.text("main")
        );
    }
}

#[tokio::test]
async fn a_failed_run_shows_what_it_did_and_begins_anew_from_a_step() -> Result<()> {
    let world = World::new().await?;
    let grace = Runner::new(&world.server, "grace").await?;
    let definition = json!({
        "nodes": {
            "big": {"type": "transform", "value": "ä".repeat(20_000)},
            "hush": {"type": "transform", "value": {"$": "'secret ' + input.word"}, "private": true},
            "each": {"type": "map", "items": "[1, 2]", "body": {"nodes": {"double": transform("item * 2")}}},
            "half": transform("12 / input.n"),
            "last": transform("nodes.half.output + 1"),
        },
        "edges": [{"from": "big", "to": "half"}, {"from": "hush", "to": "half"}, {"from": "each", "to": "half"},
            {"from": "half", "to": "last"}],
        "result": {"$": "nodes.last.output"},
    });
    let input = json!({"n": 0, "word": "<b>owl"});
    let path = grace.start("halves", definition, input).await?;
    let page = grace.ended(&path).await?;
    text(&page, "main .status", &["failed"]);
    text(&page, "#input", &["\"n\": 0", "<b>owl"]);
    assert!(!page.html.contains("<b>owl"), "it is escaped");
    text(&page, "main dl.facts", &["a call", "first", "Took"]);
    text(&page, "dl.usage", &["Steps"]);
    text(&page, "#error", &["expression-failed"]);
    // What has failed the run is open.
    text(&page, "tr.opened #step-title", &["half", "failed"]);
    text(&page, "#step-error", &["expression-failed"]);
    text(&page, "#node[open]", &["12 / input.n"]);
    let before = page.texts("#step dl.facts a");
    assert_eq!(before, ["big", "hush", "each"]);
    let opened = grace.follow(&page, "#error a").await?;
    text(&opened, "#step-title", &["half"]);
    let closed = grace.follow(&page, "tr[id='at-half'] a").await?;
    assert!(!closed.has("#step"), "{}", closed.text("main"));

    // Of a large value the page has the beginning, and a link to all of it.
    let big = grace.follow(&page, ".graph a[href*='open=big']").await?;
    let shown = big.text("#step-output");
    assert!(
        shown.len() <= 4096 && shown.starts_with("\"ää"),
        "{}",
        shown.len()
    );
    assert!(big.html.len() < 60_000, "{}", big.html.len());
    let part = big.attribute(".live-run", "data-part").context("a part")?;
    assert!(part.contains("open=big"), "it stays open: {part}");
    let whole = grace.follow(&big, "#step .columns a").await?;
    let step: Value = serde_json::from_str(&whole.html)?;
    assert_eq!(
        step["output"].as_str().map(|text| text.chars().count()),
        Some(20_000)
    );

    let hush = grace.follow(&page, "tr[id='at-hush'] a").await?;
    text(&hush, "#step", &["hush", "succeeded", "private"]);
    assert!(!hush.html.contains("secret &lt;"), "{}", hush.text("#step"));

    let items = grace
        .follow(&page, "tr[id='at-each'] td:nth-child(3) a")
        .await?;
    assert_eq!(
        items
            .texts("table.steps tbody tr:not(.opened) td:first-child")
            .len(),
        3
    );
    let item = grace.follow(&items, "tr[id='at-each[1].double'] a").await?;
    text(&item, "tr.opened #step-item", &["2"]);
    text(&item, "tr.opened #step-output", &["4"]);

    // A restart that is refused says so where it was asked for, and keeps what was typed.
    let form = "#step form.restart";
    for (outputs, status, said) in [
        ("{", 422, "must be JSON"),
        ("{\"nope\": 1}", 404, "is not a step"),
    ] {
        let fields = [("outputs", outputs)];
        let refused = grace.browser.submit(&page, form, &fields).await?;
        assert_eq!(refused.status, status, "{}", refused.text("main"));
        text(&refused, "#step .alert", &[said]);
        text(
            &refused,
            "#changes[open] textarea[name=outputs]",
            &[outputs],
        );
    }
    let fields = [("input", "{\"n\": 3, \"word\": \"owl\"}")];
    let again = grace.browser.submit(&page, form, &fields).await?;
    assert_ne!(again.path, path);
    let again = grace.ended(&again.path).await?;
    text(&again, "#result", &["5"]);
    text(&again, "main dl.facts", &["a restart of"]);
    let former = grace
        .follow(&again, &format!("main dl.facts a[href='{path}']"))
        .await?;
    text(&former, "#error", &["expression-failed"]);

    let stranger = Runner::new(&world.server, "alan").await?;
    assert_eq!(stranger.browser.get(&path).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_run_says_what_it_waits_for_and_takes_it_on_its_page() -> Result<()> {
    let target = Receiver::start(|count| match count {
        0 => Answer::Reset,
        _ => Answer::status(200),
    })
    .await?;
    let origin = format!("http://{}", target.address);
    let world = World::over(Server::letting_out(&[&origin]).await?).await?;
    let grace = Runner::new(&world.server, "grace").await?;
    let alan = Runner::new(&world.server, "alan").await?;
    let hold = json!({"type": "wait", "any": [{"signal": "go"}]});
    let inner = json!({"name": "inner", "definition": {"nodes": {"hold": hold}}});
    grace.post("/api/pipelines", inner).await?;
    let definition = json!({
        "nodes": {
            "ask": {"type": "approval", "who": [alan.person.id]},
            "hold": hold,
            "pay": {"type": "action", "do": "http", "input": {"method": "POST", "url": format!("{origin}/pay")}},
            "sub": {"type": "pipeline", "pipeline": "inner"},
        },
        "permissions": {"http": [origin]},
    });
    let path = grace.start("waits", definition, json!(null)).await?;
    let waits = |page: &Page| page.all("#waits ~ ul > li").len() == 4;
    let page = grace.until(&path, waits).await?;
    let words = [
        "nobody knows whether",
        "An approval",
        "The run of another pipeline",
        "A signal: go",
    ];
    text(&page, "#waits ~ ul", &words);
    assert!(page.has("#waits ~ ul a[href^='/approvals/']"));

    // What needs a person is open. What it is told counts.
    text(&page, "#step-title", &["pay", "uncertain"]);
    let form = "#step form[action*='/resolve']";
    let fields = [("output", "{"), ("outcome", "succeeded")];
    let refused = grace.browser.submit(&page, form, &fields).await?;
    assert_eq!(refused.status, 422);
    text(&refused, "#step .alert", &["must be JSON"]);
    text(&refused, "#step textarea", &["{"]);
    let still = refused.attribute(".live-run", "data-follows");
    assert_eq!(still, None, "nothing takes the place of what was typed");
    let fields = [("output", "{\"status\": 204}"), ("outcome", "succeeded")];
    let resolved = grace.browser.submit(&page, form, &fields).await?;
    text(&resolved, "#step-output", &["\"status\": 204"]);
    // The form of the page before has another key.
    let twice = grace.browser.submit(&refused, form, &fields).await?;
    assert_eq!(twice.status, 409);
    text(
        &twice,
        "#step .alert",
        &["It is known what the step has done"],
    );

    // The run of a step leads to its parent, and takes a signal.
    let child = grace
        .follow(&page, "#waits ~ ul a[href^='/runs/']:not([href*='open='])")
        .await?;
    text(&child, "main dl.facts", &["the step sub of"]);
    let parent = grace
        .follow(&child, "main dl.facts a[href*='open=sub']")
        .await?;
    text(&parent, "#step-title", &["sub", "waiting"]);
    assert!(parent.has(&format!("#step a[href='{}']", child.path)));
    let signal = "#step form[action*='/signal']";
    let sent = grace
        .browser
        .submit(&child, signal, &[("data", "{\"a\": 1}")])
        .await?;
    let ended = grace.ended(&sent.path).await?;
    text(&ended, "#step-output", &["\"a\": 1"]);
    let hold = grace.browser.get(&format!("{path}?open=hold")).await?;
    grace.browser.submit(&hold, signal, &[]).await?;
    let left = |page: &Page| page.all("#waits ~ ul > li").len() == 1;
    let page = grace.until(&path, left).await?;
    text(&page, "#waits ~ ul", &["An approval"]);

    // A run whose budget is spent goes on with a larger one.
    let spends = json!({"nodes": {"a": transform("1"), "b": transform("2")}, "edges": [{"from": "a", "to": "b"}],
        "budget": {"steps": 1}});
    let path = grace.start("spends", spends, json!(null)).await?;
    let spent = grace
        .until(&path, |page| page.has("input[name=steps]"))
        .await?;
    text(&spent, "dl.usage", &["1 of 1"]);
    let resumed = grace
        .browser
        .submit(&spent, "form[action*='/resume']", &[("steps", "9")])
        .await?;
    let ended = grace.ended(&resumed.path).await?;
    text(&ended, "main .status", &["succeeded"]);
    Ok(())
}

#[tokio::test]
async fn a_run_leads_to_the_schedule_or_the_trigger_that_started_it() -> Result<()> {
    let server = Server::start().await?;
    let grace = Runner::new(&server, "grace").await?;
    let definition = json!({"nodes": {"hold": {"type": "wait", "any": [{"signal": "go"}]}}});
    let path = grace.start("started", definition, json!(null)).await?;
    let action = json!({"type": "execute_pipeline", "pipeline": "started"});
    let new = json!({"name": "nights", "cron": ["0 0 * * *"], "timezone": "UTC", "action": action});
    let schedule = grace.post("/api/schedules", new).await?;
    let schedule = schedule["id"].as_str().context("id")?;
    let fired = grace
        .post(&format!("/api/schedules/{schedule}/run"), json!({}))
        .await?;
    let run = fired["run"].as_str().with_context(|| fired.to_string())?;
    let page = grace.browser.get(&format!("/runs/{run}")).await?;
    assert!(
        page.has(&format!("main dl.facts a[href='/schedules/{schedule}']")),
        "{}",
        page.html
    );
    let new = json!({"kind": "webhook"});
    let trigger = grace.post("/api/pipelines/started/triggers", new).await?;
    let url = trigger["url"].as_str().context("url")?;
    let hook = url.find("/api/").map(|at| &url[at..]).context("a path")?;
    let begun = grace.post(hook, json!({"n": 1})).await?;
    let page = grace
        .browser
        .get(&format!("/runs/{}", begun["run"].as_str().context("run")?))
        .await?;
    text(&page, "#input", &["\"n\": 1"]);
    let trigger = trigger["id"].as_str().context("id")?;
    let link = format!("main dl.facts a[href$='#trigger-{trigger}']");
    let pipeline = grace.follow(&page, &link).await?;
    text(
        &pipeline,
        &format!("li[id='trigger-{trigger}']"),
        &["A webhook"],
    );

    // A hundred thousand steps are shown by pages, and found by their state and their paths.
    let id = path.trim_start_matches("/runs/");
    sqlx::query(
        "insert into pipelines.step (run_id, path, type, status, effect, finished_at)
         select $1, format('each[%s].a', n), 'transform', case when n = 70 then 'failed' else 'succeeded' end, 'pure', now()
         from generate_series(0, 119) n",
    )
    .bind(id.parse::<uuid::Uuid>()?)
    .execute(&mut server.database.connect().await?)
    .await?;
    let rows = |page: &Page| page.all("table.steps tbody tr").len();
    let first = grace.browser.get(&path).await?;
    let second = grace.follow(&first, "a[rel=next]").await?;
    let third = grace.follow(&second, "a[rel=next]").await?;
    assert_eq!((rows(&first), rows(&second), rows(&third)), (50, 50, 20));
    let failed = grace
        .follow(&first, ".pills a[href*='status=failed']")
        .await?;
    assert_eq!(
        failed.texts("table.steps tbody td:first-child"),
        ["each[70].a"]
    );
    // What is open on another page stands above the table.
    let opened = grace.follow(&failed, "table.steps a").await?;
    let next = opened
        .attribute(".live-run", "data-part")
        .context("a part")?;
    assert!(
        next.contains("status=failed") && next.contains("open="),
        "{next}"
    );
    let apart = grace
        .browser
        .get(&format!("{path}?open=each%5B99%5D.a"))
        .await?;
    assert!(!apart.has("tr.opened"));
    text(&apart, "#step-title", &["each[99].a"]);
    Ok(())
}
