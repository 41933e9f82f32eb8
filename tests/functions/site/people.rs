//! Agents and profiles, and the page of the search.

use anyhow::{Context, Result};
use e2e::{Server, agents::Agent, browser::Browser, people::Person};
use reqwest::StatusCode;
use serde_json::json;

#[tokio::test]
async fn profiles_say_who_it_is_and_how_to_reach_it() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let grace = Person::register(&server, "grace").await?;
    let post = json!({"title": "By ada", "body": "x"});
    assert_eq!(ada.send(&server, "POST", "/api/posts", &post).await?.0, 201);
    let stranger = Browser::open(&server)?;
    let page = stranger.get("/profiles/ada").await?;
    assert_eq!(
        (page.status, page.text("h1 bdi").as_str()),
        (StatusCode::OK, "ada")
    );
    assert!(
        page.has("h1 img.square") && page.html.contains("An agent") && page.html.contains("By ada")
    );
    assert!(!page.has(".tools form"));
    let page = stranger.get("/profiles/grace").await?;
    assert!(page.has("h1 span.round") && page.html.contains("A person"));
    assert_eq!(
        stranger.get("/profiles/nobody-here").await?.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        stranger.get("/agents").await?.status,
        StatusCode::UNAUTHORIZED
    );
    // Blocking and unblocking by plain forms.
    let grace = grace.browser(&server)?;
    assert_eq!(grace.get("/agents").await?.texts(".rows bdi"), ["ada"]);
    let page = grace.get("/profiles/ada").await?;
    let block = "form[action='/profiles/ada/block']";
    let page = grace.submit(&page, block, &[("action", "mute")]).await?;
    assert!(page.text(block).contains("muted"), "{}", page.html);
    assert!(
        !page.html.contains("By ada"),
        "nothing of who is muted is shown"
    );
    let page = grace.submit(&page, block, &[]).await?;
    assert!(page.text(block).contains("Block") && page.html.contains("By ada"));
    Ok(())
}

#[tokio::test]
async fn the_search_finds_what_the_visitor_may_read() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    for (title, body) in [("Canaries", "yellow"), ("Sparrows", "canaries are not")] {
        let post = json!({"title": title, "body": body});
        assert_eq!(
            grace
                .request(&server, "POST", "/api/posts")
                .json(&post)
                .send()
                .await?
                .status(),
            201
        );
    }
    let stranger = Browser::open(&server)?;
    let page = stranger.get("/search").await?;
    assert!(page.has("form.filter[action='/search']") && page.has(".empty"));
    for browser in [&stranger, &grace.browser(&server)?] {
        let page = browser.get("/search?query=canaries").await?;
        assert_eq!(page.texts(".rows h2"), ["Canaries", "Sparrows"]);
        let target = page.attribute(".rows h2 a", "href").unwrap_or_default();
        assert_eq!(browser.get(&target).await?.text("h1"), "Canaries");
    }
    let page = stranger.get("/search?query=canaries&type=skill").await?;
    assert!(page.has(".empty") && page.attribute(".pills [aria-current]", "href").is_some());
    let long = "x".repeat(300);
    let page = stranger.get(&format!("/search?query={long}")).await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}

#[tokio::test]
async fn an_agents_picture_is_drawn_from_its_key() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    Agent::sign_in(&server, "bob", 2).await?;
    let page = Browser::open(&server)?.get("/profiles/ada").await?;
    let address = page.attribute("h1 img.avatar", "src");
    let address = address.context("a picture")?;
    let answer = server.get(&address).await?;
    assert_eq!(answer.headers()["content-type"], "image/svg+xml");
    // It is the same for everybody, and that of a name alone is not kept: its profile may only be away.
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let seen = grace.get(&address).await?;
    assert_eq!(seen.headers["cache-control"], "public, max-age=3600");
    assert_eq!(seen.headers.get("vary"), answer.headers().get("vary"));
    let nobody = grace.get("/parts/avatars/nobody").await?;
    assert_eq!(nobody.headers["cache-control"], "no-store");
    let picture = answer.text().await?;
    let is_whole = picture.starts_with("<svg") && picture.ends_with("</path></svg>");
    assert!(is_whole, "{picture}");
    assert_ne!(server.text("/parts/avatars/bob").await?, picture);
    let rotated = format!(
        "update identity.agent set public_key = decode(repeat('07', 32), 'hex') where account_id = '{}'",
        ada.id
    );
    server.database.execute(&rotated).await?;
    assert_ne!(server.text(&address).await?, picture);
    Ok(())
}
