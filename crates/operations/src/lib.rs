//! The platform's own endpoints as tools, one line each. Their input schemas come from the OpenAPI document, and they
//! are called with the caller's own token, so that the caller's permissions apply.

mod endpoints;
mod written;

pub use endpoints::ENDPOINTS;
use guest::Caller;
use http::Method;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;
use written::plain;
pub use written::segment;

const OPENAPI: &str = include_str!("../../../static/openapi.json");
/// The number of references that are followed one within another.
const MAX_DEPTH: usize = 8;

/// An endpoint that is offered as a tool.
pub struct Endpoint {
    /// The tool's name.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, as in the OpenAPI document.
    pub path: &'static str,
    /// The component that serves the endpoint.
    pub component: &'static str,
    /// The effect of a call.
    effect: Effect,
}

/// The effect of a call of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Changes nothing.
    Reads,
    /// Adds something; a second identical call adds it again.
    Adds,
    /// Replaces or removes something; a second identical call changes nothing more.
    Replaces,
}

/// The words that the answer of an endpoint may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The caller's own, and the platform's.
    Own,
    /// Memories, each of which says by its `trust` whose words it is.
    Marked,
    /// Anybody's.
    Anybodys,
}

/// The endpoints whose answers repeat what the caller itself gave.
const OWN_WORDS: [&str; 16] = [
    "add_memory",
    "create_comment",
    "create_conversation",
    "create_pipeline",
    "create_post",
    "create_schedule",
    "forget_memory",
    "pause_schedule",
    "post_message",
    "propose",
    "publish_pipeline_version",
    "rate_skill",
    "resume_schedule",
    "say_in_conversation",
    "validate_pipeline",
    "who_am_i",
];
/// The endpoints whose answers are memories.
const MARKED_WORDS: [&str; 2] = ["recall_memories", "search_memories"];

impl Effect {
    /// MCP's hints for clients. The platform's own tools touch nothing outside the platform.
    fn annotations(self) -> Value {
        json!({
            "readOnlyHint": self == Self::Reads,
            "destructiveHint": self == Self::Replaces,
            "idempotentHint": self != Self::Adds,
            "openWorldHint": false,
        })
    }
}

fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(OPENAPI).unwrap_or_default())
}

fn operation(path: &str, method: &Method) -> &'static Value {
    &document()["paths"][path][method.as_str().to_lowercase()]
}

