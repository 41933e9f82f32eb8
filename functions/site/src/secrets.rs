//! Secrets: what is stored, who may use it, and who did. Values go in and never come out, so no page has one.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::group::{Group, Place, signed_in};
use crate::owners::{self, Owners};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod one;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Secrets",
        path: "/secrets",
        icon: "secrets",
        key: "v",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/secrets", get(show).post(create))
            .merge(one::routes())
    },
};

/// The component behind these pages.
const VAULT: &str = "vault";

#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Secret {
    id: String,
    name: String,
    kind: String,
    note: String,
    team_id: Option<String>,
    account_id: Option<String>,
    platform: bool,
    #[serde(rename = "use")]
    used: Option<Value>,
    version: u32,
    state: String,
    expires_at: Option<String>,
    changed_at: String,
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
    state: String,
    until: Option<String>,
    created_at: String,
}

impl Secret {
    fn state(&self) -> Markup {
        match self.state.as_str() {
            "active" => ui::status("good", "active"),
            other => ui::status("bad", other),
        }
    }

    /// Whose it is, as a visitor reads it.
    fn owner(&self, visitor: &Visitor) -> &'static str {
        let is_own = visitor
            .account()
            .is_some_and(|account| self.account_id.as_ref() == Some(&account.id));
        match &self.team_id {
            _ if self.platform => "of the platform",
            Some(_) => "of a team",
            None if is_own => "yours",
            None => "granted to you",
        }
    }

    /// The origins that it may be sent to.
    fn origins(&self) -> String {
        let origins = self.used.as_ref().map(|used| &used["origins"]);
        let origins = origins.and_then(Value::as_array).into_iter().flatten();
        let origins: Vec<_> = origins.filter_map(Value::as_str).collect();
        origins.join(", ")
    }
}

/// The kinds of secrets.
const KINDS: [&str; 6] = ["token", "basic", "git", "hmac", "provider", "opaque"];
/// The places in a request that a value can go to: the value in the form, and the label.
const PLACES: [(&str, &str); 4] = [
    ("header", "a header"),
    ("query", "a parameter of the query"),
    ("basic", "Basic authentication, as the password of a user"),
    ("placeholder", "wherever {{vault:<name>}} stands"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct After {
    after: String,
}

async fn show(visitor: Visitor, Query(from): Query<After>) -> Result<Page, Failure> {
    page(&visitor, &from.after, None).await
}

async fn page(
    visitor: &Visitor,
    after: &str,
    refused: Option<(&NewSecret, &Failure, &Proof)>,
) -> Result<Page, Failure> {
    visitor.required()?;
    let mut path = "/api/vault/secrets?limit=50".to_owned();
    if !after.is_empty() {
        path += &format!("&after={}", ui::encode(after));
    }
    let list: List<Secret> = visitor.get(VAULT, &path).await?;
    let owners = Owners::of(visitor).await?;
    let main = html! {
        h1 { "Secrets" }
        p.lead { "A value goes in and never comes out. It is put into requests on their way, where you say, and taken out of the answers." }
        @if let Some((_, failure, _)) = refused { (ui::alert(&failure::message(failure))) }
        @if list.items.is_empty() { p.empty { "None yet." } }
        ul.rows { @for secret in &list.items { (row(secret, visitor)) } }
        (ui::more("/secrets", list.next.as_deref()))
        @if visitor.may("vault:write") { (new_form(visitor, &owners, refused)) }
    };
    Ok(Page::new("Secrets", main))
}

fn row(secret: &Secret, visitor: &Visitor) -> Markup {
    html! {
        li.spread {
            div {
                h2 { a href=(format!("/secrets/{}", secret.id)) { (secret.name) } " " span.kind { (secret.owner(visitor)) } }
                p.meta { (secret.kind) @if !secret.origins().is_empty() { " · for " (secret.origins()) } " · changed " (ui::ago(&secret.changed_at))
                    @if let Some(at) = &secret.expires_at { " · expires " (ui::ago(at)) } }
                @if !secret.note.is_empty() { p { bdi { (secret.note) } } }
            }
            (secret.state())
        }
    }
}

/// The field of a value: what was typed is never shown again.
fn value_field(form: &str, failure: Option<&Failure>) -> Markup {
    Field {
        name: "value",
        form,
        label: "Value",
        hint: "8 characters or more. Nobody sees it again, you included.",
        kind: "password",
        fill: "off",
        max: Some(65536),
        ..Field::default()
    }
    .show(failure)
}

fn new_form(
    visitor: &Visitor,
    owners: &Owners,
    refused: Option<(&NewSecret, &Failure, &Proof)>,
) -> Markup {
    let (empty, unsent) = (NewSecret::default(), Proof::default());
    let (typed, failure, proof) = match refused {
        Some((typed, failure, proof)) => (typed, Some(failure), proof),
        None => (&empty, None, &unsent),
    };
    let optional = |name, label, hint, value| {
        Field {
            name,
            label,
            hint,
            value,
            optional: true,
            ..Field::default()
        }
        .show(failure)
    };
    html! {
        section aria-labelledby="new" {
            h2 #new { "A new secret" }
            form method="post" action="/secrets" autocomplete="off" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "name", label: "Name", hint: "Requests name it so: vault:name.", value: &typed.name, max: Some(100), ..Field::default() }.show(failure))
                div.field { label for="kind" { "Kind" }
                    select #kind name="kind" { @for kind in KINDS { option value=(kind) selected[typed.kind == kind] { (kind) } } }
                    p.hint { "A key of a provider of models is of the kind provider, and needs nothing of what follows." } }
                (value_field("", failure))
                (optional("origins", "It may be sent to", "Origins, separated by spaces, such as https://api.example.org. Without any, it is put into nothing.", &typed.origins))
                div.field { label for="place" { "As" }
                    select #place name="place" { @for (place, label) in PLACES { option value=(place) selected[typed.place == place] { (label) } } } }
                (optional("detail", "The header, parameter or user", "Such as authorization.", &typed.detail))
                (optional("format", "The header’s text", "With {} for the value, such as Bearer {}.", &typed.format))
                (optional("methods", "Only with these methods", "Such as GET POST.", &typed.methods))
                (optional("paths", "Only for paths that begin with", "Such as /repos/ada.", &typed.paths))
                (optional("note", "Note", "For whoever sees the secret.", &typed.note))
                (owners.field("secret-owner"))
                (ui::actions(&html! { button { "Store secret" } }))
            }
        }
    }
}

