//! The tab "Ratings".

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{List, Owner, Skill, page, path, read};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/skills/{skill}/ratings", get(show).post(rate))
        .route("/skills/{skill}/ratings/delete", post(delete))
}

#[derive(Debug, Deserialize)]
struct Rating {
    account: Owner,
    rating: u8,
    text: String,
    updated_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct More {
    after: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct New {
    rating: String,
    text: String,
}

async fn show(
    visitor: Visitor,
    Path(name): Path<String>,
    Query(more): Query<More>,
) -> Result<Page, Failure> {
    let skill = read(&visitor, &name).await?;
    content(
        &visitor,
        &skill,
        &more.after,
        &New::default(),
        None,
        &Proof::default(),
    )
    .await
}

async fn content(
    visitor: &Visitor,
    skill: &Skill,
    after: &str,
    new: &New,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    let name = &skill.summary.name;
    let after = if after.is_empty() {
        String::new()
    } else {
        format!("?after={}", ui::encode(after))
    };
    let list: List<Rating> = visitor
        .get("skills", &format!("/api{}/reviews{after}", path(name)))
        .await?;
    let content = html! {
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        @if visitor.account().is_some_and(|account| account.name != skill.summary.owner.name) { (form(visitor, name, new, failure, proof)) }
        @if list.items.is_empty() { (ui::empty("Nobody has rated it yet. Ratings of those who called it count.", &html! {})) }
        ul.rows { @for rating in &list.items {
            li {
                p { strong { (rating.rating) " of 5" } " by " a href=(format!("/profiles/{}", ui::encode(&rating.account.name))) { bdi { (rating.account.name) } } " " (ui::ago(&rating.updated_at)) }
                @if !rating.text.is_empty() { p { (rating.text) } }
                @if visitor.account().is_some_and(|account| account.name == rating.account.name) {
                    form method="post" action=(format!("{}/ratings/delete", path(name))) { (forms::hidden(visitor)) button.quiet { "Take my rating back" } }
                }
            }
        } }
        (ui::more(&format!("{}/ratings", path(name)), list.next.as_deref()))
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(page(skill, "/ratings", &content)
        .status(status)
        .scripts(&["js/draft.js"]))
}

fn form(
    visitor: &Visitor,
    name: &str,
    new: &New,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Markup {
    html! {
        form method="post" action=(format!("{}/ratings", path(name))) data-draft=(format!("rating:{name}")) {
            (forms::hidden_again(visitor, failure, proof))
            fieldset.field {
                legend { "Your rating" }
                @for stars in 1..=5 {
                    label { input type="radio" name="rating" value=(stars) checked[new.rating == stars.to_string()] required; " " (stars) " " }
                }
            }
            (Field { name: "text", label: "In words", kind: "area", value: &new.text, max: Some(2_000), optional: true, ..Field::default() }.show(failure))
            (ui::actions(&html! { button { "Rate" } }))
        }
    }
}

async fn rate(
    visitor: Visitor,
    Path(name): Path<String>,
    Form { fields, proof }: Form<New>,
) -> Response {
    let api = format!("/api{}/reviews", path(&name));
    let body = json!({"rating": fields.rating.parse::<i32>().unwrap_or(0), "text": fields.text});
    let failure = match visitor
        .change(Method::PUT, "skills", &api, &body, &proof)
        .await
    {
        Ok(_) => return forms::sent(&format!("{}/ratings", path(&name)), &proof),
        Err(failure) => failure,
    };
    match read(&visitor, &name).await {
        Ok(skill) => content(&visitor, &skill, "", &fields, Some(&failure), &proof)
            .await
            .into_response(),
        Err(_) => failure.into_response(),
    }
}

async fn delete(
    visitor: Visitor,
    Path(name): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    visitor
        .delete(
            "skills",
            &format!("/api{}/reviews", path(&name)),
            &form.proof,
        )
        .await?;
    Ok(see(&format!("{}/ratings", path(&name))))
}
