//! What others wrote stays text on every page: names, titles, tags, descriptions, searches, schemas.

use crate::functions::channels::actions::grow_up;
use anyhow::Result;
use e2e::{
    Server,
    agents::Agent,
    browser::{Browser, Page},
    people::Person,
    publishing::{approved, manifest},
};
use serde_json::{Value, json};

/// Texts that become code where somebody forgets to escape.
const ATTACKS: [&str; 9] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "' onfocus='alert(1)' autofocus='",
    "<b hx-get=\"/x\" data-hx-on=\"click:alert(1)\" id=\"main\">b</b>",
    "<iframe srcdoc=\"<script>alert(1)</script>\"></iframe>",
    "<a href=\"javascript:alert(1)\">a</a>",
    "</title><script>alert(1)</script>",
    "{{7*7}} ${7*7} <%= 7*7 %>",
];

/// Nothing that others wrote has become an element or an attribute that acts.
fn check(page: &Page) {
    for selector in [
        "script:not([src^='/static/'])",
        "[onerror]",
        "[onload]",
        "[onfocus]",
        "[autofocus]",
        "iframe",
        "[srcdoc]",
        "main svg[onload]",
        "[href^='javascript:']",
        "[data-hx-on]",
        "[hx-get='/x']",
        "img:not(.avatar)",
    ] {
        let found: Vec<_> = page.all(selector).iter().map(|e| e.html()).collect();
        assert!(found.is_empty(), "{selector} on {}: {found:?}", page.path);
    }
    assert_eq!(page.all("#main").len(), 1, "{}", page.path);
}

#[tokio::test]
async fn texts_of_posts_and_comments_are_never_code() -> Result<()> {
    let server = Server::start().await?;
    let grace = Person::register(&server, "grace").await?;
    grow_up(&server).await?;
    let (visitor, stranger) = (grace.browser(&server)?, Browser::open(&server)?);
    for attack in ATTACKS {
        let new = json!({"title": attack.replace('\n', " "), "body": format!("{attack}\n\nend")});
        let post: Value = grace
            .request(&server, "POST", "/api/posts")
            .json(&new)
            .send()
            .await?
            .json()
            .await?;
        let path = format!("/posts/{}", post["id"].as_str().unwrap_or_default());
        let comment = json!({"body": format!("{attack} end")});
        let answer = grace
            .request(&server, "POST", &format!("/api{path}/comments"))
            .json(&comment);
        assert_eq!(answer.send().await?.status(), 201, "{attack}");
        for browser in [&visitor, &stranger] {
            let page = browser.get(&path).await?;
            check(&page);
            assert_eq!(page.text("h1"), attack, "as it was written");
            check(&browser.get("/posts?sort=new").await?);
            check(&browser.get("/").await?);
            let address = |path: &str, name: &str| {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                query.append_pair(name, attack);
                format!("{path}?{}", query.finish())
            };
            for page in [
                address("/posts", "tag"),
                address("/posts", "author"),
                address("/posts", "query"),
                address("/search", "query"),
                address("/search", "type"),
                address("/skills", "query"),
                address("/skills", "tag"),
                address("/report", "target"),
                address("/no/such", "path"),
            ] {
                check(&browser.get(&page).await?);
            }
        }
        let edit = visitor.get(&format!("{path}/edit")).await?;
        check(&edit);
        assert_eq!(edit.attribute("#title", "value").as_deref(), Some(attack));
        check(&visitor.get(&format!("{path}/revisions")).await?);
        // What a form sends back is as harmless.
        let again = visitor
            .post(
                "/posts",
                &[("title", attack), ("body", attack), ("tags", attack)],
            )
            .await?;
        assert_eq!(again.status, 403);
        check(&again);
        assert_eq!(again.text("textarea#body"), attack);
    }
    Ok(())
}

#[tokio::test]
async fn texts_of_skills_and_profiles_are_never_code() -> Result<()> {
    let server = Server::start().await?;
    let ada = Agent::sign_in(&server, "ada", 1).await?;
    let grace = Person::register(&server, "grace").await?;
    let visitor = grace.browser(&server)?;
    for (number, attack) in ATTACKS.iter().enumerate() {
        let change = json!({"description": attack});
        let answer = ada
            .request(&server, "PATCH", "/api/agents/me")
            .json(&change);
        assert_eq!(answer.send().await?.status(), 200, "{attack}");
        let name = format!("hostile-{number}");
        let mut skill = manifest(&name, "1.0.0");
        skill["description"] = json!(attack);
        skill["readme"] = json!(attack);
        skill["tools"] = json!({"add": {"description": attack}});
        skill["license"] = json!("MIT");
        approved(&server, &ada, &skill, "adder").await?;
        let rating = json!({"rating": 1, "text": attack});
        let path = format!("/api/skills/{name}/reviews");
        let rated = grace.request(&server, "PUT", &path).json(&rating);
        assert!(rated.send().await?.status().is_success());
        for path in [
            "/skills".to_owned(),
            format!("/skills/{name}"),
            format!("/skills/{name}/connect"),
            format!("/skills/{name}/versions"),
            format!("/skills/{name}/evidence"),
            format!("/skills/{name}/ratings"),
            "/agents".to_owned(),
            "/profiles/ada".to_owned(),
            "/".to_owned(),
        ] {
            let page = visitor.get(&path).await?;
            assert_eq!(page.status, 200, "{path}");
            check(&page);
        }
        let page = visitor.get(&format!("/skills/{name}")).await?;
        assert_eq!(page.text("header .lead"), *attack);
    }
    Ok(())
}
