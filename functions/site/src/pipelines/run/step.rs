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

/// The node of a step.
#[derive(Debug)]
struct Node<'a> {
    /// The node in the definition; null if the step stands for none.
    said: &'a Value,
    /// Whether it is private, or in a map that is.
    is_private: bool,
    /// The paths of the steps that lead to it.
    before: Vec<String>,
}

impl<'a> Node<'a> {
    fn of(definition: &'a Value, path: &str) -> Self {
        let (mut graph, mut prefix, path) = match path.strip_prefix("finally.") {
            Some(inner) => (&definition["finally"], "finally.".to_owned(), inner),
            None => (definition, String::new(), path),
        };
        let mut node = Self {
            said: &Value::Null,
            is_private: false,
            before: Vec::new(),
        };
        for part in path.split('.') {
            let id = part.split('[').next().unwrap_or(part);
            let edges = graph["edges"].as_array().into_iter().flatten();
            let leading = edges.filter(|edge| edge["to"] == id);
            let leading = leading.filter_map(|edge| edge["from"].as_str());
            node.before = leading.map(|from| format!("{prefix}{from}")).collect();
            node.said = &graph["nodes"][id];
            node.is_private |= node.said["private"] == true;
            graph = &node.said["body"];
            prefix = format!("{prefix}{part}.");
        }
        node.before.dedup();
        node
    }
}

/// The path of the map that a step is in, and the place of its item there.
fn place(path: &str) -> Option<(&str, usize)> {
    let (map, rest) = path.rsplit_once('[')?;
    let (place, _) = rest.split_once(']')?;
    Some((map, place.parse().ok()?))
}

/// The input of a map, as its step keeps it.
#[derive(Deserialize)]
struct Items {
    items: Vec<Box<RawValue>>,
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

    /// The item that the step is done for, if it is in a map.
    pub async fn item(
        &self,
        visitor: &Visitor,
        run: &str,
    ) -> Result<Option<Box<RawValue>>, Failure> {
        let Some((map, place)) = place(&self.path) else {
            return Ok(None);
        };
        let map = Self::read(visitor, run, map).await?;
        let input = map.and_then(|map| map.input);
        let items = input.and_then(|input| serde_json::from_str::<Items>(input.get()).ok());
        Ok(items.and_then(|input| input.items.into_iter().nth(place)))
    }

    /// Whether the definition says that nothing but the codes of its errors is to be shown.
    pub fn is_private(&self, definition: &Value) -> bool {
        Node::of(definition, &self.path).is_private
    }

    /// The names of the signals that the step waits for.
    pub fn signals<'a>(&self, definition: &'a Value) -> Vec<&'a str> {
        if self.status != "waiting" || self.kind != "wait" {
            return Vec::new();
        }
        let any = Node::of(definition, &self.path).said["any"].as_array();
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

    /// Shows what is known of the step, and what a person can do about it.
    pub fn show(&self, shown: &Shown<'_>) -> Markup {
        let run = &shown.run;
        let whole = step_api(&run.id, &self.path);
        let node = Node::of(&shown.definition, &self.path);
        let refusal = shown.refusal.as_ref();
        let refusal = refusal.filter(|refusal| refusal.fields.path == self.path);
        html! {
            section.step #step aria-labelledby="step-title" {
                div.spread {
                    h3 #step-title { code { (self.path) } " " (state(&self.status)) }
                    a href=(shown.view.closing(&run.id, &self.path)) { "Close" span.hidden { " the step" } }
                }
                @if let Some(refusal) = refusal { (refusal.alert()) }
                (self.failure(node.is_private))
                (self.facts(shown, &node.before))
                @if node.is_private {
                    p { "The node is private, so its values are not shown. " a href=(whole) { "The step, as JSON, has them" } "." }
                } @else { (self.values(shown, &whole)) }
                // What failed without an input of its own has failed by what the definition says.
                @let explains = self.input.is_none() && self.error.is_object();
                @if !node.said.is_null() { details #node open[explains] { summary { "Its node in the definition" } (values::small("node-json", node.said)) } }
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

    fn facts(&self, shown: &Shown<'_>, before: &[String]) -> Markup {
        let run = &shown.run.id;
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
                @if self.attempts > 0 { dt { "Attempts" } dd { (self.attempts) } }
                dt { "Began" } dd { (ui::ago(&self.started_at)) }
                @if let Some(ended) = &self.finished_at { dt { "Ended" } dd { (ui::ago(ended)) } }
                dt { "Took" } dd { (took(&self.started_at, self.finished_at.as_deref())) @if self.finished_at.is_none() { " so far" } }
                @if let Some(at) = self.wakes_at() { dt { "Looked at again" } dd { (ui::ago(at)) } }
                @if let Some(outcome) = late { dt { "Told too late" } dd { (outcome) @if let Some(at) = self.late["at"].as_str() { ", " (ui::ago(at)) } } }
                @if let Some((map, place)) = place(&self.path) {
                    dt { "Item" } dd { (place) " of " a href=(shown.view.opening(run, map)) { code { (map) } } }
                }
                @if !before.is_empty() {
                    dt { "Comes after" } dd { @for path in before { a href=(shown.view.opening(run, path)) { code { (path) } } " " } }
                }
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

    fn values(&self, shown: &Shown<'_>, whole: &str) -> Markup {
        let is_null = self.output.is_none() && self.status == "succeeded";
        let output = self.output.as_deref();
        let output = output.or_else(|| is_null.then_some(RawValue::NULL));
        let show = |id: &str, label: &str, value: Option<&RawValue>, whole: &str| {
            let heading = html! { h4 { (label) } };
            value.map(|value| values::show(id, &heading, value, whole))
        };
        let map = place(&self.path).map_or("", |(map, _)| map);
        let of_map = step_api(&shown.run.id, map);
        let all = [
            show("step-item", "Item", shown.item.as_deref(), &of_map),
            show("step-input", "Input", self.input.as_deref(), whole),
            show("step-output", "Output", output, whole),
        ];
        html! {
            @if all.iter().any(Option::is_some) { div.columns { @for value in all.iter().flatten() { (value) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_found_by_the_path_of_its_step() {
        let inner = json!({"nodes": {"a": {"type": "merge"}, "b": {"type": "wait", "private": true}},
            "edges": [{"from": "a", "to": "b"}]});
        let definition = json!({
            "nodes": {"each": {"type": "map", "body": inner}, "all": {"type": "map", "private": true, "body": inner}},
            "edges": [{"from": "each", "to": "all"}, {"from": "each", "to": "all", "on": "error"}],
            "finally": {"nodes": {"a": {"type": "transform"}, "c": {"type": "merge"}}, "edges": [{"from": "a", "to": "c"}]},
        });
        for (path, kind, is_private, before) in [
            ("each", json!("map"), false, None),
            ("all", json!("map"), true, Some("each")),
            ("each[3].a", json!("merge"), false, None),
            ("each[3].b", json!("wait"), true, Some("each[3].a")),
            ("all[0].a", json!("merge"), true, None),
            ("finally.c", json!("merge"), false, Some("finally.a")),
            ("finally", json!(null), false, None),
        ] {
            let node = Node::of(&definition, path);
            assert_eq!(
                (&node.said["type"], node.is_private),
                (&kind, is_private),
                "{path}"
            );
            assert_eq!(
                node.before,
                before.map(str::to_owned).into_iter().collect::<Vec<_>>(),
                "{path}"
            );
        }
        assert_eq!(place("each[3].in[12].a"), Some(("each[3].in", 12)));
        assert_eq!(place("finally.a"), None);
    }
}
