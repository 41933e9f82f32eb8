//! A request of OpenAI's protocol for a provider of Anthropic's.

use serde_json::{Map, Value, json};

use super::{data_url, plain_text, refuse};
use crate::fault::{Fault, Repeat};

/// The length of an answer if the client does not bound it, which Anthropic's protocol demands.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The smallest budget for reasoning.
const MIN_THINKING: u64 = 1024;

/// Parameters that say what is the case anyway, so they need no translation.
fn is_neutral(name: &str, value: &Value) -> bool {
    match name {
        "n" => value == 1,
        "frequency_penalty" | "presence_penalty" => value.as_f64() == Some(0.0),
        "logprobs" | "store" => value == false,
        "response_format" => value["type"] == "text",
        "modalities" => *value == json!(["text"]),
        "service_tier" => value == "auto",
        "logit_bias" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

pub fn from_openai(request: &Value, drops: bool) -> Result<Value, Fault> {
    let mut made = Map::new();
    for (name, value) in request.as_object().into_iter().flatten() {
        match name.as_str() {
            _ if value.is_null() || is_neutral(name, value) => {}
            "model"
            | "messages"
            | "stream_options"
            | "max_completion_tokens"
            | "max_tokens"
            | "tool_choice"
            | "parallel_tool_calls"
            | "reasoning_effort"
            | "prompt_cache_key"
            | "safety_identifier" => {}
            "stream" | "top_p" => {
                made.insert(name.clone(), value.clone());
            }
            "temperature" if value.as_f64().is_some_and(|heat| heat <= 1.0) => {
                made.insert(name.clone(), value.clone());
            }
            "stop" => {
                let stops = if value.is_array() {
                    value.clone()
                } else {
                    json!([value])
                };
                made.insert("stop_sequences".to_owned(), stops);
            }
            "user" => {
                made.insert("metadata".to_owned(), json!({ "user_id": value }));
            }
            "tools" => {
                let tools: Result<Vec<_>, _> =
                    value.as_array().into_iter().flatten().map(tool).collect();
                made.insert("tools".to_owned(), json!(tools?));
            }
            other => refuse(drops, other)?,
        }
    }
    let limit = ["max_completion_tokens", "max_tokens"]
        .iter()
        .find_map(|name| request[*name].as_u64());
    let limit = limit.unwrap_or(DEFAULT_MAX_TOKENS);
    made.insert("max_tokens".to_owned(), json!(limit));
    if let Some(thinking) = thinking(&request["reasoning_effort"], limit) {
        made.insert("thinking".to_owned(), thinking);
    }
    if let Some(choice) = tool_choice(request)? {
        made.insert("tool_choice".to_owned(), choice);
    }
    let (system, messages) = messages(
        request["messages"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default(),
    )?;
    if !system.is_empty() {
        made.insert("system".to_owned(), json!(system));
    }
    made.insert("messages".to_owned(), json!(messages));
    Ok(Value::Object(made))
}

fn thinking(effort: &Value, limit: u64) -> Option<Value> {
    let wanted = match effort.as_str()? {
        "minimal" | "low" => MIN_THINKING,
        "medium" => 8 * MIN_THINKING,
        "high" | "xhigh" | "max" => 24 * MIN_THINKING,
        _ => return None,
    };
    // It is part of the answer's length, and has to leave some of it.
    let budget = wanted.min(limit / 2);
    (budget >= MIN_THINKING).then(|| json!({"type": "enabled", "budget_tokens": budget}))
}

fn tool(tool: &Value) -> Result<Value, Fault> {
    if tool["type"] != "function" {
        let kind = tool["type"].as_str().unwrap_or("type");
        return Err(Fault::unsupported(&format!("tools.{kind}")));
    }
    let function = &tool["function"];
    let mut made = json!({"name": function["name"], "input_schema": match &function["parameters"] {
        Value::Null => json!({"type": "object", "properties": {}}),
        schema => schema.clone(),
    }});
    if !function["description"].is_null() {
        made["description"] = function["description"].clone();
    }
    Ok(made)
}

fn tool_choice(request: &Value) -> Result<Option<Value>, Fault> {
    let mut choice = match &request["tool_choice"] {
        Value::Null => None,
        Value::String(word) => Some(match word.as_str() {
            "auto" => json!({"type": "auto"}),
            "none" => json!({"type": "none"}),
            "required" => json!({"type": "any"}),
            _ => return Err(Fault::unsupported("tool_choice")),
        }),
        choice if choice["type"] == "function" => {
            Some(json!({"type": "tool", "name": choice["function"]["name"]}))
        }
        _ => return Err(Fault::unsupported("tool_choice")),
    };
    if request["parallel_tool_calls"] == false && request["tools"].is_array() {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = json!(true);
        }
    }
    Ok(choice)
}

/// The texts of the system, and the messages. Neighbours of the same role become one message.
fn messages(messages: &[Value]) -> Result<(Vec<Value>, Vec<Value>), Fault> {
    let (mut system, mut made) = (Vec::new(), Vec::<Value>::new());
    for message in messages {
        let (role, parts) = match message["role"].as_str().unwrap_or_default() {
            "system" | "developer" => {
                let text = plain_text(&message["content"], "system")?;
                system.push(json!({"type": "text", "text": text}));
                continue;
            }
            "user" => ("user", user_parts(&message["content"])?),
            "assistant" => ("assistant", assistant_parts(message)?),
            "tool" => ("user", vec![tool_result(message)?]),
            other => return Err(Fault::unsupported(&format!("messages.{other}"))),
        };
        if parts.is_empty() {
            continue;
        }
        match made.last_mut() {
            Some(last) if last["role"] == role => {
                if let Some(content) = last["content"].as_array_mut() {
                    content.extend(parts);
                }
            }
            _ => made.push(json!({"role": role, "content": parts})),
        }
    }
    Ok((system, made))
}

fn user_parts(content: &Value) -> Result<Vec<Value>, Fault> {
    let Some(parts) = content.as_array() else {
        let text = plain_text(content, "content")?;
        return Ok(vec![json!({"type": "text", "text": text})]);
    };
    parts.iter().map(user_part).collect()
}

fn user_part(part: &Value) -> Result<Value, Fault> {
    let kind = part["type"].as_str().unwrap_or_default();
    match kind {
        "text" => Ok(json!({"type": "text", "text": part["text"]})),
        "image_url" => {
            let url = part["image_url"]["url"].as_str().unwrap_or_default();
            Ok(json!({"type": "image", "source": match data_url(url) {
                Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
                None => json!({"type": "url", "url": url}),
            }}))
        }
        "file" => {
            let data = part["file"]["file_data"].as_str().and_then(data_url);
            let Some((kind, data)) = data else {
                return Err(Fault::unsupported("content.file"));
            };
            let mut document = json!({"type": "document",
                "source": {"type": "base64", "media_type": kind, "data": data}});
            if !part["file"]["filename"].is_null() {
                document["title"] = part["file"]["filename"].clone();
            }
            Ok(document)
        }
        other => Err(Fault::unsupported(&format!("content.{other}"))),
    }
}

fn assistant_parts(message: &Value) -> Result<Vec<Value>, Fault> {
    let mut made = Vec::new();
    match &message["content"] {
        Value::Array(parts) => {
            for part in parts {
                let text = match part["type"].as_str().unwrap_or_default() {
                    "text" => &part["text"],
                    "refusal" => &part["refusal"],
                    other => return Err(Fault::unsupported(&format!("content.{other}"))),
                };
                made.push(json!({"type": "text", "text": text}));
            }
        }
        Value::String(text) if !text.is_empty() => made.push(json!({"type": "text", "text": text})),
        _ => {}
    }
    if !message["function_call"].is_null() {
        return Err(Fault::unsupported("function_call"));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        if call["type"] != "function" {
            return Err(Fault::unsupported("tool_calls.type"));
        }
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        let input: Value = if arguments.trim().is_empty() {
            json!({})
        } else {
            serde_json::from_str(arguments).map_err(|_| {
                let detail = "The `arguments` of a tool call in `messages` are not JSON.";
                Fault::new(400, "invalid-input", detail, Repeat::Never)
            })?
        };
        made.push(json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input}));
    }
    Ok(made)
}

