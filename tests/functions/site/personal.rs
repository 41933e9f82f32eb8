//! Settings, inbox and jobs in a browser without scripts.

use super::operator::ADMIN;
use anyhow::{Context, Result};
use e2e::{
    Server,
    browser::{Browser, Page},
    people::{PASSWORD, Person},
};
use reqwest::StatusCode;
use uuid::Uuid;

const PAGES: [&str; 15] = [
    "/models",
    "/models/chat",
    "/models/limits",
    "/models/providers",
    "/models/usage",
    "/secrets",
    "/settings",
    "/inbox",
    "/approvals",
    "/jobs",
    "/memory",
    "/channels",
    "/channels/new",
    "/admin",
    "/admin/accounts",
];

#[tokio::test]
async fn pages_of_accounts_lead_strangers_to_the_sign_in_and_are_kept_by_nobody() -> Result<()> {
    let server = Server::start().await?;
    let stranger = Browser::open(&server)?;
    let admin = Person::register(&server, "grace").await?;
    let admin = admin.into_admin(&server).await?.browser(&server)?;
    for path in PAGES.iter().chain(&ADMIN) {
        let page = stranger.get(path).await?;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
        let next = format!(
            ".failure a[href='/sign-in?next={}']",
            path.replace('/', "%2F")
        );
        assert!(page.has(&next), "{path}: {}", page.html);
        let page = admin.get(path).await?;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
        assert_eq!(page.headers["cache-control"], "private, no-store", "{path}");
        check(&page, path);
        for script in page.all("script[src]") {
            let address = script.attr("src").unwrap_or_default();
            let status = server.get(address).await?.status();
            assert_eq!(status, StatusCode::OK, "{address} on {path}");
        }
    }
    Ok(())
}

/// What every page keeps to.
fn check(page: &Page, path: &str) {
    for selector in [
        "style",
        "[style]",
        "script:not([src])",
        "[onclick]",
        "iframe",
    ] {
        assert!(!page.has(selector), "{selector} on {path}");
    }
    assert!(page.has("main h1"), "a heading on {path}");
    let ids: Vec<_> = page
        .all("[id]")
        .iter()
        .filter_map(|one| one.attr("id"))
        .map(str::to_owned)
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(
        ids.len(),
        unique.len(),
        "an id is there twice on {path}: {ids:?}"
    );
    for input in page.all("input:not([type=hidden]), textarea, select") {
        let label = input
            .attr("id")
            .is_some_and(|id| page.has(&format!("label[for='{id}']")));
        let parent = input
            .parent()
            .and_then(|parent| parent.value().as_element());
        let inside = parent.is_some_and(|parent| parent.name() == "label");
        assert!(
            label || inside || input.attr("aria-label").is_some(),
            "{} on {path}",
            input.html()
        );
    }
}

