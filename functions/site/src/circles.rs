//! Circles: their members, and the conversations in which their agents think.

mod personas;
mod proposals;
mod sources;
mod talk;

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::try_join3;
use guest::Path;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::forms::{self, Form, Proof};
use crate::frame::{Page, see};
use crate::group::{Group, Place, signed_in};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[
        Place {
            label: "Circles",
            path: "/circles",
            icon: "agents",
            key: "k",
            shown: signed_in,
        },
        Place {
            label: "Personas",
            path: "/personas",
            icon: "agents",
            key: "e",
            shown: signed_in,
        },
    ],
    routes: || {
        Router::new()
            .route("/circles", get(list).post(create))
            .route("/circles/{circle}", get(show))
            .route("/circles/{circle}/members", post(seat))
            .route("/circles/{circle}/conversations", post(converse))
            .route("/circles/{circle}/public", post(open))
            .merge(proposals::routes())
            .merge(sources::routes())
            .merge(talk::routes())
            .merge(personas::routes())
    },
};

/// The ways of choosing speakers that a new circle can have, with what they mean.
const MODES: [(&str, &str); 4] = [
    ("round_robin", "all, one after another"),
    ("mention", "who is addressed"),
    ("parallel", "all at once"),
    ("handoff", "whom the last speaker names"),
];

/// An account, as circles name it.
#[derive(Debug, Deserialize)]
pub struct Account {
    id: String,
    name: String,
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Circle {
    id: String,
    name: String,
    purpose: String,
    mode: String,
    members: i64,
    public: bool,
    role: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Member {
    account: Account,
    role: String,
    persona: Option<Persona>,
}

#[derive(Debug, Deserialize)]
struct Persona {
    id: String,
    name: String,
    version: i64,
}

#[derive(Debug, Deserialize)]
struct Conversation {
    id: String,
    title: String,
    status: String,
    created_at: String,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// The part of a list that a page shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    after: String,
}

/// A form as it was sent, and the reason why it was refused.
#[derive(Debug, Clone, Copy, Default)]
struct Refused<'a> {
    failure: Option<&'a Failure>,
    proof: Option<&'a Proof>,
}

/// A list whose items are made by the form below it: what the API has below `/api` at a path, the site has at the path.
async fn listed<T: DeserializeOwned>(
    visitor: &Visitor,
    path: &str,
    part: &Part,
) -> Result<List<T>, Failure> {
    visitor.required()?;
    let mut path = format!("/api{path}?limit=50");
    if !part.after.is_empty() {
        path += &format!("&after={}", ui::encode(&part.after));
    }
    visitor.get("circles", &path).await
}

/// The form that makes an item of a list, if the visitor may: its heading, what its button says, and its fields.
fn new_item(
    visitor: &Visitor,
    path: &str,
    refused: Refused<'_>,
    [heading, button]: [&str; 2],
    fields: &Markup,
) -> Markup {
    html! {
        @if visitor.may("personas:create") {
            h2 { (heading) }
            @if let Some(failure) = refused.failure { (ui::alert(&html! { p { (failure.detail) } })) }
            form method="post" action=(path) {
                (forms::hidden_again(visitor, refused.failure, refused.proof.unwrap_or(&Proof::default())))
                (fields)
                div.actions { button { (button) } }
            }
        }
    }
}

/// What has an id.
#[derive(Debug, Deserialize)]
struct Made {
    id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    all: bool,
    after: String,
}

/// A circle to make, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewCircle {
    name: String,
    purpose: String,
    mode: String,
}

/// A seat to make, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewSeat {
    persona: String,
    name: String,
}

/// Whether everybody may talk with a circle, as the form sends it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Opening {
    public: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewConversation {
    title: String,
}

impl Circle {
    fn speaks(&self) -> bool {
        self.role.as_deref().is_some_and(|role| role != "observer")
    }

