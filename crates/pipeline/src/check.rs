//! The checks of a definition. All problems are named, each with its path.

mod actions;
mod contents;
mod forms;
mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::definition::{Common, Definition, FINALLY, Need, Work};

pub use forms::{is_event_type, origin};

/// The largest definition, as JSON.
pub const MAX_DEFINITION_BYTES: usize = 256 << 10;
/// The largest number of nodes.
pub const MAX_NODES: usize = 500;
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

/// Checks a definition. What can't be read does not keep the rest from being checked.
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
    /// What could not be read of the graphs, by their paths.
    unread: BTreeMap<String, Unread>,
    /// Whether the permissions could not be read, so that nothing is held against them.
    any_permissions: bool,
}

/// What could not be read of a graph. It was named as a problem, and is not the reason for others.
#[derive(Debug, Clone, Default)]
struct Unread {
    /// The nodes, with what every node may have.
    nodes: BTreeMap<String, Common>,
    /// The places of the edges.
    edges: BTreeSet<usize>,
    /// Whether nobody knows which nodes there are.
    any_node: bool,
    /// Whether nobody knows which edges there are.
    any_edge: bool,
}

impl Unread {
    /// Whether there may be edges that were not read.
    fn has_edges(&self) -> bool {
        self.any_edge || !self.edges.is_empty()
    }
}

impl Check {
    fn problem(&mut self, path: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        let (path, detail) = (path.into(), detail.into());
        self.problems.push(FieldProblem { path, code, detail });
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
        let unread = self.unread.get(prefix).cloned().unwrap_or_default();
        if unread.any_node {
            return;
        }
        let mut seen = BTreeSet::new();
        for (at, edge) in definition.edges.iter().enumerate() {
            if unread.edges.contains(&at) {
                continue;
            }
            let path = format!("{prefix}edges[{at}]");
            for (end, id) in [("from", &edge.from), ("to", &edge.to)] {
                if !definition.nodes.contains_key(id) && !unread.nodes.contains_key(id) {
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
                // An unknown node was named already.
                node => node.is_none(),
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
        let all: BTreeSet<&String> = definition.nodes.keys().chain(unread.nodes.keys()).collect();
        for id in cyclic(definition, all) {
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
                && !unread.has_edges()
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
fn cyclic(definition: &Definition, mut left: BTreeSet<&String>) -> Vec<String> {
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
