//! What several inputs have: names, lines of text, Markdown, words to be found by.

use guest::{Problem, Result, folded};
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest body of a message.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest HTML of a message: an event carries both.
const MAX_HTML_BYTES: usize = 160 * 1024;

/// The name of a channel.
pub fn channel_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(2..=60).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err(garde::Error::new("must be 2 to 60 of a-z, 0-9 and `-`"));
    }
    if text.parse::<Uuid>().is_ok() {
        return Err(garde::Error::new("must not have the form of an id"));
    }
    if ["unread", "new", "search", "me"].contains(&text) {
        return Err(garde::Error::new("is reserved"));
    }
    Ok(())
}

/// A line of text that can't reach beyond itself: no control characters, and none that turn the direction of writing.
pub fn line(text: &str, _: &()) -> garde::Result {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(steers) {
        return Err(garde::Error::new(
            "must not contain control characters or marks that turn the direction of writing",
        ));
    }
    Ok(())
}

/// The body of a message.
pub fn message_body(text: &str, _: &()) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    if text.len() > MAX_BODY_BYTES {
        return Err(garde::Error::new("may have at most 16 KiB"));
    }
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain a zero character"));
    }
    Ok(())
}

/// A message's body with what is made of it when it is written.
pub fn rendered(body: &str) -> Result<Value> {
    let rendered =
        markdown::render(body).map_err(|refused| Problem::invalid("body", refused.to_string()))?;
    if rendered.html.len() > MAX_HTML_BYTES {
        return Err(Problem::invalid("body", "becomes too large as HTML"));
    }
    Ok(json!({
        "body": body,
        "html": rendered.html,
        "words": folded(&rendered.plain),
        "plain": rendered.plain,
        "all": rendered.mentions.iter().any(|name| name == "all"),
        "names": rendered.mentions,
    }))
}

/// The patterns that a text must match, all of them, to be found by a query; the longest first, since the index can
/// do most with it. None: the query has no words.
pub fn patterns(query: &str) -> Option<Vec<String>> {
    let folded = folded(query);
    let mut words: Vec<_> = folded.split_whitespace().take(8).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    let patterns: Vec<_> = words.into_iter().map(pattern).collect();
    (!patterns.is_empty()).then_some(patterns)
}

fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["ab", "a-b", "2024", &"a".repeat(60)] {
            assert!(channel_name(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "a",
            "Ab",
            "a b",
            "ä-b",
            "unread",
            &"a".repeat(61),
            "01890000-0000-7000-8000-000000000000",
        ] {
            assert!(channel_name(bad, &()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_stays_a_line() {
        assert!(line("שלום, мир, 你好 👍", &()).is_ok());
        for bad in ["a\nb", "a\u{202e}b", "a\u{2066}b", "a\0"] {
            assert!(line(bad, &()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn words_are_found_in_any_case_and_composition() {
        assert_eq!(patterns("ПРИВЕТ"), patterns("привет"));
        assert_eq!(patterns("cafe\u{301}"), patterns("CAFÉ"));
        assert_eq!(
            patterns("a 100%_\\x"),
            Some(vec!["%100\\%\\_\\\\x%".to_owned(), "%a%".to_owned()])
        );
        assert_eq!(patterns(" \t"), None);
    }
}
