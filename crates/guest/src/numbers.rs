//! Whole numbers as JSON Schema has them: 5.0 and 5e0 are integers as 5 is.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Number, Value};

/// Beyond it a double is no longer told from its neighbours (RFC 8259, section 6).
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Reads an integer field of a request's body: `#[serde(deserialize_with = "guest::whole_number")]`. serde by itself
/// refuses 5.0.
///
/// # Errors
/// The value is no whole number, or not within the type's range.
pub fn whole_number<'de, D: Deserializer<'de>, T: TryFrom<i64>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let number = whole(&number).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| D::Error::custom("must be a whole number within its range"))
}

/// The value with each whole number written without fraction and exponent, at any depth.
#[must_use]
pub fn with_whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(match whole(&number) {
            Some(whole) => whole.into(),
            None => number,
        }),
        Value::Array(items) => items.into_iter().map(with_whole_numbers).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, with_whole_numbers(value)))
            .collect(),
        other => other,
    }
}

fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER).then_some(float as i64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(deserialize_with = "whole_number")]
        rating: u8,
    }

    fn rating(text: &str) -> Option<u8> {
        let body: Result<Body, _> = serde_json::from_str(&format!("{{\"rating\": {text}}}"));
        body.ok().map(|body| body.rating)
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_and_an_exponent() {
        for five in ["5", "5.0", "5e0", "0.5e1", "50E-1"] {
            assert_eq!(rating(five), Some(5), "{five}");
        }
        for other in ["5.5", "\"5\"", "256", "-1.0", "1e300", "null", "[5]"] {
            assert_eq!(rating(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_are_written_plainly_at_any_depth() {
        let value: Value =
            serde_json::from_str(r#"{"a": [5.0, 5.5, {"b": 1e3}], "c": 1e300, "d": "5.0"}"#)
                .expect("JSON");
        let expected = json!({"a": [5, 5.5, {"b": 1000}], "c": 1e300, "d": "5.0"});
        assert_eq!(with_whole_numbers(value).to_string(), expected.to_string());
        let large = json!(u64::MAX);
        assert_eq!(with_whole_numbers(large.clone()), large);
    }

    proptest! {
        #[test]
        fn no_number_changes_its_value(number: f64) {
            let value = json!(number);
            prop_assert_eq!(with_whole_numbers(value.clone()).as_f64(), value.as_f64());
        }
    }
}
