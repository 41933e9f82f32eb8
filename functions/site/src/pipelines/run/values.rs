//! Values of runs and steps. They may have a mebibyte, of which a page shows the beginning.

use std::io::{self, Write};

use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The largest part of a value that a page shows, in bytes.
const MAX_SHOWN: usize = 4096;

/// A text that takes no more than fits.
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MAX_SHOWN - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a value as JSON, and whether that is all of it.
fn beginning(value: &impl Serialize) -> (String, bool) {
    let mut text = Beginning(Vec::new());
    let is_whole = serde_json::to_writer_pretty(&mut text, value).is_ok();
    let mut bytes = text.0;
    if let Err(error) = std::str::from_utf8(&bytes) {
        bytes.truncate(error.valid_up_to());
    }
    (String::from_utf8(bytes).unwrap_or_default(), is_whole)
}

/// The beginning of a text that may be long.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Shows a value below its heading. `whole` is the address of what has all of it.
pub fn show(id: &str, heading: &Markup, value: &RawValue, whole: &str) -> Markup {
    let read: Value = serde_json::from_str(value.get()).unwrap_or_default();
    let (text, is_whole) = beginning(&read);
    html! {
        div.value {
            (heading)
            pre.long id=(id) tabindex="0" { code { (text) } }
            @if !is_whole {
                p.meta { "The first 4 KiB of " (size(value.get().len())) ". " a href=(whole) { "All of it, as JSON" } }
            }
        }
    }
}

/// Shows the beginning of a part of a definition or an error.
pub fn small(id: &str, value: &Value) -> Markup {
    html! { pre.long id=(id) tabindex="0" { code { (beginning(value).0) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_of_a_value_is_bounded() {
        assert_eq!(beginning(&json!([1])), ("[\n  1\n]".to_owned(), true));
        for value in [json!("ä".repeat(5000)), json!(vec![1; 5000])] {
            let (text, is_whole) = beginning(&value);
            assert!(!is_whole && (4095..=4096).contains(&text.len()), "{text}");
        }
        assert_eq!(
            (size(5000), size(1 << 20)),
            ("5 KiB".into(), "1.0 MiB".into())
        );
    }
}
