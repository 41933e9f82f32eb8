//! Texts of strangers, made safe for a terminal.

use std::fmt::Write;

use serde_json::Value;

/// Whether a character controls a terminal, changes the order of its neighbours, or is invisible.
/// Joiners do not count, since emoji and some scripts need them.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text in one line, with spaces for tabs and line breaks, and U+FFFD for what would control the terminal.
pub fn line(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => ' ',
        c if steers(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// A text like [`line`], but with its line breaks.
pub fn text(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(line).collect();
    lines.join("\n")
}

/// JSON in one line. Characters that would control the terminal are escaped, so the value is the same.
pub fn json(value: &Value) -> String {
    escaped(&value.to_string())
}

/// JSON as above in several lines, indented.
pub fn pretty_json(value: &Value) -> String {
    escaped(&format!("{value:#}"))
}

fn escaped(json: &str) -> String {
    let mut safe = String::new();
    for c in json.chars() {
        if steers(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // A String takes all that is written.
                _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An escape sequence in both forms, a bell, a deletion, turned writing, a line separator, something unseen, a tag.
    const HOSTILE: &str =
        "a\u{1b}]0;x\u{7}b\u{9b}31m\u{7f}\u{202e}c\u{2066}\u{2028}\u{200b}\u{feff}\u{e0041}\r";

    #[test]
    fn nothing_steers_the_terminal() {
        for shown in [
            line(HOSTILE),
            text(HOSTILE),
            json(&json!({ HOSTILE: [HOSTILE] })),
        ] {
            assert!(!shown.chars().any(steers), "{shown:?}");
        }
        assert_eq!(line("a\tb\r\nc\nd"), "a b c d");
        assert_eq!(text("a\tb\r\nc\n\nd\n"), "a b\nc\n\nd");
    }

    #[test]
    fn writing_stays_as_it_is() {
        for good in [
            "שלום, мир, 你好",
            "👩\u{200d}💻 ❤\u{fe0f}",
            "می\u{200c}خواهم",
        ] {
            assert_eq!((line(good), text(good)), (good.into(), good.into()));
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = json!({ HOSTILE: [HOSTILE, "\u{e0041}", 1.5, null] });
        let read: Value = serde_json::from_str(&json(&value)).unwrap();
        assert_eq!(read, value);
        let pretty = pretty_json(&value);
        assert!(!pretty.chars().any(|c| steers(c) && c != '\n') && pretty.contains("\n  "));
        assert_eq!(serde_json::from_str::<Value>(&pretty).unwrap(), value);
    }
}
