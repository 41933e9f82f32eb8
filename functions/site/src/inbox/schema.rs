//! Forms of approvals: the properties of an object's JSON Schema as fields, and back.

use std::collections::BTreeMap;

use guest::Problem;
use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::failure::Failure;

/// The properties of an object's schema, with whether they are required.
fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = |name: &str| {
        let names = schema["required"].as_array();
        names.is_some_and(|names| names.iter().any(|one| one == name))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(move |(name, property)| (name, property, required(name)))
}

/// A field for each property of the schema.
pub fn fields(schema: &Value) -> Markup {
    html! {
        @for (name, property, required) in properties(schema) {
            @let id = format!("form-{name}");
            @let label = property["title"].as_str().unwrap_or(name);
            div.field {
                label for=(id) { (label) @if !required { span.meta { " (optional)" } } }
                @match (property["enum"].as_array(), property["type"].as_str()) {
                    (Some(options), _) => select id=(id) name=(id) { @if !required { option value="" {} }
                        @for option in options { option value=(text(option)) { (text(option)) } } },
                    (_, Some("boolean")) => input id=(id) name=(id) type="checkbox" value="true";,
                    (_, Some("integer" | "number")) => input id=(id) name=(id) type="number" step="any" required[required];,
                    (_, Some("string")) => input id=(id) name=(id) required[required] autocomplete="off";,
                    _ => textarea id=(id) name=(id) rows="3" required[required] {},
                }
                @if let Some(hint) = property["description"].as_str() { p.hint { (hint) } }
            }
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The object that a filled-in form stands for.
pub fn filled(
    schema: &Value,
    fields: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for (name, property, required) in properties(schema) {
        let sent = fields
            .get(&format!("form-{name}"))
            .map(String::as_str)
            .unwrap_or_default();
        let value = match (property["enum"].as_array(), property["type"].as_str()) {
            (_, Some("boolean")) => Value::Bool(sent == "true"),
            _ if sent.is_empty() && !required => continue,
            (Some(options), _) => options
                .iter()
                .find(|option| text(option) == sent)
                .cloned()
                .unwrap_or_default(),
            (_, Some("string")) => Value::from(sent),
            _ => serde_json::from_str(sent)
                .map_err(|_| Problem::invalid(name.clone(), "can't be read"))?,
        };
        object.insert(name.clone(), value);
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_form_becomes_the_object_of_its_schema() {
        let schema = json!({"required": ["text"], "properties": {
            "text": {"type": "string"}, "count": {"type": "integer"}, "sure": {"type": "boolean"},
            "size": {"enum": ["s", 2]}, "more": {"type": "array"}, "left": {"type": "string"},
        }});
        let sent = [
            ("form-text", "<b>"),
            ("form-count", "3"),
            ("form-size", "2"),
            ("form-more", "[1]"),
            ("form-left", ""),
        ];
        let sent = sent
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let filled = filled(&schema, &sent).expect("an object");
        assert_eq!(
            Value::from(filled),
            json!({"text": "<b>", "count": 3, "sure": false, "size": 2, "more": [1]})
        );
        assert!(
            !fields(&json!({"properties": {"<b>": {"type": "string"}}}))
                .into_string()
                .contains("<b>")
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let schema = json!({"properties": {"count": {"type": "integer"}}});
        let sent = [("form-count".to_owned(), "many".to_owned())].into();
        assert!(
            filled(&schema, &sent)
                .expect_err("refused")
                .about("count")
                .is_some()
        );
    }
}
