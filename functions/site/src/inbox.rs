//! The inbox: what has happened that concerns the visitor, and what waits for a decision.

use axum::Router;
use axum::extract::Query;
use axum::response::Response;
use axum::routing::{get, post};
use futures::future::join;
use http::Method;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::forms::{self, Form};
use crate::frame::{Page, see};
use crate::group::{Group, Place, signed_in};
use crate::settings::words;
use crate::ui;
use crate::visitor::Visitor;

mod approvals;
mod schema;

/// The group of these pages.
pub static GROUP: Group = Group {
    places: &[Place {
        label: "Inbox",
        path: "/inbox",
        icon: "inbox",
        key: "i",
        shown: signed_in,
    }],
    routes: || {
        Router::new()
            .route("/inbox", get(show))
            .route("/inbox/mark", post(mark))
            .merge(approvals::routes())
    },
};

/// A page of a list.
#[derive(Debug, Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    id: String,
    kind: String,
    title: String,
    text: String,
    link: Option<String>,
    state: String,
    created_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    kind: String,
    state: String,
    after: String,
}

impl Filter {
    /// The query of the API, and of links, with other values of the two filters.
    fn with(&self, kind: &str, state: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("kind", kind), ("state", state)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

const STATES: [(&str, &str); 3] = [("", "All"), ("unread", "Unread"), ("archived", "Archived")];
const KINDS: [&str; 10] = [
    "mention",
    "direct",
    "reply",
    "message",
    "approval",
    "review",
    "job",
    "invitation",
    "moderation",
    "webhook",
];

async fn show(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    visitor.required()?;
    let query = filter.with(&filter.kind, &filter.state);
    let mut path = format!("/api/inbox?limit=50&{query}");
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let items = visitor.get::<List<Item>>("inbox", &path);
    let (items, waiting) = join(items, approvals::waiting(&visitor)).await;
    let (items, waiting) = (items?, waiting?);
    let pill = |label: &str, query: String, here: bool| {
        html! { a href=(format!("/inbox?{query}")) aria-current=[here.then_some("page")] { (label) } }
    };
    let main = html! {
        div.head {
            h1 { "Inbox" }
            @if let Some(first) = items.items.first() && filter.after.is_empty() && filter.state != "archived" {
                form method="post" action="/inbox/mark" { (forms::hidden(&visitor))
                    input type="hidden" name="until" value=(first.id);
                    button.quiet name="what" value="read" { "Mark all as read" } }
            }
        }
        (waiting)
        nav.pills aria-label="State" { @for (state, label) in STATES { (pill(label, filter.with(&filter.kind, state), filter.state == state)) } }
        nav.pills aria-label="Kind" {
            (pill("Everything", filter.with("", &filter.state), filter.kind.is_empty()))
            @for kind in KINDS { (pill(words(kind), filter.with(kind, &filter.state), filter.kind == kind)) }
        }
        @if items.items.is_empty() {
            (ui::empty("Nothing waits for you here. Mentions, replies, approvals and results of jobs arrive here.",
                &html! { a.button.quiet href="/settings#notifications" { "Choose what arrives" } }))
        }
        ul.rows.inbox #items { @for item in &items.items { (row(item, &visitor)) } }
        (ui::more(&format!("/inbox?{query}"), items.next.as_deref()))
    };
    Ok(Page::new("Inbox", main).scripts(&["js/inbox.js"]))
}

fn row(item: &Item, visitor: &Visitor) -> Markup {
    let is_unread = item.state == "unread";
    html! {
        li.spread.item data-id=(item.id) data-unread=(is_unread) {
            div {
                p.title {
                    @if is_unread { (ui::status("busy", "unread")) " " }
                    @match &item.link {
                        Some(link) => a href=(ui::own_address(link)) data-opens=(item.id) { bdi { (item.title) } },
                        None => a href=(format!("/inbox?kind={}", ui::encode(&item.kind))) { bdi { (item.title) } },
                    }
                }
                @if !item.text.is_empty() { p { bdi { (item.text) } } }
                p.meta { (words(&item.kind)) " · " (ui::ago(&item.created_at)) }
            }
            form.pills method="post" action="/inbox/mark" {
                (forms::hidden(visitor))
                input type="hidden" name="id" value=(item.id);
                input type="hidden" name="from" value=(visitor.address());
                @if item.state == "archived" {
                    button name="what" value="restore" { "Restore" span.hidden { ": " (item.title) } }
                } @else {
                    button name="what" value=(if is_unread { "read" } else { "unread" }) { @if is_unread { "Mark as read" } @else { "Mark as unread" } span.hidden { ": " (item.title) } }
                    button name="what" value="archive" data-archive { "Archive" span.hidden { ": " (item.title) } }
                }
            }
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Mark {
    what: String,
    id: String,
    until: String,
    from: String,
}

async fn mark(visitor: Visitor, Form { fields, proof }: Form<Mark>) -> Result<Response, Failure> {
    let path = match fields.what.as_str() {
        "archive" | "restore" => "/api/inbox/archive",
        _ => "/api/inbox/read",
    };
    let unread = matches!(fields.what.as_str(), "unread" | "restore");
    let body = match fields.until.as_str() {
        "" => json!({"ids": [fields.id], "unread": unread}),
        until => json!({"until": until, "unread": unread}),
    };
    visitor
        .change(Method::POST, "inbox", path, &body, &proof)
        .await?;
    let from = ui::own_address(&fields.from);
    Ok(see(if from == "/" { "/inbox" } else { from }))
}
