//! Random graphs, whose nodes end in random order, against an evaluator that knows all outcomes beforehand.

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Definition, Outcome, Verdict, check, next};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A node: what it is, how it ends if it runs, and what leads to it.
#[derive(Debug, Clone)]
struct Plan {
    kind: Kind,
    fails: bool,
    goes_on: bool,
    /// The numbers of earlier nodes, with the outcomes of them.
    from: Vec<(usize, On)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Step,
    Any,
    All,
    First,
    Two,
    /// It chooses the case `yes` or `no`.
    Condition(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum On {
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

fn plans() -> impl Strategy<Value = Vec<Plan>> {
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

fn name(at: usize) -> String {
    format!("n{at}")
}

fn definition(plans: &[Plan]) -> Definition {
    let mut nodes = serde_json::Map::new();
    let mut edges = Vec::new();
    for (at, plan) in plans.iter().enumerate() {
        let mut node: Value = match plan.kind {
            Kind::Step => json!({"type": "transform", "value": 1}),
            Kind::Any => json!({"type": "merge"}),
            Kind::All => json!({"type": "merge", "need": "all"}),
            Kind::First => json!({"type": "merge", "need": "first"}),
            Kind::Two => json!({"type": "merge", "need": 2}),
            Kind::Condition(_) => {
                json!({"type": "condition", "cases": [{"name": "yes", "when": "true"}], "else": "no"})
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
    let checked = check(&json!({"nodes": nodes, "edges": edges}));
    assert_eq!(checked.problems, []);
    checked.definition.expect("a definition")
}

fn outcome(plan: &Plan) -> Outcome {
    match plan.kind {
        _ if plan.fails => Outcome::Failed,
        Kind::Condition(yes) => Outcome::Succeeded(Some(if yes { "yes" } else { "no" }.to_owned())),
        _ => Outcome::Succeeded(None),
    }
}

/// How each node ends if no failure ends the run.
fn reference(plans: &[Plan]) -> Vec<Outcome> {
    let mut ends: Vec<Outcome> = Vec::new();
    for plan in plans {
        let taken = plan
            .from
            .iter()
            .filter(|(from, on)| match (&ends[*from], on) {
                (Outcome::Succeeded(_), On::Success) | (Outcome::Failed, On::Error) => true,
                (Outcome::Succeeded(Some(case)), On::Yes) => case == "yes",
                (Outcome::Succeeded(Some(case)), On::No) => case == "no",
                (Outcome::Failed, On::Success) => plans[*from].goes_on,
                _ => false,
            });
        let (taken, all) = (taken.count(), plan.from.len());
        let runs = match plan.kind {
            Kind::Any | Kind::First => taken >= 1,
            Kind::Two => taken >= 2,
            Kind::All | Kind::Step | Kind::Condition(_) => taken == all,
        };
        ends.push(if runs {
            outcome(plan)
        } else {
            Outcome::Skipped
        });
    }
    ends
}

/// The failures that nothing leads on from.
fn unhandled(plans: &[Plan], ends: &[Outcome]) -> BTreeSet<String> {
    let leads_on = |at: usize| {
        plans[at].goes_on
            || plans
                .iter()
                .any(|plan| plan.from.contains(&(at, On::Error)))
    };
    let failed = (0..plans.len()).filter(|at| ends[*at] == Outcome::Failed && !leads_on(*at));
    failed.map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn each_node_ends_once_and_as_the_reference_says(plans in plans(), order in prop::collection::vec(any::<prop::sample::Index>(), 64)) {
        let definition = definition(&plans);
        let expected = reference(&plans);
        let unhandled = unhandled(&plans, &expected);
        let (mut ended, mut begun) = (BTreeMap::new(), BTreeSet::new());
        let mut has_begun = BTreeSet::new();
        let mut order = order.into_iter();
        let verdict = loop {
            let after = next(&definition, &ended, &begun);
            if let Some(Verdict::Failed(_)) = &after.verdict {
                break after.verdict;
            }
            for id in &after.skipped {
                prop_assert!(ended.insert(id.clone(), Outcome::Skipped).is_none(), "{id} ends twice");
            }
            for id in &after.ready {
                prop_assert!(has_begun.insert(id.clone()), "{id} begins twice");
                begun.insert(id.clone());
            }
            if after.verdict.is_some() {
                break after.verdict;
            }
            prop_assert!(!begun.is_empty(), "nothing is under way, and it has not ended");
            let open: Vec<String> = begun.iter().cloned().collect();
            let id = order.next().map_or(&open[0], |index| index.get(&open));
            let at: usize = id[1..].parse().expect("a number");
            begun.remove(id);
            prop_assert!(ended.insert(id.clone(), outcome(&plans[at])).is_none(), "{id} ends twice");
        };
        match verdict {
            Some(Verdict::Failed(id)) => prop_assert!(unhandled.contains(&id), "{id} is handled"),
            _ => {
                prop_assert!(unhandled.is_empty(), "{unhandled:?} should fail the run");
                for (at, end) in expected.iter().enumerate() {
                    prop_assert_eq!(ended.get(&name(at)), Some(end), "{}", name(at));
                }
            }
        }
    }
}