/// The form of a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
struct NewSecret {
    name: String,
    kind: String,
    value: String,
    origins: String,
    place: String,
    detail: String,
    format: String,
    methods: String,
    paths: String,
    note: String,
    owner: String,
}

impl NewSecret {
    fn body(&self) -> Value {
        let words = |text: &str| {
            let words = text.split_whitespace().map(str::to_owned);
            words.collect::<Vec<_>>()
        };
        let mut body = json!({"name": self.name.trim(), "kind": self.kind, "value": self.value});
        if !self.note.trim().is_empty() {
            body["note"] = json!(self.note.trim());
        }
        owners::add(&mut body, &self.owner);
        let origins = words(&self.origins);
        if origins.is_empty() {
            return body;
        }
        let detail = self.detail.trim();
        let place = match self.place.as_str() {
            "query" => json!({"query": detail}),
            "basic" => json!({"basic": detail}),
            "placeholder" => json!({"placeholder": true}),
            _ if self.format.trim().is_empty() => json!({"header": detail}),
            _ => json!({"header": detail, "format": self.format.trim()}),
        };
        body["use"] = json!({"origins": origins, "place": place});
        for (name, text) in [("methods", &self.methods), ("paths", &self.paths)] {
            let words = words(text);
            if !words.is_empty() {
                body["use"][name] = json!(words);
            }
        }
        body
    }
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewSecret>) -> Response {
    let body = fields.body();
    let path = "/api/vault/secrets";
    match visitor.create::<Secret>(VAULT, path, &body, &proof).await {
        Ok(secret) => see(&format!("/secrets/{}", secret.id)),
        Err(failure) => match page(&visitor, "", Some((&fields, &failure, &proof))).await {
            Ok(page) => page.status(failure.status).into_response(),
            Err(failure) => failure.into_response(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_where_the_value_goes() {
        let form = NewSecret {
            name: " github ".to_owned(),
            kind: "token".to_owned(),
            value: "canary-1234".to_owned(),
            ..NewSecret::default()
        };
        let plain = json!({"name": "github", "kind": "token", "value": "canary-1234"});
        assert_eq!(form.body(), plain);
        let form = NewSecret {
            origins: "https://a.example  https://b.example".to_owned(),
            detail: "authorization".to_owned(),
            format: "Bearer {}".to_owned(),
            paths: "/x".to_owned(),
            ..form
        };
        assert_eq!(
            form.body()["use"],
            json!({"origins": ["https://a.example", "https://b.example"], "paths": ["/x"],
                "place": {"header": "authorization", "format": "Bearer {}"}})
        );
    }
}
