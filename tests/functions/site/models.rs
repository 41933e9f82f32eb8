//! The pages of models and of secrets in a browser without scripts.

use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    models::{Asked, Models, Say},
    people::Person,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::functions::llm::world::well;

/// A provider that lists two models, and quotes the last thing that it was told.
fn talks(asked: &Asked) -> Say {
    if asked.path == "/v1/models" {
        return Say::json(&json!({"data": [{"id": "m"}, {"id": "n"}]}));
    }
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let messages = body["messages"].as_array().map_or(0, Vec::len);
    let said = body["messages"][messages.saturating_sub(1)]["content"].as_str();
    match (body["model"].as_str(), said) {
        (Some("n"), _) => Say::error(400, "no such <b>thing</b>"),
        (_, Some(said)) => Say::json(&json!({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": format!("{messages}: {said}")}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}
        })),
        _ => well(asked),
    }
}

async fn world() -> Result<(Server, Models, Person)> {
    let models = Models::start(|asked, _| talks(asked)).await?;
    let server = Server::letting_out(&[models.origin()]).await?;
    let admin = Person::register(&server, "grace").await?;
    let admin = admin.into_admin(&server).await?;
    Ok((server, models, admin))
}

/// Adds the provider `open` by its form.
async fn provide(browser: &Browser, url: &str) -> Result<()> {
    let page = browser.get("/models/providers").await?;
    let fields = [("name", "open"), ("protocol", "openai"), ("url", url)];
    let page = browser
        .submit(&page, "form[action='/models/providers']", &fields)
        .await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert!(page.text(".rows h2").contains("open"), "{}", page.html);
    Ok(())
}

#[tokio::test]
async fn providers_and_aliases_are_managed() -> Result<()> {
    let (server, models, admin) = world().await?;
    let browser = admin.browser(&server)?;
    let page = browser.get("/models").await?;
    assert!(
        page.has(".empty a[href='/models/providers']"),
        "{}",
        page.html
    );
    provide(&browser, &models.url).await?;
    let page = browser.get("/models/providers").await?;
    let twice = [("name", "open"), ("protocol", "openai"), ("url", "nowhere")];
    let refused = browser
        .submit(&page, "form[action='/models/providers']", &twice)
        .await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.attribute("#name", "value").as_deref(), Some("open"));
    let checked = browser.submit(&page, "form[action$='/check']", &[]).await?;
    assert!(
        checked.text("[role=status]").contains("2 models"),
        "{}",
        checked.html
    );
    let page = browser.submit(&page, "form[action$='/drain']", &[]).await?;
    assert!(page.text(".rows").contains("no new calls"), "{}", page.html);
    let page = browser.submit(&page, "form[action$='/drain']", &[]).await?;
    assert!(page.text(".rows").contains("in use"), "{}", page.html);

    let page = browser.get("/models").await?;
    assert_eq!(page.texts("tbody th"), ["open/m", "open/n"]);
    let alias = [
        ("name", "mine"),
        ("targets", "open/m\nopen/n"),
        ("total", "60"),
    ];
    let page = browser
        .submit(&page, "form[action='/models/aliases']", &alias)
        .await?;
    assert_eq!(page.texts("tbody th"), ["mine", "open/m", "open/n"]);
    assert!(page.text("tbody tr").contains("open/m, open/n"));
    let (_, read) = admin.get(&server, "/api/llm/models/mine").await?;
    assert_eq!(read["targets"][1]["total_ms"], 60_000, "{read}");
    let found = browser.get("/models?query=MINE").await?;
    assert_eq!(found.texts("tbody th"), ["mine"]);
    let circle = [("name", "mine"), ("targets", "mine")];
    let refused = browser
        .submit(&page, "form[action='/models/aliases']", &circle)
        .await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.text("[role=alert]").contains("mine → mine"),
        "{}",
        refused.html
    );
    let page = browser
        .submit(&page, "form[action='/models/aliases/delete']", &[])
        .await?;
    assert_eq!(page.texts("tbody th"), ["open/m", "open/n"]);
    let page = browser.get("/models/providers").await?;
    let page = browser
        .submit(&page, "form[action$='/delete']", &[])
        .await?;
    assert!(!page.has(".rows li"), "{}", page.html);
    Ok(())
}

