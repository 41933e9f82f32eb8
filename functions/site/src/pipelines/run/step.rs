//! The details of a step: what it was given and has answered, how it failed, and what a person can do about it.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::acts;
use super::facts::took;
use super::{Shown, View, is_missing, page, state, step_api, values};
use crate::failure::Failure;
use crate::skills::envelope;
use crate::ui;
use crate::visitor::Visitor;

/// The path of the step that stands for the graph `finally`.
pub const FINALLY: &str = "finally";

#[derive(Debug, Deserialize)]
pub struct Step {
    pub path: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub effect: String,
    pub attempts: u32,
    // Lists leave out large ones.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
    #[serde(default)]
    pub output: Option<Box<RawValue>>,
    pub error: Value,
    pub approval: Option<String>,
    pub child: Option<String>,
    pub turn: Option<String>,
    pub job: Option<String>,
    pub receipt: Value,
    pub late: Value,
    pub wake_at: Option<String>,
    pub started_at: String,
    pub finished_at: Option<String>,
}

/// The node of a step, and whether it is private, or in one that is.
fn node<'a>(definition: &'a Value, path: &str) -> (&'a Value, bool) {
    let (mut graph, path) = match path.strip_prefix("finally.") {
        Some(inner) => (&definition["finally"], inner),
        None => (definition, path),
    };
    let (mut node, mut is_private) = (&Value::Null, false);
    for part in path.split('.') {
        let id = part.split('[').next().unwrap_or(part);
        node = &graph["nodes"][id];
        is_private |= node["private"] == true;
        graph = &node["body"];
    }
    (node, is_private)
}

