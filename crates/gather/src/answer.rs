//! What the commands of clients print of a server's answers. Texts of strangers are in them, so all goes through
//! [`plain`].

use serde_json::Value;

use crate::plain;

/// Prints an answer: as JSON in one line, or as the text that `show` makes of it.
pub fn print(json: bool, answer: &Value, show: impl FnOnce(&Value) -> String) {
    if json {
        say!("{}", plain::json(answer));
    } else {
        say!("{}", plain::text(&show(answer)));
    }
}

/// The text of a member, or a dash if it is absent or not a text.
pub fn text(member: &Value) -> &str {
    member.as_str().unwrap_or("-")
}

/// The items of a history's first page, each in a line, and whether there are older ones.
pub fn newest(page: &Value, line: impl Fn(&Value) -> String) -> String {
    let shown = lines(&page["items"], line);
    if page["next"].is_null() {
        shown
    } else {
        format!("{shown}\nOlder ones are not shown.")
    }
}

/// The items of a list, each in a line.
pub fn lines(items: &Value, line: impl Fn(&Value) -> String) -> String {
    let lines: Vec<_> = items.as_array().into_iter().flatten().map(line).collect();
    if lines.is_empty() {
        return "None.".to_owned();
    }
    lines.join("\n")
}
