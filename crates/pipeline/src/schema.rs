//! JSON Schema 2020-12. Nothing is fetched: a reference to another document is an error.

use jsonschema::Validator;
use serde_json::Value;

/// A schema that values are held against.
pub struct Schema(Validator);

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// The value is not a schema, with the reason for people.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let built = jsonschema::draft202012::options().offline().build(schema);
        built.map(Self).map_err(|error| short(&error.to_string()))
    }

    /// The first reason why a value does not fit: its path and a text.
    pub fn refusal(&self, value: &Value) -> Option<(String, String)> {
        let error = self.0.iter_errors(value).next()?;
        let path = error.instance_path().to_string();
        Some((path, short(&error.to_string())))
    }
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_held_against_a_schema_and_nothing_is_fetched() {
        let schema = json!({"type": "object", "required": ["url"]});
        let schema = Schema::new(&schema).expect("a schema");
        assert_eq!(schema.refusal(&json!({"url": 1})), None);
        assert!(schema.refusal(&json!({})).is_some());
        assert!(Schema::new(&json!({"type": "nonsense"})).is_err());
        assert!(Schema::new(&json!({"$ref": "https://example.org/schema"})).is_err());
    }
}
