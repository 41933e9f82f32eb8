//! API keys, which programs present instead of signing in.

use std::collections::BTreeMap;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use guest::{OWN_ACCOUNT, Path};
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{List, Refused, again, back};
use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::Page;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/settings/keys", post(create))
        .route("/settings/keys/{key}", post(remove))
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    hint: String,
    scopes: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// The lifetimes of a key: the value in the form, the label, and the days.
const LIFETIMES: [(&str, &str, Option<i64>); 4] = [
    ("90", "90 days", Some(90)),
    ("30", "30 days", Some(30)),
    ("365", "a year", Some(365)),
    ("never", "until it is deleted", None),
];

/// The section.
pub async fn section(visitor: &Visitor, refused: Option<&Refused<'_>>) -> Result<Markup, Failure> {
    let keys = visitor
        .get::<List<Key>>("accounts", "/api/keys?limit=100")
        .await?;
    let failure = refused
        .filter(|refused| refused.section == "api-keys")
        .map(|refused| refused.failure);
    let scopes = visitor.account().map_or(&[][..], |account| &account.scopes);
    let scopes = scopes.iter().filter(|scope| *scope != OWN_ACCOUNT);
    let content = html! {
        p { "A key is for programs, which send it as " code { "Authorization: Bearer …" } ". It may do what you tick, as far as you may." }
        ul.rows { @for key in &keys.items { (one(key, visitor)) } }
        form method="post" action="/settings/keys" {
            (forms::hidden(visitor))
            (Field { name: "name", label: "Name of the key", hint: "Such as the program that uses it.", max: Some(100), ..Field::default() }.show(failure))
            fieldset { legend { "It may" }
                @for scope in scopes { label { input type="checkbox" name=(format!("scope {scope}")) value="true"; " " code { (scope) } } } }
            div.field { label for="lasts" { "It lasts" }
                select #lasts name="lasts" { @for (value, label, _) in LIFETIMES { option value=(value) { (label) } } } }
            button.quiet { "Make key" }
        }
    };
    Ok(super::section("api-keys", refused, &content))
}

fn one(key: &Key, visitor: &Visitor) -> Markup {
    html! {
        li.spread {
            div {
                p { bdi { (key.name) } " " code { (key.hint) "…" } }
                p.meta { @if key.scopes.is_empty() { "reads only" } @else { (key.scopes.join(", ")) }
                    " · made " (ui::ago(&key.created_at))
                    @match &key.last_used_at { Some(at) => { " · used " (ui::ago(at)) }, None => " · never used" }
                    @if let Some(at) = &key.expires_at { " · ends " (ui::ago(at)) } }
            }
            form method="post" action=(format!("/settings/keys/{}", key.id)) { (forms::hidden(visitor))
                button.quiet { "Delete" span.hidden { " key " (key.name) } } }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Created {
    key: String,
    name: String,
}

async fn create(
    visitor: Visitor,
    Form { fields, proof }: Form<BTreeMap<String, String>>,
) -> Response {
    let text = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let scopes: Vec<_> = fields
        .keys()
        .filter_map(|name| name.strip_prefix("scope "))
        .collect();
    let days = LIFETIMES.iter().find(|(value, ..)| *value == text("lasts"));
    let days = days.map_or(Some(90), |(_, _, days)| *days);
    let expires = days.and_then(|days| {
        let at = OffsetDateTime::now_utc() + Duration::days(days);
        at.format(&Rfc3339).ok()
    });
    let body = json!({"name": text("name"), "scopes": scopes, "expires_at": expires});
    match visitor
        .create::<Created>("accounts", "/api/keys", &body, &proof)
        .await
    {
        Ok(made) => Page::new(
            "A new key",
            html! {
                div.narrow-page {
                    h1 { "Key " bdi { (made.name) } }
                    p { "Copy it now: it is shown only once." }
                    (ui::copyable(&made.key))
                    p { a.button href="/settings#api-keys" { "I have kept it" } }
                }
            },
        )
        .into_response(),
        Err(failure) => again(&visitor, "api-keys", failure).await,
    }
}

async fn remove(visitor: Visitor, Path(key): Path<String>, form: Form<Nothing>) -> Response {
    let path = format!("/api/keys/{}", ui::encode(&key));
    let removed = visitor
        .change(Method::DELETE, "accounts", &path, &json!({}), &form.proof)
        .await;
    back(&visitor, "api-keys", removed).await
}
