//! A request of Anthropic's protocol for a provider of OpenAI's.

use serde_json::{Map, Value, json};

use super::{plain_text, refuse};
use crate::fault::Fault;

pub fn from_anthropic(request: &Value, drops: bool) -> Result<Value, Fault> {
    let mut made = Map::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        let renamed = match name.as_str() {
            _ if value.is_null() => continue,
            "model" | "messages" | "system" | "metadata" | "tool_choice" | "thinking"
            | "service_tier" => continue,
            "stream" | "temperature" | "top_p" | "max_tokens" => name,
            "stop_sequences" => "stop",
            "tools" => {
                let tools: Result<Vec<_>, _> =
                    value.as_array().into_iter().flatten().map(tool).collect();
                made.insert("tools".to_owned(), json!(tools?));
                continue;
            }
            other => {
                refuse(drops, other)?;
                continue;
            }
        };
        made.insert(renamed.to_owned(), value.clone());
    }
    if request["stream"] == true {
        made.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    if let Some(user) = request["metadata"]["user_id"].as_str() {
        made.insert("user".to_owned(), json!(user));
    }
    if request["thinking"]["type"] == "enabled" {
        let effort = match request["thinking"]["budget_tokens"]
            .as_u64()
            .unwrap_or_default()
        {
            ..=4096 => "low",
            4097..=16384 => "medium",
            _ => "high",
        };
        made.insert("reasoning_effort".to_owned(), json!(effort));
    }
    tool_choice(&request["tool_choice"], &mut made)?;
    let mut messages = Vec::new();
    if !request["system"].is_null() {
        let system = plain_text(&request["system"], "system")?;
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in request["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str().unwrap_or_default() {
            "user" => user(&message["content"], &mut messages)?,
            "assistant" => messages.push(assistant(&message["content"])?),
            "system" => {
                let text = plain_text(&message["content"], "system")?;
                messages.push(json!({"role": "system", "content": text}));
            }
            other => return Err(Fault::unsupported(&format!("messages.{other}"))),
        }
    }
    made.insert("messages".to_owned(), json!(messages));
    Ok(Value::Object(made))
}

fn tool(tool: &Value) -> Result<Value, Fault> {
    match tool["type"].as_str() {
        None | Some("custom") => {}
        Some(kind) => return Err(Fault::unsupported(&format!("tools.{kind}"))),
    }
    let mut function = json!({"name": tool["name"], "parameters": tool["input_schema"]});
    if !tool["description"].is_null() {
        function["description"] = tool["description"].clone();
    }
    Ok(json!({"type": "function", "function": function}))
}

fn tool_choice(choice: &Value, made: &mut Map<String, Value>) -> Result<(), Fault> {
    let translated = match choice["type"].as_str() {
        None => return Ok(()),
        Some("auto") => json!("auto"),
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => json!({"type": "function", "function": {"name": choice["name"]}}),
        Some(_) => return Err(Fault::unsupported("tool_choice")),
    };
    made.insert("tool_choice".to_owned(), translated);
    if choice["disable_parallel_tool_use"] == true {
        made.insert("parallel_tool_calls".to_owned(), json!(false));
    }
    Ok(())
}

/// A user's message: results of tools are messages of their own, the other parts stay together, all in their order.
fn user(content: &Value, messages: &mut Vec<Value>) -> Result<(), Fault> {
    let Some(blocks) = content.as_array() else {
        let text = plain_text(content, "content")?;
        messages.push(json!({"role": "user", "content": text}));
        return Ok(());
    };
    let mut parts = Vec::new();
    for block in blocks {
        if block["type"] == "tool_result" {
            if !parts.is_empty() {
                messages.push(json!({"role": "user", "content": std::mem::take(&mut parts)}));
            }
            let text = plain_text(&block["content"], "tool_result")?;
            messages.push(
                json!({"role": "tool", "tool_call_id": block["tool_use_id"], "content": text}),
            );
        } else {
            parts.push(part(block)?);
        }
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": parts}));
    }
    Ok(())
}

