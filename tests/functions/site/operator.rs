//! The operator's pages in a browser without scripts.

use anyhow::{Context, Result};
use e2e::{Server, people::Person};
use reqwest::StatusCode;
use uuid::Uuid;

pub const ADMIN: [&str; 5] = [
    "/admin",
    "/admin/accounts",
    "/admin/audit",
    "/admin/reports",
    "/admin/reviews",
];

#[tokio::test]
async fn others_find_no_pages_of_the_operator() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    let browser = grace.browser(&server)?;
    for path in ADMIN {
        assert_eq!(
            browser.get(path).await?.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let page = browser.get("/settings").await?;
    assert!(!page.has(".rail a[href='/admin']"));
    let csrf = page
        .attribute("input[name=csrf]", "value")
        .context("a token")?;
    for (path, fields) in [
        (
            format!("/admin/accounts/{}/roles", grace.id),
            [("role admin", "true"), ("csrf", csrf.as_str())],
        ),
        (
            format!("/admin/reports/{}", Uuid::nil()),
            [("resolution", "x"), ("csrf", csrf.as_str())],
        ),
        (
            format!("/admin/reviews/{}", Uuid::nil()),
            [("verdict", "approve"), ("csrf", csrf.as_str())],
        ),
    ] {
        let page = browser.post(&path, &fields).await?;
        assert!(page.status.is_client_error(), "{path}: {}", page.status);
    }
    let (_, me) = grace.get(&server, "/api/users/me").await?;
    let me = me.to_string();
    assert!(me.contains("grace"), "{me}");
    assert!(!me.contains("\"admin\""), "{me}");
    Ok(())
}

#[tokio::test]
async fn an_admin_gives_roles_suspends_and_reads_the_trail() -> Result<()> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let alan = Person::register(&server, "alan").await?;
    let browser = admin.browser(&server)?;
    let page = browser.get("/admin/accounts?query=al").await?;
    assert_eq!(page.texts(".rows a"), ["alan"]);
    let own = format!("/admin/accounts/{}", alan.id);
    let page = browser.get(&own).await?;
    let roles = format!("form[action='{own}/roles']");
    let page = browser
        .submit(&page, &roles, &[("role developer", "true")])
        .await?;
    assert!(
        page.has("[name='role developer'][checked]"),
        "{}",
        page.html
    );
    let status = format!("form[action='{own}/status']");
    let page = browser
        .submit(&page, &status, &[("reason", "<i>spam</i>")])
        .await?;
    assert!(page.text("h1").contains("suspended"), "{}", page.html);
    let page = browser
        .get(&format!(
            "/admin/audit?subject={}&actor={}",
            alan.id, admin.id
        ))
        .await?;
    assert!(page.all("tbody tr").len() >= 2, "{}", page.html);
    assert!(page.text("tbody").contains("grace") && !page.has("tbody i"));
    assert_eq!(
        page.attribute("#subject", "value"),
        Some(alan.id.to_string())
    );
    let page = browser
        .get("/admin/audit?allowed=false&since=2020-01-01")
        .await?;
    assert!(page.status.is_success() && page.has("#allowed option[value=false][selected]"));
    assert!(browser.get("/admin").await?.has(".rail a[href='/admin']"));
    Ok(())
}

#[tokio::test]
async fn a_moderator_resolves_reports() -> Result<()> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let alan = Person::register(&server, "alan").await?;
    let post = serde_json::json!({"title": "A post", "body": "<u>spam</u>"});
    let post: serde_json::Value = admin
        .request(&server, "POST", "/api/posts")
        .json(&post)
        .send()
        .await?
        .json()
        .await?;
    let report = serde_json::json!({"target": format!("post:{}", post["id"].as_str().context("an id")?), "reason": "It is <b>spam</b>"});
    assert_eq!(
        alan.request(&server, "POST", "/api/reports")
            .json(&report)
            .send()
            .await?
            .status(),
        201
    );
    let browser = admin.browser(&server)?;
    let overview = browser.get("/admin").await?;
    assert!(overview.text("main").contains("spam") && !overview.has(".rows b"));
    let page = browser.get("/admin/reports").await?;
    assert!(
        page.text(".kept-text").contains("<u>spam</u>") && !page.has(".rows b, .rows u"),
        "{}",
        page.html
    );
    let page = browser
        .submit(&page, ".rows form", &[("resolution", "Thank you")])
        .await?;
    assert!(page.has(".empty"), "{}", page.html);
    let page = browser.get("/admin/reports?state=resolved").await?;
    assert!(page.text(".rows").contains("Thank you"));
    Ok(())
}

