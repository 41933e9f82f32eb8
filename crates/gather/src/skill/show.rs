//! Output of a component for people.

use std::fs;

use anyhow::{Context, Result};
use serde_json::Value;
use skill::Inspection;

use super::Inspect;
use crate::plain;

/// Inspects a component.
pub fn inspect(options: &Inspect) -> Result<()> {
    let path = if options.path.is_dir() {
        options.path.join("skill.wasm")
    } else {
        options.path.clone()
    };
    let bytes = fs::read(&path).with_context(|| {
        format!(
            "can't read {}; build it first: gather skill build",
            path.display()
        )
    })?;
    let inspection = skill::inspect(&bytes)?;
    if options.json {
        say!(
            "{}",
            plain::pretty_json(&serde_json::to_value(&inspection)?)
        );
    } else {
        print(&inspection);
    }
    Ok(())
}

/// Prints the tools with their parameters and results, then the parts of the component.
pub fn print(inspection: &Inspection) {
    for tool in &inspection.tools {
        let parameters = tool.input_schema["properties"]
            .as_object()
            .into_iter()
            .flatten();
        let required = tool.input_schema["required"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let parameters = parameters.map(|(name, schema)| {
            let mark = if required.iter().any(|required| required == name) {
                ""
            } else {
                "?"
            };
            format!("{name}{mark}: {}", kind(schema))
        });
        let parameters: Vec<_> = parameters.collect();
        let error = tool
            .error_schema
            .as_ref()
            .map(|schema| format!(" or the error {}", kind(schema)))
            .unwrap_or_default();
        let signature = format!(
            "{}({}) → {}{error}",
            tool.name,
            parameters.join(", "),
            kind(&tool.output_schema)
        );
        say!("{}", plain::line(&signature));
        for line in tool.description.lines() {
            say!("    {}", plain::line(line));
        }
    }
    for refused in &inspection.facts.refused {
        let refused = format!("not a tool: {}: {}", refused.export, refused.reason);
        say!("{}", plain::line(&refused));
    }
    let facts = &inspection.facts;
    say!(
        "\n{}\n{} bytes, WASI {}, {} imports",
        inspection.digest,
        facts.size_bytes,
        facts.wasi,
        facts.imports.len()
    );
}

/// Describes a schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(options) = schema["anyOf"]
        .as_array()
        .or_else(|| schema["oneOf"].as_array())
    {
        let kinds: Vec<_> = options.iter().map(kind).collect();
        return kinds.join(" | ");
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(Value::to_string).collect();
        return values.join(" | ");
    }
    match schema["type"].as_str() {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            let fields: Vec<_> = fields
                .map(|(name, schema)| format!("{name}: {}", kind(schema)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Some("array") if schema["prefixItems"].is_array() => {
            let items = schema["prefixItems"].as_array().into_iter().flatten();
            format!("[{}]", items.map(kind).collect::<Vec<_>>().join(", "))
        }
        Some("array") => format!("[{}…]", kind(&schema["items"])),
        Some("string") if schema["contentEncoding"] == "base64" => "base64".to_owned(),
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_read_like_types() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "c": {"type": "array", "items": {"enum": ["x", "y"]}}}});
        assert_eq!(
            kind(&schema),
            "{a: integer, b: string | null, c: [\"x\" | \"y\"…]}"
        );
    }
}
