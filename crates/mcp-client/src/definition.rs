//! The definitions of tools, and their digests: what a model is told of a tool must not change unseen.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The longest description that a model is told, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 4 << 10;
/// The largest schema of arguments, in bytes.
const MAX_SCHEMA_BYTES: usize = 32 << 10;
/// The longest name.
const MAX_NAME: usize = 128;

/// A tool of a server, as a model is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The tool's name.
    pub name: String,
    /// What the tool does.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub input_schema: Value,
    /// Whether the server says that a repeated call does no harm.
    pub is_repeatable: bool,
    /// The digest of the name, the description and the schema.
    pub digest: String,
}

impl Definition {
    /// Reads a tool of a list; `None` if it can't be offered to a model.
    #[must_use]
    pub fn read(tool: &Value) -> Option<Self> {
        let name = tool["name"].as_str()?;
        let description = tool["description"].as_str().unwrap_or_default();
        let input_schema = &tool["inputSchema"];
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        let fits = !name.is_empty()
            && name.len() <= MAX_NAME
            && name.chars().all(allowed)
            && description.len() <= MAX_DESCRIPTION_BYTES
            && input_schema.is_object()
            && input_schema.to_string().len() <= MAX_SCHEMA_BYTES;
        // PostgreSQL stores no zero characters.
        if !fits || tool.to_string().contains("\\u0000") {
            return None;
        }
        let hints = &tool["annotations"];
        let hinted = |name: &str| hints[name] == true;
        // The order of an object's names means nothing, so it does not count.
        let whole = json!([name, description, input_schema]).to_string();
        Some(Self {
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema: input_schema.clone(),
            is_repeatable: hinted("readOnlyHint") || hinted("idempotentHint"),
            digest: digest(&whole),
        })
    }
}

/// The digest of all definitions of a server, in whatever order it lists them.
#[must_use]
pub fn digest_of_all(definitions: &[Definition]) -> String {
    let mut lines: Vec<String> = definitions
        .iter()
        .map(|one| format!("{} {} {}\n", one.name, one.digest, one.is_repeatable))
        .collect();
    lines.sort();
    digest(&lines.concat())
}

fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(text: &str) -> Definition {
        let tool = serde_json::from_str(text).expect("JSON");
        Definition::read(&tool).expect("a definition")
    }

    #[test]
    fn what_a_model_is_told_is_pinned_and_the_order_of_names_is_not() {
        let one = tool(
            r#"{"name": "a", "description": "x", "inputSchema": {"type": "object", "required": ["q"]}}"#,
        );
        let same = tool(
            r#"{"inputSchema": {"required": ["q"], "type": "object"}, "description": "x", "name": "a"}"#,
        );
        assert_eq!(one.digest, same.digest);
        let other = tool(
            r#"{"name": "a", "description": "y", "inputSchema": {"type": "object", "required": ["q"]}}"#,
        );
        assert_ne!(one.digest, other.digest);
        let two = [
            one.clone(),
            Definition {
                name: "b".to_owned(),
                ..other
            },
        ];
        let turned = [two[1].clone(), two[0].clone()];
        assert_eq!(digest_of_all(&two), digest_of_all(&turned));
        assert_ne!(digest_of_all(&two), digest_of_all(&two[..1]));
    }

    #[test]
    fn what_no_model_can_be_told_is_left_out() {
        for bad in [
            r#"{"name": "", "inputSchema": {}}"#,
            r#"{"name": "a b", "inputSchema": {}}"#,
            r#"{"name": "a"}"#,
            r#"{"name": "a", "inputSchema": {"title": "\u0000"}}"#,
        ] {
            assert!(
                Definition::read(&serde_json::from_str(bad).expect("JSON")).is_none(),
                "{bad}"
            );
        }
    }
}
