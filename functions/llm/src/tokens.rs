//! Numbers of tokens: as providers tell them, and estimated where they do not.

use serde_json::Value;

use crate::protocol::Protocol;

/// A string this long without a space is data, such as a picture, and not text.
const DATA_LENGTH: usize = 2048;
/// What a picture or document counts as, which are sent as data.
const DATA_TOKENS: u64 = 1500;
/// What providers add to every request.
pub const OVERHEAD_TOKENS: u64 = 16;
/// What each object of a request adds, such as a message.
const OBJECT_TOKENS: u64 = 2;

/// More tokens than any call has. A provider that tells more is taken to tell this many.
const MAX_TOKENS: u64 = 1_000_000_000;

/// The tokens of a call. Parts are contained in their whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input, with what was read from a cache and written to one.
    pub input: u64,
    pub cached: u64,
    pub written: u64,
    /// All output, with reasoning.
    pub output: u64,
    pub reasoning: u64,
    /// Whether the provider told the input.
    pub knows_input: bool,
    /// Whether the provider told the final output.
    pub knows_output: bool,
}

impl Usage {
    /// Takes over the numbers of a provider's object `usage`. They are totals, so later ones replace earlier ones.
    pub fn learn(&mut self, protocol: Protocol, usage: &Value) {
        let count = |value: &Value| {
            let count = value.as_u64();
            let count = count.or_else(|| value.as_f64().map(|n| n.max(0.0) as u64));
            count.map(|count| count.min(MAX_TOKENS))
        };
        match protocol {
            Protocol::Openai => {
                if let Some(input) = count(&usage["prompt_tokens"]) {
                    self.input = input;
                    self.knows_input = true;
                    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
                    // DeepSeek's name for it.
                    let hit = || count(&usage["prompt_cache_hit_tokens"]);
                    self.cached = cached.or_else(hit).unwrap_or_default().min(input);
                    self.written = count(&usage["prompt_tokens_details"]["cache_write_tokens"])
                        .unwrap_or_default()
                        .min(input - self.cached);
                }
                if let Some(output) = count(&usage["completion_tokens"]) {
                    let reasoning = count(&usage["completion_tokens_details"]["reasoning_tokens"]);
                    self.output = output;
                    self.reasoning = reasoning.unwrap_or_default().min(output);
                    self.knows_output = true;
                } else if self.knows_input {
                    // Embeddings have no output.
                    self.knows_output = true;
                }
            }
            Protocol::Anthropic => {
                if let Some(plain) = count(&usage["input_tokens"]) {
                    self.cached = count(&usage["cache_read_input_tokens"]).unwrap_or(self.cached);
                    self.written =
                        count(&usage["cache_creation_input_tokens"]).unwrap_or(self.written);
                    self.input = plain + self.cached + self.written;
                    self.knows_input = true;
                }
                if let Some(output) = count(&usage["output_tokens"]) {
                    self.output = output;
                    self.knows_output = true;
                }
            }
        }
    }

    /// The usage in OpenAI's form.
    pub fn openai(&self) -> Value {
        serde_json::json!({
            "prompt_tokens": self.input, "completion_tokens": self.output, "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": self.written},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        })
    }

    /// The usage in Anthropic's form.
    pub fn anthropic(&self) -> Value {
        serde_json::json!({
            "input_tokens": self.input - self.cached - self.written, "cache_read_input_tokens": self.cached,
            "cache_creation_input_tokens": self.written, "output_tokens": self.output,
        })
    }
}

/// Estimates the tokens of a text: a few too many rather than too few.
pub fn of_text(text: &str) -> u64 {
    let wide = text.chars().filter(|c| !c.is_ascii()).count();
    let ascii = text.len()
        - text
            .chars()
            .filter(|c| !c.is_ascii())
            .map(char::len_utf8)
            .sum::<usize>();
    (ascii.div_ceil(3) + wide) as u64
}

/// Estimates the tokens of a request.
pub fn of_request(value: &Value) -> u64 {
    match value {
        Value::String(text)
            if text.len() > DATA_LENGTH && !text.as_bytes()[..DATA_LENGTH].contains(&b' ') =>
        {
            DATA_TOKENS
        }
        Value::String(text) => of_text(text),
        Value::Array(items) => items.iter().map(of_request).sum(),
        Value::Object(members) => OBJECT_TOKENS + members.values().map(of_request).sum::<u64>(),
        Value::Number(_) => 1,
        Value::Bool(_) | Value::Null => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_usage_is_equal_in_both_protocols() {
        let (mut one, mut other) = (Usage::default(), Usage::default());
        one.learn(
            Protocol::Openai,
            &json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10}}),
        );
        other.learn(
            Protocol::Anthropic,
            &json!({"input_tokens": 30, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 10, "output_tokens": 7}),
        );
        assert_eq!(one, other);
        assert_eq!(one.anthropic()["input_tokens"], 30);
        assert_eq!(other.openai()["prompt_tokens"], 100);
    }

    #[test]
    fn totals_replace_earlier_ones() {
        let mut usage = Usage::default();
        usage.learn(
            Protocol::Anthropic,
            &json!({"input_tokens": 25, "output_tokens": 1}),
        );
        usage.learn(Protocol::Anthropic, &json!({"output_tokens": 9}));
        usage.learn(Protocol::Anthropic, &json!({"output_tokens": 15}));
        assert_eq!((usage.input, usage.output), (25, 15));
    }

    #[test]
    fn no_number_is_too_large_to_be_added() {
        for protocol in [Protocol::Openai, Protocol::Anthropic] {
            let mut usage = Usage::default();
            let huge = json!({"prompt_tokens": u64::MAX, "completion_tokens": 1e300, "input_tokens": u64::MAX,
                "cache_read_input_tokens": u64::MAX, "cache_creation_input_tokens": 1e300, "output_tokens": u64::MAX});
            usage.learn(protocol, &huge);
            assert!((MAX_TOKENS..=3 * MAX_TOKENS).contains(&usage.input));
            assert_eq!(usage.output, MAX_TOKENS);
        }
    }

    #[test]
    fn pictures_are_not_counted_as_text() {
        assert_eq!(
            of_request(&json!({"a": "x".repeat(1 << 20)})),
            DATA_TOKENS + OBJECT_TOKENS
        );
        assert_eq!(of_text("日本語"), 3);
        assert_eq!(of_text("four"), 2);
    }
}
