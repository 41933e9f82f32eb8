//! A text as a message of a channel, for those who write in the name of an account.

use serde_json::{Value, json};

use crate::{Rendered, folded, render};

/// The largest body of a message, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest HTML of a message, in bytes.
const MAX_HTML_BYTES: usize = 160 * 1024;
/// The end of a text that was cut.
const CUT: &str = "…";

/// The message of a text, as the schema `channels` takes it: cut to what a message may have, and as it is if it can't be
/// rendered. `None` if the text is blank.
pub fn message(text: &str) -> Option<Value> {
    let text = text.replace('\0', "");
    let text = text.trim();
    if text.is_empty() {
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
    fn every_text_that_is_not_blank_becomes_a_message() {
        assert_eq!(message(" \n"), None);
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