fn tool_result(message: &Value) -> Result<Value, Fault> {
    let text = plain_text(&message["content"], "tool")?;
    Ok(json!({"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": text}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_arrives_in_its_order() {
        let request = json!({"model": "x", "max_tokens": 9, "stop": "END", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
            {"role": "user", "content": "And now?"}]});
        let made = from_openai(&request, false).expect("translated");
        assert_eq!(
            made["system"],
            json!([{"type": "text", "text": "Be brief."}])
        );
        assert_eq!(made["stop_sequences"], json!(["END"]));
        let messages = made["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0]["content"][1]["source"]["data"], "AAAA");
        assert_eq!(
            messages[0]["content"][2]["source"]["url"],
            "https://a.example/b.png"
        );
        assert_eq!(messages[1]["content"][1]["input"], json!({}));
        let results: Vec<_> = messages[2]["content"]
            .as_array()
            .expect("parts")
            .iter()
            .map(|part| &part["type"])
            .collect();
        assert_eq!(results, ["tool_result", "tool_result", "text"]);
    }

    #[test]
    fn what_has_no_word_is_refused_by_name() {
        for (member, value) in [
            ("logprobs", json!(true)),
            ("n", json!(2)),
            ("seed", json!(1)),
            ("temperature", json!(1.5)),
            ("response_format", json!({"type": "json_object"})),
            ("banana", json!(1)),
        ] {
            let mut request = json!({"model": "x", "messages": []});
            request[member] = value;
            let fault = from_openai(&request, false).expect_err(member);
            assert!(
                fault.code == "unsupported-parameter" && fault.detail.contains(member),
                "{fault:?}"
            );
            assert!(from_openai(&request, true).is_ok(), "{member}");
        }
        let neutral =
            json!({"model": "x", "messages": [], "n": 1, "logprobs": false, "seed": null});
        assert!(from_openai(&neutral, false).is_ok());
        let audio = json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]});
        let fault = from_openai(&audio, true).expect_err("audio");
        assert!(fault.detail.contains("content.input_audio"));
    }
}
