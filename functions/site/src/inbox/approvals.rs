//! Approvals: what exactly will happen, who asks, until when, and the two answers side by side.

use std::collections::BTreeMap;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use guest::Path;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{List, schema};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/approvals", get(all))
        .route("/approvals/{approval}", get(show).post(decide))
}

#[derive(Debug, Deserialize)]
struct Approval {
    id: String,
    subject: String,
    question: String,
    detail: Detail,
    digest: String,
    need: u32,
    form: Option<Value>,
    state: String,
    decisions: Vec<Decision>,
    asked_by: Option<String>,
    asked_by_name: Option<String>,
    #[serde(rename = "self")]
    own: bool,
    expires_at: String,
    created_at: String,
}

/// What has to be known to decide: a text, or a call of a tool by an agent.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    Call {
        tool: String,
        arguments: Value,
        why: String,
    },
}

#[derive(Debug, Deserialize)]
struct Decision {
    by: String,
    by_name: Option<String>,
    decision: String,
    reason: Option<String>,
    at: String,
}

impl Approval {
    fn path(&self) -> String {
        format!("/approvals/{}", self.id)
    }

    /// Whether the visitor may still decide, as far as the page can tell. The function decides again.
    fn is_open_to(&self, visitor: &Visitor) -> bool {
        let own = visitor.account().map(|account| account.id.as_str());
        let has_decided = self
            .decisions
            .iter()
            .any(|decision| Some(decision.by.as_str()) == own);
        self.state == "pending" && !has_decided && (self.own || self.asked_by.as_deref() != own)
    }
}

fn state(approval: &Approval) -> Markup {
    let tone = match approval.state.as_str() {
        "pending" => "busy",
        "approved" => "good",
        "denied" => "bad",
        _ => "quiet",
    };
    ui::status(tone, &approval.state)
}

/// The approvals that wait for the visitor, on top of the inbox.
pub async fn waiting(visitor: &Visitor) -> Result<Markup, Failure> {
    let path = "/api/approvals?state=pending&mine=false&limit=20";
    let waiting: List<Approval> = visitor.get("inbox", path).await?;
    let waiting: Vec<_> = waiting
        .items
        .iter()
        .filter(|one| one.is_open_to(visitor))
        .collect();
    Ok(html! {
        @if !waiting.is_empty() {
            section aria-labelledby="waiting" {
                h2 #waiting { "Waits for your decision" }
                @for approval in waiting { (card(approval, visitor)) }
                p { a href="/approvals" { "All approvals" } }
            }
        }
    })
}

/// The question, with the answers if they need no form.
fn card(approval: &Approval, visitor: &Visitor) -> Markup {
    html! {
        article.approval {
            h3 { a href=(approval.path()) { (approval.question) } }
            (facts(approval))
            @if approval.form.is_none() {
                form method="post" action=(approval.path()) { (forms::hidden(visitor)) (answers(approval)) }
            } @else { p { a.button.quiet href=(approval.path()) { "Fill in and decide" } } }
        }
    }
}

fn facts(approval: &Approval) -> Markup {
    html! {
        @match &approval.detail {
            Detail::Text(text) => pre.detail tabindex="0" { code { (text) } },
            Detail::Call { tool, arguments, why } => {
                p { (why) }
                pre.detail tabindex="0" { code { (tool) " " (format!("{arguments:#}")) } }
            },
        }
        dl.facts {
            dt { "About" } dd { code { (approval.subject) } }
            dt { "Asked" } dd { (ui::ago(&approval.created_at)) @if approval.asked_by.is_some() { " by " (account(approval.asked_by_name.as_deref())) } @else { " by the platform" } }
            dt { "Until" } dd { (ui::ago(&approval.expires_at)) }
            dt { "Needs" } dd { (ui::counted(i64::from(approval.need), "approval")) ", one denial ends it" }
        }
    }
}

/// A link to an account.
fn account(name: Option<&str>) -> Markup {
    html! {
        @match name {
            Some(name) => a href=(ui::profile(name)) { bdi { (name) } },
            None => "somebody who has left",
        }
    }
}

