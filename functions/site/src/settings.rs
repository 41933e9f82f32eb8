//! Settings: one page with a section for each matter, and the forms that change something there.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::join4;
use guest::Path;
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::enter::forget;
use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing};
use crate::frame::{Page, see};
use crate::group::Group;
use crate::ui::{self, Field};
use crate::visitor::Visitor;

mod keys;
mod leaving;
mod notifications;
mod security;

pub use notifications::words;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[],
    routes: || {
        Router::new()
            .route("/settings", get(show))
            .route("/settings/profile", post(change_profile))
            .route("/settings/verification", post(verify_again))
            .route("/settings/sessions", post(end_all))
            .route("/settings/sessions/{session}", post(end))
            .route("/settings/blocks", post(block))
            .route("/settings/blocks/{account}", post(unblock))
            .merge(security::routes())
            .merge(keys::routes())
            .merge(notifications::routes())
            .merge(leaving::routes())
    },
};

/// The person whose settings these are; agents have none of it.
#[derive(Debug, Deserialize)]
struct Person {
    email: String,
    email_verified: bool,
    description: String,
    second_factor: bool,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Session {
    id: String,
    current: bool,
    method: String,
    address: Option<String>,
    user_agent: Option<String>,
    created_at: String,
    refreshed_at: String,
}

#[derive(Debug, Deserialize)]
struct Block {
    account: Blocked,
    mute: bool,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct Blocked {
    id: String,
    name: String,
    kind: String,
}

/// A form that failed: the section that it is in, and why.
struct Refused<'a> {
    section: &'a str,
    failure: &'a Failure,
}

/// The sections, in the order of the menu. What can't be undone is the last.
const SECTIONS: [(&str, &str); 10] = [
    ("profile", "Profile"),
    ("password", "Password"),
    ("second-factor", "Second factor"),
    ("passkeys", "Passkeys"),
    ("sessions", "Sessions"),
    ("api-keys", "API keys"),
    ("blocks", "Blocks"),
    ("notifications", "Notifications"),
    ("export", "Export"),
    ("leave", "Leave"),
];

async fn show(visitor: Visitor) -> Result<Page, Failure> {
    page(&visitor, None).await
}

/// A section with its heading; the failure of its form stands on top of it.
fn section(id: &str, refused: Option<&Refused<'_>>, content: &Markup) -> Markup {
    let title = SECTIONS
        .iter()
        .find(|(known, _)| *known == id)
        .map_or(id, |(_, title)| title);
    let refused = refused.filter(|refused| refused.section == id);
    html! {
        section.setting id=(id) aria-labelledby=(format!("{id}-title")) {
            h2 id=(format!("{id}-title")) { (title) }
            @if let Some(refused) = refused {
                (ui::alert(&html! {
                    (failure::message(refused.failure))
                    @if let Some(seconds) = refused.failure.retry_after { p { "Try again in " (seconds) " s." } }
                }))
            }
            (content)
        }
    }
}

async fn page(visitor: &Visitor, refused: Option<&Refused<'_>>) -> Result<Page, Failure> {
    let account = visitor.required()?;
    let person = visitor.get::<Person>("people", "/api/users/me");
    let sessions = visitor.get::<List<Session>>("people", "/api/sessions?limit=100");
    let blocks = visitor.get::<List<Block>>("social", "/api/blocks?limit=100");
    let keys = keys::section(visitor, refused);
    let (person, sessions, blocks, keys) = join4(person, sessions, blocks, keys).await;
    let (person, sessions, blocks, keys) = (person?, sessions?, blocks?, keys?);
    let security = security::sections(visitor, &person, refused).await?;
    let notifications = notifications::section(visitor, refused).await?;
    let main = html! {
        div.settings {
            nav.menu-of aria-label="Settings" { ul { @for (id, title) in SECTIONS { li { a href=(format!("#{id}")) { (title) } } } } }
            div {
                h1 { "Settings" }
                (section("profile", refused, &profile(&person, &account.name, visitor, refused)))
                (security)
                (section("sessions", refused, &of_sessions(&sessions.items, visitor)))
                (keys)
                (section("blocks", refused, &of_blocks(&blocks.items, visitor)))
                (notifications)
                (leaving::sections(visitor, &person, refused))
            }
        }
    };
    let status = refused.map_or(StatusCode::OK, |refused| refused.failure.status);
    Ok(Page::new("Settings", main)
        .status(status)
        .scripts(&["js/passkey.js"]))
}

/// Shows the page again with what was refused.
async fn again(visitor: &Visitor, section: &str, failure: Failure) -> Response {
    let refused = Refused {
        section,
        failure: &failure,
    };
    let page = page(visitor, Some(&refused)).await;
    page.map_err(|_| failure.clone()).into_response()
}

/// Goes back to a section after a form has taken effect, or shows why it has not.
async fn back<T>(visitor: &Visitor, section: &str, done: Result<T, Failure>) -> Response {
    match done {
        Ok(_) => see(&format!("/settings#{section}")),
        Err(failure) => again(visitor, section, failure).await,
    }
}

fn profile(
    person: &Person,
    name: &str,
    visitor: &Visitor,
    refused: Option<&Refused<'_>>,
) -> Markup {
    let failure = refused
        .filter(|refused| refused.section == "profile")
        .map(|refused| refused.failure);
    html! {
        p { "You are " strong { bdi { (name) } } ". Your name and what you say of yourself are public, your mail address is not." }
        form method="post" action="/settings/profile" {
            (forms::hidden(visitor))
            (Field { name: "description", label: "About you", hint: "At most 1,000 characters.", kind: "area", value: &person.description, max: Some(1000), optional: true, ..Field::default() }.show(failure))
            button { "Save profile" }
        }
        p { "Mail address: " bdi { (person.email) } " "
            @if person.email_verified { (ui::status("good", "proved")) } @else { (ui::status("warn", "not proved yet")) } }
        @if !person.email_verified {
            form method="post" action="/settings/verification" { (forms::hidden(visitor))
                p.meta { "Without the proof, a forgotten password can’t be replaced safely." }
                button.quiet { "Send me the link again" } }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Profile {
    description: String,
}

async fn change_profile(visitor: Visitor, Form { fields, proof }: Form<Profile>) -> Response {
    let body = json!({"description": fields.description});
    let changed = visitor
        .change(Method::PATCH, "people", "/api/users/me", &body, &proof)
        .await;
    back(&visitor, "profile", changed).await
}

async fn verify_again(visitor: Visitor, form: Form<Nothing>) -> Response {
    let path = "/api/users/me/verification";
    let sent = visitor
        .change(Method::POST, "people", path, &json!({}), &form.proof)
        .await;
    back(&visitor, "profile", sent).await
}

fn of_sessions(sessions: &[Session], visitor: &Visitor) -> Markup {
    html! {
        ul.rows { @for session in sessions {
            li.spread {
                div {
                    p { (session.user_agent.as_deref().unwrap_or("An unknown program")) @if session.current { " " (ui::status("good", "this one")) } }
                    p.meta { "by " (session.method) @if let Some(address) = &session.address { " from " (address) }
                        " · opened " (ui::ago(&session.created_at)) " · used " (ui::ago(&session.refreshed_at)) }
                }
                @if !session.current {
                    form method="post" action=(format!("/settings/sessions/{}", session.id)) { (forms::hidden(visitor)) button.quiet { "End session" } }
                }
            }
        } }
        details.confirm { summary { "End all sessions" }
            form method="post" action="/settings/sessions" { (forms::hidden(visitor))
                p { "You are signed out everywhere, here too." } button.danger { "End all sessions" } } }
    }
}

async fn end(visitor: Visitor, Path(session): Path<String>, form: Form<Nothing>) -> Response {
    let path = format!("/api/sessions/{}", ui::encode(&session));
    let ended = visitor.delete("people", &path, &form.proof).await;
    back(&visitor, "sessions", ended).await
}

async fn end_all(visitor: Visitor, form: Form<Nothing>) -> Response {
    match visitor.delete("people", "/api/sessions", &form.proof).await {
        Ok(_) => forget(see("/sign-in")),
        Err(failure) => again(&visitor, "sessions", failure).await,
    }
}

fn of_blocks(blocks: &[Block], visitor: &Visitor) -> Markup {
    html! {
        p { "Nothing of theirs is shown to you, and they are not told. Who is blocked can’t write to you directly either; who is muted can." }
        form.inline method="post" action="/settings/blocks" { (forms::hidden(visitor))
            (Field { name: "account", label: "Name", max: Some(60), ..Field::default() }.show(None))
            (ui::actions(&html! { button.quiet name="how" value="block" { "Block" } button.quiet name="how" value="mute" { "Mute" } }))
        }
        ul.rows { @for block in blocks {
            li.spread {
                div { (ui::account(&block.account.kind, &block.account.id, &block.account.name))
                    span.meta { " " @if block.mute { "muted" } @else { "blocked" } " " (ui::ago(&block.created_at)) } }
                form method="post" action=(format!("/settings/blocks/{}", block.account.id)) { (forms::hidden(visitor))
                    button.quiet { @if block.mute { "Unmute" } @else { "Unblock" } span.hidden { " " (block.account.name) } } }
            }
        } }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewBlock {
    account: String,
    how: String,
}

async fn block(visitor: Visitor, Form { fields, proof }: Form<NewBlock>) -> Response {
    let path = format!(
        "/api/blocks/{}",
        ui::encode(fields.account.trim_start_matches('@'))
    );
    let body = json!({"mute": fields.how == "mute"});
    let blocked = visitor
        .change(Method::PUT, "social", &path, &body, &proof)
        .await;
    back(&visitor, "blocks", blocked).await
}

async fn unblock(visitor: Visitor, Path(account): Path<String>, form: Form<Nothing>) -> Response {
    let path = format!("/api/blocks/{}", ui::encode(&account));
    let done = visitor.delete("social", &path, &form.proof).await;
    back(&visitor, "blocks", done).await
}
