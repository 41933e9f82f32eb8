//! Memory: what is noted for the visitor, why each is there, and forgetting it after a look at what goes with it.

use axum::Router;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join;
use guest::Path;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::{self, Failure};
use crate::forms::{self, Form, Nothing, Proof};
use crate::frame::{Page, see};
use crate::group::{Group, Place, signed_in};
use crate::ui::{self, Field};
use crate::visitor::Visitor;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Memory",
        path: "/memory",
        icon: "memory",
        key: "m",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/memory", get(list).post(note))
            .route("/memory/{memory}", get(show))
            .route("/memory/{memory}/forget", get(preview).post(forget))
    },
};

#[derive(Debug, Deserialize)]
struct Memory {
    id: String,
    scope: String,
    content: String,
    kind: String,
    trust: String,
    state: String,
    key: Option<String>,
    superseded_by: Option<String>,
    sources: Vec<Source>,
    tags: Vec<String>,
    author: String,
    version: u32,
    uses: u32,
    created_at: String,
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Debug, Deserialize)]
struct List {
    items: Vec<Memory>,
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    degraded: bool,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
    content: String,
    recorded_at: String,
}

#[derive(Debug, Deserialize)]
struct Versions {
    items: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Edges {
    made_into: Vec<String>,
    superseded: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    query: String,
    state: String,
    after: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewMemory {
    content: String,
}

const STATES: [&str; 3] = ["", "archived", "superseded"];

async fn list(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    let form = NewMemory::default();
    listed(&visitor, &asked, &form, None, &Proof::default()).await
}

/// The path of what is asked for.
fn path_of(asked: &Asked) -> String {
    if !asked.query.trim().is_empty() {
        let query = ui::encode(&asked.query);
        return format!("/api/memory/search?limit=50&query={query}");
    }
    let mut query =
        form_urlencoded::Serializer::for_suffix(String::from("/api/memory?limit=50&"), 21);
    for (name, value) in [("state", &asked.state), ("after", &asked.after)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

/// The list, with the form as it was sent if that failed.
async fn listed(
    visitor: &Visitor,
    asked: &Asked,
    form: &NewMemory,
    failure: Option<&Failure>,
    proof: &Proof,
) -> Result<Page, Failure> {
    visitor.required()?;
    let path = path_of(asked);
    let memories: List = visitor.get("memory", &path).await?;
    let main = html! {
        h1 { "Memory" }
        p.lead { "What you and your agents noted, and what was noted in your teams and channels." }
        form.filter action="/memory" {
            label.hidden for="words" { "Words, or a question" }
            input #words name="query" type="search" value=(asked.query) maxlength="2000";
            button { "Find" }
        }
        @if memories.degraded { p.meta { "Only words were searched: the embedding model does not answer." } }
        nav.pills aria-label="State" {
            @for state in STATES {
                a href=(format!("/memory?state={state}")) aria-current=[(asked.query.is_empty() && asked.state == state).then_some("page")] {
                    (if state.is_empty() { "active" } else { state })
                }
            }
        }
        @if memories.items.is_empty() { (ui::empty("Nothing is noted here.", &html! {})) }
        ul.rows { @for memory in &memories.items { (row(memory)) } }
        (ui::more(&format!("/memory?state={}", ui::encode(&asked.state)), memories.next.as_deref()))
        @if visitor.may("memory:write") {
            h2 { "Note something" }
            @if let Some(failure) = failure { (ui::alert(&failure::message(failure))) }
            form.note method="post" action="/memory" data-draft="memory" {
                (forms::hidden_again(visitor, failure, proof))
                (Field { name: "content", label: "Text", kind: "area", value: &form.content, max: Some(16384), ..Field::default() }.show(failure))
                (ui::actions(&html! { button { "Note it" } }))
            }
        }
    };
    Ok(Page::new("Memory", main).scripts(&["js/draft.js"]))
}

fn row(memory: &Memory) -> Markup {
    html! {
        li {
            p { a href=(format!("/memory/{}", memory.id)) { bdi { (memory.content.chars().take(300).collect::<String>()) } } }
            p.meta { (memory.kind) " · " (trust(memory)) " · " (memory.scope) " · " (ui::ago(&memory.created_at)) }
        }
    }
}

fn trust(memory: &Memory) -> Markup {
    let tone = match memory.trust.as_str() {
        "own" => "good",
        "tool" => "quiet",
        _ => "warn",
    };
    ui::status(tone, &memory.trust)
}

async fn note(visitor: Visitor, form: Form<NewMemory>) -> Result<Response, Failure> {
    let account = visitor.required()?;
    let new = json!({"content": form.fields.content, "scope": "agent", "scope_id": account.id});
    let made = visitor
        .create::<Value>("memory", "/api/memory", &new, &form.proof)
        .await;
    match made {
        Ok(_) => Ok(forms::sent("/memory", &form.proof)),
        Err(failure) => {
            let page = listed(
                &visitor,
                &Asked::default(),
                &form.fields,
                Some(&failure),
                &form.proof,
            )
            .await?;
            Ok(page.status(failure.status).into_response())
        }
    }
}

async fn read(visitor: &Visitor, id: &str) -> Result<Memory, Failure> {
    visitor.required()?;
    visitor
        .get("memory", &format!("/api/memory/{}", ui::encode(id)))
        .await
}

async fn show(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let memory = read(&visitor, &id).await?;
    let history = format!("/api/memory/{}/history", memory.id);
    let edges = format!("/api/memory/{}/sources", memory.id);
    let (versions, edges) = join(
        visitor.get::<Versions>("memory", &history),
        visitor.get::<Edges>("memory", &edges),
    )
    .await;
    let (versions, edges) = (versions?, edges?);
    let main = html! {
        p { a href="/memory" { "All memories" } }
        h1 { "A memory" }
        blockquote { bdi { (memory.content) } }
        dl.facts {
            dt { "Kind" } dd { (memory.kind) }
            dt { "Trust" } dd { (trust(&memory)) }
            dt { "State" } dd { (memory.state) @if let Some(by) = &memory.superseded_by { ", by " (link(by)) } }
            @if let Some(key) = &memory.key { dt { "Key" } dd { code { (key) } } }
            @if !memory.tags.is_empty() { dt { "Tags" } dd { (memory.tags.join(", ")) } }
            dt { "Recalled" } dd { (ui::counted(i64::from(memory.uses), "time")) }
            @if let Some(at) = &memory.expires_at { dt { "Expires" } dd { (ui::ago(at)) } }
        }
        h2 { "Why it is here" }
        p { "Noted by " code { (memory.author) } " " (ui::ago(&memory.created_at)) "." }
        @if memory.sources.is_empty() { p { "It names no source." } }
        ul { @for source in &memory.sources {
            li { (source.kind) " " @if source.kind == "memory" { (link(&source.id)) } @else { code { (source.id) } } }
        } }
        (neighbours("Made from it", &edges.made_into))
        (neighbours("Superseded by it", &edges.superseded))
        @if versions.items.len() > 1 {
            h2 { "Former versions" }
            ol.rows { @for version in versions.items.iter().filter(|version| version.version != memory.version) {
                li { p { bdi { (version.content) } } p.meta { (ui::ago(&version.recorded_at)) } }
            } }
        }
        @if visitor.may("memory:write") {
            p { a.button.danger href=(format!("/memory/{}/forget", memory.id)) { "Forget…" } }
        }
    };
    Ok(Page::new("A memory", main))
}

fn link(id: &str) -> Markup {
    html! { a href=(format!("/memory/{id}")) { code { (id) } } }
}

fn neighbours(title: &str, ids: &[String]) -> Markup {
    html! {
        @if !ids.is_empty() {
            h2 { (title) }
            ul { @for id in ids { li { (link(id)) } } }
        }
    }
}

async fn preview(visitor: Visitor, Path(id): Path<String>) -> Result<Page, Failure> {
    let memory = read(&visitor, &id).await?;
    let edges = format!("/api/memory/{}/sources", memory.id);
    let edges: Edges = visitor.get("memory", &edges).await?;
    let main = html! {
        h1 { "Forget this?" }
        blockquote { bdi { (memory.content) } }
        p { "All of its versions and vectors go, and whatever came of it, for good. Nothing but its id is left." }
        (neighbours("Made from it, and forgotten with it", &edges.made_into))
        (neighbours("Superseded by it, and forgotten with it", &edges.superseded))
        @if !edges.made_into.is_empty() || !edges.superseded.is_empty() { p { "So is what was made from those." } }
        form.forget method="post" action=(format!("/memory/{}/forget", memory.id)) {
            (forms::hidden(&visitor))
            (ui::actions(&html! { button.danger { "Forget it" } " " a.button.quiet href=(format!("/memory/{}", memory.id)) { "Keep it" } }))
        }
    };
    Ok(Page::new("Forget a memory", main))
}

async fn forget(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form<Nothing>,
) -> Result<Response, Failure> {
    let path = format!("/api/memory/{}", ui::encode(&id));
    visitor.delete("memory", &path, &form.proof).await?;
    Ok(see("/memory"))
}
