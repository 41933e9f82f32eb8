//! The operator's pages: health on top, then what waits to be worked on, each with the action beside it.

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::join5;
use guest::{Db, Path, Problem};
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, see};
use crate::group::{Group, Place};
use crate::health;
use crate::status;
use crate::ui;
use crate::visitor::Visitor;

mod accounts;
mod audit;
mod reports;
mod reviews;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Admin",
        path: "/admin",
        icon: "admin",
        key: "o",
        shown: may_enter,
    }],
    routes: || {
        Router::new()
            .route("/admin", get(overview))
            .route("/admin/jobs/{job}/retry", post(retry))
            .route("/admin/webhooks/{webhook}/enable", post(enable))
            .merge(accounts::routes())
            .merge(audit::routes())
            .merge(reports::routes())
            .merge(reviews::routes())
    },
};

/// The number of items of a queue that the overview shows.
const SHOWN: usize = 5;
/// The scopes that each open a part of these pages.
const SCOPES: [&str; 4] = [
    "accounts:manage",
    "audit:read",
    "social:moderate",
    "skills:review",
];

fn may_enter(visitor: &Visitor) -> bool {
    SCOPES.iter().any(|scope| visitor.may(scope))
}

/// For those who may not enter there is nothing here.
fn entered(visitor: &Visitor) -> Result<(), Failure> {
    visitor.required()?;
    if may_enter(visitor) {
        return Ok(());
    }
    Err(Problem::not_found("page").into())
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// The tabs of these pages, as far as the visitor may open them.
fn tabs(visitor: &Visitor) -> Markup {
    let all = [
        ("Overview", "/admin", true),
        (
            "Accounts",
            "/admin/accounts",
            visitor.may("accounts:manage"),
        ),
        ("Audit", "/admin/audit", visitor.may("audit:read")),
        ("Reports", "/admin/reports", visitor.may("social:moderate")),
        (
            "Held reviews",
            "/admin/reviews",
            visitor.may("skills:review"),
        ),
    ];
    let shown: Vec<_> = all
        .into_iter()
        .filter(|(_, _, shown)| *shown)
        .map(|(label, path, _)| (label, path.to_owned(), visitor.path() == path))
        .collect();
    ui::tabs("Admin", &shown)
}

/// The items of a list, if the visitor may read it; their number is a lower bound if there are more.
async fn some(visitor: &Visitor, scope: &str, component: &str, path: &str) -> Option<List<Value>> {
    if !visitor.may(scope) {
        return None;
    }
    visitor.get(component, path).await.ok()
}

async fn overview(visitor: Visitor, db: Db) -> Result<Page, Failure> {
    entered(&visitor)?;
    let all = guest::ALL;
    let (reports, reviews, dead, hooks, health) = join5(
        some(
            &visitor,
            "social:moderate",
            "social",
            "/api/reports?state=open&limit=20",
        ),
        some(
            &visitor,
            "skills:review",
            "skills",
            "/api/skill-reviews?limit=20",
        ),
        some(&visitor, all, "jobs", "/api/jobs?status=dead&limit=20"),
        some(&visitor, all, "webhooks", "/api/webhooks/failing?limit=20"),
        health::read(&db),
    )
    .await;
    let main = html! {
        h1 { "Admin" }
        (tabs(&visitor))
        section aria-labelledby="health" { h2 #health { "Health" } (status::table(&health)) (status::outside(&health)) }
        (queue("Open reports", "/admin/reports?state=open", reports.as_ref(), |one| html! { code { (text(&one["target"])) } " " bdi { (text(&one["reason"])) } }))
        (queue("Held reviews", "/admin/reviews", reviews.as_ref(), |one| html! { code { (text(&one["skill"])) "@" (text(&one["version"])) } }))
        (queue("Dead jobs", "/jobs?status=dead", dead.as_ref(), |one| dead_job(one, &visitor)))
        (queue("Failing webhooks", "", hooks.as_ref(), |one| failing_webhook(one, &visitor)))
    };
    Ok(Page::new("Admin", main))
}

fn dead_job(job: &Value, visitor: &Visitor) -> Markup {
    let id = text(&job["id"]);
    html! {
        div.spread {
            p { a href=(format!("/jobs/{id}")) { code { (text(&job["kind"])) } } " " bdi { (short(&job["error"])) } }
            form method="post" action=(format!("/admin/jobs/{id}/retry")) {
                (forms::hidden(visitor)) button.quiet { "Retry job" span.hidden { " " (id) } }
            }
        }
    }
}

fn failing_webhook(hook: &Value, visitor: &Visitor) -> Markup {
    let (id, owner) = (text(&hook["id"]), text(&hook["owner"]["name"]));
    html! {
        div.spread {
            p { code { (text(&hook["origin"])) } " of " a href=(format!("/profiles/{owner}")) { (owner) } " "
                @if hook["state"] == "enabled" { (ui::status("warn", "fails")) }
                @else { (ui::status("bad", "disabled")) }
                @if let Some(since) = hook["failing_since"].as_str() { " since " (ui::ago(since)) } }
            form method="post" action=(format!("/admin/webhooks/{id}/enable")) {
                (forms::hidden(visitor))
                button.quiet { @if hook["state"] == "enabled" { "Try now" } @else { "Enable webhook" } span.hidden { " of " (owner) } }
            }
        }
    }
}

async fn retry(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(
        &visitor,
        "jobs",
        &format!("/api/jobs/{}/retry", ui::encode(&id)),
        &form,
    )
    .await
}

async fn enable(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    act(
        &visitor,
        "webhooks",
        &format!("/api/webhooks/{}/enable", ui::encode(&id)),
        &form,
    )
    .await
}

/// Acts on one item of a queue, and leads back to what is left.
async fn act(
    visitor: &Visitor,
    component: &str,
    path: &str,
    form: &Form<Nothing>,
) -> Result<Response, Failure> {
    entered(visitor)?;
    visitor
        .change(Method::POST, component, path, &json!({}), &form.proof)
        .await?;
    Ok(see("/admin"))
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(80).collect()
}

/// A list of waiting work; left out if the visitor may not do that work.
fn queue(
    title: &str,
    path: &str,
    list: Option<&List<Value>>,
    item: impl Fn(&Value) -> Markup,
) -> Markup {
    html! {
        @if let Some(list) = list {
            section { h2 { (title) " " span.count { (list.items.len()) @if list.next.is_some() { "+" } } }
                @if list.items.is_empty() { p.meta { "None." } }
                ul.rows { @for one in list.items.iter().take(SHOWN) { li { (item(one)) } } }
                @if !list.items.is_empty() && !path.is_empty() { p { a.button.quiet href=(path) { "Work on them" } } }
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
