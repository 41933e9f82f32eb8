//! Reading a definition. All that can't be read is named, and the rest is read nevertheless.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map as Fields, Value};
use serde_path_to_error::Segment;

use super::{Check, MAX_DEFINITION_BYTES, MAX_MS, MAX_NODES, Unread};
use crate::definition::{
    Common, Definition, Edge, FINALLY, Map, MapFields, Node, OnItemError, Work,
};
use crate::expression::fit;

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
/// The number of fields of a value that are named as unreadable one by one: the value is read again without each of them.
const MAX_LEFT_OUT: usize = 20;

impl Check {
    /// Reads a value. A field that can't be read is named and left out, so that others are read, too; `None` if it is
    /// needed.
    fn field<T: DeserializeOwned>(&mut self, mut value: Value, path: &str) -> Option<T> {
        for left_out in 0..=MAX_LEFT_OUT {
            let error = match serde_path_to_error::deserialize(value.clone()) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let field = match error.path().iter().next() {
                Some(Segment::Map { key }) => value.as_object_mut().and_then(|all| all.remove(key)),
                _ => None,
            };
            // What is missing may be what was left out.
            if field.is_some() || left_out == 0 {
                let inner = error.path().to_string();
                let path = match inner.as_str() {
                    "." => path.to_owned(),
                    inner => format!("{path}.{inner}"),
                };
                let text = error.inner().to_string();
                self.problem(path, "shape", text.chars().take(300).collect::<String>());
            }
            field?;
        }
        None
    }

    /// Reads a field of the definition, if it is there.
    fn part<T: DeserializeOwned>(
        &mut self,
        fields: &Fields<String, Value>,
        name: &str,
    ) -> Option<T> {
        self.field(fields.get(name)?.clone(), name)
    }

    /// Reads a definition, or what can be read of it; `None` if that is nothing.
    pub(super) fn read(&mut self, value: &Value) -> Option<Definition> {
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
        let mut definition = self.read_graph(fields, "");
        definition.input = fields.get("input").cloned();
        definition.output = fields.get("output").cloned();
        let problems = self.problems.len();
        definition.permissions = self.part(fields, "permissions").unwrap_or_default();
        self.any_permissions = self.problems.len() > problems;
        definition.timeout_ms = self.part(fields, "timeout_ms");
        self.duration(definition.timeout_ms, "timeout_ms");
        definition.concurrency = self.part(fields, "concurrency");
        definition.budget = self.part(fields, "budget").unwrap_or_default();
        definition.keep_ms = self.part(fields, "keep_ms");
        self.duration(definition.keep_ms, "keep_ms");
        definition.examples = self.part(fields, "examples").unwrap_or_default();
        if let Some(finally) = fields.get("finally") {
            definition.finally = self.finally(finally).map(Arc::new);
        }
        Some(definition)
    }

    fn finally(&mut self, graph: &Value) -> Option<Definition> {
        let Some(fields) = graph.as_object() else {
            self.problem("finally", "shape", "must be a graph");
            return None;
        };
        self.unknown_fields(fields, &["nodes", "edges", "timeout_ms"], FINALLY);
        let mut definition = self.read_graph(fields, FINALLY);
        if let Some(timeout) = fields.get("timeout_ms") {
            definition.timeout_ms = self.field(timeout.clone(), "finally.timeout_ms");
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
    fn read_graph(&mut self, fields: &Fields<String, Value>, at: &str) -> Definition {
        let mut definition = Definition {
            result: fields.get("result").cloned().unwrap_or_default(),
            ..Definition::default()
        };
        let mut unread = Unread::default();
        match self.nodes_of(fields, at) {
            Some(nodes) => {
                for (id, node) in nodes {
                    let (work, common) = self.node(id, node, at);
                    match work {
                        Some(work) => {
                            definition.nodes.insert(id.clone(), Node { work, common });
                        }
                        None => drop(unread.nodes.insert(id.clone(), common)),
                    }
                }
            }
            None => unread.any_node = true,
        }
        match fields.get("edges") {
            Some(Value::Array(edges)) => {
                for (place, edge) in edges.iter().enumerate() {
                    let read = self.field(edge.clone(), &format!("{at}edges[{place}]"));
                    definition.edges.push(read.unwrap_or_else(|| {
                        unread.edges.insert(place);
                        Edge::default()
                    }));
                }
            }
            Some(_) => {
                self.problem(format!("{at}edges"), "shape", "must be a list");
                unread.any_edge = true;
            }
            None => {}
        }
        self.unread.insert(at.to_owned(), unread);
        definition
    }

    /// The nodes of a graph, if there are neither none nor too many.
    fn nodes_of<'a>(
        &mut self,
        fields: &'a Fields<String, Value>,
        at: &str,
    ) -> Option<&'a Fields<String, Value>> {
        let nodes = fields.get("nodes").and_then(Value::as_object);
        let Some(nodes) = nodes.filter(|nodes| !nodes.is_empty()) else {
            let why = "must be an object with at least one node";
            self.problem(format!("{at}nodes"), "shape", why);
            return None;
        };
        self.nodes += nodes.len();
        if self.nodes > MAX_NODES {
            let why = format!("has more than {MAX_NODES} nodes");
            self.problem(format!("{at}nodes"), "too-large", why);
            return None;
        }
        Some(nodes)
    }

    pub(super) fn duration(&mut self, given: Option<u64>, path: &str) {
        if given.is_some_and(|ms| ms == 0 || ms > MAX_MS) {
            self.problem(path, "shape", "must be between 1 ms and 30 days");
        }
    }

    /// Reads a node: its work, if it can be read, and what every node may have.
    fn node(&mut self, id: &str, node: &Value, at: &str) -> (Option<Work>, Common) {
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
            return (None, Common::default());
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
        let common = self.field(Value::Object(common), &path);
        (work, common.unwrap_or_default())
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
        // The body is checked whatever is beside it.
        let fields = fields.unwrap_or_else(|| MapFields {
            items: "[]".to_owned(),
            parallel: 1,
            on_item_error: OnItemError::default(),
        });
        Some(Work::Map(Box::new(Map {
            fields,
            body: Arc::new(body),
        })))
    }
}
