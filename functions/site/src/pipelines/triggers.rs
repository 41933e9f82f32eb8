//! The triggers of a pipeline, as its page lists them.

use maud::{Markup, html};
use serde::Deserialize;

use super::{List, api};
use crate::failure::Failure;
use crate::ui;
use crate::visitor::Visitor;

/// The number of triggers that a pipeline may have.
const MOST: usize = 50;

#[derive(Debug, Deserialize)]
struct Trigger {
    id: String,
    kind: String,
    #[serde(rename = "type")]
    event_type: Option<String>,
    topic: Option<String>,
    verify: Option<String>,
    enabled: bool,
    created_at: String,
}

/// The triggers, if there are any; runs lead to those that have started them.
pub async fn of_pipeline(visitor: &Visitor, id: &str) -> Result<Markup, Failure> {
    let path = format!("{}/triggers?limit={MOST}", api(id));
    let triggers: List<Trigger> = visitor.get("pipelines", &path).await?;
    Ok(html! {
        @if !triggers.items.is_empty() {
            h2 { "Triggers" }
            ul.rows { @for trigger in &triggers.items { (row(trigger)) } }
        }
    })
}

fn row(trigger: &Trigger) -> Markup {
    html! {
        li id=(format!("trigger-{}", trigger.id)) {
            p {
                @match &trigger.event_type {
                    Some(kind) => { "Each event " code { (kind) } @if let Some(topic) = &trigger.topic { " on " code { (topic) } } },
                    None => { "A webhook" @if let Some(verify) = &trigger.verify { ", signed as by " (verify) } },
                }
                @if !trigger.enabled { " " (ui::status("quiet", "disabled")) }
            }
            p.meta { (trigger.kind) " · " (ui::ago(&trigger.created_at)) " · "
                a href=(format!("/api/triggers/{}/firings", ui::encode(&trigger.id))) { "What became of each, as JSON" } }
        }
    }
}
