//! The audit trail. Its filters live in the address, so that a view can be sent to a colleague.

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use guest::Problem;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{List, entered, short, tabs};
use crate::failure::Failure;
use crate::frame::Page;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/admin/audit", get(show))
}

#[derive(Debug, Deserialize)]
struct Entry {
    at: String,
    actor_id: Option<String>,
    actor_name: Option<String>,
    action: String,
    subject: Option<String>,
    allowed: bool,
    address: Option<String>,
    request_id: Option<String>,
    detail: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    actor: String,
    action: String,
    subject: String,
    allowed: String,
    since: String,
    until: String,
    after: String,
}

impl Filter {
    /// The filters for the API and for links. A day stands for its beginning in UTC.
    fn query(&self) -> String {
        let moment = |text: &str| match text.len() {
            10 => format!("{text}T00:00:00Z"),
            16 => format!("{text}:00Z"),
            _ => text.to_owned(),
        };
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("actor", self.actor.trim()),
            ("action", self.action.trim()),
            ("subject", self.subject.trim()),
            ("allowed", &self.allowed),
            ("since", &moment(&self.since)),
            ("until", &moment(&self.until)),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }
}

async fn show(visitor: Visitor, Query(filter): Query<Filter>) -> Result<Page, Failure> {
    entered(&visitor)?;
    if !visitor.may("audit:read") {
        return Err(Problem::not_found("page").into());
    }
    let query = filter.query();
    let mut path = format!("/api/audit?limit=50&{query}");
    if !filter.after.is_empty() {
        path += &format!("&after={}", ui::encode(&filter.after));
    }
    let entries: List<Entry> = visitor.get("accounts", &path).await?;
    let main = html! {
        h1 { "Audit" }
        (tabs(&visitor))
        (form(&filter))
        @if entries.items.is_empty() { (ui::empty("Nothing in the trail fits these filters.", &html! { a href="/admin/audit" { "Without filters" } })) }
        div.wide tabindex="0" role="region" aria-label="Entries" { table.list {
            thead { tr { @for title in ["When", "Who", "What", "On", "From"] { th scope="col" { (title) } } } }
            tbody { @for entry in &entries.items { (row(entry)) } }
        } }
        (ui::more(&format!("/admin/audit?{query}"), entries.next.as_deref()))
        p { a.button.quiet href=(format!("/api/audit/export?{query}")) download="audit.ndjson" { "Export as JSON lines" } }
    };
    Ok(Page::new("Audit", main))
}

fn form(filter: &Filter) -> Markup {
    let input = |name: &str, label: &str, kind: &str, value: &str| {
        html! { div.field { label for=(name) { (label) } input id=(name) name=(name) type=(kind) value=(value) autocomplete="off"; } }
    };
    let day = |text: &str| text.chars().take(10).collect::<String>();
    html! {
        form.filters role="search" aria-label="Filters" {
            (input("actor", "Who (id)", "text", &filter.actor))
            (input("action", "What", "text", &filter.action))
            (input("subject", "On (id or name)", "text", &filter.subject))
            (input("since", "Since (UTC)", "date", &day(&filter.since)))
            (input("until", "Before (UTC)", "date", &day(&filter.until)))
            div.field { label for="allowed" { "Outcome" }
                select #allowed name="allowed" { @for (value, label) in [("", "all"), ("true", "allowed"), ("false", "refused")] {
                    option value=(value) selected[filter.allowed == value] { (label) } } } }
            (ui::actions(&html! { button.quiet { "Show" } a href="/admin/audit" { "Clear" } }))
        }
    }
}

fn row(entry: &Entry) -> Markup {
    html! {
        tr {
            td { (ui::ago(&entry.at)) }
            td { @match &entry.actor_id {
                Some(id) => a href=(format!("/admin/audit?actor={id}")) { bdi { (entry.actor_name.as_ref().unwrap_or(id)) } },
                None => span.meta { "unknown" },
            } }
            th scope="row" { a href=(format!("/admin/audit?action={}", ui::encode(&entry.action))) { code { (entry.action) } }
                " " @if !entry.allowed { (ui::status("bad", "refused")) } }
            td { @if let Some(subject) = &entry.subject { bdi { (short(&Value::from(subject.as_str()))) } }
                @if entry.detail.as_object().is_some_and(|detail| !detail.is_empty()) { p.meta { code { (short(&entry.detail)) } } } }
            td { @if let Some(address) = &entry.address { (address) }
                @if let Some(id) = &entry.request_id { p.meta { "request " code { (id) } } } }
        }
    }
}
