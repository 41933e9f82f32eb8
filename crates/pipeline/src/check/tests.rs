//! Tests of the checks.

use super::*;
use serde_json::json;

fn codes(definition: &Value) -> Vec<(String, &'static str)> {
    let problems = check(definition).problems.into_iter();
    problems
        .map(|problem| (problem.path, problem.code))
        .collect()
}

#[test]
fn all_problems_are_named_with_their_paths() {
    let definition = json!({
        "nodes": {
            "a": {"type": "transform", "value": {"$": "nodes.b.output"}},
            "b": {"type": "condition", "cases": [{"name": "x", "when": "1 +"}], "else": "y"},
            "c": {"type": "merge"}, "d": {"type": "merge"},
        },
        "edges": [
            {"from": "a", "to": "b"}, {"from": "b", "to": "nowhere", "on": "z"},
            {"from": "c", "to": "d"}, {"from": "d", "to": "c"},
        ],
        "input": {"type": 1},
    });
    let found = codes(&definition);
    for expected in [
        ("edges[1].to", "unknown-node"),
        ("edges[1].on", "unknown-case"),
        ("nodes.c", "cycle"),
        ("nodes.d", "cycle"),
        ("input", "bad-schema"),
        ("nodes.a.value", "reference"),
        ("nodes.b.cases[0].when", "bad-expression"),
    ] {
        assert!(
            found.contains(&(expected.0.to_owned(), expected.1)),
            "{expected:?} in {found:?}"
        );
    }
}

#[test]
fn what_can_not_be_read_hides_nothing() {
    let definition = json!({
        "timeout_ms": "x", "permissions": {"http": 1}, "unknown": 1,
        "nodes": {
            "a": {"type": "loop", "when": "1 +"},
            "b": {"type": "transform", "value": {"$": "1 +"}, "typo": 1, "timeout_ms": "x"},
            "c": {"type": "merge"}, "d": {"type": "merge", "need": 1},
            "e": {"type": "action", "do": "http", "input": {"url": "https://example.org"}},
            "f": {"type": "map", "items": "1 +", "parallel": "x", "body": {
                "nodes": {"g": {"type": "transform", "value": {"$": "other"}}, "h": 1},
            }},
        },
        "edges": [
            {"from": "b", "to": "nowhere"}, {"from": "c", "to": "d"}, {"from": "d", "to": "c"},
            {"from": "a", "to": "b", "on": "done"}, {"from": "a"},
        ],
        "result": {"$": "nodes.a.output"},
        "finally": {"nodes": []},
    });
    let found: BTreeSet<_> = codes(&definition).into_iter().collect();
    let expected = [
        ("unknown", "shape"),
        ("timeout_ms", "shape"),
        ("permissions.http", "shape"),
        ("nodes.a.type", "part-missing"),
        ("nodes.a.when", "bad-expression"),
        ("nodes.b.typo", "shape"),
        ("nodes.b.timeout_ms", "shape"),
        ("nodes.b.value", "bad-expression"),
        ("nodes.c", "cycle"),
        ("nodes.d", "cycle"),
        ("nodes.f.parallel", "shape"),
        ("nodes.f.items", "bad-expression"),
        ("nodes.f.body.nodes.g.value", "bad-expression"),
        ("nodes.f.body.nodes.h", "shape"),
        ("edges[0].to", "unknown-node"),
        ("edges[4]", "shape"),
        ("finally.nodes", "shape"),
    ];
    let expected = expected.map(|(path, code)| (path.to_owned(), code));
    assert_eq!(found, BTreeSet::from(expected));
    assert!(check(&definition).definition.is_none());
}

#[test]
fn no_case_is_named_as_an_outcome_that_every_node_has() {
    let node = |name: &str, otherwise: &str| json!({"type": "condition", "cases": [{"name": name, "when": "true"}], "else": otherwise});
    for (name, otherwise, path) in [
        ("x", "error", "nodes.a.else"),
        ("x", "", "nodes.a.else"),
        ("success", "y", "nodes.a.cases[0].name"),
        ("x", "x", "nodes.a.cases[0].name"),
    ] {
        let definition = json!({"nodes": {"a": node(name, otherwise)}});
        assert_eq!(codes(&definition), [(path.to_owned(), "shape")]);
    }
}

#[test]
fn a_missing_part_is_refused_by_name() {
    let definition = json!({"nodes": {"a": {"type": "loop", "body": {}}, "b": {"type": "nonsense"}, "c": {"value": 1}}});
    assert_eq!(
        codes(&definition),
        [
            ("nodes.a.type".to_owned(), "part-missing"),
            ("nodes.b.type".to_owned(), "unknown-type"),
            ("nodes.c.type".to_owned(), "shape"),
        ]
    );
}

#[test]
fn permissions_bound_what_actions_reach() {
    let node = json!({"type": "action", "do": "http", "input": {"url": "https://other.example/x"}});
    let definition =
        json!({"nodes": {"a": node}, "permissions": {"http": ["https://example.org"]}});
    assert_eq!(
        codes(&definition),
        [("nodes.a.input.url".to_owned(), "permission")]
    );
    let definition = json!({"nodes": {"a": {"type": "transform", "value": 1}},
        "permissions": {"http": ["https://example.org/path"], "scopes": ["admin:all"]}});
    assert_eq!(codes(&definition).len(), 2);
}

#[test]
fn the_digest_does_not_depend_on_order_or_form() {
    let read = |text: &str| digest(&serde_json::from_str(text).expect("JSON"));
    assert_eq!(read(r#"{"a": 1.0, "b": [2]}"#), read(r#"{"b":[2],"a":1}"#));
}

#[test]
fn a_value_is_not_read_again_for_each_of_countless_fields() {
    let mut node = json!({"type": "transform", "value": 1});
    for at in 0..10_000 {
        node[format!("f{at}")] = json!(1);
    }
    let other = json!({"type": "transform", "value": {"$": "1 +"}});
    let found = check(&json!({"nodes": {"a": node, "b": other}})).problems;
    let of_a = found
        .iter()
        .filter(|problem| problem.path.starts_with("nodes.a"));
    assert_eq!(of_a.count(), 21);
    assert!(
        found.iter().any(|problem| problem.path == "nodes.b.value"),
        "the rest is checked"
    );
}
