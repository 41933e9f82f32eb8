//! Random graphs, and an evaluator that knows all outcomes beforehand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

/// A node: what it is, how it ends if it runs, and what leads to it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub kind: Kind,
    pub fails: bool,
    pub goes_on: bool,
    /// The numbers of earlier nodes, with the outcomes of them.
    pub from: Vec<(usize, On)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Step,
    Any,
    All,
    First,
    Two,
    /// It chooses the case `yes` or `no`.
    Condition(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    Success,
    Error,
    Yes,
    No,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Step),
        2 => Just(Kind::Any),
        1 => Just(Kind::All),
        1 => Just(Kind::First),
        1 => Just(Kind::Two),
        2 => any::<bool>().prop_map(Kind::Condition),
    ]
}

fn on() -> impl Strategy<Value = On> {
    prop_oneof![6 => Just(On::Success), 1 => Just(On::Error), 2 => Just(On::Yes), 2 => Just(On::No)]
}

/// Random plans, in which edges lead from earlier nodes to later ones.
pub fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (
        kind(),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.5),
        prop::collection::vec((any::<prop::sample::Index>(), on()), 0..4),
    );
    prop::collection::vec(plan, 1..14).prop_map(|drawn| {
        let mut plans: Vec<Plan> = Vec::new();
        for (at, (kind, fails, goes_on, from)) in drawn.into_iter().enumerate() {
            let mut edges = BTreeMap::new();
            for (index, on) in from {
                if at == 0 {
                    continue;
                }
                let source = index.index(at);
                let is_choice = matches!(plans[source].kind, Kind::Condition(_));
                let on = if matches!(on, On::Yes | On::No) && !is_choice {
                    On::Success
                } else {
                    on
                };
                edges.insert(source, on);
            }
            let kind = if kind == Kind::Two && edges.len() < 2 {
                Kind::Any
            } else {
                kind
            };
            let is_merge = matches!(kind, Kind::Any | Kind::All | Kind::First | Kind::Two);
            let kind = if is_merge && edges.is_empty() {
                Kind::Step
            } else {
                kind
            };
            plans.push(Plan {
                kind,
                fails,
                goes_on,
                from: edges.into_iter().collect(),
            });
        }
        plans
    })
}

/// How a node ends.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It has an output; a condition has chosen a case.
    Succeeded(Option<&'static str>),
    Failed,
    Skipped,
}

/// The id of a node.
pub fn name(at: usize) -> String {
    format!("n{at}")
}

/// The definition of a plan, in which `work` makes the nodes that are steps.
pub fn document(plans: &[Plan], work: impl Fn(usize) -> Value) -> Value {
    let mut nodes = serde_json::Map::new();
    let mut edges = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        let mut node: Value = match plan.kind {
            Kind::Step => work(at),
            Kind::Any => json!({"type": "merge"}),
            Kind::All => json!({"type": "merge", "need": "all"}),
            Kind::First => json!({"type": "merge", "need": "first"}),
            Kind::Two => json!({"type": "merge", "need": 2}),
            Kind::Condition(yes) => {
                json!({"type": "condition", "cases": [{"name": "yes", "when": yes.to_string()}], "else": "no"})
            }
        };
        if plan.goes_on {
            node["on_error"] = json!("continue");
        }
        nodes.insert(name(at), node);
        for (from, on) in &plan.from {
            let on = match on {
                On::Success => "success",
                On::Error => "error",
                On::Yes => "yes",
                On::No => "no",
            };
            edges.push(json!({"from": name(*from), "to": name(at), "on": on}));
        }
    }
    json!({"nodes": nodes, "edges": edges})
}

/// How a node ends if it runs.
pub fn outcome(plan: &Plan) -> End {
    match plan.kind {
        _ if plan.fails => End::Failed,
        Kind::Condition(yes) => End::Succeeded(Some(if yes { "yes" } else { "no" })),
        _ => End::Succeeded(None),
    }
}

/// How each node ends if no failure ends the run.
pub fn reference(plans: &[Plan]) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    for plan in plans {
        let taken = plan
            .from
            .iter()
            .filter(|(from, on)| match (&ends[*from], on) {
                (End::Succeeded(_), On::Success) | (End::Failed, On::Error) => true,
                (End::Succeeded(Some(case)), On::Yes) => *case == "yes",
                (End::Succeeded(Some(case)), On::No) => *case == "no",
                (End::Failed, On::Success) => plans[*from].goes_on,
                _ => false,
            });
        let (taken, all) = (taken.count(), plan.from.len());
        let runs = match plan.kind {
            Kind::Any | Kind::First => taken >= 1,
            Kind::Two => taken >= 2,
            Kind::All | Kind::Step | Kind::Condition(_) => taken == all,
        };
        ends.push(if runs { outcome(plan) } else { End::Skipped });
    }
    ends
}

/// The failures that nothing leads on from.
pub fn unhandled(plans: &[Plan], ends: &[End]) -> BTreeSet<String> {
    let leads_on = |at: usize| {
        plans[at].goes_on
            || plans
                .iter()
                .any(|plan| plan.from.contains(&(at, On::Error)))
    };
    let failed = (0..plans.len()).filter(|at| ends[*at] == End::Failed && !leads_on(*at));
    failed.map(name).collect()
}
