//! Forms made from the JSON Schemas of tools' arguments, and arguments made from such forms.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::ui::{self, Field};

/// The prefix of the names of a tool's fields, so that no parameter can stand in for a field of the site.
const PREFIX: &str = "arg-";

/// What a parameter is typed into.
#[derive(Debug, PartialEq)]
enum Control {
    Text,
    Number,
    Choice(Vec<String>),
    /// Anything else, as JSON.
    Json,
}

fn control(schema: &Value) -> Control {
    if let Some(values) = schema["enum"].as_array() {
        let texts: Option<Vec<_>> = values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect();
        return texts.map_or(Control::Json, Control::Choice);
    }
    // An option is typed in as what it may contain; a number may come as a text where JSON is too narrow for it.
    if let Some(choices) = schema["anyOf"].as_array() {
        let mut choices = choices.iter().filter(|choice| choice["type"] != "null");
        return match (choices.next(), choices.next()) {
            (Some(only), None) => control(only),
            (Some(first), Some(_)) if control(first) == Control::Number => Control::Number,
            _ => Control::Json,
        };
    }
    match schema["type"].as_str() {
        Some("string") => Control::Text,
        Some("integer" | "number") => Control::Number,
        Some("boolean") => Control::Choice(vec!["true".to_owned(), "false".to_owned()]),
        _ => Control::Json,
    }
}

/// Whether every reader of JSON takes a number for the same: an integer beyond this is sent as a text.
fn is_exact(number: &serde_json::Number) -> bool {
    const MAX_SAFE_INTEGER: u64 = 9_007_199_254_740_991;
    number.is_f64()
        || number.as_u64().is_some_and(|n| n <= MAX_SAFE_INTEGER)
        || number
            .as_i64()
            .is_some_and(|n| n.unsigned_abs() <= MAX_SAFE_INTEGER)
}

fn may_be_null(schema: &Value) -> bool {
    let choices = schema["anyOf"].as_array();
    choices.is_some_and(|choices| choices.iter().any(|choice| choice["type"] == "null"))
}

fn is_boolean(schema: &Value) -> bool {
    let choices = schema["anyOf"].as_array();
    schema["type"] == "boolean" || choices.is_some_and(|choices| choices.iter().any(is_boolean))
}

fn parameters(schema: &Value) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = schema["required"].as_array();
    let is_required =
        move |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(move |(name, schema)| (name, schema, is_required(name)))
}

/// The fields of a tool with these arguments; `typed` is what was typed before.
pub fn fields(
    tool: &str,
    schema: &Value,
    typed: &[(String, String)],
    failure: Option<&Failure>,
) -> Markup {
    html! {
        @for (name, parameter, required) in parameters(schema) {
            @let field = format!("{PREFIX}{name}");
            @let value = typed.iter().find(|(typed, _)| *typed == field).map_or("", |(_, value)| value.as_str());
            @let text = parameter["description"].as_str().unwrap_or_default();
            @match control(parameter) {
                Control::Choice(values) => {
                    div.field {
                        @let id = format!("{tool}-{field}");
                        label for=(id) { (name) @if !required { span.meta { " (optional)" } } }
                        select id=(id) name=(field) {
                            @if !required { option value="" { "—" } }
                            @for choice in &values { option value=(choice) selected[choice == value] { (choice) } }
                        }
                        @if !text.is_empty() { p.hint { (text) } }
                    }
                }
                kind => {
                    @let hint = if kind == Control::Json { format!("{text} As JSON, such as {}", sample(parameter, 0)).trim().to_owned() } else { text.to_owned() };
                    @let kind = match kind { Control::Number => "text", _ => "area" };
                    (Field { form: tool, name: &field, label: name, hint: &hint, kind, value, optional: !required, ..Field::default() }.show(failure))
                }
            }
        }
    }
}

