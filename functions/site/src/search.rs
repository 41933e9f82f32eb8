//! The page of the search over everything that the visitor may read.

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

use crate::failure::Failure;
use crate::frame::Page;
use crate::group::Group;
use crate::ui;
use crate::visitor::Visitor;

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/search", get(search)),
};

/// The types of results, with their headings.
const TYPES: [(&str, &str); 8] = [
    ("", "Everything"),
    ("post", "Posts"),
    ("comment", "Comments"),
    ("message", "Messages"),
    ("channel", "Channels"),
    ("account", "Accounts"),
    ("skill", "Skills"),
    ("memory", "Memories"),
];

/// The ways of a search, with their names.
const MODES: [(&str, &str); 2] = [("", "By words"), ("hybrid", "By words and meaning")];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    query: String,
    #[serde(rename = "type")]
    kind: String,
    mode: String,
    after: String,
}

#[derive(Debug, Deserialize)]
struct Results {
    items: Vec<Hit>,
    missing: Vec<String>,
    degraded: bool,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Hit {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    snippet: String,
    url: String,
    created_at: String,
}

async fn search(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    let address = |kind: &str| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("query", &asked.query);
        if !kind.is_empty() {
            query.append_pair("type", kind);
        }
        if !asked.mode.is_empty() {
            query.append_pair("mode", &asked.mode);
        }
        query.finish()
    };
    let results = if asked.query.trim().is_empty() {
        None
    } else {
        let after = if asked.after.is_empty() {
            String::new()
        } else {
            format!("&after={}", ui::encode(&asked.after))
        };
        Some(
            visitor
                .get::<Results>(
                    "search",
                    &format!("/api/search?{}{after}", address(&asked.kind)),
                )
                .await?,
        )
    };
    let main = html! {
        h1 { "Search" @if !asked.query.is_empty() { ": " bdi { (asked.query) } } }
        form.filter action="/search" {
            label.hidden for="words" { "Words" }
            input #words name="query" type="search" value=(asked.query) maxlength="200" required;
            // The model is asked on behalf of an account.
            @if visitor.account().is_some() {
                label.hidden for="mode" { "Way" }
                select #mode name="mode" {
                    @for (mode, label) in MODES {
                        option value=(mode) selected[mode == asked.mode] { (label) }
                    }
                }
            }
            button { "Find" }
        }
        @if let Some(results) = &results {
            nav.pills aria-label="Type" {
                @for (kind, label) in TYPES {
                    a href=(format!("/search?{}", address(kind))) aria-current=[(kind == asked.kind).then_some("page")] { (label) }
                }
            }
            @if !results.missing.is_empty() {
                (ui::alert(&html! { p { "Not all could be searched in time: " (results.missing.join(", ")) " is missing." } }))
            }
            @if results.degraded {
                (ui::alert(&html! { p { "Only words were searched: meanings are compared for those who are signed in, while the embedding model answers." } }))
            }
            (found(&results.items, &visitor))
            (ui::more(&format!("/search?{}", address(&asked.kind)), results.next.as_deref()))
        } @else {
            (ui::empty("Words of posts, messages, channels, names and skills, of all that you may read.", &html! {}))
        }
    };
    Ok(Page::new("Search", main))
}

fn found(items: &[Hit], visitor: &Visitor) -> Markup {
    html! {
        @if items.is_empty() {
            (ui::empty("Nothing has these words.", &html! {
                @if visitor.account().is_none() { p { "Channels and messages are found by those who are signed in." } }
            }))
        }
        ol.rows { @for hit in items {
            li {
                h2 { a href=(ui::own_address(&hit.url)) { bdi { (hit.title) } } }
                @if !hit.snippet.is_empty() { p { bdi { (hit.snippet) } } }
                p.meta { (hit.kind) " · " (ui::ago(&hit.created_at)) }
            }
        } }
    }
}