#[tokio::test]
async fn settings_are_changed_without_scripts() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    Person::register(&server, "alan").await?;
    let browser = grace.browser(&server)?;
    let page = browser.get("/settings").await?;
    let hostile = "</textarea><script>alert(1)</script>";
    let page = browser
        .submit(
            &page,
            "form[action='/settings/profile']",
            &[("description", hostile)],
        )
        .await?;
    assert_eq!(
        (page.path.as_str(), page.text("#description")),
        ("/settings#profile", hostile.to_owned())
    );
    assert!(!page.has("main script"));

    let fields = [
        ("name", "ci"),
        ("scope social:write", "true"),
        ("lasts", "30"),
    ];
    let made = browser
        .submit(&page, "form[action='/settings/keys']", &fields)
        .await?;
    let key = made.text("pre code");
    let request = server
        .http
        .get(format!("{}/api/users/me", server.url))
        .bearer_auth(&key);
    assert_eq!(request.send().await?.status(), 200, "{}", made.html);
    let page = browser.get("/settings").await?;
    assert!(!page.html.contains(&key), "it is shown once");
    let page = browser
        .submit(&page, "form[action^='/settings/keys/']", &[])
        .await?;
    assert!(!page.has("form[action^='/settings/keys/']"));

    let page = browser
        .submit(
            &page,
            "form[action='/settings/blocks']",
            &[("account", "alan"), ("how", "mute")],
        )
        .await?;
    assert!(
        page.text("#blocks .rows").contains("muted"),
        "{}",
        page.html
    );
    let page = browser
        .submit(&page, "form[action^='/settings/blocks/']", &[])
        .await?;
    assert!(!page.has("form[action^='/settings/blocks/']"));

    let csrf = page
        .attribute("input[name=csrf]", "value")
        .context("a token")?;
    let page = browser
        .post(
            "/settings/notifications",
            &[
                ("csrf", &csrf),
                ("known job", "true"),
                ("known mention", "true"),
                ("inbox mention", "true"),
            ],
        )
        .await?;
    assert!(
        page.has("[name='inbox mention'][checked]") && !page.has("[name='inbox job'][checked]")
    );

    let other = Person::sign_in(&server, &grace.email, PASSWORD).await?;
    let page = browser.get("/settings").await?;
    browser
        .submit(&page, "form[action^='/settings/sessions/']", &[])
        .await?;
    let page = browser.get("/settings").await?;
    assert!(page.text("#sessions").contains("this one"), "{}", page.html);
    let fields = [
        ("current_password", PASSWORD),
        ("password", "another few random words"),
    ];
    let page = browser
        .submit(&page, "form[action='/settings/password']", &fields)
        .await?;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    let request = Browser::open(&server)?;
    let (name, value) = other.cookie.split_once('=').context("a cookie")?;
    request.keep(name, value);
    assert!(
        !request.get("/").await?.has("form[action='/sign-out']"),
        "all other sessions end"
    );
    Ok(())
}

#[tokio::test]
async fn leaving_asks_for_the_name() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    let page = browser.get("/settings").await?;
    let leave = "form[action='/settings/leave']";
    let page = browser
        .submit(&page, leave, &[("leaver", "alan"), ("password", PASSWORD)])
        .await?;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.has("#leave [role=alert]"));
    let page = browser
        .submit(&page, leave, &[("leaver", "grace"), ("password", PASSWORD)])
        .await?;
    assert_eq!(
        (page.path.as_str(), browser.cookie("__Host-gather-session")),
        ("/", None)
    );
    let given = serde_json::json!({"email": grace.email, "password": PASSWORD});
    assert_eq!(server.post("/api/sessions", &given).await?.status(), 401);
    Ok(())
}

