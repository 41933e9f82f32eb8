//! The landing page, and that what it says is so.

use anyhow::Result;
use e2e::{Server, browser::Browser, people::Person};
use serde_json::json;
use std::process::Stdio;
use tokio::process::Command;

#[tokio::test]
async fn a_fresh_server_invites() -> Result<()> {
    let server = Server::start().await?;
    let page = Browser::open(&server)?.get("/").await?;
    assert_eq!(page.status, 200);
    for action in ["/channels", "/posts/new", "/publish", "/sign-up"] {
        assert!(page.has(&format!("main a[href='{action}']")), "{action}");
    }
    assert_eq!(page.all(".numbers dd").len(), 3);
    assert!(
        page.text(".strip").contains("new"),
        "{}",
        page.text(".strip")
    );
    assert!(
        page.attribute("meta[property='og:description']", "content")
            .is_some()
    );
    Ok(())
}

#[tokio::test]
async fn the_lines_for_agents_work_as_they_are_printed() -> Result<()> {
    let server = Server::start().await?;
    let page = Browser::at(&server.url)?.get("/").await?;
    let lines = page.text("section[aria-labelledby=builder] code");
    assert_eq!(lines.lines().count(), 4, "{lines}");
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &lines])
        .current_dir(folder.path());
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let text = String::from_utf8(output.stdout)?;
    assert!(
        output.status.success() && text.contains("\"public_key\"") && text.contains("\"items\""),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn what_happens_is_shown_to_those_who_may_see_it() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let title = "<b>Two steps</b> & \"more\"";
    let post = json!({"title": title, "body": "…"});
    let answer = grace
        .request(&server, "POST", "/api/posts")
        .json(&post)
        .send()
        .await?;
    assert_eq!(answer.status(), 201);
    let page = grace.browser(&server)?.get("/").await?;
    assert!(
        page.texts(".strip bdi").iter().any(|text| text == title),
        "{}",
        page.html
    );
    assert!(
        page.texts("section[aria-labelledby=read] bdi")
            .iter()
            .any(|text| text == title)
    );
    let part = grace.browser(&server)?.get("/parts/now").await?;
    assert!(
        !part.html.contains("<html") && part.html.contains("&lt;b&gt;Two steps"),
        "{}",
        part.html
    );
    assert_eq!(part.headers["cache-control"], "private, no-store");
    Ok(())
}

/// The visitor's address reaches the functions behind the page: their limits count for the visitor.
#[tokio::test]
async fn functions_see_the_visitor_and_not_the_site() -> Result<()> {
    let server = Server::start().await?;
    let request = server.http.get(format!("{}/", server.url));
    let request = request.header("x-forwarded-for", "203.0.113.9");
    assert_eq!(request.send().await?.status(), 200);
    let tiers: Vec<String> = sqlx::query_scalar(
        "select bucket from identity.allowance where bucket like '%203.0.113.9%'",
    )
    .fetch_all(&mut server.database.connect().await?)
    .await?;
    // The page itself has a relaxed limit; the lists that it is made of have the standard one.
    assert!(
        tiers.iter().any(|bucket| bucket.starts_with("standard")),
        "{tiers:?}"
    );
    Ok(())
}