fn part(block: &Value) -> Result<Value, Fault> {
    let source = &block["source"];
    let data = || {
        let kind = source["media_type"]
            .as_str()
            .unwrap_or("application/octet-stream");
        format!(
            "data:{kind};base64,{}",
            source["data"].as_str().unwrap_or_default()
        )
    };
    match (
        block["type"].as_str().unwrap_or_default(),
        source["type"].as_str(),
    ) {
        ("text", _) => Ok(json!({"type": "text", "text": block["text"]})),
        ("image", Some("base64")) => Ok(json!({"type": "image_url", "image_url": {"url": data()}})),
        ("image", Some("url")) => {
            Ok(json!({"type": "image_url", "image_url": {"url": source["url"]}}))
        }
        ("document", Some("base64")) => {
            let name = block["title"].as_str().unwrap_or("document.pdf");
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data()}}))
        }
        ("document", Some("text")) => Ok(json!({"type": "text", "text": source["data"]})),
        (kind, Some(source)) => Err(Fault::unsupported(&format!("content.{kind}.{source}"))),
        (kind, None) => Err(Fault::unsupported(&format!("content.{kind}"))),
    }
}

fn assistant(content: &Value) -> Result<Value, Fault> {
    let Some(blocks) = content.as_array() else {
        return Ok(json!({"role": "assistant", "content": plain_text(content, "content")?}));
    };
    let (mut text, mut calls) = (String::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str().unwrap_or_default() {
            "text" => text.push_str(block["text"].as_str().unwrap_or_default()),
            "tool_use" => calls.push(json!({"id": block["id"], "type": "function", "function":
                {"name": block["name"], "arguments": block["input"].to_string()}})),
            // Signed for the provider that made it, and of no use to another one.
            "thinking" | "redacted_thinking" => {}
            other => return Err(Fault::unsupported(&format!("content.{other}"))),
        }
    }
    let mut message = json!({"role": "assistant", "content": if text.is_empty() { Value::Null } else { json!(text) }});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_arrives_in_its_order() {
        let request = json!({"model": "x", "max_tokens": 9, "system": [{"type": "text", "text": "Be brief."}], "stream": true,
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "=="},
                    {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
                    {"type": "tool_result", "tool_use_id": "b", "content": "2"},
                    {"type": "text", "text": "And this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]});
        let made = from_anthropic(&request, false).expect("translated");
        let roles: Vec<_> = made["messages"]
            .as_array()
            .expect("messages")
            .iter()
            .map(|message| &message["role"])
            .collect();
        assert_eq!(
            roles,
            ["system", "user", "assistant", "tool", "tool", "user"]
        );
        assert_eq!(
            made["messages"][2]["tool_calls"][0]["function"]["arguments"],
            "{\"x\":1}"
        );
        assert_eq!(
            made["messages"][5]["content"][1]["image_url"]["url"],
            "data:image/png;base64,AAAA"
        );
        assert_eq!(made["stream_options"]["include_usage"], true);
    }

    #[test]
    fn what_has_no_word_is_refused_by_name() {
        let with = |name: &str, value: Value| {
            let mut request = json!({"model": "x", "messages": [], "max_tokens": 1});
            request[name] = value;
            request
        };
        let fault = from_anthropic(&with("top_k", json!(5)), false).expect_err("top_k");
        assert!(fault.detail.contains("top_k"));
        assert!(from_anthropic(&with("top_k", json!(5)), true).is_ok());
        let picture = json!([{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a",
            "content": [{"type": "image", "source": {}}]}]}]);
        let fault = from_anthropic(&with("messages", picture), false).expect_err("a picture");
        assert!(
            fault.detail.contains("tool_result.image"),
            "{}",
            fault.detail
        );
        let server = with(
            "tools",
            json!([{"type": "web_search_20250305", "name": "web_search"}]),
        );
        assert!(
            from_anthropic(&server, false)
                .expect_err("a tool")
                .detail
                .contains("web_search")
        );
    }
}
