//! The checks of a definition. All problems are named, each with its path.

mod contents;
mod forms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map as Fields, Value};
use sha2::{Digest, Sha256};

use crate::definition::{Common, Definition, Edge, FINALLY, Map, Need, Node, Permissions, Work};
use crate::expression::fit;

pub use forms::{is_event_type, origin};

/// The largest definition, as JSON.
pub const MAX_DEFINITION_BYTES: usize = 256 << 10;
/// The largest number of nodes.
pub const MAX_NODES: usize = 500;
/// The fields of a definition.
const FIELDS: [&str; 12] = [
    "input",
    "output",
    "nodes",
    "edges",
    "result",
    "permissions",
    "timeout_ms",
    "finally",
    "concurrency",
    "budget",
    "keep_ms",
    "examples",
];
/// The fields that every node may have.
const COMMON: [&str; 10] = [
    "when",
    "retry",
    "timeout_ms",
    "on_error",
    "effect",
    "on_uncertain",
    "output",
    "private",
    "verify",
    "breaker",
];
/// The types of nodes of the contract whose part this platform does not have yet.
const MISSING: [&str; 1] = ["loop"];
/// The deepest nesting of maps.
const MAX_DEPTH: usize = 4;
/// The longest time-out: 30 days.
const MAX_MS: u64 = 30 * 86_400_000;

/// Something that is wrong in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// The path, such as `nodes.check.cases[0].when`.
    pub path: String,
    /// The kind of problem.
    pub code: &'static str,
    /// The problem, for people.
    pub detail: String,
}

/// A skill that a definition calls by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkillUse {
    /// The name of the skill that is called.
    pub name: String,
    /// The version; `None` if the definition does not name one.
    pub version: Option<String>,
    /// The tool, with the path of its name; `None` if it is only known when the node runs.
    pub tool: Option<(String, String)>,
    /// Whether the skill only computes, so that it may not have permissions.
    pub is_pure: bool,
}

/// The result of the checks.
#[derive(Debug)]
pub struct Checked {
    /// The definition, if all of it can be read.
    pub definition: Option<Definition>,
    /// Everything that is wrong.
    pub problems: Vec<FieldProblem>,
    /// The skills that it calls by name, by the paths of what names them.
    pub skills: BTreeMap<String, SkillUse>,
    /// The pipelines that it runs, with the paths.
    pub pipelines: BTreeMap<String, String>,
    /// The agents, claws and circles that it asks, by the paths of what names them: the kind, and the id or name.
    pub asked: BTreeMap<String, (&'static str, String)>,
}

/// The digest of a definition: the SHA-256 of its canonical form (RFC 8785).
pub fn digest(definition: &Value) -> String {
    // A value of JSON always has a canonical form.
    let canonical = serde_json_canonicalizer::to_vec(definition).unwrap_or_default();
    format!("sha256:{}", hex::encode(Sha256::digest(canonical)))
}

/// Checks a definition.
pub fn check(value: &Value) -> Checked {
    let mut check = Check::default();
    let definition = check.read(value);
    if let Some(definition) = &definition {
        check.graph(definition, "");
        if let Some(finally) = &definition.finally {
            check.graph(finally, FINALLY);
        }
        check.contents(definition);
    }
    Checked {
        definition: definition.filter(|_| check.problems.is_empty()),
        problems: check.problems,
        skills: check.skills,
        pipelines: check.pipelines,
        asked: check.asked,
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<FieldProblem>,
    skills: BTreeMap<String, SkillUse>,
    pipelines: BTreeMap<String, String>,
    asked: BTreeMap<String, (&'static str, String)>,
    /// The number of nodes so far, with those of maps.
    nodes: usize,
    /// The number of maps around the present graph.
    depth: usize,
}

impl Check {
    fn problem(&mut self, path: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        let (path, detail) = (path.into(), detail.into());
        self.problems.push(FieldProblem { path, code, detail });
    }

    fn field<T: DeserializeOwned>(&mut self, value: Value, path: &str) -> Option<T> {
        match serde_path_to_error::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let inner = error.path().to_string();
                let path = if inner == "." {
                    path.to_owned()
                } else {
                    format!("{path}.{inner}")
                };
                let text = error.inner().to_string();
                self.problem(path, "shape", text.chars().take(300).collect::<String>());
                None
            }
        }
    }

    fn read(&mut self, value: &Value) -> Option<Definition> {
        let Some(fields) = value.as_object() else {
            self.problem("definition", "shape", "must be an object");
            return None;
        };
        if value.to_string().len() > MAX_DEFINITION_BYTES {
            self.problem("definition", "too-large", "has more than 256 KiB");
            return None;
        }
        if let Err(fault) = fit(value) {
            self.problem("definition", "shape", fault.detail);
            return None;
        }
        self.unknown_fields(fields, &FIELDS, "");
        let mut definition = self.read_graph(fields, "")?;
        definition.input = fields.get("input").cloned();
        definition.output = fields.get("output").cloned();
        if let Some(permissions) = fields.get("permissions") {
            definition.permissions =
                self.field::<Permissions>(permissions.clone(), "permissions")?;
        }
        if let Some(timeout) = fields.get("timeout_ms") {
            definition.timeout_ms = self.field(timeout.clone(), "timeout_ms")?;
            self.duration(definition.timeout_ms, "timeout_ms");
        }
        if let Some(concurrency) = fields.get("concurrency") {
            definition.concurrency = Some(self.field(concurrency.clone(), "concurrency")?);
        }
        if let Some(budget) = fields.get("budget") {
            definition.budget = self.field(budget.clone(), "budget")?;
        }
        if let Some(keep) = fields.get("keep_ms") {
            definition.keep_ms = self.field(keep.clone(), "keep_ms")?;
            self.duration(definition.keep_ms, "keep_ms");
        }
        if let Some(examples) = fields.get("examples") {
            definition.examples = self.field(examples.clone(), "examples")?;
        }
        if let Some(finally) = fields.get("finally") {
            definition.finally = Some(Arc::new(self.finally(finally)?));
        }
        Some(definition)
    }

    fn finally(&mut self, graph: &Value) -> Option<Definition> {
        let Some(fields) = graph.as_object() else {
            self.problem("finally", "shape", "must be a graph");
            return None;
        };
        self.unknown_fields(fields, &["nodes", "edges", "timeout_ms"], FINALLY);
        let mut definition = self.read_graph(fields, FINALLY)?;
        if let Some(timeout) = fields.get("timeout_ms") {
            definition.timeout_ms = self.field(timeout.clone(), "finally.timeout_ms")?;
            self.duration(definition.timeout_ms, "finally.timeout_ms");
        }
        Some(definition)
    }

    fn unknown_fields(&mut self, fields: &Fields<String, Value>, known: &[&str], at: &str) {
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            self.problem(
                format!("{at}{name}"),
                "shape",
                "is not a field that is known here",
            );
        }
    }

