//! Checks that several inputs share: of lines of text, Markdown and tags.

use guest::{Problem, Result};
use markdown::{Rendered, folded};
use serde_json::{Value, json};

/// The largest body of a post.
const MAX_POST_BYTES: usize = 64 * 1024;
/// The largest body of a comment.
const MAX_COMMENT_BYTES: usize = 16 * 1024;
/// The largest HTML of both: an event carries it beside the body.
const MAX_HTML_BYTES: usize = 160 * 1024;
/// The longest tag, in characters.
const MAX_TAG_CHARS: usize = 40;

/// A line of text that can't reach beyond itself.
pub fn line(text: &str, _: &()) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    if markdown::steers(text) {
        return Err(garde::Error::new(
            "must not contain control characters or marks that turn the direction of writing",
        ));
    }
    Ok(())
}

/// The body of a post.
pub fn post_body(text: &str, _: &()) -> garde::Result {
    body(text, MAX_POST_BYTES)
}

/// The body of a comment.
pub fn comment_body(text: &str, _: &()) -> garde::Result {
    body(text, MAX_COMMENT_BYTES)
}

fn body(text: &str, max_bytes: usize) -> garde::Result {
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    if text.len() > max_bytes {
        return Err(garde::Error::new(format!(
            "may have at most {} KiB",
            max_bytes / 1024
        )));
    }
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain a zero character"));
    }
    Ok(())
}

/// Checks a tag, as it is written or searched.
pub fn tag_form(text: &str, _: &()) -> garde::Result {
    let tag = folded(text);
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    if tag.is_empty() || tag.chars().count() > MAX_TAG_CHARS || !tag.chars().all(allowed) {
        return Err(garde::Error::new(
            "must be 1 to 40 letters, digits and `-_.+`",
        ));
    }
    Ok(())
}

/// Tags as they are kept: in lower case, each once, in their order.
pub fn tags(texts: &[String]) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in texts.iter().map(|text| folded(text)) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

/// A body as HTML and as plain text.
pub fn html(body: &str) -> Result<Rendered> {
    let rendered =
        markdown::render(body).map_err(|refused| Problem::invalid("body", refused.to_string()))?;
    if rendered.html.len() > MAX_HTML_BYTES {
        return Err(Problem::invalid("body", "becomes too large as HTML"));
    }
    Ok(rendered)
}

/// A body with what is made of it when it is written.
pub fn rendered(body: &str) -> Result<Value> {
    let rendered = html(body)?;
    Ok(json!({
        "body": body,
        "html": rendered.html,
        "words": folded(&rendered.plain),
        "plain": rendered.plain,
        "names": rendered.mentions,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words_of_any_language() {
        for good in ["rust", "C++", "агенты", "東京", "a_b.c-d", &"a".repeat(40)] {
            assert!(tag_form(good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a:b",
            "a\u{202e}b",
            "<b>",
            "a\"b",
            &"a".repeat(41),
        ] {
            assert!(tag_form(bad, &()).is_err(), "{bad:?}");
        }
        let twice = ["Rust".to_owned(), "rust".to_owned(), "wasm".to_owned()];
        assert_eq!(tags(&twice), ["rust", "wasm"]);
    }

    #[test]
    fn a_line_has_something_in_it_and_stays_a_line() {
        assert!(line("שלום, мир, 你好 👍", &()).is_ok());
        for bad in ["", " ", "a\nb", "a\u{202e}b", "a\0"] {
            assert!(line(bad, &()).is_err(), "{bad:?}");
        }
    }
}