#[tokio::test]
async fn forms_without_their_token_change_nothing() -> Result<()> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let browser = admin.browser(&server)?;
    let id = Uuid::nil();
    for path in [
        "/settings/profile".to_owned(),
        "/settings/verification".to_owned(),
        "/settings/sessions".to_owned(),
        "/settings/password".to_owned(),
        "/settings/second-factor".to_owned(),
        "/settings/second-factor/remove".to_owned(),
        "/settings/keys".to_owned(),
        "/settings/blocks".to_owned(),
        "/settings/notifications".to_owned(),
        "/settings/leave".to_owned(),
        "/inbox/mark".to_owned(),
        format!("/settings/sessions/{id}"),
        format!("/settings/keys/{id}"),
        format!("/settings/passkeys/{id}"),
        format!("/settings/blocks/{id}"),
        format!("/jobs/{id}/cancel"),
        format!("/jobs/{id}/retry"),
        format!("/admin/accounts/{}/roles", admin.id),
        format!("/admin/accounts/{}/status", admin.id),
        format!("/admin/reports/{id}"),
        format!("/admin/reviews/{id}"),
    ] {
        let page = browser
            .post(&path, &[("id", &id.to_string()), ("account", "alan")])
            .await?;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn items_are_read_and_archived_and_approvals_decided() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    let mut database = server.database.connect().await?;
    let told =
        "select inbox.notify($1, 'mention', '<b>Something</b>', $2, '/somewhere', null, null)";
    for text in ["one", "<script>two</script>"] {
        sqlx::query(told)
            .bind(vec![grace.id])
            .bind(text)
            .execute(&mut database)
            .await?;
    }
    let page = browser.get("/inbox").await?;
    assert_eq!(
        page.all(".inbox [data-unread=true], .inbox > [data-unread=true]")
            .len(),
        2
    );
    assert!(!page.has(".inbox script") && !page.has(".inbox .title b"));
    let mark = ".inbox form[action='/inbox/mark']";
    let page = browser.submit(&page, mark, &[("what", "archive")]).await?;
    assert_eq!(page.all(".inbox > li").len(), 1, "{}", page.html);
    let page = browser.submit(&page, ".head form", &[]).await?;
    assert!(!page.has("[data-unread=true]"));
    let page = browser.get("/inbox?state=archived").await?;
    let page = browser.submit(&page, mark, &[("what", "restore")]).await?;
    assert_eq!(page.path, "/inbox?state=archived");

    let ask = "select inbox.ask('turn:1', 'May <it> run?', 'rm -rf <all>', 'sha256:1', $1, clock_timestamp() + interval '1 hour', null, 1, null, false)";
    for decision in ["approve", "deny"] {
        let id: Uuid = sqlx::query_scalar(ask)
            .bind(vec![grace.id])
            .fetch_one(&mut database)
            .await?;
        let page = browser.get("/inbox").await?;
        assert_eq!(page.texts(".approval .detail"), ["rm -rf <all>"]);
        let buttons = page.all(".approval button[name=decision]");
        let classes: Vec<_> = buttons.iter().map(|button| button.attr("class")).collect();
        assert!(
            classes.len() == 2 && classes[0] == classes[1],
            "both answers look alike: {classes:?}"
        );
        let form = format!(".approval form[action='/approvals/{id}']");
        let page = browser
            .submit(&page, &form, &[("decision", decision)])
            .await?;
        assert_eq!(page.path, format!("/approvals/{id}"));
        let state = if decision == "approve" {
            "approved"
        } else {
            "denied"
        };
        assert_eq!(page.text(".approval > p .status"), state, "{}", page.html);
        let again = browser
            .post(
                &format!("/approvals/{id}"),
                &[
                    ("csrf", &grace.csrf),
                    ("decision", "deny"),
                    ("digest", "sha256:1"),
                ],
            )
            .await?;
        assert_eq!(again.status, StatusCode::CONFLICT);
        assert!(again.has("[role=alert]"));
    }
    Ok(())
}

#[tokio::test]
async fn jobs_are_shown_cancelled_and_retried() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let browser = grace.browser(&server)?;
    let mut database = server.database.connect().await?;
    let id: Uuid = sqlx::query_scalar("select jobs.enqueue('errand', '{}', $1)")
        .bind(grace.id)
        .fetch_one(&mut database)
        .await?;
    let page = browser.get("/jobs?status=queued").await?;
    assert!(
        page.has(&format!(".rows a[href='/jobs/{id}']")),
        "{}",
        page.html
    );
    let page = browser.get(&format!("/jobs/{id}")).await?;
    assert_eq!(
        page.attribute(".live-job", "hx-get"),
        Some(format!("/parts/jobs/{id}"))
    );
    let page = browser
        .submit(&page, "form[action$='/cancel']", &[])
        .await?;
    assert_eq!(page.text(".live-job .status"), "cancelled");
    assert!(
        !page.has("[hx-get^='/parts/jobs']"),
        "what has ended is not asked for again"
    );
    let part = browser.get(&format!("/parts/jobs/{id}")).await?;
    assert!(part.has(".live-job") && !part.has("nav.rail"));
    // Jobs of others are nobody's business.
    let alan = Person::register(&server, "alan").await?.browser(&server)?;
    assert_eq!(
        alan.get(&format!("/jobs/{id}")).await?.status,
        StatusCode::NOT_FOUND
    );
    Ok(())
}
