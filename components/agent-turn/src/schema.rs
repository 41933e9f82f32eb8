//! The check of arguments against a tool's JSON Schema, before anything runs.

use serde_json::Value;

/// The number of faults that a model is told of at once.
const MAX_FAULTS: usize = 5;
/// The longest text of a fault, since it may quote what was given.
const MAX_FAULT_CHARS: usize = 200;

/// Whether arguments can be checked against a schema: it does not refer to what is elsewhere, for example.
pub fn is_usable(schema: &Value) -> bool {
    jsonschema::validator_for(schema).is_ok()
}

/// Checks arguments.
///
/// # Errors
/// They do not fit: what is wrong, for the model.
pub fn check(schema: &Value, arguments: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema)
        .map_err(|_| "The tool has no valid JSON Schema, so it can't be called.".to_owned())?;
    let faults: Vec<String> = validator
        .iter_errors(arguments)
        .take(MAX_FAULTS)
        .map(|error| {
            let what: String = error.to_string().chars().take(MAX_FAULT_CHARS).collect();
            match error.instance_path().as_str() {
                "" => what,
                path => format!("{path}: {what}"),
            }
        })
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!(
        "The arguments do not fit the tool. {}",
        faults.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_have_to_fit() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 0}},
            "required": ["a"], "additionalProperties": false});
        assert_eq!(check(&schema, &json!({"a": 1})), Ok(()));
        for bad in [
            json!({}),
            json!({"a": -1}),
            json!({"a": "1"}),
            json!({"a": 1, "b": 2}),
        ] {
            assert!(check(&schema, &bad).is_err(), "{bad}");
        }
        let elsewhere = json!({"$ref": "https://example.org/schema.json"});
        assert!(!is_usable(&elsewhere) && check(&elsewhere, &json!({})).is_err());
        let told = check(&schema, &json!({"a": "x".repeat(10_000)})).expect_err("refused");
        assert!(told.len() < 2_000, "{}", told.len());
    }
}
