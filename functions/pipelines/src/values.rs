//! Values of runs and steps, which may be null, and which lists leave out where they are large.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a value that its statement puts into a list of one, so that a null is told from what is left out: null there.
pub fn kept<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let kept = Option::<(Value,)>::deserialize(deserializer)?;
    Ok(kept.map(|(value,)| value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_null_is_there_and_what_is_left_out_is_not() {
        for (row, expected) in [
            (json!([null]), Some(json!(null))),
            (json!([[1]]), Some(json!([1]))),
            (json!(null), None),
        ] {
            assert_eq!(kept(&row).expect("a row"), expected, "{row}");
        }
    }
}
