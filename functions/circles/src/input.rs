//! Checks that several inputs share: of names, texts and messages.

use guest::{Problem, Result};
use markdown::folded;
use serde_json::{Value, json};
use uuid::Uuid;

/// The largest body of a message, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// The largest HTML of a message, in bytes. An event carries both body and HTML.
const MAX_HTML_BYTES: usize = 160 * 1024;

/// Checks the name of a circle.
pub fn circle_name(text: &str, _: &()) -> garde::Result {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(2..=60).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err(garde::Error::new("must be 2 to 60 of a-z, 0-9 and `-`"));
    }
    if text.parse::<Uuid>().is_ok() {
        return Err(garde::Error::new("must not have the form of an id"));
    }
    Ok(())
}

/// Checks a line of text that can't affect its surroundings: it must not contain control characters or marks that turn
/// the direction of writing.
pub fn line(text: &str, _: &()) -> garde::Result {
    if markdown::steers(text) {
        return Err(garde::Error::new(
            "must not contain control characters or marks that turn the direction of writing",
        ));
    }
    Ok(())
}

/// Checks a text of several lines.
pub fn text(text: &str, _: &()) -> garde::Result {
    if text.contains('\0') {
        return Err(garde::Error::new("must not contain a zero character"));
    }
    Ok(())
}

/// Checks the body of a message.
pub fn message_body(body: &str, context: &()) -> garde::Result {
    if body.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    if body.len() > MAX_BODY_BYTES {
        return Err(garde::Error::new("may have at most 16 KiB"));
    }
    text(body, context)
}

/// A message's body with everything that is derived from it when it is written.
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
