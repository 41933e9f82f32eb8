//! What a credential may have done in its account's name: no more than it may do itself.

use guest::{Caller, Problem, Result};
use serde_json::Value;

/// The scope that requests with secrets need.
const USE_SECRETS: &str = "vault:use";

/// Checks that runs of a definition get no scope that the caller does not have.
///
/// # Errors
/// 403 `forbidden`, with the first scope that is missing.
pub fn check(caller: &Caller, definition: &Value) -> Result<()> {
    let scopes = definition["permissions"]["scopes"].as_array();
    let named = scopes.into_iter().flatten().filter_map(Value::as_str);
    let secrets = uses_secrets(definition).then_some(USE_SECRETS);
    match named.chain(secrets).find(|scope| !caller.allows(scope)) {
        Some(scope) => Err(Problem::insufficient_scope(scope)),
        None => Ok(()),
    }
}

/// Whether there is a request with a secret somewhere in a definition.
fn uses_secrets(part: &Value) -> bool {
    match part {
        Value::Object(fields) => {
            let secret = &part["input"]["secret"];
            (fields.get("do").is_some_and(|what| what == "http") && !secret.is_null())
                || fields.values().any(uses_secrets)
        }
        Value::Array(items) => items.iter().any(uses_secrets),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::uses_secrets;

    #[test]
    fn requests_with_secrets_are_found_wherever_they_are() {
        let request = |secret: serde_json::Value| json!({"do": "http", "input": {"url": "https://a.example", "secret": secret}});
        for (node, expected) in [
            (request(json!(null)), false),
            (request(json!("0199")), true),
            (request(json!({"$": "input.secret"})), true),
            (
                json!({"do": "http", "verify": request(json!("0199"))}),
                true,
            ),
            (
                json!({"type": "map", "body": {"nodes": {"b": request(json!("0199"))}}}),
                true,
            ),
            (json!({"do": "api", "input": {"secret": "a word"}}), false),
        ] {
            let definition = json!({"nodes": {"a": node}});
            assert_eq!(uses_secrets(&definition), expected, "{definition}");
        }
    }
}
