//! Makes a stream of Anthropic's protocol of one of OpenAI's.

use serde_json::{Value, json};

use super::answers::unknown_part;
use super::{anthropic_event, stops};
use crate::fault::Fault;
use crate::tokens::Usage;

/// What is known of the stream so far.
#[derive(Debug)]
pub struct AnthropicStream {
    model: Value,
    has_begun: bool,
    /// The number of blocks that were opened.
    blocks: usize,
    /// The block of text or reasoning that is open.
    open: Option<(usize, Kind)>,
    tools: Vec<Tool>,
    reason: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

/// A tool call whose block is open.
#[derive(Debug)]
struct Tool {
    /// The index and the id by which the provider means it.
    index: u64,
    id: String,
    block: usize,
}

impl AnthropicStream {
    pub fn new(model: &str) -> Self {
        Self {
            model: json!(model),
            has_begun: false,
            blocks: 0,
            open: None,
            tools: Vec::new(),
            reason: None,
        }
    }

    pub fn event(&mut self, chunk: &Value) -> Result<Vec<u8>, Fault> {
        let mut text = String::new();
        if chunk.is_null() {
            return Ok(Vec::new());
        }
        if !self.has_begun {
            self.has_begun = true;
            if chunk["model"].is_string() {
                self.model = chunk["model"].clone();
            }
            text.push_str(&anthropic_event(&json!({"type": "message_start", "message": {"id": chunk["id"], "type": "message",
                "role": "assistant", "model": self.model, "content": [], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 0, "output_tokens": 0}}})));
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        let said = |name: &str| delta[name].as_str().filter(|said| !said.is_empty());
        if let Some(thought) = said("reasoning_content").or_else(|| said("reasoning")) {
            self.say(&mut text, Kind::Thinking, thought);
        }
        for name in ["content", "refusal"] {
            if let Some(said) = said(name) {
                self.say(&mut text, Kind::Text, said);
            }
            if name == "refusal" && said(name).is_some() {
                self.reason = Some("refusal");
            }
        }
        if !delta["function_call"].is_null() {
            return Err(unknown_part("function_call"));
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            self.tool(&mut text, call)?;
        }
        let reason = choice["finish_reason"].as_str();
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            let reason = stops::to_anthropic(reason)?;
            self.reason.get_or_insert(reason);
        }
        Ok(text.into_bytes())
    }

    /// Adds to the open block, or opens one of this kind.
    fn say(&mut self, text: &mut String, kind: Kind, said: &str) {
        let block = match self.open {
            Some((block, open)) if open == kind => block,
            _ => {
                self.close(text);
                let content = match kind {
                    Kind::Text => json!({"type": "text", "text": ""}),
                    Kind::Thinking => json!({"type": "thinking", "thinking": "", "signature": ""}),
                };
                let block = self.start(text, &content);
                self.open = Some((block, kind));
                block
            }
        };
        let delta = match kind {
            Kind::Text => json!({"type": "text_delta", "text": said}),
            Kind::Thinking => json!({"type": "thinking_delta", "thinking": said}),
        };
        text.push_str(&anthropic_event(
            &json!({"type": "content_block_delta", "index": block, "delta": delta}),
        ));
    }

    fn start(&mut self, text: &mut String, content: &Value) -> usize {
        let block = self.blocks;
        self.blocks += 1;
        text.push_str(&anthropic_event(
            &json!({"type": "content_block_start", "index": block, "content_block": content}),
        ));
        block
    }

    /// Closes the block of text or reasoning.
    fn close(&mut self, text: &mut String) {
        if let Some((block, _)) = self.open.take() {
            text.push_str(&anthropic_event(
                &json!({"type": "content_block_stop", "index": block}),
            ));
        }
    }

    /// Takes in a part of a tool's call. Some servers give all calls the same index, and each an id of its own.
    fn tool(&mut self, text: &mut String, call: &Value) -> Result<(), Fault> {
        if call["type"].as_str().is_some_and(|kind| kind != "function") {
            return Err(unknown_part(call["type"].as_str().unwrap_or_default()));
        }
        let index = call["index"].as_u64().unwrap_or_default();
        let id = call["id"].as_str().filter(|id| !id.is_empty());
        let mut known = self.tools.iter().rev();
        let known = match id {
            Some(id) => known.find(|tool| tool.index == index && tool.id == id),
            None => known.find(|tool| tool.index == index),
        };
        let block = match (known, id) {
            (Some(tool), _) => tool.block,
            (None, Some(id)) => {
                self.close(text);
                let name = &call["function"]["name"];
                let block = self.start(
                    text,
                    &json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                );
                self.tools.push(Tool {
                    index,
                    id: id.to_owned(),
                    block,
                });
                block
            }
            (None, None) => {
                return Err(Fault::garbled(
                    "The provider sent arguments of a tool that it does not call.",
                ));
            }
        };
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        if !arguments.is_empty() {
            let delta = json!({"type": "input_json_delta", "partial_json": arguments});
            text.push_str(&anthropic_event(
                &json!({"type": "content_block_delta", "index": block, "delta": delta}),
            ));
        }
        Ok(())
    }

