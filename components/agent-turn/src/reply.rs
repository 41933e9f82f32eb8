//! The message that a turn ends with.

use markdown::{Rendered, folded, render};
use serde_json::{Value, json};

/// The word by which a model says that its agent has nothing to say.
pub const SILENT: &str = "[silent]";
/// The largest body of a message, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest HTML of a message, in bytes.
const MAX_HTML_BYTES: usize = 160 * 1024;
/// What a text ends with that was cut.
const CUT: &str = "…";

/// The message of a text; `None` if the agent has nothing to say.
pub fn message(text: &str) -> Option<Value> {
    let text = text.replace('\0', "");
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case(SILENT) {
        return None;
    }
    let body = cut(text, MAX_BODY_BYTES);
    let (body, rendered) = match render(&body) {
        Ok(rendered) if rendered.html.len() <= MAX_HTML_BYTES => (body, rendered),
        _ => plainly(&body)?,
    };
    Some(json!({
        "body": body, "html": rendered.html, "words": folded(&rendered.plain), "plain": rendered.plain, "all": false,
        "names": rendered.mentions,
    }))
}

/// A text that can't be rendered as Markdown, as it is.
fn plainly(text: &str) -> Option<(String, Rendered)> {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let body = cut(&indented, MAX_BODY_BYTES);
    let rendered = render(&body).ok()?;
    Some((body, rendered))
}

/// A text of at most so many bytes.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_no_message() {
        for silent in ["", " \n", "[silent]", " [Silent]\n"] {
            assert_eq!(message(silent), None, "{silent:?}");
        }
    }

    #[test]
    fn every_other_text_becomes_one() {
        let said = message("Hello, **Ada**.").expect("a message");
        assert_eq!(said["plain"], "Hello, Ada.");
        let deep = format!("{}x", "> ".repeat(200));
        assert!(message(&deep).is_some());
        let long = message(&"ä".repeat(20_000)).expect("a message");
        assert!(
            long["body"]
                .as_str()
                .is_some_and(|body| body.len() <= MAX_BODY_BYTES && body.ends_with(CUT))
        );
    }
}
