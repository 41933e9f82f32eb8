//! What follows from the steps of a run that have ended: which nodes begin, which are skipped, and how the run ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::{Definition, Edge, Need, Node, OnError, Rule, Work};

/// The ending of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With an output; a condition chose this case.
    Succeeded(Option<String>),
    /// With an error.
    Failed,
    /// It did not run.
    Skipped,
}

/// The consequences of what has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The nodes that begin now.
    pub ready: Vec<String>,
    /// The nodes that do not run.
    pub skipped: Vec<String>,
    /// How the run ends; `None` while something is unfinished.
    pub verdict: Option<Verdict>,
}

/// The ending of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All nodes have ended.
    Done,
    /// This node failed, and nothing in the definition handles that.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EdgeState {
    Open,
    Taken,
    NotTaken,
}

/// Derives what follows. `ended` has the nodes that have ended, `begun` those that have begun and not ended.
pub fn next(
    definition: &Definition,
    ended: &BTreeMap<String, Outcome>,
    begun: &BTreeSet<String>,
) -> Settled {
    if let Some(failed) = unhandled(definition, ended) {
        return Settled {
            verdict: Some(Verdict::Failed(failed)),
            ..Settled::default()
        };
    }
    let mut known = ended.clone();
    let mut out = Settled::default();
    // A skipped node settles its edges, which may skip others.
    loop {
        let before = known.len();
        for (id, node) in &definition.nodes {
            if known.contains_key(id) || begun.contains(id) || out.ready.contains(id) {
                continue;
            }
            match decide(definition, id, node, &known) {
                Some(true) => out.ready.push(id.clone()),
                Some(false) => {
                    known.insert(id.clone(), Outcome::Skipped);
                    out.skipped.push(id.clone());
                }
                None => {}
            }
        }
        if known.len() == before {
            break;
        }
    }
    if known.len() == definition.nodes.len() {
        out.verdict = Some(Verdict::Done);
    }
    out
}

/// Whether a node runs; `None` while that is open.
fn decide(
    definition: &Definition,
    id: &str,
    node: &Node,
    known: &BTreeMap<String, Outcome>,
) -> Option<bool> {
    let edges = definition.edges.iter().filter(|edge| edge.to == id);
    let states: Vec<_> = edges.map(|edge| state(definition, edge, known)).collect();
    let taken = states
        .iter()
        .filter(|state| **state == EdgeState::Taken)
        .count();
    let is_settled = !states.contains(&EdgeState::Open);
    let needed = match &node.work {
        Work::Merge(merge) => match merge.need {
            Need::Default | Need::Rule(Rule::Any) => return is_settled.then_some(taken > 0),
            Need::Rule(Rule::All) => states.len(),
            Need::Rule(Rule::First) => 1,
            Need::Number(number) => number as usize,
        },
        _ => return is_settled.then_some(taken == states.len()),
    };
    if taken >= needed {
        return Some(true);
    }
    is_settled.then_some(false)
}

/// Whether an edge was taken; `None` while that is open.
pub fn taken(
    definition: &Definition,
    edge: &Edge,
    ended: &BTreeMap<String, Outcome>,
) -> Option<bool> {
    match state(definition, edge, ended) {
        EdgeState::Open => None,
        EdgeState::Taken => Some(true),
        EdgeState::NotTaken => Some(false),
    }
}

fn state(definition: &Definition, edge: &Edge, known: &BTreeMap<String, Outcome>) -> EdgeState {
    let is_taken = match known.get(&edge.from) {
        None => return EdgeState::Open,
        Some(Outcome::Succeeded(case)) => {
            edge.on == "success" || case.as_deref() == Some(edge.on.as_str())
        }
        Some(Outcome::Failed) => {
            edge.on == "error" || (edge.on == "success" && goes_on(definition, &edge.from))
        }
        Some(Outcome::Skipped) => false,
    };
    if is_taken {
        EdgeState::Taken
    } else {
        EdgeState::NotTaken
    }
}

