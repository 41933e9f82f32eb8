//! What an agent remembers: what it recalls when a turn begins, and the tools by which it notes and looks up more.

use http::Method;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::log::Message;
use crate::undertaking::{Asked, ask};

/// The number of messages at the end of the conversation that are recalled for.
const TALK: usize = 10;
/// The longest part of a message that is recalled for, in characters.
const MAX_CHARS: usize = 2_000;
/// The number of memories that a search finds.
const FOUND: u32 = 10;

/// The memories that bear on a conversation.
#[derive(Debug, Default, PartialEq)]
pub struct Recalled {
    pub text: String,
    /// Whether words of strangers are in it.
    pub is_tainted: bool,
}

/// Recalls what bears on a conversation; nothing if the memory can't be asked.
pub async fn recall(context: &Context, said: &[Message], tokens: u32) -> Recalled {
    let last = &said[said.len().saturating_sub(TALK)..];
    let talk: Vec<Value> = last
        .iter()
        .map(|message| {
            let content: String = message.body.chars().take(MAX_CHARS).collect();
            json!({"role": "user", "content": content})
        })
        .collect();
    let mut scopes = vec![json!({"scope": "agent", "scope_id": context.agent.id})];
    if let Some(circle) = context.circle {
        scopes.push(json!({"scope": "circle", "scope_id": circle}));
    }
    let asked = Asked {
        method: Method::POST,
        path: "/api/memory/recall".to_owned(),
        body: Some(json!({"messages": talk, "scopes": scopes, "max_tokens": tokens})),
        scopes: vec!["memory:read"],
    };
    match ask(context, &asked, None).await {
        Ok((200, text)) => read(&text),
        Ok((status, _)) => {
            guest::warn!("nothing was recalled", status = status);
            Recalled::default()
        }
        Err(why) => {
            guest::warn!("nothing was recalled", cause = why);
            Recalled::default()
        }
    }
}

fn read(answer: &str) -> Recalled {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let trust = answer["trust"].as_str();
    Recalled {
        text: answer["text"].as_str().unwrap_or_default().to_owned(),
        is_tainted: trust.is_some_and(|trust| trust != "own"),
    }
}

/// The request that notes something. What a turn notes that has read strangers' words is trusted like those.
pub fn remember(context: &Context, arguments: &Map<String, Value>) -> Asked {
    let is_shared = arguments.get("shared").and_then(Value::as_bool) == Some(true);
    let (scope, id) = match context.circle.filter(|_| is_shared) {
        Some(circle) => ("circle", circle),
        None => ("agent", context.agent.id),
    };
    let mut body = json!({"content": arguments.get("content"), "scope": scope, "scope_id": id});
    if context.tainted {
        body["trust"] = json!("stranger");
    }
    if let Some(cause) = context.cause {
        body["sources"] = json!([{"type": "message", "id": cause}]);
    }
    Asked {
        method: Method::POST,
        path: "/api/memory".to_owned(),
        body: Some(body),
        scopes: vec!["memory:write"],
    }
}

/// The request that looks something up.
pub fn look_up(arguments: &Map<String, Value>) -> Asked {
    let query = arguments.get("query").and_then(Value::as_str);
    let query = operations::segment(query.unwrap_or_default());
    Asked {
        method: Method::GET,
        path: format!("/api/memory/search?query={query}&limit={FOUND}"),
        body: None,
        scopes: vec!["memory:read"],
    }
}

/// Whether memories, in JSON, hold what is not the owner's own words.
pub fn is_of_strangers(memories: &str) -> bool {
    fn is_strange(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().any(is_strange),
            Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
                "trust" => value.as_str().is_some_and(|trust| trust != "own"),
                _ => is_strange(value),
            }),
            _ => false,
        }
    }
    serde_json::from_str(memories).map_or(true, |memories| is_strange(&memories))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_is_told_from_ones_own() {
        let recalled = |trust: Value| read(&json!({"text": "x", "trust": trust}).to_string());
        assert!(!recalled(json!("own")).is_tainted && !recalled(Value::Null).is_tainted);
        assert!(recalled(json!("tool")).is_tainted && recalled(json!("stranger")).is_tainted);
        assert_eq!(read("nonsense"), Recalled::default());
        let found = |trust: &str| {
            is_of_strangers(&json!({"items": [{"trust": "own"}, {"trust": trust}]}).to_string())
        };
        assert!(!found("own") && found("stranger") && found("tool") && is_of_strangers("nonsense"));
    }
}
