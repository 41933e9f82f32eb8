//! The checks of what nodes contain: expressions, schemas, and what actions reach.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::forms::is_event_type;
use super::{Check, MAX_MS, SkillUse};
use crate::definition::{Common, Definition, FINALLY, Node, Until, Work, ids};
use crate::{Expression, Schema, expressions};

impl Check {
    /// Checks everything but the graph.
    pub(super) fn contents(&mut self, definition: &Definition) {
        self.schema(definition.input.as_ref(), "input");
        self.schema(definition.output.as_ref(), "output");
        self.examples(definition);
        self.permissions(&definition.permissions);
        if let Some(concurrency) = &definition.concurrency {
            self.template(&concurrency.key, "concurrency.key", &BTreeSet::new());
            expressions(&concurrency.key, "concurrency.key", &mut |path, text| {
                let parsed = text.as_str().map(Expression::parse);
                let Some(Ok(expression)) = parsed else { return };
                if expression.names().iter().any(|name| *name != "input") {
                    self.problem(path, "bad-expression", "may only read `input`");
                }
            });
            if !(1..=1000).contains(&concurrency.limit) {
                self.problem("concurrency.limit", "shape", "must be 1 to 1,000");
            }
        }
        self.graph_contents(definition, definition, "", &BTreeSet::new());
        if let Some(finally) = &definition.finally {
            // Whatever has not run by then has no output.
            let unread = self.unread.get("").cloned().unwrap_or_default();
            let outside = definition.nodes.keys().chain(unread.nodes.keys());
            let outside = outside.cloned().collect();
            self.graph_contents(finally, definition, FINALLY, &outside);
            if definition.nodes.contains_key("finally") {
                self.problem(
                    "nodes.finally",
                    "shape",
                    "has the name of the graph that ends the run",
                );
            }
        }
    }

    /// Checks the nodes of a graph. `outside` has the nodes of the graphs around it that have ended before it begins.
    fn graph_contents(
        &mut self,
        graph: &Definition,
        definition: &Definition,
        at: &str,
        outside: &BTreeSet<String>,
    ) {
        let unread = self.unread.get(at).cloned().unwrap_or_default();
        if unread.any_node {
            return;
        }
        let before = ancestors(graph);
        let inside = graph.nodes.keys().chain(unread.nodes.keys());
        let all: BTreeSet<String> = inside.chain(outside).cloned().collect();
        self.template(&graph.result, &format!("{at}result"), &all);
        let known = |id: &String| match before.get(id) {
            // An edge that can't be read may lead to the node.
            _ if unread.has_edges() => all.clone(),
            Some(before) => before.union(outside).cloned().collect(),
            None => outside.clone(),
        };
        for (id, common) in &unread.nodes {
            self.common(common, &format!("{at}nodes.{id}"), &known(id));
        }
        for (id, node) in &graph.nodes {
            let path = format!("{at}nodes.{id}");
            if outside.contains(id) {
                self.problem(&path, "shape", "has the name of a node outside");
            }
            let known = known(id);
            self.common(&node.common, &path, &known);
            if let Some(breaker) = &node.common.breaker {
                let path = format!("{path}.breaker");
                if !matches!(&node.work, Work::Action(action) if action.what.is_outgoing()) {
                    self.problem(&path, "shape", "belongs to an action that sends a request");
                }
                if !(1..=1000).contains(&breaker.failures) {
                    self.problem(format!("{path}.failures"), "shape", "must be 1 to 1,000");
                }
                self.duration(Some(breaker.within_ms), &format!("{path}.within_ms"));
                self.duration(Some(breaker.cooldown_ms), &format!("{path}.cooldown_ms"));
            }
            if let Some(verify) = &node.common.verify {
                self.verify(verify, node, &path, &known, definition);
            }
            self.own(node, &path, &known, definition);
        }
    }

    /// Checks what every node may have, as far as its work does not matter.
    fn common(&mut self, common: &Common, path: &str, known: &BTreeSet<String>) {
        self.schema(common.output.as_ref(), &format!("{path}.output"));
        self.duration(common.timeout_ms, &format!("{path}.timeout_ms"));
        if let Some(when) = &common.when {
            self.expression(when, &format!("{path}.when"), known);
        }
        let retry = &common.retry;
        if !(1..=100).contains(&retry.attempts)
            || !(1.0..=100.0).contains(&retry.factor)
            || retry.max_ms > MAX_MS
        {
            let why = "must have 1 to 100 attempts, a factor from 1 to 100, and pauses of 30 days at most";
            self.problem(format!("{path}.retry"), "shape", why);
        }
    }

