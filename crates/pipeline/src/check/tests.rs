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
