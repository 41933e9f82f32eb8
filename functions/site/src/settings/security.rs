//! The credentials of a person: password, second factor, passkeys.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use guest::Path;
use http::Method;
use http::header::CACHE_CONTROL;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{List, Person, Refused, again, back, section};
use crate::enter::{PASSWORD_HINT, Surroundings};
use crate::failure::Failure;
use crate::forms::{self, Form, Nothing};
use crate::frame::Page;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new()
        .route("/settings/password", post(change_password))
        .route("/settings/second-factor", post(begin))
        .route("/settings/second-factor/confirm", post(confirm))
        .route("/settings/second-factor/remove", post(remove))
        .route("/settings/passkeys/{passkey}", post(remove_passkey))
}

#[derive(Debug, Deserialize)]
struct Passkey {
    id: String,
    name: String,
    backed_up: bool,
    created_at: String,
    last_used_at: Option<String>,
}

const PASSWORD: Field<'_> = Field {
    name: "password",
    form: "",
    label: "Your password",
    hint: "",
    kind: "password",
    value: "",
    fill: "current-password",
    max: None,
    optional: false,
};
const CODE: Field<'_> = Field {
    name: "code",
    form: "",
    label: "Code of your second factor",
    hint: "",
    kind: "text",
    value: "",
    fill: "one-time-code",
    max: Some(40),
    optional: false,
};

/// The fields that confirm a request: the password, and the code if the person has a second factor.
pub fn confirmation(form: &str, person: &Person) -> Markup {
    html! {
        (Field { form, hint: "Leave it empty if you have none, because you sign in with your organisation.", optional: true, ..PASSWORD }.show(None))
        @if person.second_factor { (Field { form, ..CODE }.show(None)) }
    }
}

/// The sections for password, second factor and passkeys.
pub async fn sections(
    visitor: &Visitor,
    person: &Person,
    refused: Option<&Refused<'_>>,
) -> Result<Markup, Failure> {
    let passkeys = visitor
        .get::<List<Passkey>>("people", "/api/users/me/passkeys?limit=100")
        .await?;
    let surroundings = Surroundings::ours().await;
    Ok(html! {
        (section("password", refused, &of_password(visitor, refused)))
        (section("second-factor", refused, &of_second_factor(visitor, person)))
        (section("passkeys", refused, &of_passkeys(visitor, person, &passkeys.items, &surroundings)))
    })
}