    /// Reads the nodes, the edges and the result of a graph, whose path `at` ends with a point unless it is empty.
    fn read_graph(&mut self, fields: &Fields<String, Value>, at: &str) -> Option<Definition> {
        let Some(nodes) = fields
            .get("nodes")
            .and_then(Value::as_object)
            .filter(|nodes| !nodes.is_empty())
        else {
            self.problem(
                format!("{at}nodes"),
                "shape",
                "must be an object with at least one node",
            );
            return None;
        };
        self.nodes += nodes.len();
        if self.nodes > MAX_NODES {
            self.problem(
                format!("{at}nodes"),
                "too-large",
                format!("has more than {MAX_NODES} nodes"),
            );
            return None;
        }
        let mut definition = Definition {
            result: fields.get("result").cloned().unwrap_or_default(),
            ..Definition::default()
        };
        let mut is_whole = true;
        for (id, node) in nodes {
            match self.node(id, node, at) {
                Some(node) => drop(definition.nodes.insert(id.clone(), node)),
                None => is_whole = false,
            }
        }
        if let Some(edges) = fields.get("edges") {
            definition.edges = self.field::<Vec<Edge>>(edges.clone(), &format!("{at}edges"))?;
        }
        is_whole.then_some(definition)
    }

    fn duration(&mut self, given: Option<u64>, path: &str) {
        if given.is_some_and(|ms| ms == 0 || ms > MAX_MS) {
            self.problem(path, "shape", "must be between 1 ms and 30 days");
        }
    }

    fn node(&mut self, id: &str, node: &Value, at: &str) -> Option<Node> {
        let path = format!("{at}nodes.{id}");
        let is_id = id.len() <= 40
            && id.starts_with(|first: char| first.is_ascii_lowercase())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_id {
            self.problem(
                &path,
                "shape",
                "must be named by a letter and then 39 letters, digits and `_` at most",
            );
        }
        let Some(fields) = node.as_object() else {
            self.problem(path, "shape", "must be an object");
            return None;
        };
        let (mut common, mut own) = (Fields::new(), Fields::new());
        for (name, field) in fields.iter().filter(|(name, _)| *name != "type") {
            let part = if COMMON.contains(&name.as_str()) {
                &mut common
            } else {
                &mut own
            };
            part.insert(name.clone(), field.clone());
        }
        let work = self.work(fields.get("type").and_then(Value::as_str), own, &path);
        let common: Option<Common> = self.field(Value::Object(common), &path);
        Some(Node {
            work: work?,
            common: common?,
        })
    }

