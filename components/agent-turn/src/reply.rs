//! The message that a turn ends with.

use serde_json::Value;

/// The word by which a model says that its agent has nothing to say.
pub const SILENT: &str = "[silent]";

/// The message of a text; `None` if the agent has nothing to say.
pub fn message(text: &str) -> Option<Value> {
    if text.trim().eq_ignore_ascii_case(SILENT) {
        return None;
    }
    markdown::message(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_no_message() {
        for silent in ["", " \n", "[silent]", " [Silent]\n"] {
            assert_eq!(message(silent), None, "{silent:?}");
        }
        assert!(message("[silent] night").is_some());
    }
}
