//! Watches a provider's stream: whether it says anything, what it used, and whether it came to its end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fault::{self, Fault};
use crate::protocol::Protocol;
use crate::tokens::{self, Usage};
use sse::Event;

/// What is known of a stream so far.
#[derive(Debug)]
pub struct Watch {
    protocol: Protocol,
    pub usage: Usage,
    /// The estimated tokens of what was said.
    pub said: u64,
    /// Whether the reason of the end was told.
    pub is_finished: bool,
    /// The members that each chunk repeats.
    id: Value,
    model: Value,
    created: Value,
    /// Anthropic's blocks that were opened and not closed.
    open: BTreeSet<u64>,
    /// OpenAI's choices that began and did not end.
    choices: BTreeSet<u64>,
    /// Those that ended.
    ended: BTreeSet<u64>,
}

/// What an event says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Something of the answer, or its end.
    pub is_content: bool,
    /// The end of the stream.
    pub is_end: bool,
    /// Nothing but the usage, for which the client may not have asked.
    pub is_usage_only: bool,
    /// Nothing at all, or a ping.
    pub is_empty: bool,
}

impl Watch {
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            usage: Usage::default(),
            said: 0,
            is_finished: false,
            id: Value::Null,
            model: Value::Null,
            created: Value::Null,
            open: BTreeSet::new(),
            choices: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    /// The protocol of the provider.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Takes in an event, and returns its data.
    ///
    /// # Errors
    /// The event tells an error, or is none of the protocol.
    pub fn event(&mut self, event: &Event) -> Result<(Seen, Value), Fault> {
        let Some(data) = &event.data else {
            let empty = Seen {
                is_empty: true,
                ..Seen::default()
            };
            return Ok((empty, Value::Null));
        };
        if self.protocol == Protocol::Openai && data.trim_ascii() == b"[DONE]" {
            let end = Seen {
                is_end: true,
                ..Seen::default()
            };
            return Ok((end, Value::Null));
        }
        let value: Value = serde_json::from_slice(data)
            .map_err(|_| Fault::garbled("The provider sent an event that is not JSON."))?;
        if event.name == "error" || value.get("error").is_some_and(|error| !error.is_null()) {
            let error = value.get("error").unwrap_or(&value);
            return Err(fault::of_error(error));
        }
        let seen = match self.protocol {
            Protocol::Openai => self.openai(&value)?,
            Protocol::Anthropic => self.anthropic(&value)?,
        };
        Ok((seen, value))
    }

    fn openai(&mut self, chunk: &Value) -> Result<Seen, Fault> {
        let Some(choices) = chunk["choices"].as_array() else {
            return Err(Fault::garbled(
                "The provider sent an event without `choices`.",
            ));
        };
        for (name, kept) in [
            ("id", &mut self.id),
            ("model", &mut self.model),
            ("created", &mut self.created),
        ] {
            if kept.is_null() {
                *kept = chunk[name].clone();
            }
        }
        if chunk["usage"].is_object() {
            self.usage.learn(Protocol::Openai, &chunk["usage"]);
        }
        let mut seen = Seen {
            is_usage_only: choices.is_empty() && chunk["usage"].is_object(),
            is_empty: choices.is_empty(),
            ..Seen::default()
        };
        for choice in choices {
            let index = choice["index"].as_u64().unwrap_or_default();
            let said = texts_of(&choice["delta"]);
            self.said += said;
            seen.is_content |= said > 0 || has_content(&choice["delta"]);
            if !is_reason(&choice["finish_reason"]) {
                // Some servers send a last chunk for a choice that has ended.
                if !self.ended.contains(&index) {
                    self.choices.insert(index);
                    self.is_finished = false;
                }
            } else {
                self.choices.remove(&index);
                self.ended.insert(index);
                seen.is_content = true;
                self.is_finished = self.choices.is_empty();
            }
        }
        Ok(seen)
    }

    fn anthropic(&mut self, event: &Value) -> Result<Seen, Fault> {
        let mut seen = Seen::default();
        let index = event["index"].as_u64().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                let message = &event["message"];
                self.usage.learn(Protocol::Anthropic, &message["usage"]);
                (self.id, self.model) = (message["id"].clone(), message["model"].clone());
                self.usage.knows_output = false;
            }
            "content_block_start" => {
                self.open.insert(index);
                self.said += texts_of(&event["content_block"]);
                let kind = event["content_block"]["type"].as_str().unwrap_or_default();
                seen.is_content = kind != "text" || event["content_block"]["text"] != "";
            }
            "content_block_delta" => {
                self.said += texts_of(&event["delta"]);
                seen.is_content = true;
            }
            "content_block_stop" => {
                self.open.remove(&index);
            }
            "message_delta" => {
                self.usage.learn(Protocol::Anthropic, &event["usage"]);
                self.is_finished |= is_reason(&event["delta"]["stop_reason"]);
                seen.is_content = true;
            }
            "message_stop" => seen.is_end = true,
            "ping" => seen.is_empty = true,
            "" => return Err(Fault::garbled("The provider sent an event without a type.")),
            _ => {}
        }
        Ok(seen)
    }

    /// The tokens so far, estimated where the provider did not tell them; `input` is the estimate of the input. Also
    /// whether anything is estimated.
    pub fn counted(&self, input: u64) -> (Usage, bool) {
        let mut usage = self.usage;
        if !usage.knows_input {
            usage.input = input;
        }
        if !usage.knows_output {
            usage.output = usage.output.max(self.said);
        }
        (usage, !(usage.knows_input && usage.knows_output))
    }

    /// The events that end a stream whose length a budget cuts.
    pub fn cut(&self, wants_usage: bool, usage: &Usage) -> Vec<u8> {
        match self.protocol {
            Protocol::Openai => {
                let chunk = |choices: Value, usage: Option<Value>| {
                    let mut chunk = json!({"id": self.id, "object": "chat.completion.chunk", "created": self.created,
                        "model": self.model, "choices": choices});
                    if let Some(usage) = usage {
                        chunk["usage"] = usage;
                    }
                    format!("data: {chunk}\n\n")
                };
                let ends = self
                    .choices
                    .iter()
                    .map(|index| json!({"index": index, "delta": {}, "finish_reason": "length"}));
                let mut text = chunk(ends.collect(), None);
                if wants_usage {
                    text.push_str(&chunk(json!([]), Some(usage.openai())));
                }
                text.push_str("data: [DONE]\n\n");
                text.into_bytes()
            }
            Protocol::Anthropic => {
                let mut text = String::new();
                for index in &self.open {
                    let stop = json!({"type": "content_block_stop", "index": index});
                    text.push_str(&format!("event: content_block_stop\ndata: {stop}\n\n"));
                }
                let delta = json!({"type": "message_delta", "delta": {"stop_reason": "max_tokens", "stop_sequence": null},
                    "usage": usage.anthropic()});
                text.push_str(&format!("event: message_delta\ndata: {delta}\n\n"));
                text.push_str("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
                text.into_bytes()
            }
        }
    }
}

