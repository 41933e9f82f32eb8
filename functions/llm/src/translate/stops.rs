//! The reasons why an answer ends. A reason that is not listed is an error, since no other one would be true.

use crate::fault::Fault;

/// Anthropic's reasons, and OpenAI's for each.
const FROM_ANTHROPIC: [(&str, &str); 6] = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_use", "tool_calls"),
    ("refusal", "content_filter"),
];

/// OpenAI's reasons, and Anthropic's for each.
const FROM_OPENAI: [(&str, &str); 5] = [
    ("stop", "end_turn"),
    ("length", "max_tokens"),
    ("tool_calls", "tool_use"),
    ("function_call", "tool_use"),
    ("content_filter", "refusal"),
];

fn find(table: &[(&str, &'static str)], reason: &str) -> Result<&'static str, Fault> {
    let found = table.iter().find(|(from, _)| *from == reason);
    found.map(|(_, to)| *to).ok_or_else(|| {
        let reason: String = reason.chars().take(60).collect();
        Fault::garbled(format!(
            "The provider ended with the unknown reason `{reason}`."
        ))
    })
}

/// OpenAI's `finish_reason` for Anthropic's `stop_reason`.
pub fn to_openai(reason: &str) -> Result<&'static str, Fault> {
    find(&FROM_ANTHROPIC, reason)
}

/// Anthropic's `stop_reason` for OpenAI's `finish_reason`.
pub fn to_anthropic(reason: &str) -> Result<&'static str, Fault> {
    find(&FROM_OPENAI, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_reason_is_an_error() {
        assert_eq!(to_openai("refusal"), Ok("content_filter"));
        assert_eq!(to_anthropic("content_filter"), Ok("refusal"));
        for reason in ["banana", "pause_turn", ""] {
            assert!(
                to_openai(reason).is_err() && to_anthropic(reason).is_err(),
                "{reason}"
            );
        }
    }
}
