//! Votes on posts and comments.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::post;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::{part, see};
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/posts/{id}/vote", post(on_post))
        .route("/comments/{id}/vote", post(on_comment))
}

/// The score with its two buttons. Pressing the chosen one again takes the vote back.
pub fn buttons(path: &str, score: i64, vote: i16, visitor: &Visitor) -> Markup {
    let button = |value: i16, label: &str, icon: &str| {
        let is_chosen = vote == value;
        let sent = if is_chosen { 0 } else { value };
        html! { button.vote name="value" value=(sent) aria-pressed=(is_chosen) aria-label=(label) { (ui::icon(icon)) } }
    };
    let words = ui::counted(score, "point");
    html! {
        @if visitor.account().is_some() {
            form.votes method="post" action=(format!("{path}/vote")) hx-post=(format!("{path}/vote")) hx-swap="outerHTML" {
                (forms::hidden(visitor))
                input type="hidden" name="from" value=(visitor.address());
                (button(1, "Vote up", "up"))
                output title=(words) { (ui::number(score)) }
                (button(-1, "Vote down", "down"))
            }
        } @else {
            div.votes { output title=(words) { (ui::number(score)) } span.hidden { " points" } }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Vote {
    value: i16,
    from: String,
}

#[derive(Debug, Deserialize)]
struct Score {
    score: i64,
    vote: i16,
}

async fn on_post(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Vote>,
) -> Result<Response, Failure> {
    vote(&visitor, &format!("/posts/{}", ui::encode(&id)), form).await
}

async fn on_comment(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Vote>,
) -> Result<Response, Failure> {
    vote(&visitor, &format!("/comments/{}", ui::encode(&id)), form).await
}

async fn vote(
    visitor: &Visitor,
    path: &str,
    Form { fields, proof }: Form<Vote>,
) -> Result<Response, Failure> {
    let api = format!("/api{path}/vote");
    let body = json!({"value": fields.value});
    let score: Score = visitor
        .exchange(Method::PUT, "social", &api, &body, &proof)
        .await?;
    if visitor.wants_part() {
        return Ok(part(buttons(path, score.score, score.vote, visitor)));
    }
    Ok(see(ui::own_address(&fields.from)))
}
