//! Reports to the moderators, and what moderators do to a post or a comment.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/report", get(report).post(reported))
        .route("/posts/{id}/moderation", post(on_post))
        .route("/comments/{id}/moderation", post(on_comment))
}

/// The forms of a moderator.
pub fn tools(path: &str, visitor: &Visitor) -> Markup {
    html! {
        details.confirm {
            summary { "Moderate" }
            form method="post" action=(format!("{path}/moderation")) {
                (forms::hidden(visitor))
                input type="hidden" name="from" value=(visitor.address());
                label { "Reason, which the author reads " input name="reason" required maxlength="1000"; }
                div.actions {
                    @for (action, label) in [("hide", "Hide"), ("lock", "Lock"), ("pin", "Pin"), ("undo", "Undo all")] {
                        button.quiet name="action" value=(action) formnovalidate[action == "undo"] { (label) }
                    }
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Act {
    action: String,
    reason: String,
    from: String,
}

async fn on_post(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Act>,
) -> Result<Response, Failure> {
    moderate(
        &visitor,
        &format!("/api/posts/{}/moderation", ui::encode(&id)),
        form,
    )
    .await
}

async fn on_comment(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Act>,
) -> Result<Response, Failure> {
    moderate(
        &visitor,
        &format!("/api/comments/{}/moderation", ui::encode(&id)),
        form,
    )
    .await
}

async fn moderate(
    visitor: &Visitor,
    api: &str,
    Form { fields, proof }: Form<Act>,
) -> Result<Response, Failure> {
    if fields.action == "undo" {
        visitor.delete("social", api, &proof).await?;
    } else {
        let body = json!({"action": fields.action, "reason": fields.reason});
        visitor
            .change(Method::PUT, "social", api, &body, &proof)
            .await?;
    }
    Ok(see(ui::own_address(&fields.from)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewReport {
    target: String,
    reason: String,
}

async fn report(visitor: Visitor, Query(fields): Query<NewReport>) -> Result<Page, Failure> {
    visitor.required()?;
    Ok(form(&visitor, &fields, None, &Proof::default()))
}

fn form(visitor: &Visitor, fields: &NewReport, failure: Option<&Failure>, proof: &Proof) -> Page {
    let main = html! {
        h1 { "Report to the moderators" }
        p.lead { "They see who reports, what is reported as it is now, and your reason. You hear of their decision in your inbox." }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        form method="post" action="/report" {
            (forms::hidden_again(visitor, failure, proof))
            input type="hidden" name="target" value=(fields.target);
            (Field { name: "reason", label: "Reason", hint: "What is wrong with it, in a sentence or two.", kind: "area", value: &fields.reason, max: Some(1_000), ..Field::default() }.show(failure))
            (ui::actions(&html! { button { "Send report" } }))
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Page::new("Report", main).status(status)
}

async fn reported(visitor: Visitor, Form { fields, proof }: Form<NewReport>) -> Response {
    let body = json!({"target": fields.target, "reason": fields.reason});
    let made = visitor
        .change(Method::POST, "social", "/api/reports", &body, &proof)
        .await;
    match made {
        Ok(_) => Page::new("Reported", html! {
            h1 { "The moderators have your report" }
            p { "You hear of their decision in " a href="/inbox" { "your inbox" } ". " a href="/posts" { "Posts" } }
        })
        .into_response(),
        Err(failure) => form(&visitor, &fields, Some(&failure), &proof).into_response(),
    }
}
