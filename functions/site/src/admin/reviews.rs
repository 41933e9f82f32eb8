//! Versions of skills that the review has left to a person.

use axum::Router;
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
        .route("/admin/reviews", get(show))
        .route("/admin/reviews/{version}", post(decide))
}

#[derive(Debug, Deserialize)]
struct Held {
    id: String,
    skill: String,
    version: String,
    digest: String,
    review: Value,
    created_at: String,
}

async fn show(visitor: Visitor) -> Result<Page, Failure> {
    page(&visitor, None).await
}

async fn page(visitor: &Visitor, failure: Option<&Failure>) -> Result<Page, Failure> {
    entered(visitor)?;
    if !visitor.may("skills:review") {
        return Err(Problem::not_found("page").into());
    }
    let held: List<Held> = visitor.get("skills", "/api/skill-reviews?limit=50").await?;
    let main = html! {
        h1 { "Held reviews" }
        (tabs(visitor))
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        @if held.items.is_empty() { (ui::empty("No version waits for a person. What the review can’t decide alone comes here.", &html! { a href="/admin" { "Overview" } })) }
        ul.rows { @for one in &held.items { (row(one, visitor)) } }
        @if held.next.is_some() { p.meta { "The oldest fifty are shown." } }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new("Held reviews", main).status(status))
}

fn row(held: &Held, visitor: &Visitor) -> Markup {
    let findings = held.review["findings"].as_array();
    html! {
        li {
            p { a href=(format!("/skills/{}/versions/{}", ui::encode(&held.skill), ui::encode(&held.version))) { code { (held.skill) "@" (held.version) } }
                " published " (ui::ago(&held.created_at)) }
            p.meta { code { (held.digest) } }
            @if let Some(findings) = findings.filter(|findings| !findings.is_empty()) {
                ul { @for finding in findings { li { (said(finding)) } } }
            }
            details { summary { "All that the review saw" } pre tabindex="0" { code { (serde_json::to_string_pretty(&held.review).unwrap_or_default()) } } }
            form method="post" action=(format!("/admin/reviews/{}", held.id)) {
                (forms::hidden(visitor))
                div.field { label for=(format!("reason-{}", held.id)) { "Reason, as the author will read it" }
                    input id=(format!("reason-{}", held.id)) name="reason" required maxlength="2000" autocomplete="off"; }
                div.answers {
                    button.answer name="verdict" value="approve" { (ui::icon("good")) "Approve" span.hidden { " " (held.skill) } }
                    button.answer name="verdict" value="reject" { (ui::icon("bad")) "Reject" span.hidden { " " (held.skill) } }
                }
            }
        }
    }
}

/// A finding in words.
fn said(finding: &Value) -> String {
    let text = ["detail", "message", "text", "summary"]
        .into_iter()
        .find_map(|name| finding[name].as_str());
    text.or(finding.as_str())
        .map_or_else(|| finding.to_string(), str::to_owned)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Verdict {
    verdict: String,
    reason: String,
}

async fn decide(
    visitor: Visitor,
    Path(version): Path<String>,
    Form { fields, proof }: Form<Verdict>,
) -> Response {
    let verdict = if fields.verdict == "approve" {
        "approve"
    } else {
        "reject"
    };
    let path = format!("/api/skill-reviews/{}/{verdict}", ui::encode(&version));
    let body = json!({"reason": fields.reason});
    match visitor
        .change(Method::POST, "skills", &path, &body, &proof)
        .await
    {
        Ok(_) => see("/admin/reviews"),
        Err(failure) => {
            let again = page(&visitor, Some(&failure)).await;
            again.map_err(|_| failure).into_response()
        }
    }
}
