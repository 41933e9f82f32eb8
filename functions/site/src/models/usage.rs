//! The tab "Usage": what the visitor's calls used, by day and by other properties, with charts.

use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use futures::future::try_join;
use maud::{Markup, html};
use serde::Deserialize;

use super::{LLM, dollars, tabs};
use crate::failure::Failure;
use crate::frame::Page;
use crate::ui;
use crate::visitor::Visitor;

pub fn routes() -> Router {
    Router::new().route("/models/usage", get(show))
}

/// The properties by which calls are added up, with their labels.
const BY: [(&str, &str); 6] = [
    ("model", "Model"),
    ("day", "Day"),
    ("purpose", "Purpose"),
    ("key", "API key"),
    ("team", "Team"),
    ("account", "Account"),
];

/// The days in a chart: two months.
const DAYS: usize = 62;
/// The columns of another chart.
const DEAREST: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    by: String,
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
struct Sums {
    items: Vec<Sum>,
}

#[derive(Debug, Deserialize)]
struct Sum {
    key: String,
    calls: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_microusd: i64,
}

async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Page, Failure> {
    visitor.required()?;
    let by = BY.iter().find(|(name, _)| *name == asked.by);
    let (by, label) = by.unwrap_or(&BY[0]);
    let mut times = String::new();
    for (name, day) in [("from", &asked.from), ("to", &asked.to)] {
        if !day.is_empty() {
            times += &format!("&{name}={}", ui::encode(day));
        }
    }
    let path = |by: &str| format!("/api/llm/usage?by={by}{times}");
    let (by_day, by_other) = (path("day"), path(by));
    let days = visitor.get::<Sums>(LLM, &by_day);
    let (days, sums) = try_join(days, visitor.get::<Sums>(LLM, &by_other)).await?;
    let main = html! {
        h1 { "Usage" }
        (tabs(&visitor))
        form.filters action="/models/usage" {
            div.field { label for="by" { "By" } select #by name="by" { @for (name, label) in BY { option value=(name) selected[name == *by] { (label) } } } }
            div.field { label for="from" { "From" } input #from name="from" type="date" value=(asked.from); }
            div.field { label for="to" { "To, without that day" } input #to name="to" type="date" value=(asked.to); }
            div.actions { button.quiet { "Show" } }
        }
        @if sums.items.is_empty() {
            (ui::empty("No model was called in this time. The last 30 days are shown unless you say otherwise.", &html! { a.button.quiet href="/models/chat" { "Try a model" } }))
        } @else {
            (totals(&days.items))
            (chart("Cost by day", &days.items[days.items.len().saturating_sub(DAYS)..]))
            @if *by != "day" { (chart(&format!("Cost by {}, the dearest first", label.to_lowercase()), &sums.items[..sums.items.len().min(DEAREST)])) }
            (table(label, &sums.items))
        }
    };
    Ok(Page::new("Usage of models", main))
}

fn totals(days: &[Sum]) -> Markup {
    let total = |number: fn(&Sum) -> i64| days.iter().map(number).sum::<i64>();
    html! {
        dl.numbers {
            div { dt { "Calls" } dd { (ui::number(total(|sum| sum.calls))) } }
            div { dt { "Tokens of input" } dd { (ui::number(total(|sum| sum.input_tokens))) } }
            div { dt { "Tokens of output" } dd { (ui::number(total(|sum| sum.output_tokens))) } }
            div { dt { "Cost" } dd { (dollars(total(|sum| sum.cost_microusd))) } }
        }
    }
}

fn chart(title: &str, sums: &[Sum]) -> Markup {
    let bars: Vec<_> = sums
        .iter()
        .map(|sum| {
            (
                sum.key.as_str(),
                sum.cost_microusd,
                dollars(sum.cost_microusd),
            )
        })
        .collect();
    ui::chart(title, &bars)
}

fn table(label: &str, sums: &[Sum]) -> Markup {
    html! {
        table.list {
            thead { tr { th scope="col" { (label) } th scope="col" { "Calls" } th scope="col" { "Tokens of input" } th scope="col" { "Tokens of output" } th scope="col" { "Cost" } } }
            tbody { @for sum in sums {
                tr { th scope="row" { (sum.key) } td { (ui::number(sum.calls)) } td { (ui::number(sum.input_tokens)) } td { (ui::number(sum.output_tokens)) } td { (dollars(sum.cost_microusd)) } }
            } }
        }
    }
}