    fn work(&mut self, kind: Option<&str>, own: Fields<String, Value>, path: &str) -> Option<Work> {
        let own = Value::Object(own);
        match kind {
            Some("condition") => self.field(own, path).map(Work::Condition),
            Some("transform") if own.get("skill").is_some() => {
                self.field(own, path).map(Work::Compute)
            }
            Some("transform") => self.field(own, path).map(Work::Transform),
            Some("filter") => self.field(own, path).map(Work::Filter),
            Some("merge") => self.field(own, path).map(Work::Merge),
            Some("wait") => self.field(own, path).map(Work::Wait),
            Some("approval") => self.field(own, path).map(Work::Approval),
            Some("action") => self.field(own, path).map(Work::Action),
            Some("agent") => self.field(own, path).map(Work::Agent),
            Some("pipeline") => self.field(own, path).map(Work::Pipeline),
            Some("map") => self.map(own, path),
            Some(kind) if MISSING.contains(&kind) => {
                self.problem(
                    format!("{path}.type"),
                    "part-missing",
                    format!("`{kind}` needs a part that this platform does not have"),
                );
                None
            }
            Some(kind) => {
                self.problem(
                    format!("{path}.type"),
                    "unknown-type",
                    format!("`{kind}` is not a type of node"),
                );
                None
            }
            None => {
                self.problem(format!("{path}.type"), "shape", "is missing");
                None
            }
        }
    }

    fn map(&mut self, mut own: Value, path: &str) -> Option<Work> {
        let body = own.as_object_mut().and_then(|own| own.remove("body"));
        let at = format!("{path}.body.");
        let Some(Value::Object(body)) = body else {
            self.problem(format!("{path}.body"), "shape", "must be a graph");
            return None;
        };
        if self.depth == MAX_DEPTH {
            self.problem(format!("{path}.body"), "too-large", "is in too many maps");
            return None;
        }
        self.unknown_fields(&body, &["nodes", "edges", "result"], &at);
        self.depth += 1;
        let body = self.read_graph(&body, &at);
        self.depth -= 1;
        let fields = self.field(own, path);
        Some(Work::Map(Box::new(Map {
            fields: fields?,
            body: Arc::new(body?),
        })))
    }

    /// Checks the edges of a graph, whose path `at` ends with a point unless it is empty.
    fn graph(&mut self, definition: &Definition, at: &str) {
        for (id, node) in &definition.nodes {
            if let Work::Map(map) = &node.work {
                self.graph(&map.body, &format!("{at}nodes.{id}.body."));
            }
        }
        self.edges(definition, at);
    }

    fn edges(&mut self, definition: &Definition, prefix: &str) {
        let mut seen = BTreeSet::new();
        for (at, edge) in definition.edges.iter().enumerate() {
            let path = format!("{prefix}edges[{at}]");
            for (end, id) in [("from", &edge.from), ("to", &edge.to)] {
                if !definition.nodes.contains_key(id) {
                    self.problem(
                        format!("{path}.{end}"),
                        "unknown-node",
                        format!("`{id}` is not a node"),
                    );
                }
            }
            let known = match definition.nodes.get(&edge.from).map(|node| &node.work) {
                Some(Work::Condition(condition)) => {
                    condition.otherwise == edge.on
                        || condition.cases.iter().any(|case| case.name == edge.on)
                }
                _ => false,
            };
            if !known && !["success", "error"].contains(&edge.on.as_str()) {
                self.problem(
                    format!("{path}.on"),
                    "unknown-case",
                    format!("`{}` is not an outcome of `{}`", edge.on, edge.from),
                );
            }
            if !seen.insert((&edge.from, &edge.to, &edge.on)) {
                self.problem(&path, "shape", "stands there twice");
            }
        }
        for id in cyclic(definition) {
            self.problem(
                format!("{prefix}nodes.{id}"),
                "cycle",
                "is in a cycle, or only reached through one",
            );
        }
        for (id, node) in &definition.nodes {
            let mut incoming: Vec<_> = definition
                .edges
                .iter()
                .filter(|edge| edge.to == *id)
                .map(|edge| &edge.from)
                .collect();
            let count = incoming.len();
            incoming.sort();
            incoming.dedup();
            if !matches!(node.work, Work::Merge(_)) && incoming.len() < count {
                self.problem(
                    format!("{prefix}nodes.{id}"),
                    "unreachable",
                    "needs two outcomes of one node, which can't both be; a merge takes either",
                );
            }
            if let Work::Merge(merge) = &node.work
                && let Need::Number(number) = merge.need
                && (number == 0 || number as usize > count)
            {
                self.problem(
                    format!("{prefix}nodes.{id}.need"),
                    "unreachable",
                    "must be at least 1, and at most the number of edges to the merge",
                );
            }
        }
    }
}

/// The nodes that never become ready, because they wait for themselves.
fn cyclic(definition: &Definition) -> Vec<String> {
    let mut left: BTreeSet<&String> = definition.nodes.keys().collect();
    loop {
        let free: Vec<_> = left
            .iter()
            .filter(|id| {
                !definition
                    .edges
                    .iter()
                    .any(|edge| edge.to == ***id && left.contains(&edge.from))
            })
            .copied()
            .collect();
        if free.is_empty() {
            return left.into_iter().cloned().collect();
        }
        for id in free {
            left.remove(id);
        }
    }
}
