//! Accounts, as admins see them: their roles, and whether they are suspended.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::{ALL, Path, Problem};
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{List, entered, tabs};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/admin/accounts", get(list))
        .route("/admin/accounts/{account}", get(show))
        .route("/admin/accounts/{account}/roles", post(set_roles))
        .route("/admin/accounts/{account}/status", post(set_status))
}

#[derive(Debug, Deserialize)]
struct Account {
    id: String,
    kind: String,
    name: String,
    status: String,
    roles: Vec<String>,
    scopes: Vec<String>,
    created_at: String,
}

const ROLES: [&str; 4] = ["guest", "user", "developer", "admin"];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    query: String,
    after: String,
}

fn state(account: &Account) -> Markup {
    let tone = if account.status == "active" {
        "good"
    } else {
        "bad"
    };
    ui::status(tone, &account.status)
}

/// These pages exist for those who may manage accounts.
fn managed(visitor: &Visitor) -> Result<(), Failure> {
    entered(visitor)?;
    if visitor.may("accounts:manage") {
        return Ok(());
    }
    Err(Problem::not_found("page").into())
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    managed(&visitor)?;
    let query = format!("query={}", ui::encode(&filter.query));
    let mut path = format!("/api/accounts?limit=50&{query}");
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let accounts: List<Account> = visitor.get("accounts", &path).await?;
    let main = html! {
        h1 { "Accounts" }
        (tabs(&visitor))
        form.filter role="search" aria-label="Accounts" {
            label.hidden for="begins" { "Beginning of the name" }
            input #begins name="query" type="search" placeholder="Beginning of the name" value=(filter.query) maxlength="40";
            button.quiet { "Find" }
        }
        @if accounts.items.is_empty() { (ui::empty("No account’s name begins like this.", &html! { a href="/admin/accounts" { "All accounts" } })) }
        ul.rows { @for account in &accounts.items {
            li { p { a href=(format!("/admin/accounts/{}", account.id)) { bdi { (account.name) } } " " (state(account)) }
                p.meta { (account.kind) " · " (account.roles.join(", ")) " · " (ui::ago(&account.created_at)) } }
        } }
        (ui::more(&format!("/admin/accounts?{query}"), accounts.next.as_deref()))
    };
    Ok(Page::new("Accounts", main))
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    page(&visitor, &id, None, &Proof::default()).await
}

async fn page(
    visitor: &Visitor,
    id: &str,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    managed(visitor)?;
    let path = format!("/api/accounts/{}", ui::encode(id));
    let account: Account = visitor.get("accounts", &path).await?;
    let own = format!("/admin/accounts/{}", account.id);
    let is_active = account.status == "active";
    let main = html! {
        p { a href="/admin/accounts" { "All accounts" } }
        h1 { (ui::account(&account.kind, &account.id, &account.name)) " " (state(&account)) }
        @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
        dl.facts {
            dt { "Id" } dd { code { (account.id) } }
            dt { "Since" } dd { (ui::ago(&account.created_at)) }
            dt { "May" } dd { (account.scopes.join(", ")) }
        }
        p { a href=(format!("/admin/audit?actor={}", account.id)) { "What it did" } " · " a href=(format!("/admin/audit?subject={}", account.id)) { "What was done to it" } }
        @if visitor.may(ALL) && account.status != "deleted" {
            section { h2 { "Roles" }
                form method="post" action=(format!("{own}/roles")) {
                    (forms::hidden_again(visitor, failure, proof))
                    fieldset { legend.hidden { "Roles" }
                        @for role in ROLES { label { input type="checkbox" name=(format!("role {role}")) value="true" checked[account.roles.iter().any(|own| own == role)]; " " (role) } } }
                    button { "Save roles" }
                }
            }
        }
        @if account.status != "deleted" {
            section { h2 { @if is_active { "Suspend" } @else { "Reinstate" } }
                form method="post" action=(format!("{own}/status")) {
                    (forms::hidden(visitor))
                    p.meta { @if is_active { "Its sessions end, and its keys and tokens are refused, within two seconds." } @else { "It can sign in again." } }
                    (Field { name: "reason", label: "Reason", hint: "As the audit trail will show it.", max: Some(500), optional: true, ..Field::default() }.show(failure))
                    @if is_active { button.danger name="what" value="suspend" { "Suspend account" } }
                    @else { button name="what" value="reinstate" { "Reinstate account" } }
                }
            }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    Ok(Page::new(account.name.clone(), main).status(status))
}

async fn set_roles(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<BTreeMap<String, String>>,
) -> Response {
    let roles: Vec<_> = fields
        .keys()
        .filter_map(|name| name.strip_prefix("role "))
        .collect();
    let path = format!("/api/accounts/{}/roles", ui::encode(&id));
    let done = visitor
        .change(
            Method::PUT,
            "accounts",
            &path,
            &json!({"roles": roles}),
            &proof,
        )
        .await;
    let done = done.map(|_| ());
    finish(&visitor, &id, done, &proof).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    what: String,
    reason: String,
}

async fn set_status(
    visitor: Visitor,
    Path(id): Path<String>,
    Form { fields, proof }: Form<Status>,
) -> Response {
    let what = if fields.what == "reinstate" {
        "reinstate"
    } else {
        "suspend"
    };
    let path = format!("/api/accounts/{}/{what}", ui::encode(&id));
    let reason = Some(fields.reason).filter(|reason| !reason.is_empty());
    let done = visitor
        .change(
            Method::POST,
            "accounts",
            &path,
            &json!({"reason": reason}),
            &proof,
        )
        .await;
    let done = done.map(|_| ());
    finish(&visitor, &id, done, &proof).await
}

async fn finish(visitor: &Visitor, id: &str, done: Result<(), Failure>, proof: &Proof) -> Response {
    match done {
        Ok(()) => see(&format!("/admin/accounts/{}", ui::encode(id))),
        Err(failure) => {
            let again = page(visitor, id, Some(&failure), proof).await;
            again.map_err(|_| failure).into_response()
        }
    }
}