/// The arguments that a form holds. An empty field of an optional parameter is absent.
///
/// # Errors
/// The field and the reason why it can't be read.
pub fn read(schema: &Value, typed: &[(String, String)]) -> Result<Value, (String, String)> {
    let mut arguments = Map::new();
    for (name, parameter, required) in parameters(schema) {
        let field = format!("{PREFIX}{name}");
        let text = typed
            .iter()
            .find(|(typed, _)| *typed == field)
            .map_or("", |(_, value)| value.as_str());
        if text.is_empty() && (!required || may_be_null(parameter)) {
            if required {
                arguments.insert(name.clone(), Value::Null);
            }
            continue;
        }
        let wrong = |why: &str| Err((field.clone(), why.to_owned()));
        let value = match control(parameter) {
            Control::Text => json!(text),
            Control::Choice(_) if is_boolean(parameter) => json!(text == "true"),
            Control::Choice(_) => json!(text),
            Control::Number => match serde_json::from_str::<Value>(text.trim()) {
                Ok(Value::Number(number)) if is_exact(&number) => Value::Number(number),
                _ if parameter["anyOf"].is_array() => json!(text.trim()),
                _ => return wrong("must be a number"),
            },
            Control::Json => match serde_json::from_str(text) {
                Ok(value) => value,
                Err(_) => return wrong("must be JSON"),
            },
        };
        arguments.insert(name.clone(), value);
    }
    Ok(Value::Object(arguments))
}

/// Arguments as an example of a call.
pub fn example(schema: &Value) -> Value {
    let required = parameters(schema).filter(|(_, _, required)| *required);
    required
        .map(|(name, schema, _)| (name.clone(), sample(schema, 0)))
        .collect()
}

fn sample(schema: &Value, depth: u8) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    if let Some(first) = schema["oneOf"]
        .as_array()
        .or(schema["anyOf"].as_array())
        .and_then(|all| all.first())
    {
        return if depth > 4 {
            Value::Null
        } else {
            sample(first, depth + 1)
        };
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("string") => json!("…"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") if depth > 4 => json!([]),
        Some("array") => json!([sample(&schema["items"], depth + 1)]),
        Some("object") if depth > 4 => json!({}),
        Some("object") => parameters(schema)
            .map(|(name, schema, _)| (name.clone(), sample(schema, depth + 1)))
            .collect(),
        _ => Value::Null,
    }
}

/// A value as it is read: a string as it is, anything else as indented JSON.
pub fn shown(value: &Value) -> Markup {
    let text = match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    ui::copyable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn forms_become_arguments() {
        let schema = json!({"type": "object", "required": ["text", "times", "loud", "list"], "properties": {
            "text": {"type": "string"}, "times": {"type": "integer"}, "loud": {"type": "boolean"},
            "unit": {"enum": ["s", "ms"]}, "list": {"type": "array", "items": {"type": "string"}},
        }});
        let form = [
            ("arg-text", "a \"b\""),
            ("arg-times", "3"),
            ("arg-loud", "false"),
            ("arg-unit", ""),
            ("arg-list", "[\"x\"]"),
            ("csrf", "c"),
        ];
        let expected = json!({"text": "a \"b\"", "times": 3, "loud": false, "list": ["x"]});
        assert_eq!(read(&schema, &typed(&form)), Ok(expected));
        let wrong = read(
            &schema,
            &typed(&[("arg-list", "[]"), ("arg-text", ""), ("arg-times", "three")]),
        );
        assert_eq!(
            wrong,
            Err(("arg-times".to_owned(), "must be a number".to_owned()))
        );
        assert_eq!(
            example(&schema),
            json!({"text": "…", "times": 1, "loud": true, "list": ["…"]})
        );
    }

    #[test]
    fn options_and_wide_numbers_are_typed_in_plainly() {
        let schema = json!({"required": ["wide", "maybe"], "properties": {
            "wide": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]+$"}]},
            "maybe": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }});
        let form = [
            ("arg-wide", "18446744073709551615"),
            ("arg-maybe", ""),
            ("arg-name", "x"),
        ];
        let read_one = read(&schema, &typed(&form));
        assert_eq!(
            read_one,
            Ok(json!({"wide": "18446744073709551615", "maybe": null, "name": "x"}))
        );
        let read_two = read(
            &schema,
            &typed(&[("arg-wide", "NaN"), ("arg-maybe", "true")]),
        );
        assert_eq!(read_two, Ok(json!({"wide": "NaN", "maybe": true})));
    }

    #[test]
    fn a_schema_is_only_text() {
        let schema =
            json!({"properties": {"<b>": {"type": "string", "description": "<script>x</script>"}}});
        let form = fields("t", &schema, &[], None).into_string();
        assert!(
            !form.contains("<b>") && !form.contains("<script>"),
            "{form}"
        );
    }

    #[test]
    fn a_schema_of_itself_ends() {
        let mut schema = json!({"type": "string"});
        for _ in 0..50 {
            schema = json!({"type": "array", "items": schema});
        }
        assert!(sample(&schema, 0).to_string().len() < 100);
    }
}
