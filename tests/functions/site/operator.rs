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