/// The scopes that an operation needs.
fn scopes(operation: &'static Value) -> impl Iterator<Item = &'static str> {
    let wanted = operation["security"].as_array().into_iter().flatten();
    let scopes = wanted.filter_map(|one| one["token"].as_array()).flatten();
    scopes.filter_map(Value::as_str)
}

/// Whether the caller has the scopes that an operation needs.
fn is_allowed(operation: &'static Value, caller: &Caller) -> bool {
    scopes(operation).all(|scope| caller.allows(scope))
}

/// Whether the caller may call skills.
pub fn may_invoke(caller: &Caller) -> bool {
    is_allowed(
        operation("/api/skills/{name}/invoke", &Method::POST),
        caller,
    )
}

impl Endpoint {
    fn operation(&self) -> &'static Value {
        operation(self.path, &self.method)
    }

    /// Whether a call changes nothing.
    pub fn reads(&self) -> bool {
        self.effect == Effect::Reads
    }

    /// The words that an answer may hold. What is not known to be the caller's own counts as anybody's.
    pub fn words(&self) -> Words {
        if OWN_WORDS.contains(&self.name) {
            Words::Own
        } else if MARKED_WORDS.contains(&self.name) {
            Words::Marked
        } else {
            Words::Anybodys
        }
    }

    /// The scopes that the operation needs.
    pub fn scopes(&self) -> impl Iterator<Item = &'static str> {
        scopes(self.operation())
    }

    /// Whether the operation honours `Idempotency-Key`, or changes nothing more when it is repeated.
    pub fn is_repeatable(&self) -> bool {
        let all = self.operation()["parameters"].as_array();
        let mut all = all.into_iter().flatten();
        self.effect != Effect::Adds || all.any(|one| one["name"] == "Idempotency-Key")
    }

    /// Whether the caller has the scopes that the operation needs.
    pub fn is_for(&self, caller: &Caller) -> bool {
        is_allowed(self.operation(), caller)
    }

    /// Describes the tool as MCP lists it.
    pub fn listed(&self) -> Value {
        let operation = self.operation();
        let words = [&operation["summary"], &operation["description"]];
        let words: Vec<&str> = words.into_iter().filter_map(Value::as_str).collect();
        json!({
            "name": self.name,
            "description": words.join("\n\n"),
            "inputSchema": self.input_schema(),
            "annotations": self.effect.annotations(),
        })
    }

    /// The schema of the arguments: the parameters and the body's properties, in one object.
    pub fn input_schema(&self) -> Value {
        let operation = self.operation();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for parameter in parameters(operation) {
            let Some(name) = parameter["name"].as_str() else {
                continue;
            };
            let mut schema = resolved(&parameter["schema"], 0);
            if let (Some(schema), Some(text)) =
                (schema.as_object_mut(), parameter["description"].as_str())
            {
                schema.entry("description").or_insert_with(|| json!(text));
            }
            properties.insert(name.to_owned(), schema);
            if parameter["required"] == true {
                required.push(json!(name));
            }
        }
        let body = resolved(
            &operation["requestBody"]["content"]["application/json"]["schema"],
            0,
        );
        for (name, schema) in body["properties"].as_object().into_iter().flatten() {
            properties.insert(name.clone(), schema.clone());
        }
        required.extend(body["required"].as_array().into_iter().flatten().cloned());
        json!({"type": "object", "properties": properties, "required": required})
    }

    /// The path with its query, and the body, of a call.
    ///
    /// # Errors
    /// An argument is missing, or is neither a parameter nor a property of the body.
    pub fn request(
        &self,
        mut arguments: Map<String, Value>,
    ) -> Result<(String, Option<Value>), String> {
        let operation = self.operation();
        let mut path = self.path.to_owned();
        let mut query = form_urlencoded::Serializer::new(String::new());
        for parameter in parameters(operation) {
            let Some(name) = parameter["name"].as_str() else {
                continue;
            };
            let value = match arguments.remove(name) {
                Some(Value::Null) | None if parameter["required"] == true => {
                    return Err(format!("`{name}` is missing."));
                }
                Some(Value::Null) | None => continue,
                Some(Value::String(text)) => text,
                Some(Value::Number(number)) => plain(&number),
                Some(other) => other.to_string(),
            };
            if parameter["in"] == "path" {
                path = path.replace(&format!("{{{name}}}"), &segment(&value));
            } else {
                query.append_pair(name, &value);
            }
        }
        let body = resolved(
            &operation["requestBody"]["content"]["application/json"]["schema"],
            0,
        );
        let has_body = !body.is_null();
        let stranger = arguments
            .keys()
            .find(|name| !has_body || body["properties"].get(name.as_str()).is_none());
        if let Some(name) = stranger {
            return Err(format!("`{name}` is not a parameter of {}.", self.name));
        }
        let query = query.finish();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        Ok((path, has_body.then_some(Value::Object(arguments))))
    }
}

/// The parameters that an agent can set; headers are set here.
fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == "path" || parameter["in"] == "query")
}

/// A schema with its references resolved.
fn resolved(schema: &Value, depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return json!({});
    }
    match schema {
        Value::Object(object) => match object.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap_or_default();
                resolved(&document()["components"]["schemas"][name], depth + 1)
            }
            None => object
                .iter()
                .map(|(key, value)| (key.clone(), resolved(value, depth)))
                .collect(),
        },
        Value::Array(items) => items.iter().map(|item| resolved(item, depth)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