/// The two answers: the same size, side by side, neither chosen before.
fn answers(approval: &Approval) -> Markup {
    html! {
        input type="hidden" name="digest" value=(approval.digest);
        div.answers {
            button.answer name="decision" value="approve" { (ui::icon("good")) "Approve" span.hidden { ": " (approval.question) } }
            button.answer name="decision" value="deny" { (ui::icon("bad")) "Deny" span.hidden { ": " (approval.question) } }
        }
    }
}

async fn all(visitor: Visitor) -> Result<Page, Failure> {
    visitor.required()?;
    let approvals: List<Approval> = visitor.get("inbox", "/api/approvals?limit=100").await?;
    let main = html! {
        p { a href="/inbox" { "Back to the inbox" } }
        h1 { "Approvals" }
        @if approvals.items.is_empty() { (ui::empty("Nobody has asked for an approval yet.", &html! { a href="/inbox" { "Inbox" } })) }
        ul.rows { @for approval in &approvals.items {
            li { a href=(approval.path()) { (approval.question) } " " (state(approval))
                p.meta { code { (approval.subject) } " · " (ui::ago(&approval.created_at)) } }
        } }
    };
    Ok(Page::new("Approvals", main))
}

async fn show(visitor: Visitor, Path(approval): Path<String>) -> Result<Page, Failure> {
    visitor.required()?;
    page(&visitor, &approval, None, &Proof::default()).await
}

async fn page(
    visitor: &Visitor,
    id: &str,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    let path = format!("/api/approvals/{}", ui::encode(id));
    let approval: Approval = visitor.get("inbox", &path).await?;
    let main = html! {
        p { a href="/inbox" { "Back to the inbox" } }
        article.approval {
            h1 { (approval.question) }
            p { (state(&approval)) }
            @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
            (facts(&approval))
            @if approval.is_open_to(visitor) {
                form method="post" action=(approval.path()) {
                    (forms::hidden_again(visitor, failure, proof))
                    @if let Some(form) = &approval.form { (schema::fields(form)) }
                    div.field { label for="reason" { "Reason" span.meta { " (optional)" } } input #reason name="reason" maxlength="2000" autocomplete="off"; }
                    (answers(&approval))
                }
            } @else if approval.state == "pending" {
                p.meta { "It waits for others: you have decided, or you asked." }
            }
            @if !approval.decisions.is_empty() {
                h2 { "Decisions" }
                ul.rows { @for decision in &approval.decisions {
                    li { (ui::status(if decision.decision == "approve" { "good" } else { "bad" }, if decision.decision == "approve" { "approved" } else { "denied" }))
                        " by " (account(decision.by_name.as_deref())) " " (ui::ago(&decision.at))
                        @if let Some(reason) = &decision.reason { p { (reason) } } }
                } }
            }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new(approval.question.clone(), main).status(status))
}

async fn decide(
    visitor: Visitor,
    Path(approval): Path<String>,
    Form { fields, proof }: Form<BTreeMap<String, String>>,
) -> Response {
    match decided(&visitor, &approval, &fields, &proof).await {
        Ok(()) => see(&format!("/approvals/{}", ui::encode(&approval))),
        Err(failure) => {
            let again = page(&visitor, &approval, Some(&failure), &proof).await;
            again.map_err(|_| failure).into_response()
        }
    }
}

async fn decided(
    visitor: &Visitor,
    id: &str,
    fields: &BTreeMap<String, String>,
    proof: &Proof,
) -> Result<(), Failure> {
    let path = format!("/api/approvals/{}", ui::encode(id));
    let approval: Approval = visitor.get("inbox", &path).await?;
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let reason = Some(text("reason")).filter(|reason| !reason.is_empty());
    let filled = match (&approval.form, text("decision").as_str()) {
        (Some(form), "approve") => Some(schema::filled(form, fields)?),
        _ => None,
    };
    let body = json!({
        "decision": text("decision"), "digest": text("digest"), "reason": reason, "form": filled,
    });
    let path = format!("{path}/decision");
    visitor
        .change(http::Method::POST, "inbox", &path, &body, proof)
        .await?;
    Ok(())
}
