//! Topics, written as `<kind>:<id>`.

use garde::Validate;
use guest::{Caller, Problem, Result};
use serde::Deserialize;
use utoipa::IntoParams;

const MAX_BYTES: usize = 140;

/// The topic of a request.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TopicParam {
    /// The topic: `channel:<id>`, `account:<id>` (`account:me` is the caller's), `job:<id>`, or `all:all` for
    /// administrators.
    #[garde(custom(is_topic))]
    #[param(example = "account:me")]
    topic: String,
}

impl TopicParam {
    /// The topic, with the caller's own id in place of `me`.
    pub fn of(self, caller: &Caller) -> String {
        match self.topic.as_str() {
            "account:me" => format!("account:{}", caller.id),
            _ => self.topic,
        }
    }
}

fn is_topic(text: &str, _: &()) -> garde::Result {
    let sound = text.split_once(':').is_some_and(|(kind, id)| {
        let kind = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase());
        let id = !id.is_empty()
            && !id.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control());
        kind && id && text.len() <= MAX_BYTES
    });
    sound
        .then_some(())
        .ok_or_else(|| garde::Error::new("must be `<kind>:<id>`, such as `account:me`"))
}

/// The same problem for a topic that does not exist and for one that the caller may not read.
pub fn not_found() -> Problem {
    Problem::not_found("topic")
}

/// Refuses a topic that the caller may not read.
pub fn require(allowed: bool) -> Result<()> {
    if allowed { Ok(()) } else { Err(not_found()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_a_kind_and_an_id() {
        for (text, accepted) in [
            ("account:me", true),
            ("tag:データ", true),
            ("feed:all", true),
            ("feed", false),
            (":x", false),
            ("feed:", false),
            ("Feed:all", false),
            ("feed:a b", false),
            ("feed:a:b", false),
        ] {
            assert_eq!(is_topic(text, &()).is_ok(), accepted, "{text}");
        }
        assert!(is_topic(&format!("tag:{}", "x".repeat(200)), &()).is_err());
    }
}
