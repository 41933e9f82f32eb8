//! The server's health, for people.

use axum::Router;
use axum::routing::get;
use guest::Db;
use maud::{Markup, html};
use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use crate::frame::Page;
use crate::group::Group;
use crate::health::{self, State};
use crate::ui;

/// The group of this page.
pub static GROUP: Group = Group {
    places: &[],
    routes: || Router::new().route("/status", get(status)),
};

async fn status(db: Db) -> Page {
    let health = health::read(&db).await;
    let main = html! {
        h1 { "Status" }
        p.lead { @match health.status {
            State::Healthy => "Every part works.",
            _ => "Some parts do not work as they should. What is stored is safe.",
        } }
        (table(&health))
        (outside(&health))
        p.meta { "The same for programs: " a href="/api/health/status" { "/api/health/status" } }
    };
    Page::new("Status", main).description("The health of this server and of its parts.")
}

/// The state of each part, with what the part reports.
pub fn table(health: &health::Status) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { "Part" } th scope="col" { "State" } th scope="col" { "Says" } } }
            tbody { @for (name, part) in &health.components {
                tr {
                    th scope="row" { (name.replace('_', " ")) }
                    td { (state(part.status)) }
                    td { @for (name, value) in &part.detail { (detail(name, value)) } }
                }
            } }
        }
    }
}

/// The services outside that were called in the last hour.
pub fn outside(health: &health::Status) -> Markup {
    html! {
        h2 { "Services outside" }
        @if health.outside.is_empty() { p.meta { "None was called in the last hour." } }
        @else {
            table.list {
                thead { tr { th scope="col" { "Service" } th scope="col" { "State" } th scope="col" { "In the last hour" } } }
                tbody { @for (name, service) in &health.outside {
                    tr {
                        th scope="row" { (name) }
                        td { @match service.failures {
                            0 => (ui::status("good", "answers")),
                            failures if failures < service.calls => (ui::status("warn", "fails at times")),
                            _ => (ui::status("bad", "fails")),
                        } }
                        td { (calls(service)) }
                    }
                } }
            }
        }
    }
}

fn calls(service: &health::Outside) -> Markup {
    let numbers = [
        ("calls", Some(service.calls)),
        ("failures", Some(service.failures)),
        ("receivers", service.receivers),
        ("failing receivers", service.failing_receivers),
    ];
    let last = service.last_call_at.format(&Rfc3339).unwrap_or_default();
    html! {
        @for (label, number) in numbers {
            @if let Some(number) = number { span.meta { (label) ": " (number) } " " }
        }
        @if let Some(latency) = service.latency_ms { span.meta { "first answer after " (latency.round()) " ms" } " " }
        span.meta { "last " (ui::ago(&last)) }
    }
}

fn state(state: State) -> Markup {
    match state {
        State::Healthy => ui::status("good", "works"),
        State::Degraded => ui::status("warn", "works in part"),
        State::Unhealthy => ui::status("bad", "does not work"),
        State::Unknown => ui::status("quiet", "has not reported for 30 s"),
    }
}

fn detail(name: &str, value: &Value) -> Markup {
    let text = match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => ui::number(whole),
            (None, Some(part)) => format!("{part:.1}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    html! { span.meta { (name.replace('_', " ")) ": " (text) } " " }
}
