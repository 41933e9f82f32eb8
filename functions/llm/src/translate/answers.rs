//! Whole answers between the two protocols.

use serde_json::{Value, json};

use super::stops;
use crate::fault::Fault;
use crate::tokens::Usage;

/// OpenAI's answer for Anthropic's.
pub fn to_openai(answer: &Value, usage: &Usage) -> Result<Value, Fault> {
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), Vec::new());
    for block in answer["content"].as_array().into_iter().flatten() {
        let of = |name: &str| block[name].as_str().unwrap_or_default();
        match of("type") {
            "text" => text.push_str(of("text")),
            "thinking" => reasoning.push_str(of("thinking")),
            "redacted_thinking" => {}
            "tool_use" => calls.push(json!({"id": block["id"], "type": "function",
                "function": {"name": block["name"], "arguments": block["input"].to_string()}})),
            other => return Err(unknown_part(other)),
        }
    }
    let reason = stops::to_openai(answer["stop_reason"].as_str().unwrap_or_default())?;
    let mut message = json!({"role": "assistant", "content": if text.is_empty() { Value::Null } else { json!(text) },
        "refusal": null});
    if reason == "content_filter" && !text.is_empty() {
        message["refusal"] = json!(text);
    }
    if !reasoning.is_empty() {
        message["reasoning_content"] = json!(reasoning);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    Ok(
        json!({"id": answer["id"], "object": "chat.completion", "created": crate::egress::unix_seconds(),
        "model": answer["model"], "usage": usage.openai(),
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}]}),
    )
}

/// Anthropic's answer for OpenAI's.
pub fn to_anthropic(answer: &Value, usage: &Usage) -> Result<Value, Fault> {
    let choice = &answer["choices"][0];
    let message = &choice["message"];
    let mut content = Vec::new();
    let text_of = |name: &str| message[name].as_str().filter(|text| !text.is_empty());
    if let Some(reasoning) = text_of("reasoning_content").or_else(|| text_of("reasoning")) {
        content.push(json!({"type": "thinking", "thinking": reasoning, "signature": ""}));
    }
    if let Some(text) = text_of("content") {
        content.push(json!({"type": "text", "text": text}));
    }
    let refusal = text_of("refusal");
    if let Some(text) = refusal.filter(|_| text_of("content") != refusal) {
        content.push(json!({"type": "text", "text": text}));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        if call["type"].as_str().is_some_and(|kind| kind != "function") {
            return Err(unknown_part(call["type"].as_str().unwrap_or_default()));
        }
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let input: Value = if arguments.trim().is_empty() {
            json!({})
        } else {
            serde_json::from_str(arguments).map_err(|_| {
                Fault::garbled("The provider called a tool with arguments that are not JSON.")
            })?
        };
        content.push(json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input}));
    }
    let reason = stops::to_anthropic(choice["finish_reason"].as_str().unwrap_or_default())?;
    let reason = if refusal.is_some() { "refusal" } else { reason };
    Ok(
        json!({"id": answer["id"], "type": "message", "role": "assistant", "model": answer["model"], "content": content,
        "stop_reason": reason, "stop_sequence": null, "usage": usage.anthropic()}),
    )
}

/// The fault for a part of an answer that has no translation.
pub fn unknown_part(kind: &str) -> Fault {
    let kind: String = kind.chars().take(60).collect();
    Fault::garbled(format!(
        "The provider's answer has a part `{kind}` that can't be translated."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_and_refusals_survive_both_ways() {
        let usage = Usage::default();
        let openai = json!({"id": "x", "model": "m", "choices": [{"finish_reason": "tool_calls", "message": {
            "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]}}]});
        let anthropic = to_anthropic(&openai, &usage).expect("translated");
        assert_eq!(anthropic["stop_reason"], "tool_use");
        assert_eq!(anthropic["content"][1]["input"], json!({}));
        let back = to_openai(&anthropic, &usage).expect("translated");
        assert_eq!(
            back["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"],
            "{\"x\":1}"
        );

        let refused = json!({"id": "x", "content": [{"type": "text", "text": "I won't."}], "stop_reason": "refusal"});
        let openai = to_openai(&refused, &usage).expect("translated");
        assert_eq!(openai["choices"][0]["finish_reason"], "content_filter");
        let back = to_anthropic(&openai, &usage).expect("translated");
        assert_eq!(
            (&back["stop_reason"], &back["content"]),
            (&json!("refusal"), &refused["content"])
        );
    }

    #[test]
    fn an_unknown_part_or_end_is_an_error() {
        let usage = Usage::default();
        let part = json!({"content": [{"type": "banana"}], "stop_reason": "end_turn"});
        assert!(to_openai(&part, &usage).is_err());
        let end = json!({"choices": [{"finish_reason": "banana", "message": {"content": "x"}}]});
        assert!(to_anthropic(&end, &usage).is_err());
    }
}
