//! Posts by plain forms: the feed, writing, comments, votes, versions, reports, and what moderators do.

use crate::functions::channels::actions::grow_up;
use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::Person,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Writes a post by the form, and returns its page.
async fn write(browser: &Browser, title: &str, body: &str, tags: &str) -> Result<Page> {
    let form = browser.get("/posts/new").await?;
    let fields = [("title", title), ("body", body), ("tags", tags)];
    browser
        .submit(&form, "form[action='/posts']", &fields)
        .await
}

#[tokio::test]
async fn a_post_is_written_discussed_and_voted_on_without_scripts() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let grace = grace.browser(&server)?;
    let ada = Person::register(&server, "ada").await?.browser(&server)?;
    let empty = grace.get("/posts").await?;
    assert!(empty.has(".empty a[href='/posts/new']"));

    let page = write(&grace, "Two steps", "Hi **@ada**", "rust #web").await?;
    assert_eq!(
        (page.status, page.text("h1").as_str()),
        (StatusCode::OK, "Two steps")
    );
    assert_eq!(page.text(".post .text strong"), "@ada");
    assert_eq!(page.texts(".post .tag"), ["rust", "web"]);
    let description = page.attribute("meta[property='og:description']", "content");
    assert_eq!(description.as_deref(), Some("Hi @ada"));
    let path = page.path.clone();

    // Another visitor comments, is answered, and votes.
    let page = ada.get(&path).await?;
    let page = ada
        .submit(&page, "form.compose", &[("body", "First.")])
        .await?;
    assert_eq!(page.texts(".thread .text"), ["First."]);
    let first = page
        .attribute(".thread .under a[href$='/answer']", "href")
        .context("a link to answer")?;
    let form = grace.get(&first).await?;
    let page = grace
        .submit(&form, "form.compose", &[("body", "Second.")])
        .await?;
    assert_eq!(page.texts(".thread .text"), ["First.", "Second."]);
    assert_eq!(
        page.attribute(".thread li[aria-current]", "data-depth")
            .as_deref(),
        Some("1")
    );
    let page = ada.get(&path).await?;
    let page = ada
        .submit(&page, ".post form.votes", &[("value", "1")])
        .await?;
    assert_eq!(
        (page.path.as_str(), page.text(".post output").as_str()),
        (path.as_str(), "1")
    );
    // The chosen button takes the vote back.
    assert_eq!(
        page.attribute(".post .vote[aria-pressed=true]", "value")
            .as_deref(),
        Some("0")
    );

    // It is in the feed with its counts, for strangers too, and they are led to sign in.
    let stranger = Browser::open(&server)?;
    let feed = stranger.get("/posts?sort=new").await?;
    assert_eq!(feed.texts(".posts h2 bdi"), ["Two steps"]);
    assert!(feed.text(".posts .meta").contains("2 comments") && !feed.has("form.votes"));
    let page = stranger.get(&path).await?;
    assert_eq!(page.texts(".thread .text"), ["First.", "Second."]);
    assert!(!page.has("form.compose") && page.has("#comments a[href^='/sign-in?next=']"));
    let page = stranger.get("/posts/new").await?;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.has("a[href='/sign-in?next=%2Fposts%2Fnew']"));
    assert_eq!(
        stranger.get("/posts?tag=nothing").await?.texts(".posts h2"),
        [""; 0]
    );
    Ok(())
}

#[tokio::test]
async fn a_form_that_is_sent_twice_takes_effect_once() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let form = grace.get("/posts/new").await?;
    let (action, fields) = form.filled(
        "form[action='/posts']",
        &[("title", "Once"), ("body", "x"), ("tags", "")],
    )?;
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let (first, second) =
        tokio::try_join!(grace.post(&action, &fields), grace.post(&action, &fields))?;
    // The second may be told that the first is under way, but it never makes another post.
    for page in [&first, &second] {
        assert!(
            page.text("h1") == "Once" || page.status == StatusCode::CONFLICT,
            "{}",
            page.html
        );
    }
    let third = grace.post(&action, &fields).await?;
    assert_eq!(third.text("h1"), "Once");
    assert_eq!(grace.get("/posts").await?.texts(".posts h2 bdi"), ["Once"]);
    Ok(())
}