    fn own(&mut self, node: &Node, path: &str, known: &BTreeSet<String>, definition: &Definition) {
        match &node.work {
            Work::Condition(condition) => {
                let mut names = BTreeSet::from(["success", "error", ""]);
                let why = "must be a name of its own, and neither `success` nor `error`";
                if !names.insert(&condition.otherwise) {
                    self.problem(format!("{path}.else"), "shape", why);
                }
                for (at, case) in condition.cases.iter().enumerate() {
                    self.expression(&case.when, &format!("{path}.cases[{at}].when"), known);
                    if !names.insert(&case.name) {
                        self.problem(format!("{path}.cases[{at}].name"), "shape", why);
                    }
                }
            }
            Work::Transform(transform) => {
                self.template(&transform.value, &format!("{path}.value"), known)
            }
            Work::Compute(compute) => {
                self.template(&compute.arguments, &format!("{path}.arguments"), known);
                let called = SkillUse {
                    name: compute.skill.clone(),
                    version: compute.version.clone(),
                    tool: Some((format!("{path}.tool"), compute.tool.clone())),
                    is_pure: true,
                };
                self.skills.insert(format!("{path}.skill"), called);
            }
            Work::Filter(filter) => {
                self.expression(&filter.items, &format!("{path}.items"), known);
                self.expression(&filter.condition, &format!("{path}.where"), known);
            }
            Work::Merge(merge) => {
                if let Some(value) = &merge.value {
                    self.template(value, &format!("{path}.value"), known);
                }
            }
            Work::Wait(wait) => {
                if wait.any.is_empty() || wait.any.len() > 20 {
                    self.problem(format!("{path}.any"), "shape", "must have 1 to 20 items");
                }
                for (at, until) in wait.any.iter().enumerate() {
                    let path = format!("{path}.any[{at}]");
                    match until {
                        Until::For { for_ms } => {
                            self.template(for_ms, &format!("{path}.for_ms"), known)
                        }
                        Until::Until { until } => {
                            self.expression(until, &format!("{path}.until"), known)
                        }
                        Until::Signal { signal } if signal.is_empty() || signal.len() > 100 => {
                            self.problem(
                                format!("{path}.signal"),
                                "shape",
                                "must have 1 to 100 characters",
                            );
                        }
                        Until::Signal { .. } => {}
                        Until::Event {
                            event,
                            topic,
                            condition,
                        } => self.event(event, topic.as_ref(), condition.as_ref(), &path, known),
                    }
                }
            }
            Work::Approval(approval) => {
                self.schema(approval.form.as_ref(), &format!("{path}.form"));
                for (name, value) in [
                    ("who", &approval.who),
                    ("question", &approval.question),
                    ("detail", &approval.detail),
                ] {
                    self.template(value, &format!("{path}.{name}"), known);
                }
                let mut is_plain = true;
                expressions(&approval.who, "", &mut |_, _| is_plain = false);
                if is_plain && ids(&approval.who).is_none_or(|ids| ids.is_empty()) {
                    self.problem(
                        format!("{path}.who"),
                        "shape",
                        "must be ids of accounts and teams",
                    );
                }
                if !(1..=1000).contains(&approval.need) {
                    self.problem(format!("{path}.need"), "shape", "must be 1 to 1,000");
                }
            }
            Work::Agent(asking) => self.asking(asking, path, known),
            Work::Pipeline(child) => {
                self.template(&child.input, &format!("{path}.input"), known);
                let versions = 1..=i32::MAX.unsigned_abs();
                if child
                    .version
                    .is_some_and(|version| !versions.contains(&version))
                {
                    let why = "must be the number of a version";
                    self.problem(format!("{path}.version"), "shape", why);
                }
                self.pipelines
                    .insert(format!("{path}.pipeline"), child.pipeline.clone());
            }
            Work::Map(map) => {
                self.expression(&map.fields.items, &format!("{path}.items"), known);
                if !(1..=64).contains(&map.fields.parallel) {
                    self.problem(format!("{path}.parallel"), "shape", "must be 1 to 64");
                }
                self.graph_contents(&map.body, definition, &format!("{path}.body."), known);
            }
            Work::Action(action) => {
                self.template(&action.input, &format!("{path}.input"), known);
                self.action(action.what, &action.input, path, definition);
            }
        }
    }

