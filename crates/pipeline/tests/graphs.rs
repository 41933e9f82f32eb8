//! Random graphs, whose nodes end in random order, against an evaluator that knows all outcomes beforehand.

mod plans;

use std::collections::{BTreeMap, BTreeSet};

use pipeline::{Definition, Outcome, Verdict, check, next};
use plans::{End, Plan, document, name, outcome, plans, reference, unhandled};
use proptest::prelude::*;
use serde_json::json;

fn outcome_of(end: &End) -> Outcome {
    match end {
        End::Succeeded(case) => Outcome::Succeeded(case.map(str::to_owned)),
        End::Failed => Outcome::Failed,
        End::Skipped => Outcome::Skipped,
    }
}

fn definition(plans: &[Plan]) -> Definition {
    let checked = check(&document(
        plans,
        |_| json!({"type": "transform", "value": 1}),
    ));
    assert_eq!(checked.problems, []);
    checked.definition.expect("a definition")
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
            prop_assert!(ended.insert(id.clone(), outcome_of(&outcome(&plans[at]))).is_none(), "{id} ends twice");
        };
        match verdict {
            Some(Verdict::Failed(id)) => prop_assert!(unhandled.contains(&id), "{id} is handled"),
            _ => {
                prop_assert!(unhandled.is_empty(), "{unhandled:?} should fail the run");
                for (at, end) in expected.iter().enumerate() {
                    prop_assert_eq!(ended.get(&name(at)), Some(&outcome_of(end)), "{}", name(at));
                }
            }
        }
    }
}
