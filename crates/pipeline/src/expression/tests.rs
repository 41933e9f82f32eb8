//! Tests of expressions.

use super::*;
use serde_json::json;

fn names() -> Names {
    let names = json!({
        "input": {"count": 2, "price": 1.5, "list": [1, 2, 3], "text": "{{1+1}}", "odd": {"$": "run.id"}},
        "nodes": {"a": {"output": {"x": 1}, "status": "succeeded", "error": null}},
    });
    serde_json::from_value(names).expect("names")
}

fn value(text: &str) -> Result<Value, Fault> {
    Expression::parse(text)
        .map_err(Fault::failed)?
        .evaluate(&names())
}

#[test]
fn expressions_compute_json() {
    for (text, expected) in [
        ("input.count + 1", json!(3)),
        ("input.price * 2.0", json!(3.0)),
        ("'Sum: ' + input.text", json!("Sum: {{1+1}}")),
        ("input.odd", json!({"$": "run.id"})),
        (
            "input.list.filter(x, x > 1).map(x, x * 10)",
            json!([20, 30]),
        ),
        ("nodes.a.output.x", json!(1)),
        ("nodes['a'].status", json!("succeeded")),
        ("nodes.missing.output", json!(null)),
        ("{'a': [1, true, null]}", json!({"a": [1, true, null]})),
        ("size(input.list) > 2 && has(input.text)", json!(true)),
    ] {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_json_or_fails_is_a_fault_of_the_step() {
    for (text, code) in [
        ("1 / 0", "expression-failed"),
        ("nodes.missing.output.x > 1", "expression-failed"),
        ("0.0 / 0.0", "output-invalid"),
        ("'\\u0000'", "output-invalid"),
        ("{1: 2}", "output-invalid"),
    ] {
        assert_eq!(value(text).expect_err(text).code, code, "{text}");
    }
}

#[test]
fn unknown_names_and_unbounded_nesting_are_refused() {
    for text in [
        "other".to_owned(),
        "nodes".to_owned(),
        "nodes[input.x]".to_owned(),
        format!("{}1{}", "(".repeat(33), ")".repeat(33)),
        "(".repeat(10_000),
        "!".repeat(4_000),
        vec!["a"; 2_000].join("*"),
        vec!["a"; 2_000].join("."),
        format!("1{}", "[0]".repeat(1_000)),
        format!("{}1", "!-".repeat(2_000)),
        vec!["true ? 1 "; 400].join(":"),
        // What hides brackets from a hasty look.
        format!(r"r'\' + {}", "(".repeat(4_000)),
        format!("// '\n{}", "(".repeat(4_000)),
        format!("'''\"''' + {}", "(".repeat(4_000)),
        "@sum".to_owned(),
        "sum_so_far + 1".to_owned(),
        format!("1{} + sum_so_far", "+1".repeat(200)),
        "1 +".to_owned(),
        String::new(),
    ] {
        assert!(Expression::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn functions_that_are_not_there_are_known() {
    for (text, unknown) in [
        ("now()", Some("now")),
        ("'a'.matches('a')", Some("matches")),
        ("timestamp('2026-01-01T00:00:00Z')", Some("timestamp")),
        ("[1].map(x, x.nonsense())", Some("nonsense")),
        ("size(input) + 1", None),
        (
            "'a'.startsWith('a') && 'a'.contains('a') && 'a'.endsWith('a') && 'ab'.size() == 2",
            None,
        ),
        (
            "[int('1'), uint(1), double(1), string(1), type(1)].exists(x, has(x.y))",
            None,
        ),
        (
            "bytes('a') == b'a' && !(1 in [2]) && dyn(1) == 1 && bool('true')",
            None,
        ),
    ] {
        let expression = Expression::parse(text).expect("CEL");
        let found = expression.unknown_function().map(String::as_str);
        assert_eq!(found, unknown, "{text}");
    }
}

#[test]
fn what_is_accepted_does_not_overflow_the_stack() {
    let nested = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    let chain = vec!["1"; 100].join("*");
    let evaluate = move || (value(&chain), value(&nested).is_ok());
    // Frames of a build for debugging are many times as large as those of a component.
    let thread = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(evaluate);
    let done = thread.expect("a thread").join().expect("no overflow");
    assert_eq!(done, (Ok(json!(1)), true));
}

#[test]
fn a_sum_has_as_many_terms_as_fit() {
    for (text, expected) in [
        (vec!["1"; 2_048].join("+"), json!(2_048)),
        (format!("5000{}", "-1".repeat(2_000)), json!(3_000)),
        (format!("1{}", " + 2 * 3 - -1".repeat(300)), json!(2_101)),
        (
            format!("''{}", "+'+'".repeat(1_000)),
            json!("+".repeat(1_000)),
        ),
        // Not a sum of sums: each term is added to the sum so far.
        (format!("1e16{}", "+1.0".repeat(500)), json!(1e16)),
        (
            format!("0.0{}", "+1e-2".repeat(500)),
            json!([0.01; 500].iter().sum::<f64>()),
        ),
        (
            format!("[]{}", " + [input.count]".repeat(200)),
            json!(vec![2; 200]),
        ),
        // Clauses stand beside each other, and so do arguments.
        (["nodes.a.output.x == 1"; 150].join(" && "), json!(true)),
        (
            format!("[{}]", ["input.count+1"; 250].join(",")),
            json!(vec![3; 250]),
        ),
    ] {
        assert_eq!(value(&text), Ok(expected), "{text}");
    }
    let names: Names =
        serde_json::from_value(json!({"input": "x".repeat(400_000)})).expect("names");
    let long = Expression::parse(&["input"; 600].join("+")).expect("CEL");
    assert_eq!(
        long.evaluate(&names).expect_err("too large").code,
        "expression-cost"
    );
    let wrong = value(&format!("1{} + 'a'", "+1".repeat(500)));
    assert_eq!(wrong.expect_err("no sum").code, "expression-failed");
}

#[test]
fn nested_macros_over_long_lists_cost_too_much() {
    let list: Vec<u32> = (0..1_000).collect();
    let names: Names = serde_json::from_value(json!({"input": list})).expect("names");
    let text =
        "input.map(a, input.map(b, input.map(c, input.map(d, input.map(e, input.map(f, f))))))";
    let nested = Expression::parse(text).expect("CEL");
    assert_eq!(
        nested.evaluate(&names).expect_err("too much").code,
        "expression-cost"
    );
    let flat = Expression::parse("input.map(a, a * 2)").expect("CEL");
    assert!(flat.evaluate(&names).is_ok());
}

#[test]
fn large_values_are_refused() {
    let names: Names =
        serde_json::from_value(json!({"input": "x".repeat(600_000)})).expect("names");
    let twice = Expression::parse("input + input").expect("CEL");
    assert_eq!(
        twice.evaluate(&names).expect_err("too large").code,
        "output-too-large"
    );
    let many = Expression::parse("[1, 2, 3].map(a, [1, 2, 3, 4].map(b, [input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input, input]))").expect("CEL");
    assert_eq!(
        many.evaluate(&names).expect_err("too large").code,
        "expression-cost"
    );
}