fn goes_on(definition: &Definition, id: &str) -> bool {
    let node = definition.nodes.get(id);
    node.is_some_and(|node| node.common.on_error == OnError::Continue)
}

/// A node that failed, although nothing leads on from its failure.
fn unhandled(definition: &Definition, ended: &BTreeMap<String, Outcome>) -> Option<String> {
    let handles = |id: &str| {
        let mut edges = definition.edges.iter();
        goes_on(definition, id) || edges.any(|edge| edge.from == id && edge.on == "error")
    };
    let mut failed = ended
        .iter()
        .filter(|(_, outcome)| **outcome == Outcome::Failed);
    failed
        .find(|(id, _)| !handles(id))
        .map(|(id, _)| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use serde_json::json;

    fn diamond(need: serde_json::Value) -> Definition {
        let transform = json!({"type": "transform", "value": 1});
        let merge = if need.is_null() {
            json!({"type": "merge"})
        } else {
            json!({"type": "merge", "need": need})
        };
        let definition = json!({
            "nodes": {
                "c": {"type": "condition", "cases": [{"name": "yes", "when": "true"}], "else": "no"},
                "a": transform, "b": transform, "b2": transform, "m": merge,
            },
            "edges": [
                {"from": "c", "to": "a", "on": "yes"}, {"from": "c", "to": "b", "on": "no"},
                {"from": "b", "to": "b2"}, {"from": "a", "to": "m"}, {"from": "b2", "to": "m"},
            ],
        });
        let checked = check(&definition);
        assert_eq!(checked.problems, []);
        checked.definition.expect("a definition")
    }

    fn ended(pairs: &[(&str, Outcome)]) -> BTreeMap<String, Outcome> {
        pairs
            .iter()
            .map(|(id, outcome)| ((*id).to_owned(), outcome.clone()))
            .collect()
    }

    #[test]
    fn an_untaken_branch_is_skipped_to_its_end_and_the_merge_runs_once() {
        let definition = diamond(json!(null));
        let none = BTreeSet::new();
        assert_eq!(next(&definition, &ended(&[]), &none).ready, ["c"]);
        let chosen = Outcome::Succeeded(Some("yes".to_owned()));
        let after = next(&definition, &ended(&[("c", chosen.clone())]), &none);
        assert_eq!(
            (after.ready, after.skipped),
            (vec!["a".to_owned()], vec!["b".to_owned(), "b2".to_owned()])
        );
        let mut all = ended(&[
            ("c", chosen),
            ("b", Outcome::Skipped),
            ("b2", Outcome::Skipped),
        ]);
        all.insert("a".to_owned(), Outcome::Succeeded(None));
        assert_eq!(next(&definition, &all, &none).ready, ["m"]);
        let running = BTreeSet::from(["m".to_owned()]);
        assert_eq!(next(&definition, &all, &running), Settled::default());
        all.insert("m".to_owned(), Outcome::Succeeded(None));
        assert_eq!(next(&definition, &all, &none).verdict, Some(Verdict::Done));
    }

    #[test]
    fn a_merge_that_needs_all_is_skipped_if_one_is_missing() {
        let definition = diamond(json!("all"));
        let chosen = Outcome::Succeeded(Some("yes".to_owned()));
        let all = ended(&[
            ("c", chosen),
            ("a", Outcome::Succeeded(None)),
            ("b", Outcome::Skipped),
            ("b2", Outcome::Skipped),
        ]);
        let after = next(&definition, &all, &BTreeSet::new());
        assert_eq!(
            (after.skipped, after.verdict),
            (vec!["m".to_owned()], Some(Verdict::Done))
        );
    }

    #[test]
    fn a_failure_that_nothing_handles_fails_the_run() {
        let definition = diamond(json!(null));
        let all = ended(&[("c", Outcome::Failed)]);
        assert_eq!(
            next(&definition, &all, &BTreeSet::new()).verdict,
            Some(Verdict::Failed("c".to_owned()))
        );
    }
}