    pub fn end(&mut self, usage: &Usage) -> Vec<u8> {
        let mut text = String::new();
        self.close(&mut text);
        for tool in std::mem::take(&mut self.tools) {
            text.push_str(&anthropic_event(
                &json!({"type": "content_block_stop", "index": tool.block}),
            ));
        }
        let reason = self.reason.unwrap_or("end_turn");
        text.push_str(&anthropic_event(&json!({"type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage.anthropic()})));
        text.push_str(&anthropic_event(&json!({"type": "message_stop"})));
        text.into_bytes()
    }

    pub fn cut(&mut self, usage: &Usage) -> Vec<u8> {
        self.reason = Some("max_tokens");
        self.end(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The blocks that a stream makes: kind, and text or arguments. Each must be opened and closed once.
    fn blocks(chunks: &[Value]) -> (Vec<(String, String)>, Value) {
        let mut stream = AnthropicStream::new("m");
        let mut text = String::new();
        for chunk in chunks {
            text.push_str(&String::from_utf8(stream.event(chunk).expect("a chunk")).expect("text"));
        }
        text.push_str(&String::from_utf8(stream.end(&Usage::default())).expect("text"));
        let (mut made, mut closed, mut reason) =
            (BTreeMap::<u64, (String, String)>::new(), 0, Value::Null);
        for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event: Value = serde_json::from_str(data).expect("JSON");
            let index = event["index"].as_u64().unwrap_or_default();
            match event["type"].as_str().expect("a type") {
                "content_block_start" => {
                    let kind = event["content_block"]["type"]
                        .as_str()
                        .expect("a kind")
                        .to_owned();
                    assert!(made.insert(index, (kind, String::new())).is_none());
                }
                "content_block_delta" => {
                    let delta = &event["delta"];
                    let said = ["text", "thinking", "partial_json"]
                        .iter()
                        .find_map(|name| delta[*name].as_str());
                    made.get_mut(&index)
                        .expect("an open block")
                        .1
                        .push_str(said.expect("a text"));
                }
                "content_block_stop" => closed += 1,
                "message_delta" => reason = event["delta"]["stop_reason"].clone(),
                _ => {}
            }
        }
        assert_eq!(closed, made.len());
        (made.into_values().collect(), reason)
    }

    fn delta(delta: Value) -> Value {
        json!({"id": "x", "choices": [{"index": 0, "delta": delta}]})
    }

    fn call(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
        )
    }

    #[test]
    fn interleaved_tools_keep_apart() {
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
        let (made, reason) = blocks(&[
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"content": "Hi"})),
            call(0, Some("a"), Some("f"), ""),
            call(1, Some("b"), Some("g"), "{\"y\""),
            call(0, None, None, "{\"x\":"),
            call(2, Some("c"), Some("h"), ""),
            call(1, None, None, ":2}"),
            call(0, None, None, "1}"),
            end.clone(),
        ]);
        let expected = [
            ("thinking", "hm"),
            ("text", "Hi"),
            ("tool_use", "{\"x\":1}"),
            ("tool_use", "{\"y\":2}"),
            ("tool_use", ""),
        ];
        let expected: Vec<_> = expected
            .map(|(kind, text)| (kind.to_owned(), text.to_owned()))
            .into();
        assert_eq!((made, reason), (expected, json!("tool_use")));
        let (same_index, _) = blocks(&[
            call(0, Some("a"), Some("f"), "{}"),
            call(0, Some("b"), Some("g"), "{\"y\":"),
            call(0, None, None, "2}"),
            end,
        ]);
        assert_eq!(same_index.len(), 2);
        assert_eq!(same_index[1].1, "{\"y\":2}");
    }

    #[test]
    fn an_unknown_end_is_an_error() {
        let mut stream = AnthropicStream::new("m");
        let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "banana"}]});
        assert!(stream.event(&end).is_err());
    }
}