#[tokio::test]
async fn what_was_typed_is_kept_when_a_form_fails() -> Result<()> {
    let server = Server::start().await?;
    let person = Person::register(&server, "grace").await?;
    let grace = person.browser(&server)?;
    // A field is refused: the reason stands beside it.
    let page = write(&grace, " ", "A long text", "a").await?;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!page.text("#title-error").is_empty(), "{}", page.html);
    assert_eq!(page.text("textarea#body"), "A long text");
    // Without the session's token, and with that of another session.
    for csrf in ["", "nonsense"] {
        let fields = [("csrf", csrf), ("title", "T"), ("body", "A long text")];
        let page = grace.post("/posts", &fields).await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(page.text("textarea#body"), "A long text");
        // The form that is shown is good: one click sends it.
        let page = grace.submit(&page, "form.compose", &[]).await?;
        assert_eq!(
            (page.status, page.text("h1").as_str()),
            (StatusCode::OK, "T")
        );
    }
    // The session ends while a comment is written.
    let page = write(&grace, "Post", "x", "").await?;
    let (action, fields) = page.filled("form.compose", &[("body", "My two thousand words")])?;
    let ended = person.request(&server, "DELETE", "/api/sessions");
    assert_eq!(ended.send().await?.status(), 204);
    let fields: Vec<_> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    // Each function may know an ended session for two seconds; the key makes one comment of all tries until then. What
    // answers the form itself stands at its address; a comment that was still taken leads to the post.
    let deadline = Instant::now() + Duration::from_secs(30);
    let page = loop {
        let page = grace.post(&action, &fields).await?;
        let is_refused = page.path == action && page.status == StatusCode::UNAUTHORIZED;
        if is_refused || Instant::now() > deadline {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(page.text("textarea#body"), "My two thousand words");
    assert!(page.has("main a[href^='/sign-in?next=']"));
    Ok(())
}

#[tokio::test]
async fn posts_are_edited_struck_out_and_deleted() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let page = write(&grace, "Secret", "hunter-2", "").await?;
    let path = page.path.clone();
    let form = grace.get(&format!("{path}/edit")).await?;
    assert_eq!(form.text("textarea#body"), "hunter-2");
    let (action, stale) = form.filled("form.compose", &[("body", "too late")])?;
    let page = grace
        .submit(&form, "form.compose", &[("body", "nothing")])
        .await?;
    assert_eq!(page.text(".post .text"), "nothing");
    // Whoever edits an older version is told, and keeps the text.
    let stale: Vec<_> = stale
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .filter(|(n, _)| *n != "key")
        .collect();
    let page = grace.post(&action, &stale).await?;
    assert_eq!(
        (page.status, page.text("textarea#body").as_str()),
        (StatusCode::CONFLICT, "too late")
    );
    let page = grace.get(&format!("{path}/revisions")).await?;
    assert_eq!(page.all("ol.rows > li").len(), 2);
    let page = grace
        .submit(&page, "form[action$='/revisions/1']", &[])
        .await?;
    assert!(page.html.contains("Struck out") && !page.html.contains("hunter-2"));
    let ada = Person::register(&server, "ada").await?.browser(&server)?;
    assert_eq!(
        ada.get(&format!("{path}/revisions")).await?.status,
        StatusCode::FORBIDDEN
    );
    let page = grace.get(&path).await?;
    let page = grace.submit(&page, "form[action$='/delete']", &[]).await?;
    assert_eq!(page.path, "/posts");
    assert_eq!(grace.get(&path).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn moderators_hide_and_others_report() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let ada = Person::register(&server, "ada").await?.browser(&server)?;
    let page = write(&grace, "Rude", "rude", "").await?;
    let path = page.path.clone();
    let page = ada.get(&path).await?;
    assert!(!page.has("form[action$='/moderation']"));
    let report = page
        .attribute(".post a[href^='/report']", "href")
        .context("a link to report")?;
    let form = ada.get(&report).await?;
    let page = ada
        .submit(&form, "form[action='/report']", &[("reason", "rude")])
        .await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    let admin = Person::register(&server, "mia").await?;
    let admin = admin.into_admin(&server).await?;
    let reports: Value = admin
        .request(&server, "GET", "/api/reports")
        .send()
        .await?
        .json()
        .await?;
    assert_eq!(reports["items"][0]["reason"], "rude", "{reports:#}");
    let admin = admin.browser(&server)?;
    let page = admin.get(&path).await?;
    let fields = [("action", "hide"), ("reason", "rude indeed")];
    let page = admin
        .submit(&page, ".post form[action$='/moderation']", &fields)
        .await?;
    assert!(page.html.contains("rude indeed"), "{}", page.html);
    assert_eq!(ada.get(&path).await?.status, StatusCode::NOT_FOUND);
    assert!(grace.get(&path).await?.html.contains("rude indeed"));
    Ok(())
}

#[tokio::test]
async fn a_long_thread_is_read_page_by_page_and_led_into() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    grow_up(&server).await?;
    let post: Value = grace
        .request(&server, "POST", "/api/posts")
        .json(&json!({"title": "Long", "body": "x"}))
        .send()
        .await?
        .json()
        .await?;
    let path = format!("/posts/{}", post["id"].as_str().context("an id")?);
    let mut last = String::new();
    for number in 0..60 {
        let comment = json!({"body": format!("c{number}")});
        let answer = grace
            .request(&server, "POST", &format!("/api{path}/comments"))
            .json(&comment);
        let comment: Value = answer.send().await?.json().await?;
        last = comment["id"]
            .as_str()
            .with_context(|| comment.to_string())?
            .to_owned();
    }
    let stranger = Browser::open(&server)?;
    let page = stranger.get(&path).await?;
    assert_eq!(page.all(".thread > li").len(), 50);
    let next = page.attribute("a[rel=next]", "href").context("more")?;
    let page = stranger.get(&next).await?;
    assert_eq!(
        page.texts(".thread .text").last().map(String::as_str),
        Some("c59")
    );
    let page = stranger.get(&format!("/comments/{last}")).await?;
    assert!(page.has(&format!("li[id='comment-{last}'][aria-current]")));
    assert!(page.has("a[rel=prev]"));
    Ok(())
}

