//! Templates: JSON in which each `{"$": "…"}` is an expression. Everything else is itself.

use serde_json::{Map, Value};

use crate::expression::{Expression, Fault, MAX_VALUE_BYTES, Values};

/// The text of the expression that a value is.
fn expression(value: &Value) -> Option<&Value> {
    let fields = value.as_object()?;
    (fields.len() == 1).then(|| fields.get("$")).flatten()
}

/// Calls `each` for every expression of a template, with its path. What is not a text is passed as it is.
pub fn expressions<'a>(template: &'a Value, path: &str, each: &mut impl FnMut(&str, &'a Value)) {
    if let Some(text) = expression(template) {
        return each(path, text);
    }
    match template {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                expressions(item, &format!("{path}[{at}]"), each);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                expressions(field, &format!("{path}.{name}"), each);
            }
        }
        _ => {}
    }
}

/// Puts the values of the expressions into a template.
///
/// # Errors
/// An expression fails, or costs too much, or the values have more than 1 MiB in all.
pub fn evaluate(template: &Value, names: &dyn Values) -> Result<Value, Fault> {
    let mut left = MAX_VALUE_BYTES;
    put(template, names, &mut left)
}

/// Puts the values in, as long as bytes are left.
fn put(template: &Value, names: &dyn Values, left: &mut usize) -> Result<Value, Fault> {
    if let Some(text) = expression(template) {
        let text = text.as_str().unwrap_or_default();
        let value = Expression::parse(text)
            .map_err(Fault::failed)?
            .evaluate(names)?;
        let rest = left.checked_sub(value.to_string().len());
        *left = rest.ok_or_else(Fault::too_large)?;
        return Ok(value);
    }
    Ok(match template {
        Value::Array(items) => {
            let items: Result<Vec<_>, _> =
                items.iter().map(|item| put(item, names, left)).collect();
            Value::Array(items?)
        }
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, field) in fields {
                out.insert(name.clone(), put(field, names, left)?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}