    /// The switch with which its owner lets everybody talk with it.
    fn opening(&self, visitor: &Visitor) -> Markup {
        html! {
            h2 { "Who may talk with it" }
            p { @if self.public { "Everybody who is signed in may talk with its agents, also by A2A; their owners pay." }
                @else { "Its members alone talk with its agents." } }
            form method="post" action=(format!("/circles/{}/public", self.id)) {
                (forms::hidden(visitor))
                input type="hidden" name="public" value=(!self.public);
                div.actions { button.quiet { @if self.public { "Let its members alone talk" } @else { "Let everybody talk" } } }
            }
        }
    }
}

impl Account {
    fn shown(&self) -> Markup {
        ui::account(&self.kind, &self.id, &self.name)
    }
}

async fn list(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    list_page(
        &visitor,
        &filter,
        None,
        &NewCircle::default(),
        &Proof::default(),
    )
    .await
}

async fn list_page(
    visitor: &Visitor,
    filter: &Filter,
    failure: Option<&Failure>,
    new: &NewCircle,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let mut path = format!("/api/circles?limit=50&joined={}", !filter.all);
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let circles: List<Circle> = visitor.get("circles", &path).await?;
    let here = |all: bool| filter.all == all;
    let main = html! {
        h1 { "Circles" }
        (ui::tabs("Which circles", &[
            ("Mine", "/circles".to_owned(), here(false)), ("Public", "/circles?all=true".to_owned(), here(true))]))
        @if circles.items.is_empty() {
            (ui::empty("In a circle, agents talk with you and with each other. There is none here.",
                &html! { a.button.quiet href="/personas" { "Look at personas" } }))
        }
        ul.rows { @for circle in &circles.items {
            li {
                p { a href=(format!("/circles/{}", circle.id)) { bdi { (circle.name) } } }
                p.meta { (ui::counted(circle.members, "member")) " · " (circle.mode.replace('_', " "))
                    @if let Some(role) = &circle.role { " · you are " (role) } }
                @if !circle.purpose.is_empty() { p { bdi { (circle.purpose) } } }
            }
        } }
        (ui::more(&format!("/circles?all={}", filter.all), circles.next.as_deref()))
        @if visitor.may("circles:create") {
            h2 { "New circle" }
            @if let Some(failure) = failure.filter(|failure| failure.about("name").is_none()) {
                (ui::alert(&html! { p { (failure.detail) } }))
            }
            form method="post" action="/circles" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "name", label: "Name", hint: "2 to 60 of a-z, 0-9 and -", value: &new.name, max: Some(60), ..Field::default() }.show(failure))
                (Field { name: "purpose", label: "Purpose", hint: "Its agents are told this.", kind: "area", value: &new.purpose, max: Some(4000), optional: true, ..Field::default() }.show(failure))
                div.field {
                    label for="mode" { "Who speaks" }
                    select id="mode" name="mode" { @for (mode, what) in MODES {
                        option value=(mode) selected[new.mode == mode] { (what) }
                    } }
                }
                div.actions { button { "Make circle" } }
            }
        }
    };
    Ok(Page::new("Circles", main))
}

async fn create(visitor: Visitor, Form { fields, proof }: Form<NewCircle>) -> Response {
    let body = json!({"name": fields.name, "purpose": fields.purpose, "mode": fields.mode});
    let failure = match visitor
        .create::<Made>("circles", "/api/circles", &body, &proof)
        .await
    {
        Ok(made) => return see(&format!("/circles/{}", made.id)),
        Err(failure) => failure,
    };
    let page = list_page(
        &visitor,
        &Filter::default(),
        Some(&failure),
        &fields,
        &proof,
    )
    .await;
    page.map(|page| page.status(failure.status)).into_response()
}

async fn show(visitor: Visitor, Path(circle): Path<String>) -> Result<Page, Failure> {
    page(
        &visitor,
        &circle,
        None,
        &NewSeat::default(),
        &Proof::default(),
    )
    .await
}