#[tokio::test]
async fn a_talk_is_paid_limited_and_charted() -> Result<()> {
    let (server, models, admin) = world().await?;
    let browser = admin.browser(&server)?;
    provide(&browser, &models.url).await?;
    let price = json!({"provider": "open", "model": "*", "input_microusd": 1_000_000, "output_microusd": 2_000_000});
    let put = admin.request(&server, "PUT", "/api/llm/prices");
    assert_eq!(put.json(&price).send().await?.status(), 200);
    let page = browser.get("/models/providers").await?;
    browser.submit(&page, "form[action$='/check']", &[]).await?;

    let page = browser.get("/models/chat?model=open/m").await?;
    assert_eq!(
        page.attribute("#model option[selected]", "value")
            .as_deref(),
        Some("open/m")
    );
    let hostile = "</p><script>alert(1)</script>";
    let page = browser
        .submit(&page, "#try", &[("prompt", hostile)])
        .await?;
    assert_eq!(
        page.texts("#talk p"),
        [hostile.to_owned(), format!("1: {hostile}")]
    );
    assert!(!page.has("main script"));
    // What was said before goes along.
    let again = [("prompt", "And?"), ("system", "Be brief.")];
    let page = browser.submit(&page, "#try", &again).await?;
    assert_eq!(
        page.texts("#talk p").last().map(String::as_str),
        Some("4: And?")
    );
    let failing = [("prompt", "Well?"), ("model", "open/n")];
    let failed = browser.submit(&page, "#try", &failing).await?;
    assert_eq!(failed.status, StatusCode::BAD_REQUEST);
    assert!(
        failed.text("[role=alert]").contains("no such <b>thing</b>"),
        "{}",
        failed.html
    );
    assert_eq!(failed.text("#prompt"), "Well?");
    assert_eq!(failed.all("#talk li").len(), 4);

    let page = browser.get("/models/usage?by=model").await?;
    assert_eq!(page.texts("figure figcaption").len(), 2, "{}", page.html);
    assert!(page.has("figure svg rect title") && page.text("tbody").contains("open/m"));
    assert!(page.text(".numbers").contains("$4.00"), "{}", page.html);
    let page = browser
        .get("/models/usage?by=day&from=2000-01-01&to=2000-01-02")
        .await?;
    assert!(page.has(".empty"));

    let page = browser.get("/models/limits").await?;
    assert!(page.has(".empty"));
    let wrong = [("total", "a lot"), ("what", "set")];
    let refused = browser
        .submit(&page, "form[action='/models/limits'][method=post]", &wrong)
        .await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.attribute("#total", "value").as_deref(),
        Some("a lot")
    );
    let limits = [("total", "4.5"), ("concurrency", "3"), ("what", "set")];
    let page = browser
        .submit(&page, "form[action='/models/limits'][method=post]", &limits)
        .await?;
    assert!(
        page.text(".rows").contains("$4.00 of $4.50"),
        "{}",
        page.html
    );
    assert_eq!(
        page.attribute("#concurrency", "value").as_deref(),
        Some("3")
    );
    let chat = browser.get("/models/chat?model=open/m").await?;
    let poor = browser
        .submit(&chat, "#try", &[("prompt", &"x".repeat(90_000))])
        .await?;
    assert!(
        [StatusCode::OK, StatusCode::PAYMENT_REQUIRED].contains(&poor.status),
        "{}",
        poor.html
    );
    let page = browser
        .submit(
            &page,
            "form[action='/models/limits'][method=post]",
            &[("what", "end")],
        )
        .await?;
    assert!(page.has(".empty"), "{}", page.html);
    Ok(())
}

#[tokio::test]
async fn the_scripts_stream_by_the_same_session() -> Result<()> {
    let (server, models, admin) = world().await?;
    let browser = admin.browser(&server)?;
    provide(&browser, &models.url).await?;
    let page = browser.get("/models/chat?model=open/x").await?;
    let script = page.all("script[src$='js/models.js']");
    let address = script.first().and_then(|script| script.attr("src"));
    let script = server
        .get(address.context("a script")?)
        .await?
        .text()
        .await?;
    assert!(script.contains("/v1/chat/completions") && script.contains("X-CSRF-Token"));
    // As the script asks.
    let csrf = page
        .attribute("input[name=csrf]", "value")
        .context("a token")?;
    let session = browser
        .cookie("__Host-gather-session")
        .context("a session")?;
    let ask = |csrf: &str| {
        let request = server
            .http
            .post(format!("{}/v1/chat/completions", server.url));
        let request = request.header("cookie", format!("__Host-gather-session={session}"));
        let body = json!({"model": "open/x", "stream": false, "messages": [{"role": "user", "content": "Hi"}]});
        request.header("x-csrf-token", csrf).json(&body).send()
    };
    assert_eq!(ask(&csrf).await?.status(), 200);
    assert_eq!(ask("wrong").await?.status(), 403);
    Ok(())
}

#[tokio::test]
async fn a_form_that_failed_keeps_its_key() -> Result<()> {
    let (server, models, admin) = world().await?;
    let browser = admin.browser(&server)?;
    let key = "form[action='/models/providers'] input[name=key]";
    let page = browser.get("/models/providers").await?;
    let url = models.origin();
    let fields = [("name", "open"), ("protocol", "openai"), ("url", url)];
    let create = "function llm.create_provider(uuid, boolean, jsonb)";
    let away = format!("revoke execute on {create} from gather_llm");
    server.database.execute(&away).await?;
    let failed = browser
        .submit(&page, "form[action='/models/providers']", &fields)
        .await?;
    assert!(failed.status.is_server_error(), "{}", failed.html);
    assert_eq!(
        failed.attribute(key, "value"),
        page.attribute(key, "value"),
        "it may have taken effect"
    );
    let back = format!("grant execute on {create} to gather_llm");
    server.database.execute(&back).await?;
    // The first try took effect after all, in another tab.
    provide_by(&browser, &failed, &fields).await?;
    provide_by(&browser, &failed, &fields).await?;
    Ok(())
}

/// Sends the form of a page, which makes the provider `open` once.
async fn provide_by(browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Result<()> {
    let sent = browser.submit(page, "form[action='/models/providers']", fields);
    let page = sent.await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert_eq!(page.all(".rows h2").len(), 1, "{}", page.html);
    Ok(())
}
