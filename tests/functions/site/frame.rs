//! What all pages have: frame, headers, files, forms, and failures as pages.

use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::Person,
};
use reqwest::StatusCode;
use std::time::{Duration, Instant};

/// Pages that everybody may read.
const PUBLIC: [&str; 9] = [
    "/posts",
    "/skills",
    "/search?query=a",
    "/status",
    "/",
    "/docs",
    "/design",
    "/problems/not-found",
    "/no/such/page",
];

fn header<'a>(page: &'a Page, name: &str) -> &'a str {
    let value = page.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[tokio::test]
async fn pages_have_a_frame_and_a_policy_that_holds() -> Result<()> {
    let server = Server::start().await?;
    let stranger = Browser::open(&server)?;
    let visitor = Person::register(&server, "grace").await?.browser(&server)?;
    for path in PUBLIC {
        for (browser, cache) in [
            (&stranger, "private, no-cache"),
            (&visitor, "private, no-store"),
        ] {
            let page = browser.get(path).await?;
            let policy = header(&page, "content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
                "{path}: {policy}"
            );
            assert!(
                policy.contains("require-trusted-types-for"),
                "{path}: {policy}"
            );
            assert_eq!(header(&page, "x-content-type-options"), "nosniff", "{path}");
            // Refusals are never kept either.
            let cache = if page.status.is_success() {
                cache
            } else {
                "private, no-"
            };
            assert!(header(&page, "cache-control").starts_with(cache), "{path}");
            for selector in [
                "nav.rail a[href='/']",
                "main#main h1",
                "#search",
                "a.skip[href='#main']",
                "title",
            ] {
                assert!(page.has(selector), "{selector} on {path}");
            }
            for selector in [
                "style",
                "[style]",
                "script:not([src])",
                "[onclick]",
                "[hx-on]",
                "iframe",
            ] {
                assert!(!page.has(selector), "{selector} on {path}");
            }
            let foreign = page
                .all("[src], link[href], form[action]")
                .into_iter()
                .find(|element| {
                    let address = ["src", "href", "action"]
                        .into_iter()
                        .find_map(|name| element.attr(name));
                    !address.unwrap_or_default().starts_with('/')
                });
            assert!(
                foreign.is_none(),
                "{path}: {:?}",
                foreign.map(|element| element.html())
            );
            let ids: Vec<_> = page
                .all("[id]")
                .iter()
                .filter_map(|element| element.attr("id"))
                .collect();
            let mut unique = ids.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(
                ids.len(),
                unique.len(),
                "an id is there twice on {path}: {ids:?}"
            );
            let lacks_name = page
                .all("input:not([type=hidden]), textarea, select")
                .into_iter()
                .any(|input| {
                    let label = input
                        .attr("id")
                        .is_some_and(|id| page.has(&format!("label[for='{id}']")));
                    !label && input.attr("aria-label").is_none()
                });
            assert!(!lacks_name, "an input without a label on {path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_frame_knows_who_visits() -> Result<()> {
    let server = Server::start().await?;
    let stranger = Browser::open(&server)?.get("/docs?x=1").await?;
    assert_eq!(
        stranger.attribute(".enter a", "href").as_deref(),
        Some("/sign-in?next=%2Fdocs%3Fx%3D1")
    );
    let grace = Person::register(&server, "grace").await?;
    let page = grace.browser(&server)?.get("/docs").await?;
    assert_eq!(page.text(".menu summary > span:last-child"), "grace");
    assert_eq!(
        page.attribute("body", "data-account"),
        Some(grace.id.to_string())
    );
    assert_eq!(
        page.attribute(".menu input[name=csrf]", "value"),
        Some(grace.csrf.clone())
    );
    assert_eq!(
        page.attribute(".rail a[aria-current]", "href").as_deref(),
        Some("/docs")
    );
    // A session that has ended makes a stranger, and nothing of the account is shown.
    let browser = grace.browser(&server)?;
    let ended = grace
        .request(&server, "DELETE", "/api/sessions/current")
        .send()
        .await?;
    assert_eq!(ended.status(), 204);
    let deadline = Instant::now() + Duration::from_secs(10);
    let page = loop {
        let page = browser.get("/status").await?;
        if page.has(".enter") || Instant::now() > deadline {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(page.has(".enter"), "{}", page.html);
    assert!(!page.html.contains("grace"), "{}", page.html);
    Ok(())
}

#[tokio::test]
async fn files_are_kept_for_ever_and_compressed() -> Result<()> {
    let server = Server::start().await?;
    let page = Browser::open(&server)?.get("/").await?;
    let mut whole = page.html.len();
    let mut files: Vec<_> = page
        .all("script[src]")
        .iter()
        .filter_map(|s| s.attr("src"))
        .map(str::to_owned)
        .collect();
    files.push(
        page.attribute("link[rel=stylesheet]", "href")
            .context("a style sheet")?,
    );
    files.extend(page.attribute("link[rel=icon]", "href"));
    let version = files[0].split('/').nth(2).context("a version")?.to_owned();
    // What the scripts import.
    files.extend(
        ["keys", "palette", "forms", "times", "copy", "toast"]
            .map(|name| format!("/static/{version}/js/{name}.js")),
    );
    for path in &files {
        for (accept, encoding) in [("br, gzip", "br"), ("gzip", "gzip"), ("identity", "")] {
            let request = server.http.get(format!("{}{path}", server.url));
            let response = request.header("accept-encoding", accept).send().await?;
            assert_eq!(response.status(), 200, "{path}");
            let header = |name: &str| {
                response
                    .headers()
                    .get(name)
                    .and_then(|v| v.to_str().ok())
                    .unwrap_or_default()
                    .to_owned()
            };
            assert_eq!(
                header("cache-control"),
                "public, max-age=31536000, immutable",
                "{path}"
            );
            assert_eq!(header("vary"), "accept-encoding", "{path}");
            assert!(
                header("content-encoding") == encoding
                    || path.ends_with(".svg")
                    || path.contains("/js/"),
                "{path}"
            );
            if accept == "br, gzip" {
                whole += response.bytes().await?.len();
            }
        }
    }
    assert!(whole <= 60_000, "{whole} bytes for the landing page");
    // A page from before an update gets the present file, which is not kept.
    for path in [
        "/static/site.css".to_owned(),
        "/static/0123456789abcdef/site.css".to_owned(),
    ] {
        let response = server.get(&path).await?;
        assert_eq!(
            (
                response.status().as_u16(),
                response.headers()["cache-control"].to_str()?
            ),
            (200, "public, no-cache"),
            "{path}"
        );
        assert!(response.text().await?.contains("--accent"));
    }
    for path in [
        "/static/nothing.css",
        "/static/../Cargo.toml",
        "/static/%2e%2e/Cargo.toml",
    ] {
        assert_eq!(server.get(path).await?.status(), 404, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() -> Result<()> {
    let server = Server::start().await?;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = server
            .http
            .post(format!("{}/theme", server.url))
            .header(name, value);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let response = request.body("theme=dark").send().await?;
        assert_eq!(response.status(), 403, "{name}: {value}");
        assert!(!response.headers().contains_key("set-cookie"));
        assert!(response.text().await?.contains("<h1>"));
    }
    Ok(())
}

#[tokio::test]
async fn the_theme_is_chosen_without_scripts_and_leads_back_here() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open(&server)?;
    let page = browser.get("/design?a=b").await?;
    assert_eq!(page.attribute("html", "data-theme"), None);
    let page = browser
        .submit(&page, "form[action='/theme']", &[("theme", "dark")])
        .await?;
    assert_eq!(
        (
            page.path.as_str(),
            page.attribute("html", "data-theme").as_deref()
        ),
        ("/design?a=b", Some("dark"))
    );
    let page = browser
        .submit(&page, "form[action='/theme']", &[("theme", "system")])
        .await?;
    assert_eq!(page.attribute("html", "data-theme"), None);
    for elsewhere in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
    ] {
        let page = browser
            .post("/theme", &[("theme", "dark"), ("from", elsewhere)])
            .await?;
        assert_eq!(page.path, "/", "{elsewhere}");
    }
    Ok(())
}

#[tokio::test]
async fn failures_are_pages_that_say_what_next() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open(&server)?;
    let page = browser.get("/no/such/page").await?;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::NOT_FOUND, "Nothing here")
    );
    assert!(page.has(".failure a[href='/search']") && page.has(".failure code"));
    let page = browser.get("/problems/no-such-code").await?;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::NOT_FOUND, "Nothing here")
    );
    let page = browser.post("/docs", &[]).await?;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(page.has("nav.rail"));
    let large = "x".repeat(1 << 20);
    let page = browser.post("/theme", &[("theme", &large)]).await?;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "That is too large")
    );
    // Programs get problems as before.
    let response = server.get("/no/such/page").await?;
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    // A part of a page that fails is a message, not a page.
    let request = server
        .http
        .post(format!("{}/theme", server.url))
        .header("hx-request", "true");
    let response = request.header("origin", "null").body("").send().await?;
    assert_eq!(response.status(), 403);
    let text = response.text().await?;
    assert!(
        text.contains("role=\"alert\"") && !text.contains("<html"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_database_the_site_says_so() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    let database = server
        .database
        .admin
        .path()
        .trim_start_matches('/')
        .to_owned();
    let revoke = format!(
        "revoke connect on database \"{database}\" from public; revoke connect on database \"{database}\" from gather_accounts"
    );
    server.database.execute(&revoke).await?;
    let sever = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'gather_accounts' and datname = current_database()";
    server.database.execute(sever).await?;
    let page = browser.get("/docs").await?;
    assert_eq!(
        page.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        page.html
    );
    assert!(page.text("h1").contains("away"), "{}", page.html);
    assert!(!page.html.contains("gather_accounts"));
    Ok(())
}

#[tokio::test]
async fn an_address_that_no_header_has_is_not_followed() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let page = grace.get("/sign-in?next=/%C3%A4").await?;
    assert_eq!((page.status, page.path.as_str()), (StatusCode::OK, "/"));
    let chosen = grace.submit(&page, "form[action='/theme']", &[("from", "/ä")]);
    let page = chosen.await?;
    assert_eq!((page.status, page.path.as_str()), (StatusCode::OK, "/"));
    Ok(())
}
