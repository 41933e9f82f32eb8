//! The pages that links in mails and in the operator's terminal lead to. A link is used up by its form, never by being
//! opened.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::REFERRER_POLICY;
use http::{HeaderValue, Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{PASSWORD_HINT, unkept};
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::Page;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/account/verify", get(verify).post(verified))
        .route("/account/reset", get(reset).post(was_reset))
        .route("/account/forgot", get(forgot).post(forgotten))
        .route("/account/admin", get(admin).post(made_admin))
}

/// The fields of these forms.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sent {
    token: String,
    email: String,
    name: String,
    password: String,
}

const EMAIL: Field<'_> = Field {
    name: "email",
    form: "",
    label: "Mail address",
    hint: "",
    kind: "email",
    value: "",
    fill: "email",
    max: Some(254),
    optional: false,
};
const NAME: Field<'_> = Field {
    name: "name",
    form: "",
    label: "Name",
    hint: "3 to 40 of a-z, 0-9 and -.",
    kind: "text",
    value: "",
    fill: "username",
    max: Some(60),
    optional: false,
};
const NEW_PASSWORD: Field<'_> = Field {
    name: "password",
    form: "",
    label: "New password",
    hint: PASSWORD_HINT,
    kind: "password",
    value: "",
    fill: "new-password",
    max: None,
    optional: false,
};

/// A page with a form that is sent to its own path; without a form if the link is used up.
fn page(
    visitor: &Visitor,
    title: &str,
    lead: &str,
    token: &str,
    fields: &Markup,
    button: &str,
    failure: Option<&Failure>,
) -> Response {
    let is_over = failure.is_some_and(|failure| failure.status == StatusCode::GONE);
    let main = html! {
        div.narrow-page {
            h1 { (title) }
            @if let Some(failure) = failure {
                (ui::alert(&html! { (failure::message(failure)) @if let Some(seconds) = failure.retry_after { p { "Try again in " (seconds) " s." } } }))
            }
            @if is_over {
                p { "Ask for " a href="/account/forgot" { "a link for a new password" } ", which proves the address too." }
            } @else {
                @if !lead.is_empty() { p { (lead) } }
                form method="post" {
                    (forms::hidden(visitor))
                    @if !token.is_empty() { input type="hidden" name="token" value=(token); }
                    (fields)
                    button { (button) }
                }
            }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    answer(Page::new(title, main).status(status))
}

/// A page that says that it is done.
fn done(title: &str, text: &str, signs_in: bool) -> Response {
    let main = html! {
        div.narrow-page { h1 { (title) } p { (text) } @if signs_in { p { a.button href="/sign-in" { "Sign in" } } } }
    };
    answer(Page::new(title, main))
}

/// The address of these pages is a secret: nothing keeps them, and no other page learns of it.
fn answer(page: Page) -> Response {
    let mut response = unkept(page.into_response());
    let none = HeaderValue::from_static("no-referrer");
    response.headers_mut().insert(REFERRER_POLICY, none);
    response
}

async fn send(visitor: &Visitor, path: &str, body: serde_json::Value) -> Result<(), Failure> {
    let sent = visitor
        .change(Method::POST, "people", path, &body, &Proof::default())
        .await;
    sent.map(|_| ())
}

fn verification(visitor: &Visitor, token: &str, failure: Option<&Failure>) -> Response {
    let password = Field {
        label: "Password",
        hint: "",
        fill: "current-password",
        ..NEW_PASSWORD
    };
    let lead = "Confirm that this mail address is yours, with the password of the account that the mail names. \
                If you did not make that account, close this page.";
    page(
        visitor,
        "Your mail address",
        lead,
        token,
        &password.show(failure),
        "Confirm",
        failure,
    )
}

async fn verify(visitor: Visitor, Query(sent): Query<Sent>) -> Response {
    verification(&visitor, &sent.token, None)
}

async fn verified(visitor: Visitor, Form { fields, .. }: Form<Sent>) -> Response {
    let body = json!({"token": fields.token, "password": fields.password});
    match send(&visitor, "/api/users/verify", body).await {
        Ok(()) => done("Thank you", "The mail address is confirmed.", false),
        Err(failure) => verification(&visitor, &fields.token, Some(&failure)),
    }
}

/// The form asks for the account if several claim the address.
fn resetting(visitor: &Visitor, token: &str, failure: Option<&Failure>) -> Response {
    let is_ambiguous = failure.is_some_and(|failure| failure.about("name").is_some());
    let name = Field {
        hint: "The account that gets the password.",
        ..NAME
    };
    let fields = html! { @if is_ambiguous { (name.show(failure)) } (NEW_PASSWORD.show(failure)) };
    page(
        visitor,
        "A new password",
        "",
        token,
        &fields,
        "Set the password",
        failure,
    )
}

async fn reset(visitor: Visitor, Query(sent): Query<Sent>) -> Response {
    resetting(&visitor, &sent.token, None)
}

async fn was_reset(visitor: Visitor, Form { fields, .. }: Form<Sent>) -> Response {
    let name = Some(&fields.name).filter(|name| !name.is_empty());
    let body = json!({"token": fields.token, "name": name, "password": fields.password});
    match send(&visitor, "/api/users/password/reset", body).await {
        Ok(()) => done(
            "The password is set",
            "All sessions were ended. Sign in with the new password.",
            true,
        ),
        Err(failure) => resetting(&visitor, &fields.token, Some(&failure)),
    }
}

fn forgetting(visitor: &Visitor, email: &str, failure: Option<&Failure>) -> Response {
    let email = Field {
        value: email,
        ..EMAIL
    };
    page(
        visitor,
        "Forgotten password",
        "A link for a new password goes to your mail address.",
        "",
        &email.show(failure),
        "Send me a link",
        failure,
    )
}

async fn forgot(visitor: Visitor) -> Response {
    forgetting(&visitor, "", None)
}

async fn forgotten(visitor: Visitor, Form { fields, .. }: Form<Sent>) -> Response {
    let body = json!({"email": fields.email});
    match send(&visitor, "/api/users/password/forgot", body).await {
        Ok(()) => done(
            "Look into your mail",
            "If an account has this address, a link is on its way. It works once, for 30 minutes. \
             Within an hour an address gets five at most.",
            false,
        ),
        Err(failure) => forgetting(&visitor, &fields.email, Some(&failure)),
    }
}

fn new_admin(visitor: &Visitor, sent: &Sent, failure: Option<&Failure>) -> Response {
    let fields = html! {
        (Field { value: &sent.email, ..EMAIL }.show(failure))
        (Field { value: &sent.name, ..NAME }.show(failure))
        (NEW_PASSWORD.show(failure))
    };
    page(
        visitor,
        "A new admin",
        "This link makes one account that may do everything.",
        &sent.token,
        &fields,
        "Make the account",
        failure,
    )
}

async fn admin(visitor: Visitor, Query(sent): Query<Sent>) -> Response {
    new_admin(&visitor, &sent, None)
}

async fn made_admin(visitor: Visitor, Form { fields, .. }: Form<Sent>) -> Response {
    let body = json!({
        "token": fields.token, "email": fields.email, "name": fields.name, "password": fields.password,
    });
    match send(&visitor, "/api/users/register-admin", body).await {
        Ok(()) => done(
            "Welcome",
            "The account is made, and an admin. Sign in with it.",
            true,
        ),
        Err(failure) => new_admin(&visitor, &fields, Some(&failure)),
    }
}