fn of_password(visitor: &Visitor, refused: Option<&Refused<'_>>) -> Markup {
    let failure = refused
        .filter(|refused| refused.section == "password")
        .map(|refused| refused.failure);
    html! {
        form method="post" action="/settings/password" {
            (forms::hidden(visitor))
            (Field { form: "change", name: "current_password", label: "Current password", ..PASSWORD }.show(failure))
            (Field { form: "change", label: "New password", hint: PASSWORD_HINT, fill: "new-password", ..PASSWORD }.show(failure))
            p.meta { "All other sessions end." }
            button { "Change password" }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Secrets {
    current_password: String,
    password: String,
    code: String,
}

impl Secrets {
    /// The confirmation, as the API takes it.
    fn confirmation(&self) -> serde_json::Value {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        json!({"password": some(&self.password), "code": some(&self.code)})
    }
}

async fn change_password(visitor: Visitor, Form { fields, proof }: Form<Secrets>) -> Response {
    let path = "/api/users/me/password";
    let body = json!({"current_password": fields.current_password, "password": fields.password});
    let changed = visitor
        .change(Method::PUT, "people", path, &body, &proof)
        .await;
    back(&visitor, "password", changed).await
}

fn of_second_factor(visitor: &Visitor, person: &Person) -> Markup {
    html! {
        @if person.second_factor {
            p { (ui::status("good", "on")) " Signing in with the password needs a code of your authenticator." }
            details.confirm { summary { "Turn it off" }
                form method="post" action="/settings/second-factor/remove" { (forms::hidden(visitor))
                    (Field { form: "remove", ..PASSWORD }.show(None)) (Field { form: "remove", ..CODE }.show(None))
                    button.danger { "Turn off second factor" } } }
        } @else {
            p { "With a second factor, signing in with the password needs a code of an app on your phone too." }
            form method="post" action="/settings/second-factor" { (forms::hidden(visitor))
                (Field { form: "begin", ..PASSWORD }.show(None))
                button.quiet { "Set up second factor" } }
        }
    }
}

#[derive(Debug, Deserialize)]
struct NewSecret {
    secret: String,
    uri: String,
}

/// A page with a secret, which is shown once and kept nowhere.
fn once(title: &str, main: Markup) -> Response {
    let mut response = Page::new(title, main).into_response();
    let value = http::HeaderValue::from_static("private, no-store");
    response.headers_mut().insert(CACHE_CONTROL, value);
    response
}

async fn begin(visitor: Visitor, Form { fields, proof }: Form<Secrets>) -> Response {
    let body = json!({"password": fields.password});
    let made = visitor.exchange::<NewSecret>(
        Method::POST,
        "people",
        "/api/users/me/second-factor",
        &body,
        &proof,
    );
    match made.await {
        Ok(secret) => secret_page(&visitor, &secret.secret, &secret.uri, None),
        Err(failure) => again(&visitor, "second-factor", failure).await,
    }
}

fn secret_page(visitor: &Visitor, secret: &str, uri: &str, failure: Option<&Failure>) -> Response {
    // Groups of four are easier to type.
    let groups: Vec<_> = secret
        .as_bytes()
        .chunks(4)
        .map(String::from_utf8_lossy)
        .collect();
    once(
        "Second factor",
        html! {
            div.narrow-page {
                h1 { "Second factor" }
                ol {
                    li { "Open an authenticator app, and let it read this code:"
                        @if uri.starts_with("otpauth://totp/") {
                            (ui::camera_code(uri, "The key, for the camera of the app"))
                            p { a href=(uri) { "Or open the app, if it is on this device" } }
                        }
                        "Or type the key:" (ui::copyable(&groups.join(" "))) }
                    li { "Enter the six digits that it shows." }
                }
                form method="post" action="/settings/second-factor/confirm" {
                    (forms::hidden(visitor))
                    input type="hidden" name="secret" value=(secret);
                    input type="hidden" name="uri" value=(uri);
                    (Field { name: "code", label: "Code", fill: "one-time-code", max: Some(6), ..Field::default() }.show(failure))
                    (ui::actions(&html! { button { "Turn on second factor" } a.button.quiet href="/settings#second-factor" { "Cancel" } }))
                }
            }
        },
    )
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Confirmed {
    code: String,
    secret: String,
    uri: String,
}

#[derive(Debug, Deserialize)]
struct Codes {
    recovery_codes: Vec<String>,
}

async fn confirm(visitor: Visitor, Form { fields, proof }: Form<Confirmed>) -> Response {
    let path = "/api/users/me/second-factor/confirm";
    let body = json!({"code": fields.code});
    let codes = visitor.exchange::<Codes>(Method::POST, "people", path, &body, &proof);
    match codes.await {
        Ok(codes) => once(
            "Recovery codes",
            html! {
                div.narrow-page {
                    h1 { "Second factor is on" }
                    p { "Keep these codes where you find them without your phone. Each works once, and they are shown only now." }
                    (ui::copyable(&codes.recovery_codes.join("\n")))
                    p { a.button href="/settings#second-factor" { "I have kept them" } }
                }
            },
        ),
        Err(failure) if failure.about("code").is_some() => {
            secret_page(&visitor, &fields.secret, &fields.uri, Some(&failure))
        }
        Err(failure) => again(&visitor, "second-factor", failure).await,
    }
}

async fn remove(visitor: Visitor, Form { fields, proof }: Form<Secrets>) -> Response {
    let path = "/api/users/me/second-factor";
    let removed = visitor
        .change(
            Method::DELETE,
            "people",
            path,
            &fields.confirmation(),
            &proof,
        )
        .await;
    back(&visitor, "second-factor", removed).await
}

fn of_passkeys(
    visitor: &Visitor,
    person: &Person,
    passkeys: &[Passkey],
    surroundings: &Surroundings,
) -> Markup {
    html! {
        p { "A passkey signs you in with your device, without a password: a fingerprint, a face or a PIN." }
        ul.rows { @for passkey in passkeys {
            li.spread {
                div { p { bdi { (passkey.name) } @if passkey.backed_up { " " (ui::status("good", "has a copy")) } }
                    p.meta { "added " (ui::ago(&passkey.created_at)) " · "
                        @match &passkey.last_used_at { Some(at) => { "used " (ui::ago(at)) }, None => "never used" } } }
                form method="post" action=(format!("/settings/passkeys/{}", passkey.id)) { (forms::hidden(visitor))
                    button.quiet { "Remove" span.hidden { " " (passkey.name) } } }
            }
        } }
        (surroundings.warning())
        (surroundings.passkey("/settings#passkeys", &html! {
            form.passkey data-passkey-add data-scripted hidden {
                (forms::hidden(visitor))
                (Field { form: "passkey", name: "name", label: "Name of the passkey", hint: "Such as the device that it is on.", max: Some(100), ..Field::default() }.show(None))
                (confirmation("passkey", person))
                p.error role="alert" hidden {}
                button { "Add passkey" }
            }
            noscript { p.meta { "Adding a passkey needs scripts: they talk to your device." } }
        }))
    }
}

async fn remove_passkey(
    visitor: Visitor,
    Path(passkey): Path<String>,
    form: Form<Nothing>,
) -> Response {
    let path = format!("/api/users/me/passkeys/{}", ui::encode(&passkey));
    let removed = visitor.delete("people", &path, &form.proof).await;
    back(&visitor, "passkeys", removed).await
}