/// Whether a member tells the reason of an end. Some servers send an empty one in each chunk.
fn is_reason(member: &Value) -> bool {
    member.as_str().is_some_and(|reason| !reason.is_empty())
}

/// The members of a delta that hold what a model says.
const SAID: [&str; 9] = [
    "content",
    "reasoning_content",
    "reasoning",
    "refusal",
    "text",
    "thinking",
    "partial_json",
    "name",
    "arguments",
];

/// The estimated tokens of what a model says in a delta or an answer.
pub fn texts_of(delta: &Value) -> u64 {
    match delta {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if SAID.contains(&name.as_str()) && !text.is_empty() => {
                    tokens::of_text(text)
                }
                Value::String(_) => 0,
                nested => texts_of(nested),
            })
            .sum(),
        Value::Array(items) => items.iter().map(texts_of).sum(),
        _ => 0,
    }
}

/// Whether an OpenAI delta says anything that is not a text, such as the id of a tool's call.
fn has_content(delta: &Value) -> bool {
    ["tool_calls", "function_call", "audio"].iter().any(|name| {
        delta[*name].is_object()
            || delta[*name]
                .as_array()
                .is_some_and(|items| !items.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event {
            raw: Vec::new(),
            name: name.to_owned(),
            data: Some(data.as_bytes().to_vec()),
        }
    }

    #[test]
    fn what_says_nothing_is_no_content() {
        let mut openai = Watch::new(Protocol::Openai);
        let mut content = |data: &str| {
            openai
                .event(&event("", data))
                .expect("an event")
                .0
                .is_content
        };
        assert!(!content(r#"{"choices":[]}"#));
        assert!(!content(
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#
        ));
        assert!(content(
            r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#
        ));
        assert!(content(
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a"}]}}]}"#
        ));
        assert!(content(
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#
        ));
        assert!(openai.is_finished);
    }

    #[test]
    fn an_answer_ends_with_the_last_of_its_choices() {
        let mut watch = Watch::new(Protocol::Openai);
        for (data, is_finished) in [
            (
                r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}"#,
                false,
            ),
            (
                r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":null}]}"#,
                false,
            ),
            (
                r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#,
                true,
            ),
            (
                r#"{"choices":[{"index":1,"delta":{},"finish_reason":null}]}"#,
                true,
            ),
        ] {
            watch.event(&event("", data)).expect("an event");
            assert_eq!(watch.is_finished, is_finished, "{data}");
        }
    }

    #[test]
    fn an_error_is_found_in_each_form() {
        for (protocol, name, data, status) in [
            (
                Protocol::Openai,
                "",
                r#"{"error":{"message":"x","code":null}}"#,
                502,
            ),
            (Protocol::Openai, "error", r#"{"message":"x"}"#, 502),
            (
                Protocol::Anthropic,
                "error",
                r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
                529,
            ),
            (Protocol::Openai, "", "<html>", 502),
            (Protocol::Openai, "", r#"{"object":"list"}"#, 502),
        ] {
            let fault = Watch::new(protocol)
                .event(&event(name, data))
                .expect_err(data);
            assert_eq!(fault.status, status, "{data}");
        }
    }

    #[test]
    fn anthropics_totals_are_no_increments() {
        let mut watch = Watch::new(Protocol::Anthropic);
        for data in [
            r#"{"type":"message_start","message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
        ] {
            watch.event(&event("", data)).expect("an event");
        }
        let (usage, estimated) = watch.counted(99);
        assert_eq!((usage.input, usage.output, estimated), (25, 15, false));
    }

    #[test]
    fn a_cut_stream_closes_what_is_open() {
        let mut watch = Watch::new(Protocol::Anthropic);
        for data in [
            r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"four"}}"#,
        ] {
            watch.event(&event("", data)).expect("an event");
        }
        let (usage, estimated) = watch.counted(9);
        assert!(estimated && usage.output == 2 && usage.input == 3);
        let cut = String::from_utf8(watch.cut(false, &usage)).expect("text");
        let kinds: Vec<_> = cut
            .lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .collect();
        assert_eq!(
            kinds,
            ["content_block_stop", "message_delta", "message_stop"]
        );
    }
}
