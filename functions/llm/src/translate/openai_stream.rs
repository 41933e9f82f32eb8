//! Makes a stream of OpenAI's protocol of one of Anthropic's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::answers::unknown_part;
use super::{openai_event, stops};
use crate::fault::Fault;
use crate::tokens::Usage;

/// What is known of the stream so far.
#[derive(Debug)]
pub struct OpenaiStream {
    id: Value,
    model: Value,
    created: u64,
    wants_usage: bool,
    /// The tool calls by the index of their block: their number, and whether they got any arguments.
    tools: BTreeMap<u64, (usize, bool)>,
}

impl OpenaiStream {
    pub fn new(model: &str, wants_usage: bool) -> Self {
        Self {
            id: json!("chatcmpl"),
            model: json!(model),
            created: crate::egress::unix_seconds(),
            wants_usage,
            tools: BTreeMap::new(),
        }
    }

    fn chunk(&self, delta: &Value, reason: Option<&str>) -> String {
        openai_event(
            &json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]}),
        )
    }

    pub fn event(&mut self, event: &Value, _: &Usage) -> Result<Vec<u8>, Fault> {
        let index = event["index"].as_u64().unwrap_or_default();
        let text = match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.id = event["message"]["id"].clone();
                if event["message"]["model"].is_string() {
                    self.model = event["message"]["model"].clone();
                }
                self.chunk(&json!({"role": "assistant", "content": ""}), None)
            }
            "content_block_start" => self.start(index, &event["content_block"])?,
            "content_block_delta" => self.delta(index, &event["delta"])?,
            "content_block_stop" => match self.tools.get(&index).copied() {
                // Clients parse the arguments, so there must be some.
                Some((number, false)) => self.arguments(number, "{}"),
                _ => String::new(),
            },
            "message_delta" => match event["delta"]["stop_reason"].as_str() {
                None | Some("") => String::new(),
                Some(reason) => self.chunk(&json!({}), Some(stops::to_openai(reason)?)),
            },
            _ => String::new(),
        };
        Ok(text.into_bytes())
    }

    fn start(&mut self, index: u64, block: &Value) -> Result<String, Fault> {
        match block["type"].as_str().unwrap_or_default() {
            "text" | "thinking" => {
                let kind = block["type"].as_str().unwrap_or_default();
                let text = block[kind].as_str().unwrap_or_default();
                let name = if kind == "text" {
                    "content"
                } else {
                    "reasoning_content"
                };
                Ok(if text.is_empty() {
                    String::new()
                } else {
                    self.chunk(&json!({name: text}), None)
                })
            }
            "redacted_thinking" => Ok(String::new()),
            "tool_use" => {
                let number = self.tools.len();
                self.tools.insert(index, (number, false));
                Ok(self.chunk(
                    &json!({"tool_calls": [{"index": number, "id": block["id"], "type": "function",
                        "function": {"name": block["name"], "arguments": ""}}]}),
                    None,
                ))
            }
            other => Err(unknown_part(other)),
        }
    }

    fn delta(&mut self, index: u64, delta: &Value) -> Result<String, Fault> {
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => Ok(self.chunk(&json!({"content": delta["text"]}), None)),
            "thinking_delta" => {
                Ok(self.chunk(&json!({"reasoning_content": delta["thinking"]}), None))
            }
            "signature_delta" | "citations_delta" => Ok(String::new()),
            "input_json_delta" => {
                let Some((number, has_arguments)) = self.tools.get_mut(&index) else {
                    return Err(Fault::garbled(
                        "The provider sent arguments of a tool that it does not call.",
                    ));
                };
                let text = delta["partial_json"].as_str().unwrap_or_default();
                *has_arguments |= !text.is_empty();
                let number = *number;
                Ok(if text.is_empty() {
                    String::new()
                } else {
                    self.arguments(number, text)
                })
            }
            other => Err(unknown_part(other)),
        }
    }

    fn arguments(&self, number: usize, text: &str) -> String {
        self.chunk(
            &json!({"tool_calls": [{"index": number, "function": {"arguments": text}}]}),
            None,
        )
    }

    pub fn end(&mut self, usage: &Usage) -> Vec<u8> {
        let mut text = String::new();
        if self.wants_usage {
            text.push_str(&openai_event(
                &json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created,
                "model": self.model, "choices": [], "usage": usage.openai()}),
            ));
        }
        text.push_str("data: [DONE]\n\n");
        text.into_bytes()
    }

    pub fn cut(&mut self, usage: &Usage) -> Vec<u8> {
        let mut bytes = self.chunk(&json!({}), Some("length")).into_bytes();
        bytes.extend(self.end(usage));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_tools_keep_apart() {
        let mut stream = OpenaiStream::new("m", true);
        let mut all = String::new();
        let usage = Usage::default();
        for event in [
            json!({"type": "message_start", "message": {"id": "x", "model": "m"}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "a", "name": "f"}}),
            json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "b", "name": "g"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"x\""}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ":1}"}}),
            json!({"type": "content_block_stop", "index": 2}),
            json!({"type": "content_block_stop", "index": 1}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}),
        ] {
            all.push_str(
                &String::from_utf8(stream.event(&event, &usage).expect("an event")).expect("text"),
            );
        }
        all.push_str(&String::from_utf8(stream.end(&usage)).expect("text"));
        let mut arguments = [String::new(), String::new()];
        for data in all
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
        {
            let chunk: Value = serde_json::from_str(data).expect("JSON");
            for call in chunk["choices"][0]["delta"]["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let number =
                    usize::try_from(call["index"].as_u64().expect("an index")).expect("small");
                arguments[number]
                    .push_str(call["function"]["arguments"].as_str().expect("arguments"));
            }
        }
        assert_eq!(arguments, ["{\"x\":1}", "{}"]);
        assert!(
            all.ends_with("data: [DONE]\n\n") && all.contains("\"finish_reason\":\"tool_calls\"")
        );
    }
}