    fn event(
        &mut self,
        kind: &str,
        topic: Option<&String>,
        condition: Option<&String>,
        path: &str,
        known: &BTreeSet<String>,
    ) {
        if !is_event_type(kind) {
            let why = "must be a type such as `message.created`, or `message.*`";
            self.problem(format!("{path}.event"), "shape", why);
        }
        let is_topic = |topic: &String| {
            let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            topic.split_once(':').is_some_and(|(kind, id)| {
                !kind.is_empty()
                    && kind.bytes().all(|byte| byte.is_ascii_lowercase())
                    && (1..=100).contains(&id.len())
                    && id.bytes().all(is_id)
            })
        };
        if topic.is_some_and(|topic| !is_topic(topic)) {
            let why = "must be a topic such as `channel:<id>`";
            self.problem(format!("{path}.topic"), "shape", why);
        }
        if let Some(condition) = condition {
            self.expression_of(condition, &format!("{path}.where"), known, true);
        }
    }

    /// Examples have inputs and results that runs can have.
    fn examples(&mut self, definition: &Definition) {
        let schema = |schema: &Option<Value>| Schema::new(schema.as_ref()?).ok();
        let (input, output) = (schema(&definition.input), schema(&definition.output));
        for (at, example) in definition.examples.iter().enumerate() {
            let refused = input
                .as_ref()
                .and_then(|schema| schema.refusal(&example.input));
            if let Some((path, why)) = refused {
                let path = format!("examples[{at}].input{}", path.replace('/', "."));
                self.problem(path, "shape", why);
            }
            let result = example.result.as_ref().zip(output.as_ref());
            let refused = result.and_then(|(result, schema)| schema.refusal(result));
            if let Some((path, why)) = refused {
                let path = format!("examples[{at}].result{}", path.replace('/', "."));
                self.problem(path, "shape", why);
            }
        }
    }

    fn schema(&mut self, schema: Option<&Value>, path: &str) {
        if let Some(Err(why)) = schema.map(Schema::new) {
            self.problem(path, "bad-schema", why);
        }
    }

    pub(super) fn template(&mut self, template: &Value, path: &str, known: &BTreeSet<String>) {
        expressions(template, path, &mut |path, text| match text.as_str() {
            Some(text) => self.expression(text, path, known),
            None => self.problem(path, "bad-expression", "must be a text"),
        });
    }

    /// Checks an expression, which may read the nodes that have ended by then.
    pub(super) fn expression(&mut self, text: &str, path: &str, known: &BTreeSet<String>) {
        self.expression_of(text, path, known, false);
    }

    /// Checks an expression, which may read `event` if it `decides` about one.
    fn expression_of(&mut self, text: &str, path: &str, known: &BTreeSet<String>, decides: bool) {
        match Expression::parse(text) {
            Err(why) => self.problem(path, "bad-expression", why),
            Ok(expression) if !decides && expression.names().contains("event") => {
                self.problem(
                    path,
                    "bad-expression",
                    "only triggers and waits for events can read `event`",
                );
            }
            Ok(expression) => {
                if let Some(name) = expression.unknown_function() {
                    let why = format!("uses the unknown function `{name}`");
                    self.problem(path, "bad-expression", why);
                }
                for id in expression.nodes().difference(known) {
                    self.problem(
                        path,
                        "reference",
                        format!("reads `nodes.{id}`, which can't have ended by then"),
                    );
                }
            }
        }
    }
}

/// For each node those that have ended before it begins.
fn ancestors(definition: &Definition) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for _ in 0..definition.nodes.len() {
        let mut has_grown = false;
        for edge in &definition.edges {
            let mut more = all.get(&edge.from).cloned().unwrap_or_default();
            more.insert(edge.from.clone());
            let known = all.entry(edge.to.clone()).or_default();
            let before = known.len();
            known.extend(more);
            has_grown |= known.len() > before;
        }
        if !has_grown {
            break;
        }
    }
    all
}