impl Step {
    /// Reads a step of a run; `None` if it has not begun.
    pub async fn read(visitor: &Visitor, run: &str, path: &str) -> Result<Option<Self>, Failure> {
        match visitor.get("pipelines", &step_api(run, path)).await {
            Ok(step) => Ok(Some(step)),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether the definition says that nothing but the codes of its errors is to be shown.
    pub fn is_private(&self, definition: &Value) -> bool {
        node(definition, &self.path).1
    }

    /// The names of the signals that the step waits for.
    pub fn signals<'a>(&self, definition: &'a Value) -> Vec<&'a str> {
        if self.status != "waiting" || self.kind != "wait" {
            return Vec::new();
        }
        let any = node(definition, &self.path).0["any"].as_array();
        let all = any.into_iter().flatten();
        let mut names: Vec<_> = all.filter_map(|one| one["signal"].as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The links to what the step has started and asked.
    pub fn links(&self, run: &str) -> Markup {
        html! {
            @if let Some(approval) = &self.approval { " " a href=(format!("/approvals/{}", ui::encode(approval))) { "Approval" } }
            @if let Some(child) = &self.child { " " a href=(page(child)) { "Its run" } }
            @if let Some(turn) = &self.turn { " " a href=(format!("/turns/{}", ui::encode(turn))) { "Its turn" } }
            @if self.kind == "map" { " " a href=(View::narrowed(run, &self.path, "")) { "Its items" } }
        }
    }

    /// Shows the details.
    pub fn show(&self, shown: &Shown<'_>) -> Markup {
        let run = &shown.run;
        let whole = step_api(&run.id, &self.path);
        let (node, is_private) = node(&shown.definition, &self.path);
        let refusal = shown.refusal.as_ref();
        let refusal = refusal.filter(|refusal| refusal.fields.path == self.path);
        html! {
            section.step #step aria-labelledby="step-title" {
                div.spread {
                    h3 #step-title { code { (self.path) } " " (state(&self.status)) }
                    a href=(shown.view.closing(&run.id, &self.path)) { "Close" span.hidden { " the step" } }
                }
                @if let Some(refusal) = refusal { (refusal.alert()) }
                (self.failure(is_private))
                (self.facts(&run.id))
                @if is_private {
                    p { "The node is private, so its values are not shown. " a href=(whole) { "The step, as JSON, has them" } "." }
                } @else { (self.values(&whole)) }
                @if !node.is_null() { details #node { summary { "Its node in the definition" } (values::small("node-json", node)) } }
                @if self.receipt.is_object() { (envelope("Receipt", &self.receipt)) }
                @if shown.visitor.may("pipelines:run") { (acts::of_step(shown, self)) }
            }
        }
    }

    fn failure(&self, is_private: bool) -> Markup {
        let known = ["code", "detail", "step"];
        let fields = self.error.as_object();
        let has_more = fields.is_some_and(|all| all.keys().any(|key| !known.contains(&&**key)));
        html! {
            @if self.error.is_object() {
                p #step-error { strong { code { (self.error["code"].as_str().unwrap_or_default()) } } " "
                    @if !is_private { bdi { (values::cut(self.error["detail"].as_str().unwrap_or_default(), 4096)) } } }
                @if has_more && !is_private { (values::small("step-error-json", &self.error)) }
            }
        }
    }

    fn facts(&self, run: &str) -> Markup {
        let effect = match self.effect.as_str() {
            "pure" => "none: it only computes",
            "inside" => "part of the commit that records it",
            "repeatable" => "a request that may be sent again",
            "once" => "a request that is sent once",
            other => other,
        };
        let late = self.late["outcome"].as_str();
        let has_links = self.approval.is_some() || self.child.is_some() || self.turn.is_some();
        html! {
            dl.facts {
                dt { "Type" } dd { (self.kind) }
                dt { "Effect" } dd { (effect) }
                dt { "Attempts" } dd { (self.attempts) }
                dt { "Began" } dd { (ui::ago(&self.started_at)) }
                @if let Some(ended) = &self.finished_at { dt { "Ended" } dd { (ui::ago(ended)) } }
                dt { "Took" } dd { (took(&self.started_at, self.finished_at.as_deref())) @if self.finished_at.is_none() { " so far" } }
                @if let Some(at) = self.wakes_at() { dt { "Looked at again" } dd { (ui::ago(at)) } }
                @if let Some(outcome) = late { dt { "Told too late" } dd { (outcome) @if let Some(at) = self.late["at"].as_str() { ", " (ui::ago(at)) } } }
                @if has_links || self.kind == "map" { dt { "Leads to" } dd { (self.links(run)) } }
                @if let Some(job) = &self.job { dt { "Job" } dd { code { (job) } } }
            }
        }
    }

    /// The time at which the step is looked at again, if it has not ended.
    pub fn wakes_at(&self) -> Option<&str> {
        self.wake_at
            .as_deref()
            .filter(|_| self.finished_at.is_none())
    }

    fn values(&self, whole: &str) -> Markup {
        let is_null = self.output.is_none() && self.status == "succeeded";
        html! {
            div.columns {
                @if let Some(input) = &self.input { (values::show("step-input", "Input", input, whole)) }
                @if let Some(output) = &self.output { (values::show("step-output", "Output", output, whole)) }
                @else if is_null { (values::show("step-output", "Output", RawValue::NULL, whole)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_found_by_the_path_of_its_step() {
        let inner =
            json!({"nodes": {"a": {"type": "merge"}, "b": {"type": "wait", "private": true}}});
        let definition = json!({
            "nodes": {"each": {"type": "map", "body": inner}, "all": {"type": "map", "private": true, "body": inner}},
            "finally": {"nodes": {"a": {"type": "transform"}}},
        });
        for (path, kind, is_private) in [
            ("each", json!("map"), false),
            ("each[3].a", json!("merge"), false),
            ("each[3].b", json!("wait"), true),
            ("all[0].a", json!("merge"), true),
            ("finally.a", json!("transform"), false),
            ("finally", json!(null), false),
            ("a", json!(null), false),
        ] {
            let (found, private) = node(&definition, path);
            assert_eq!((&found["type"], private), (&kind, is_private), "{path}");
        }
    }
}
