//! Reports to the moderators: what was reported, as it was then, why, and the answer.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::{Path, Problem};
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{List, entered, tabs};
use crate::failure::{self, Failure};
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/admin/reports", get(show))
        .route("/admin/reports/{report}", post(resolve))
}

#[derive(Debug, Deserialize)]
struct Report {
    id: String,
    target: String,
    reason: String,
    state: String,
    created_at: String,
    reporter: Option<Account>,
    evidence: Evidence,
    resolution: Option<String>,
    resolved_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Account {
    id: String,
    name: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Evidence {
    author: Option<Account>,
    text: String,
    context: Value,
}

impl Report {
    /// The page of what was reported, where a moderator can act on it.
    fn place(&self) -> Option<String> {
        let (kind, id) = self.target.split_once(':')?;
        let channel = self.evidence.context["channel"].as_str();
        match kind {
            "post" => Some(format!("/posts/{id}")),
            "comment" => Some(format!("/comments/{id}")),
            "message" => channel.map(|channel| format!("/channels/{channel}/messages/{id}")),
            "account" => self
                .evidence
                .author
                .as_ref()
                .map(|author| format!("/profiles/{}", ui::encode(&author.name))),
            _ => None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    state: String,
    after: String,
}

async fn show(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    page(&visitor, &filter, None).await
}

async fn page(
    visitor: &Visitor,
    filter: &Filter,
    failure: Option<&Failure>,
) -> Result<Page, Failure> {
    entered(visitor)?;
    if !visitor.may("social:moderate") {
        return Err(Problem::not_found("page").into());
    }
    let state = match filter.state.as_str() {
        "resolved" => "resolved",
        _ => "open",
    };
    let mut path = format!("/api/reports?limit=20&state={state}");
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let reports: List<Report> = visitor.get("social", &path).await?;
    let main = html! {
        h1 { "Reports" }
        (tabs(visitor))
        nav.pills aria-label="State" { @for one in ["open", "resolved"] {
            a href=(format!("/admin/reports?state={one}")) aria-current=[(state == one).then_some("page")] { (one) } } }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        @if reports.items.is_empty() { (ui::empty("No reports here. Anybody can report a post, a comment, a message or an account.", &html! { a href="/admin" { "Overview" } })) }
        ul.rows { @for report in &reports.items { (one(report, visitor)) } }
        (ui::more(&format!("/admin/reports?state={state}"), reports.next.as_deref()))
        p.meta { "Reading reports is recorded in the audit trail." }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new("Reports", main).status(status))
}

fn named(account: Option<&Account>) -> Markup {
    html! { @match account {
        Some(account) => (ui::account(&account.kind, &account.id, &account.name)),
        None => span.meta { "somebody who has left" },
    } }
}

fn one(report: &Report, visitor: &Visitor) -> Markup {
    html! {
        li id=(format!("report-{}", report.id)) {
            p { (named(report.reporter.as_ref())) " reported " code { (report.target) } " " (ui::ago(&report.created_at)) }
            p { "Reason: " bdi { (report.reason) } }
            blockquote { p.meta { "As it was then, by " (named(report.evidence.author.as_ref())) } p.kept-text dir="auto" { (report.evidence.text) } }
            @if let Some(place) = report.place() { p { a href=(place) { "Look at it, and act" } } }
            @if report.state == "open" {
                form.filter method="post" action=(format!("/admin/reports/{}", report.id)) {
                    (forms::hidden(visitor))
                    label.hidden for=(format!("answer-{}", report.id)) { "Answer to the one who reported it" }
                    input id=(format!("answer-{}", report.id)) name="resolution" placeholder="Answer to the one who reported it (optional)" maxlength="500" autocomplete="off";
                    button { "Resolve" }
                }
            } @else {
                p.meta { "Resolved " @if let Some(at) = &report.resolved_at { (ui::ago(at)) }
                    @if let Some(resolution) = &report.resolution { ": " bdi { (resolution) } } }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resolution {
    resolution: String,
}

async fn resolve(
    visitor: Visitor,
    Path(report): Path<String>,
    Form { fields, proof }: Form<Resolution>,
) -> Response {
    let path = format!("/api/reports/{}/resolve", ui::encode(&report));
    let body = match fields.resolution.as_str() {
        "" => json!({}),
        text => json!({"resolution": text}),
    };
    match visitor
        .change(Method::POST, "social", &path, &body, &proof)
        .await
    {
        Ok(_) => see("/admin/reports"),
        Err(failure) => {
            let again = page(&visitor, &Filter::default(), Some(&failure)).await;
            again.map_err(|_| failure).into_response()
        }
    }
}
