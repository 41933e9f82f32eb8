//! Taking one's data along, and leaving.

use axum::Router;
use axum::response::Response;
use axum::routing::post;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::security::confirmation;
use super::{Person, Refused, again, section};
use crate::enter::forget;
use crate::forms::{self, Form};
use crate::frame::see;
use crate::ui::Field;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/settings/leave", post(leave))
}

/// The sections for export and leaving.
pub fn sections(visitor: &Visitor, person: &Person, refused: Option<&Refused<'_>>) -> Markup {
    let export = html! {
        p { "Everything that is stored about you, as JSON, without what could be used to sign in." }
        p { a.button.quiet href="/api/accounts/me/export" download="gather-export.json" { "Download" } }
    };
    let leaving = html! {
        p { "Your data, sessions and keys are deleted. What others rely on, such as skills that you published, stays without your name. This can’t be undone." }
        details.confirm { summary { "Delete this account" }
            form method="post" action="/settings/leave" {
                (forms::hidden(visitor))
                (Field { name: "leaver", label: "Your name, to be sure", max: Some(40), ..Field::default() }.show(None))
                (confirmation("leave", person))
                button.danger { "Delete my account" }
            }
        }
    };
    html! { (section("export", refused, &export)) (section("leave", refused, &leaving)) }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Leaving {
    leaver: String,
    password: String,
    code: String,
}

async fn leave(visitor: Visitor, Form { fields, proof }: Form<Leaving>) -> Response {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let body = json!({"name": fields.leaver, "password": some(&fields.password), "code": some(&fields.code)});
    let left = visitor.change(
        Method::POST,
        "people",
        "/api/accounts/me/delete",
        &body,
        &proof,
    );
    if let Err(failure) = left.await {
        return again(&visitor, "leave", failure).await;
    }
    forget(see("/"))
}
