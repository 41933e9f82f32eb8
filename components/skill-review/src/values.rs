//! Values as a review compares and keeps them.

use serde_json::{Value, json};

/// The number of characters of a log that are kept.
const MAX_LOG: usize = 1_000;
/// The number of lines of a log that are kept.
pub const MAX_LOG_LINES: usize = 20;
/// The number of characters of a value that are kept.
const MAX_VALUE: usize = 1_000;
/// The longest answer that is compared. A manifest is too small to expect a longer one.
const MAX_COMPARED_BYTES: usize = 1 << 20;

/// The first lines of a log.
pub fn beginning(log: &str) -> String {
    let lines: Vec<_> = log.lines().take(MAX_LOG_LINES).collect();
    cut(&lines.join("\n")).chars().take(MAX_LOG).collect()
}

/// Shortens a text and replaces zero characters, which PostgreSQL does not store.
pub fn cut(text: &str) -> String {
    let text = text.replace('\0', "\u{fffd}");
    text.chars().take(MAX_VALUE).collect()
}

/// A value in the form that is kept. If it is too long, or contains zero characters, which PostgreSQL's JSON does not
/// store, only the beginning of its text is kept.
pub fn kept(json: &str) -> Value {
    let whole =
        (json.len() <= MAX_VALUE && !json.contains("\\u0000")).then(|| serde_json::from_str(json));
    match whole {
        Some(Ok(value)) => value,
        _ => json!({"beginning": cut(json), "bytes": json.len()}),
    }
}

/// Whether a JSON text has this value.
pub fn is_same(expected: &Value, json: &str) -> bool {
    json.len() <= MAX_COMPARED_BYTES
        && serde_json::from_str::<Value>(json).is_ok_and(|actual| same(expected, &actual))
}

/// Whether two values are equal. Numbers are compared by value, whatever their form.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            // Integers differ where their floating-point values may be equal.
            match (a.as_i128(), b.as_i128()) {
                (Some(a), Some(b)) => a == b,
                _ => a.as_f64() == b.as_f64(),
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same(&json!([1, 2.5]), &json!([1.0, 2.5])));
        assert!(same(&json!(1e3), &json!(1000)));
        assert!(!same(&json!(1), &json!(2)));
        assert!(!same(
            &json!(9_007_199_254_740_992_u64),
            &json!(9_007_199_254_740_993_u64)
        ));
        assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
        assert!(!same(&json!({"a": null}), &json!({"b": null})));
        assert!(!same(&json!("1"), &json!(1)));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_what_it_is_written_as(value in any_json()) {
            prop_assert!(is_same(&value, &value.to_string()));
        }

        #[test]
        fn being_the_same_is_mutual(one in any_json(), other in any_json()) {
            prop_assert_eq!(same(&one, &other), same(&other, &one));
        }

        #[test]
        fn nothing_that_is_kept_is_long_or_has_zeros(value in any_json()) {
            let text = kept(&value.to_string()).to_string();
            prop_assert!(text.len() <= 8 * MAX_VALUE + 100 && !value_has_zero(&kept(&value.to_string())));
        }
    }

    fn value_has_zero(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(value_has_zero),
            Value::Object(fields) => fields
                .iter()
                .any(|(key, value)| key.contains('\0') || value_has_zero(value)),
            _ => false,
        }
    }
}