async fn page(
    visitor: &Visitor,
    circle: &str,
    failure: Option<&Failure>,
    new: &NewSeat,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let path = format!("/api/circles/{}", ui::encode(circle));
    let circle: Circle = visitor.get("circles", &path).await?;
    let (members, conversations) = (
        format!("/api/circles/{}/members?limit=100", circle.id),
        format!("/api/conversations?limit=50&circle={}", circle.id),
    );
    let (members, conversations, proposals) = try_join3(
        visitor.get::<List<Member>>("circles", &members),
        visitor.get::<List<Conversation>>("circles", &conversations),
        proposals::section(visitor, &circle),
    )
    .await?;
    let leads = matches!(circle.role.as_deref(), Some("owner" | "moderator"));
    let speaks = circle.speaks();
    let main = html! {
        p { a href="/circles" { "All circles" } }
        h1 { bdi { (circle.name) } }
        @if !circle.purpose.is_empty() { p { bdi { (circle.purpose) } } }
        h2 { "Conversations" }
        @if conversations.items.is_empty() { p { "You are in no conversation of this circle yet." } }
        ul.rows { @for one in &conversations.items {
            li { p { a href=(format!("/conversations/{}", one.id)) { bdi { (title(&one.title)) } } }
                p.meta { (one.status) " · " (ui::ago(&one.created_at)) } }
        } }
        @if speaks {
            form method="post" action=(format!("/circles/{}/conversations", circle.id)) {
                (forms::hidden(visitor))
                (Field { name: "title", label: "What about?", max: Some(200), optional: true, ..Field::default() }.show(None))
                div.actions { button { "New conversation" } }
            }
        }
        (proposals)
        h2 { "Members" }
        ul.rows { @for member in &members.items {
            li { p { (member.account.shown()) " " span.meta { (member.role) } }
                @if let Some(persona) = &member.persona {
                    p.meta { "thinks as " a href=(format!("/personas/{}", persona.id)) { (persona.name) } ", version " (persona.version) }
                } }
        } }
        @if leads {
            h3 { "Add an agent" }
            @if let Some(failure) = failure { (ui::alert(&html! { p { (failure.detail) } })) }
            form method="post" action=(format!("/circles/{}/members", circle.id)) {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "persona", label: "Persona", hint: "Its name, or its id", value: &new.persona, max: Some(70), ..Field::default() }.show(failure))
                (Field { name: "name", label: "Name of its account", hint: "3 to 40 of a-z, 0-9 and -; made of the persona's if empty", value: &new.name, max: Some(40), optional: true, ..Field::default() }.show(failure))
                div.actions { button { "Add agent" } }
            }
        }
        @if circle.role.as_deref() == Some("owner") { (circle.opening(visitor)) }
    };
    Ok(Page::new(circle.name.clone(), main))
}

fn title(title: &str) -> &str {
    if title.is_empty() {
        "Conversation"
    } else {
        title
    }
}

/// Makes an agent of the visitor's, which the platform thinks for.
async fn seat(
    visitor: Visitor,
    Path(circle): Path<String>,
    Form { fields, proof }: Form<NewSeat>,
) -> Response {
    let path = format!("/api/circles/{}/members", ui::encode(&circle));
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let body = json!({"persona": fields.persona.trim(), "name": some(&fields.name)});
    let failure = match visitor
        .create::<Value>("circles", &path, &body, &proof)
        .await
    {
        Ok(_) => return see(&format!("/circles/{}", ui::encode(&circle))),
        Err(failure) => failure,
    };
    let page = page(&visitor, &circle, Some(&failure), &fields, &proof).await;
    page.map(|page| page.status(failure.status)).into_response()
}

async fn open(
    visitor: Visitor,
    Path(circle): Path<String>,
    Form { fields, proof }: Form<Opening>,
) -> Result<Response, Failure> {
    let path = format!("/api/circles/{}", ui::encode(&circle));
    let body = json!({"public": fields.public});
    visitor
        .change(Method::PATCH, "circles", &path, &body, &proof)
        .await?;
    Ok(see(&format!("/circles/{}", ui::encode(&circle))))
}

async fn converse(
    visitor: Visitor,
    Path(circle): Path<String>,
    Form { fields, proof }: Form<NewConversation>,
) -> Result<Response, Failure> {
    let body = json!({"circle": circle, "title": fields.title});
    let made: Made = visitor
        .create("circles", "/api/conversations", &body, &proof)
        .await?;
    Ok(see(&format!("/conversations/{}", made.id)))
}
