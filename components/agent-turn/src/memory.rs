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
/// The most tokens of memories that are looked up.
const FOUND_TOKENS: u32 = 2_000;

/// The scope of the agent's own memory, where only its owner hears what it says: what it was told elsewhere is nobody else's.
fn own(context: &Context) -> Option<Value> {
    let scope = json!({"scope": "agent", "scope_id": context.agent.id});
    context.company.is_own.then_some(scope)
}

/// The scope of the circle's memory, where only its members hear what the agent says.
fn shared(context: &Context) -> Option<Value> {
    let circle = context.circle.filter(|_| context.company.is_circle)?;
    Some(json!({"scope": "circle", "scope_id": circle}))
}

/// The scope of what people noted in the conversation, which all who are in it can read.
fn conversation(context: &Context) -> Value {
    json!({"scope": "conversation", "scope_id": context.channel})
}

/// The scope of what the agent noted here for itself, while others heard it: it alone draws on that, and here alone.
fn hidden(context: &Context) -> Option<Value> {
    let notebook = context.notebook?;
    Some(json!({"scope": "notes", "scope_id": notebook}))
}

/// The scopes that the agent draws on: those that all who hear it may know, and its own notes of this conversation.
fn scopes(context: &Context) -> Vec<Value> {
    let others = [shared(context), Some(conversation(context))];
    let scopes = [own(context), hidden(context)].into_iter().chain(others);
    scopes.flatten().collect()
}

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
    let asked = Asked {
        method: Method::POST,
        path: "/api/memory/recall".to_owned(),
        body: Some(json!({"messages": talk, "scopes": scopes(context), "max_tokens": tokens})),
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
///
/// # Errors
/// It would be recalled where others hear it than those whom a whisper is for.
pub fn remember(context: &Context, arguments: &Map<String, Value>) -> Result<Asked, String> {
    if context.is_whisper && !context.company.is_own {
        return Err("What is whispered can't be noted: others would hear of it.".to_owned());
    }
    let is_shared = arguments.get("shared").and_then(Value::as_bool) == Some(true);
    let shared = shared(context).filter(|_| is_shared);
    let mut body = shared
        .or_else(|| own(context))
        .or_else(|| hidden(context))
        .ok_or_else(|| "There is no memory here.".to_owned())?;
    body["content"] = json!(arguments.get("content"));
    if context.tainted {
        body["trust"] = json!("stranger");
    }
    if let Some(cause) = context.cause {
        body["sources"] = json!([{"type": "message", "id": cause}]);
    }
    Ok(Asked {
        method: Method::POST,
        path: "/api/memory".to_owned(),
        body: Some(body),
        scopes: vec!["memory:write"],
    })
}

/// The request that looks something up.
pub fn look_up(context: &Context, arguments: &Map<String, Value>) -> Asked {
    Asked {
        method: Method::POST,
        path: "/api/memory/recall".to_owned(),
        body: Some(
            json!({"query": arguments.get("query"), "scopes": scopes(context),
            "max_tokens": FOUND_TOKENS, "min_trust": "stranger"}),
        ),
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
