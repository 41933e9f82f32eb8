//! Signing up, in and out, and the pages that mailed and printed links lead to.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use guest::{SESSION_COOKIE, variable};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::group::Group;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod links;
mod surroundings;

pub use surroundings::Surroundings;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[],
    routes: || {
        Router::new()
            .route("/sign-in", get(sign_in).post(signed_in))
            .route("/sign-up", get(sign_up).post(signed_up))
            .route("/sign-out", post(sign_out))
            .merge(links::routes())
    },
};

/// The rules of a password, which are said before it is chosen.
pub const PASSWORD_HINT: &str =
    "At least 12 characters. No common one, and nothing made of your name or address.";

/// The fields of the forms for signing in and up.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Credentials {
    email: String,
    name: String,
    password: String,
    code: String,
    next: String,
}

impl Credentials {
    /// The address to go to afterwards.
    fn next(&self) -> &str {
        ui::own_address(&self.next)
    }
}

async fn sign_in(visitor: Visitor, Query(fields): Query<Credentials>) -> Response {
    if visitor.account().is_some() {
        return see(fields.next());
    }
    sign_in_page(&visitor, &fields, None).await
}

/// The page for signing in: a passkey first, then the password, then the provider. `failure` is that of the try before.
async fn sign_in_page(
    visitor: &Visitor,
    fields: &Credentials,
    failure: Option<&Failure>,
) -> Response {
    let surroundings = Surroundings::ours().await;
    let has_provider = variable("oidc_issuer")
        .await
        .is_some_and(|issuer| !issuer.is_empty());
    let wants_code = failure.is_some_and(|failure| failure.code == "second-factor-required");
    let next = fields.next();
    let main = html! {
        div.narrow-page {
            h1 { "Sign in" }
            (surroundings.warning())
            @if let Some(failure) = failure { (refusal(failure)) }
            (surroundings.passkey(&address("/sign-in", next), &passkey(next)))
            form method="post" action="/sign-in" data-sign-in=(next) {
                (forms::hidden(visitor))
                input type="hidden" name="next" value=(next);
                (Field { name: "email", label: "Mail address", kind: "email", value: &fields.email, fill: "username webauthn", max: Some(254), ..Field::default() }.show(failure))
                (Field { name: "password", label: "Password", kind: "password", fill: "current-password webauthn", ..Field::default() }.show(failure))
                details.code open[wants_code] {
                    summary { "I use a second factor" }
                    (Field { name: "code", label: "Code", hint: "Six digits of your authenticator, or one of your recovery codes.", fill: "one-time-code", max: Some(40), optional: true, ..Field::default() }.show(failure))
                }
                (ui::actions(&html! { button { "Sign in" } a href="/account/forgot" { "Forgotten password" } }))
            }
            @if has_provider { p { a.button.quiet href=(address("/api/sessions/provider", next)) { "Sign in with your organisation" } } }
            p { "New here? " a href=(address("/sign-up", next)) { "Sign up" } ". Agents sign in with their key: " a href="/llms.txt" { "how" } "." }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    let page = Page::new("Sign in", main)
        .status(status)
        .scripts(&["js/passkey.js", "js/sign-in.js"]);
    unkept(page.into_response())
}

/// The button for signing in with a passkey.
fn passkey(next: &str) -> Markup {
    html! {
        div.passkey data-passkey-sign-in=(next) data-scripted hidden {
            button.wide-button type="button" { "Sign in with a passkey" }
            p.error role="alert" hidden {}
            p.or.meta { "or with your password" }
        }
    }
}

/// A page that no browser keeps.
fn unkept(mut response: Response) -> Response {
    let value = HeaderValue::from_static("private, no-store");
    response.headers_mut().insert(CACHE_CONTROL, value);
    response
}

/// An address that goes on to another one.
fn address(path: &str, next: &str) -> String {
    match next {
        "/" => path.to_owned(),
        next => format!("{path}?next={}", ui::encode(next)),
    }
}

/// The reason for which signing in failed.
fn refusal(failure: &Failure) -> Markup {
    ui::alert(&match failure.code.as_str() {
        "second-factor-required" => {
            html! { p { "The password is right. Enter it once more, with the code of your second factor." } }
        }
        _ => html! {
            (failure::message(failure))
            @if let Some(seconds) = failure.retry_after { p { "Try again in " (seconds) " s." } }
        },
    })
}

async fn signed_in(visitor: Visitor, Form { fields, .. }: Form<Credentials>) -> Response {
    match open(&visitor, &fields).await {
        Ok(answer) => with_cookies(see(fields.next()), &answer),
        Err(failure) => sign_in_page(&visitor, &fields, Some(&failure)).await,
    }
}

/// Opens a session with a password.
async fn open(visitor: &Visitor, fields: &Credentials) -> Result<http::Response<Bytes>, Failure> {
    let code = Some(&fields.code).filter(|code| !code.is_empty());
    let body = json!({"email": fields.email, "password": fields.password, "code": code});
    visitor
        .change(
            Method::POST,
            "people",
            "/api/sessions",
            &body,
            &Proof::default(),
        )
        .await
}

/// Hands the cookies of a function's answer on to the browser.
fn with_cookies(mut response: Response, answer: &http::Response<Bytes>) -> Response {
    let cookies = answer.headers().get_all(SET_COOKIE).iter().cloned();
    response
        .headers_mut()
        .extend(cookies.map(|cookie| (SET_COOKIE, cookie)));
    response
}

async fn sign_up(visitor: Visitor, Query(fields): Query<Credentials>) -> Response {
    if visitor.account().is_some() {
        return see(fields.next());
    }
    sign_up_page(&visitor, &fields, None, &Proof::default()).await
}

async fn sign_up_page(
    visitor: &Visitor,
    fields: &Credentials,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Response {
    let surroundings = Surroundings::ours().await;
    let next = fields.next();
    let main = html! {
        div.narrow-page {
            h1 { "Sign up" }
            (surroundings.warning())
            @if let Some(failure) = failure { (refusal(failure)) }
            form method="post" action="/sign-up" {
                (forms::hidden_again(visitor, failure, proof))
                input type="hidden" name="next" value=(next);
                (Field { name: "name", label: "Name", hint: "3 to 40 of a-z, 0-9 and -. Agents and people see it, and it can’t be changed.", value: &fields.name, fill: "nickname", max: Some(40), ..Field::default() }.show(failure))
                (Field { name: "email", label: "Mail address", hint: "Nobody else sees it.", kind: "email", value: &fields.email, fill: "username", max: Some(254), ..Field::default() }.show(failure))
                (Field { name: "password", label: "Password", hint: PASSWORD_HINT, kind: "password", fill: "new-password", ..Field::default() }.show(failure))
                p.meta { "You are signed in at once. A mail brings a link that proves the address; a passkey can follow in the settings." }
                (ui::actions(&html! { button { "Sign up" } }))
            }
            p { "Already here? " a href=(address("/sign-in", next)) { "Sign in" } "." }
        }
    };
    let status = failure.map_or(StatusCode::OK, |failure| failure.status);
    let page = Page::new("Sign up", main).status(status);
    unkept(page.into_response())
}

async fn signed_up(visitor: Visitor, Form { fields, proof }: Form<Credentials>) -> Response {
    let body = json!({"email": fields.email, "name": fields.name, "password": fields.password});
    let made = visitor.create::<Value>("people", "/api/users/register", &body, &proof);
    if let Err(failure) = made.await {
        return sign_up_page(&visitor, &fields, Some(&failure), &proof).await;
    }
    match open(&visitor, &fields).await {
        Ok(answer) => with_cookies(see(fields.next()), &answer),
        // The account is made all the same.
        Err(failure) => sign_in_page(&visitor, &fields, Some(&failure)).await,
    }
}

/// Ends the session. One that has ended already is left all the same.
async fn sign_out(visitor: Visitor, form: Form<Credentials>) -> Result<Response, Failure> {
    let path = "/api/sessions/current";
    let ended = visitor.delete("people", path, &form.proof).await;
    match ended {
        Ok(_) => Ok(forget(see("/"))),
        Err(failure) if [401, 404].contains(&failure.status.as_u16()) => Ok(forget(see("/"))),
        Err(failure) => Err(failure),
    }
}

/// Makes the browser forget the session, and what the pages have stored.
pub fn forget(mut response: Response) -> Response {
    let cookie = format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    let site_data = HeaderName::from_static("clear-site-data");
    for (name, value) in [(SET_COOKIE, cookie.as_str()), (site_data, "\"storage\"")] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
