//! Skills on the site: found, run by a form, rated, and what their evidence says.

use anyhow::{Context, Result};
use e2e::{
    Server,
    agents::Agent,
    browser::Browser,
    people::Person,
    publishing::{approved, decide, fixture, manifest},
};
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

#[tokio::test]
async fn a_tool_is_run_by_its_form() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("sums", "1.0.0"), "adder").await?;
    let stranger = Browser::open(&server)?;
    let page = stranger.get("/skills").await?;
    assert_eq!(page.texts(".rows h2 a"), ["sums"]);
    let page = stranger.get("/skills/sums").await?;
    assert!(!page.has("#tool-add form") && page.has(".tool a[href^='/sign-in']"));
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let page = grace.get("/skills/sums").await?;
    let fields = page.all("#tool-add form [name^='arg-']").len();
    assert_eq!(fields, 2, "{}", page.html);
    let names: Vec<_> = page
        .all("#tool-add form [name^='arg-']")
        .iter()
        .filter_map(|field| field.attr("name"))
        .map(str::to_owned)
        .collect();
    let wrong = [(names[0].as_str(), "three"), (names[1].as_str(), "4")];
    let again = grace.submit(&page, "#tool-add form", &wrong).await?;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        again
            .attribute(&format!("[name='{}']", names[0]), "value")
            .as_deref(),
        Some("three")
    );
    assert!(again.has("#tool-add .error"));
    let right = [(names[0].as_str(), "3"), (names[1].as_str(), "4")];
    let done = grace.submit(&again, "#tool-add form", &right).await?;
    assert_eq!(done.status, StatusCode::OK, "{}", done.html);
    assert_eq!(done.text("#tool-add .outcome code"), "7");
    assert_eq!(done.all("#tool-add .outcome meter").len(), 3);
    // The skill's own error is shown in its own words.
    let failed = grace
        .submit(&page, "#tool-greet form", &[("arg-name", "")])
        .await?;
    assert_eq!(failed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        failed
            .text("#tool-greet .outcome")
            .contains("nobody is there")
    );
    // The receipt is the envelope that the API answers with.
    let envelope = done
        .attribute(".receipt", "data-envelope")
        .context("a receipt")?;
    let envelope: Value = serde_json::from_str(&envelope)?;
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    assert!(envelope["signatures"][0]["sig"].is_string());
    Ok(())
}

#[tokio::test]
async fn the_tabs_of_a_skill_say_what_is_known() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    approved(&server, &ada, &manifest("sums", "1.0.0"), "adder").await?;
    approved(&server, &ada, &manifest("sums", "1.1.0"), "adder").await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let page = grace.get("/skills/sums/versions").await?;
    assert_eq!(page.texts("table th[scope=row] a"), ["1.1.0", "1.0.0"]);
    let page = grace.get("/skills/sums/versions/1.0.0").await?;
    assert!(page.text("h2").contains("1.0.0") && page.html.contains("None: it only computes"));
    let page = grace.get("/skills/sums/evidence").await?;
    assert!(page.text("h2").contains("1.1.0"));
    let page = grace.get("/skills/sums/connect").await?;
    let copied = page.texts(".copy code");
    assert!(
        copied.iter().any(|text| text.contains("/mcp"))
            && copied
                .iter()
                .any(|text| text.contains("/api/skills/sums/invoke"))
    );
    let page = grace.get("/skills/sums/ratings").await?;
    let page = grace
        .submit(
            &page,
            "form[action$='/ratings']",
            &[("rating", "4"), ("text", "Adds.")],
        )
        .await?;
    assert_eq!(page.path, "/skills/sums/ratings");
    assert!(page.html.contains("4 of 5") && page.html.contains("Adds."));
    let page = grace.submit(&page, "form[action$='/delete']", &[]).await?;
    assert!(page.has(".empty"));
    assert_eq!(
        grace.get("/skills/nothing").await?.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        grace.get("/skills/sums/versions/9.9.9").await?.status,
        StatusCode::NOT_FOUND
    );
    Ok(())
}

#[tokio::test]
async fn publishing_is_for_those_who_are_signed_in_and_followed_live() -> Result<()> {
    let server = Server::start().await?;
    let stranger = Browser::open(&server)?;
    assert_eq!(
        stranger.get("/publish").await?.status,
        StatusCode::UNAUTHORIZED
    );
    // A person needs the role of a developer, and is told so.
    let grace = Person::register(&server, "grace").await?;
    let page = grace.browser(&server)?.get("/publish").await?;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("skills:publish"), "{}", page.html);
    let grace = grace.into_admin(&server).await?;
    let page = grace.browser(&server)?.get("/publish").await?;
    assert_eq!(
        page.attribute("#publish", "data-csrf"),
        Some(grace.csrf.clone())
    );
    assert!(page.has("noscript") && page.has("script[src$='/js/publish.js']"));
    // The upload that its script makes, and the page that follows.
    let described = manifest("sums", "1.0.0");
    let manifest = Part::text(described.to_string());
    let component = Part::bytes(fixture("adder")?).file_name("component.wasm");
    let form = Form::new()
        .part("manifest", manifest.mime_str("application/json")?)
        .part("component", component.mime_str("application/wasm")?);
    let request = server.http.post(format!("{}/api/skills", server.url));
    let request = request
        .header("cookie", &grace.cookie)
        .header("x-csrf-token", &grace.csrf);
    let answer = request.multipart(form).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    let page = grace.browser(&server)?.get("/publish/sums/1.0.0").await?;
    assert_eq!(page.all(".stages > li").len(), 5, "{}", page.html);
    assert_eq!(
        page.attribute("[hx-get]", "hx-get").as_deref(),
        Some("/parts/review/sums/1.0.0")
    );
    decide(&server, &described, "approve").await?;
    let part = grace
        .browser(&server)?
        .get("/parts/review/sums/1.0.0")
        .await?;
    assert!(
        part.html.contains("approved") && !part.html.contains("hx-get"),
        "{}",
        part.html
    );
    Ok(())
}
