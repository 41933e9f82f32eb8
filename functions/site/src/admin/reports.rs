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
        .route("/admin/reports/{report}/message", post(act))
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
    /// The channel and the id of a message that was reported.
    fn message(&self) -> Option<(&str, &str)> {
        let id = self.target.strip_prefix("message:")?;
        Some((self.evidence.context["channel"].as_str()?, id))
    }

    /// The page of what was reported.
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
    /// The report whose message was acted on, and what was done to it.
    report: String,
    done: String,
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
        ul.rows { @for report in &reports.items { (one(report, filter, visitor)) } }
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

fn one(report: &Report, filter: &Filter, visitor: &Visitor) -> Markup {
    html! {
        li id=(format!("report-{}", report.id)) {
            p { (named(report.reporter.as_ref())) " reported " code { (report.target) } " " (ui::ago(&report.created_at)) }
            p { "Reason: " bdi { (report.reason) } }
            blockquote { p.meta { "As it was then, by " (named(report.evidence.author.as_ref())) } p.kept-text dir="auto" { (report.evidence.text) } }
            @if let Some(place) = report.place() { p { a href=(place) { "Look at it" @if report.message().is_none() { ", and act" } @else { " where it stands" } } } }
            @if let Some((channel, message)) = report.message() { (deeds(report, channel, message, filter, visitor)) }
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

/// The forms that act on a message, also in a channel that the moderator can't enter.
fn deeds(
    report: &Report,
    channel: &str,
    message: &str,
    filter: &Filter,
    visitor: &Visitor,
) -> Markup {
    let (action, reason) = (
        format!("/admin/reports/{}/message", report.id),
        format!("reason-{}", report.id),
    );
    let hidden = html! {
        (forms::hidden(visitor))
        input type="hidden" name="channel" value=(channel);
        input type="hidden" name="message" value=(message);
        input type="hidden" name="state" value=(report.state);
    };
    html! {
        p.meta { "Only its members can open a private channel or a conversation. A moderator can act on its messages all the same." }
        @if filter.report == report.id { p role="status" { (ui::status("good", done(&filter.done))) } }
        form.filter method="post" action=(action) {
            (hidden)
            label.hidden for=(reason) { "Reason, which the author reads" }
            input id=(reason) name="reason" placeholder="Reason, which the author reads" required maxlength="500" autocomplete="off";
            button.quiet name="action" value="hide" { "Hide message" }
            button.quiet name="action" value="restore" formnovalidate { "Restore message" }
        }
        details.confirm { summary { "Delete message" }
            form method="post" action=(action) { (hidden)
                p { "Its text goes for good, from search and inboxes too. The report keeps its copy." }
                button.danger name="action" value="delete" { "Delete message" } } }
    }
}

fn done(action: &str) -> &'static str {
    match action {
        "hide" => "The message is hidden",
        "restore" => "The message is restored",
        _ => "The message is deleted",
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Act {
    action: String,
    reason: String,
    channel: String,
    message: String,
    state: String,
}

/// Acts on a reported message, and leads back to the report.
async fn act(
    visitor: Visitor,
    Path(report): Path<String>,
    Form { fields, proof }: Form<Act>,
) -> Response {
    let message = format!(
        "/api/channels/{}/messages/{}",
        ui::encode(&fields.channel),
        ui::encode(&fields.message)
    );
    let moderation = format!("{message}/moderation");
    let done = match fields.action.as_str() {
        "delete" => visitor.delete("channels", &message, &proof).await,
        "restore" => visitor.delete("channels", &moderation, &proof).await,
        action => {
            let body = json!({"action": action, "reason": fields.reason});
            visitor
                .change(Method::PUT, "channels", &moderation, &body, &proof)
                .await
        }
    };
    match done {
        Ok(_) => {
            let [state, action, report] =
                [&fields.state, &fields.action, &report].map(|text| ui::encode(text));
            see(&format!(
                "/admin/reports?state={state}&report={report}&done={action}#report-{report}"
            ))
        }
        Err(failure) => again(&visitor, &fields.state, failure).await,
    }
}

/// Shows the reports again after a form has failed.
async fn again(visitor: &Visitor, state: &str, failure: Failure) -> Response {
    let filter = Filter {
        state: state.to_owned(),
        ..Filter::default()
    };
    let page = page(visitor, &filter, Some(&failure)).await;
    page.map_err(|_| failure).into_response()
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
        Err(failure) => again(&visitor, "open", failure).await,
    }
}