#[tokio::test]
async fn an_admin_mends_webhooks_and_jobs_of_everybody() -> Result<()> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let alan = Person::register(&server, "alan").await?;
    let mut database = server.database.connect().await?;
    let hook: Uuid = sqlx::query_scalar(
        "insert into webhooks.webhook (owner_id, url, topics, subscription, failing_since, failures, disabled)
         values ($1, 'https://hooks.example/secret-path?key=secret', '{account:me}', gen_random_uuid(), now(), 7, 'failing')
         returning id",
    )
    .bind(alan.id)
    .fetch_one(&mut database)
    .await?;
    let job: Uuid = sqlx::query_scalar(
        "insert into jobs.job (kind, owner_id, max_attempts, status, error, finished_at)
         values ('skill-review', $1, 1, 'dead', 'It broke.', now()) returning id",
    )
    .bind(alan.id)
    .fetch_one(&mut database)
    .await?;
    let listed = alan
        .request(&server, "GET", "/api/webhooks/failing")
        .send()
        .await?;
    assert_eq!(listed.status(), StatusCode::FORBIDDEN);
    let other = alan.browser(&server)?;
    for path in [
        format!("/admin/webhooks/{hook}/enable"),
        format!("/admin/jobs/{job}/retry"),
    ] {
        let token = other.get("/settings").await?;
        let csrf = token
            .attribute("input[name=csrf]", "value")
            .context("a token")?;
        let page = other.post(&path, &[("csrf", csrf.as_str())]).await?;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }

    let browser = admin.browser(&server)?;
    let page = browser.get("/admin").await?;
    let shown = page.text("main");
    for text in ["https://hooks.example", "alan", "skill-review", "It broke."] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains("secret"), "{shown}");
    let heading = page.texts("main h2").into_iter().next();
    assert_eq!(heading.as_deref(), Some("Health"));
    let form = format!("form[action='/admin/webhooks/{hook}/enable']");
    let page = browser.submit(&page, &form, &[]).await?;
    assert!(!page.has(&form), "{}", page.html);
    let form = format!("form[action='/admin/jobs/{job}/retry']");
    let page = browser.submit(&page, &form, &[]).await?;
    assert!(
        page.status.is_success() && !page.has(&form),
        "{}",
        page.html
    );
    let mended: (bool, bool) = sqlx::query_as(
        "select (select disabled is null and failing_since is null from webhooks.webhook where id = $1),
                (select status <> 'dead' from jobs.job where id = $2)",
    )
    .bind(hook)
    .bind(job)
    .fetch_one(&mut database)
    .await?;
    assert_eq!(mended, (true, true));
    let enable = format!("/api/webhooks/{hook}/enable");
    let answer = admin.request(&server, "POST", &enable).send().await?;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer = answer.text().await?;
    assert!(!answer.contains("secret"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_moderator_acts_on_messages_of_conversations_of_others() -> Result<()> {
    let server = Server::start().await?;
    let admin = Person::register(&server, "grace")
        .await?
        .into_admin(&server)
        .await?;
    let alan = Person::register(&server, "alan").await?;
    let ada = Person::register(&server, "ada").await?;
    let to = serde_json::json!({ "to": ["ada"] });
    let (_, direct) = alan.send(&server, "POST", "/api/dms", &to).await?;
    let messages = format!(
        "/api/channels/{}/messages",
        direct["id"].as_str().context("an id")?
    );
    let said = serde_json::json!({ "body": "an insult" });
    let (_, said) = alan.send(&server, "POST", &messages, &said).await?;
    let id = said["id"].as_str().context("an id")?;
    let report = serde_json::json!({ "target": format!("message:{id}"), "reason": "rude" });
    let reported = ada.send(&server, "POST", "/api/reports", &report).await?;
    assert_eq!(reported.0, 201, "{reported:?}");

    let browser = admin.browser(&server)?;
    let message = format!("{messages}/{id}");
    let act = "form[action$='/message']";
    let mut page = browser.get("/admin/reports").await?;
    for (action, body) in [("hide", None), ("restore", Some("an insult"))] {
        let fields = [("action", action), ("reason", "rude")];
        page = browser.submit(&page, act, &fields).await?;
        assert_eq!(page.status, StatusCode::OK, "{}", page.html);
        assert!(page.path.starts_with("/admin/reports"), "{}", page.path);
        assert!(page.has("main [role=status]"), "{}", page.html);
        let (_, seen) = ada.get(&server, &message).await?;
        assert_eq!(seen["body"].as_str(), body, "{action}: {seen:#}");
    }
    let delete = format!(".confirm {act}");
    let page = browser.submit(&page, &delete, &[]).await?;
    assert!(
        page.text("main [role=status]").contains("deleted"),
        "{}",
        page.html
    );
    let (_, seen) = ada.get(&server, &message).await?;
    assert_eq!(seen["deleted"], true, "{seen:#}");
    let fields = [("action", "hide"), ("reason", "rude")];
    let page = browser.submit(&page, act, &fields).await?;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(
        page.has("[role=alert]") && page.has(act),
        "the reports are shown again: {}",
        page.html
    );
    Ok(())
}