#[tokio::test]
async fn scripts_get_parts_and_previews() -> Result<()> {
    let server = Server::start().await?;
    let person = Person::register(&server, "grace").await?;
    let page = write(&person.browser(&server)?, "Part", "x", "").await?;
    let send = |path: String, body: String| {
        let request = server
            .http
            .post(format!("{}{path}", server.url))
            .header("cookie", &person.cookie)
            .header("hx-request", "true");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send()
    };
    let csrf = &person.csrf;
    let vote = send(
        format!("{}/vote", page.path),
        format!("value=1&csrf={csrf}"),
    )
    .await?;
    assert_eq!(vote.status(), 200);
    let vote = vote.text().await?;
    assert!(
        vote.starts_with("<form class=\"votes\"") && vote.contains(">1<"),
        "{vote}"
    );
    let body = "body=**Hi**%20%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let preview = send("/parts/preview".into(), format!("{body}&csrf={csrf}")).await?;
    assert_eq!(preview.status(), 200);
    let preview = preview.text().await?;
    assert!(
        preview.contains("<strong>Hi</strong>") && !preview.contains("<script"),
        "{preview}"
    );
    let refused = send("/parts/preview".into(), body.into()).await?;
    assert_eq!(refused.status(), 403);
    Ok(())
}

#[tokio::test]
async fn the_page_after_a_form_tells_that_its_draft_was_sent() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?.browser(&server)?;
    let draft = "0192f5c0-0000-7000-8000-00000000cafe";
    let form = grace.get("/posts/new").await?;
    let send = async |page: &Page, form: &str, fields: &[(&str, &str)]| {
        let (action, sent) = page.filled(form, fields)?;
        let mut sent: Vec<_> = sent.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        sent.push(("draft", draft));
        grace.post(&action, &sent).await
    };
    let refused = send(&form, "form.compose", &[("title", ""), ("body", "x")]).await?;
    assert_eq!(
        (refused.status, refused.path.as_str()),
        (StatusCode::UNPROCESSABLE_ENTITY, "/posts")
    );
    let written = send(&form, "form.compose", &[("title", "T"), ("body", "x")]).await?;
    let post = written.path.strip_suffix(&format!("?sent={draft}"));
    let post = post.with_context(|| written.path.clone())?;
    let commented = send(&written, "form.compose", &[("body", "First.")]).await?;
    let mark = format!("&sent={draft}#comment-");
    assert!(commented.path.contains(&mark), "{}", commented.path);
    let edit = grace.get(&format!("{post}/edit")).await?;
    let edited = send(&edit, "form.compose", &[("body", "y")]).await?;
    assert_eq!(edited.path, format!("{post}?sent={draft}"));

    // What is too large is on the page before, to which the failure leads.
    let large = format!("body={}", "x".repeat(1_500_000));
    let answer = server.http.post(format!("{}/posts", server.url));
    let answer = answer
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("referer", format!("{}/posts/new", server.url))
        .body(large);
    let answer = answer.send().await?;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let page = answer.text().await?;
    assert!(
        page.contains("<a href=\"/posts/new\">Go back</a>"),
        "{page}"
    );
    Ok(())
}
