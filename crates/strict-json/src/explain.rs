//! Translates serde's messages into the terms of JSON.

use crate::Refusal;

/// Explains a message of serde to somebody who knows JSON but not Rust.
pub fn explain(path: String, message: &str) -> Refusal {
    // A missing or repeated member is named only in the message.
    if let Some(name) = quoted(message, "missing field `") {
        return invalid(member(&path, name), "is missing");
    }
    if let Some(name) = quoted(message, "duplicate field `") {
        return invalid(own(path, name), "is given twice");
    }
    if let Some(name) = quoted(message, "unknown field `") {
        let detail = match alternatives(message) {
            Some(known) => format!("is unknown here; known are {known}"),
            None => "is unknown here".to_owned(),
        };
        return invalid(own(path, name), detail);
    }
    if message.starts_with("unknown variant `") {
        return invalid(path, must_be_one_of(message));
    }
    for form in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some(rest) = message.strip_prefix(form)
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            return invalid(path, must_be(form, found, expected));
        }
    }
    invalid(path, other(message))
}

fn invalid(path: String, detail: impl Into<String>) -> Refusal {
    Refusal::Invalid {
        path,
        detail: detail.into(),
    }
}

/// The name in backquotes after a prefix.
fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = message.strip_prefix(prefix)?;
    let end = rest.find("`, expected ").or_else(|| rest.rfind('`'))?;
    Some(&rest[..end])
}

fn member(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Like [`member`], if the path may name the member already.
fn own(path: String, name: &str) -> String {
    let named = path
        .strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'));
    if named { path } else { member(&path, name) }
}

/// The names that serde lists after an unknown one: `a`, `b`.
fn alternatives(message: &str) -> Option<String> {
    let (_, listed) = message.rsplit_once("`, expected ")?;
    let listed = listed.strip_prefix("one of ").unwrap_or(listed);
    Some(listed.replace("` or `", "`, `"))
}

fn must_be_one_of(message: &str) -> String {
    match alternatives(message) {
        Some(one) if !one.contains("`, `") => format!("must be {one}"),
        Some(all) => format!("must be one of {all}"),
        None => "is not possible here".to_owned(),
    }
}

fn must_be(form: &str, found: &str, expected: &str) -> String {
    let expected = wanted(expected);
    if form == "invalid length " {
        return format!("must be {expected}, not one of length {found}");
    }
    if form == "invalid value: " {
        return format!("must be {expected}");
    }
    let found = if expected.starts_with("an integer") && found.starts_with("floating point") {
        Some("a number with a fraction")
    } else {
        kind(found)
    };
    match found {
        Some(found) => format!("must be {expected}, not {found}"),
        None => format!("must be {expected}"),
    }
}

/// The JSON term for what serde found.
fn kind(found: &str) -> Option<&'static str> {
    let kinds = [
        ("boolean", "a boolean"),
        ("integer", "a number"),
        ("floating point", "a number"),
        ("number", "a number"),
        ("string", "a string"),
        ("character", "a string"),
        ("null", "null"),
        ("unit value", "null"),
        ("Option value", "null"),
        ("sequence", "an array"),
        ("tuple", "an array"),
        ("map", "an object"),
    ];
    let found = kinds.iter().find(|(word, _)| found.starts_with(word));
    found.map(|(_, kind)| *kind)
}

/// The JSON term for what serde expected.
fn wanted(expected: &str) -> String {
    let is = |words: &[&str]| words.iter().any(|word| expected.starts_with(word));
    if let Some(range) = range(expected) {
        return range;
    }
    if is(&[
        "struct ",
        "a map",
        "map",
        "a JSON object",
        "struct variant ",
    ]) {
        return "an object".to_owned();
    }
    if is(&["a sequence", "a tuple", "tuple ", "an array", "a set"]) {
        return "an array".to_owned();
    }
    if expected == "f32" || expected == "f64" {
        return "a number".to_owned();
    }
    if expected == "unit" || is(&["unit struct "]) {
        return "null".to_owned();
    }
    if is(&["a character", "a borrowed string", "string", "str"]) {
        return "a string".to_owned();
    }
    if expected.contains("UUID") {
        return "a UUID".to_owned();
    }
    if expected.contains("RFC3339") || expected.contains("OffsetDateTime") {
        return "a time of RFC 3339, such as \"2026-01-31T12:00:00Z\"".to_owned();
    }
    if is(&[
        "enum ",
        "variant identifier",
        "field identifier",
        "newtype ",
    ]) || expected == "option"
    {
        return "another value".to_owned();
    }
    expected.to_owned()
}

/// The range of one of Rust's integer types.
fn range(of: &str) -> Option<String> {
    let (low, high) = match of {
        "u8" => (0, i128::from(u8::MAX)),
        "u16" => (0, i128::from(u16::MAX)),
        "u32" => (0, i128::from(u32::MAX)),
        "u64" | "usize" => (0, i128::from(u64::MAX)),
        "i8" => (i128::from(i8::MIN), i128::from(i8::MAX)),
        "i16" => (i128::from(i16::MIN), i128::from(i16::MAX)),
        "i32" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        "i64" | "isize" => (i128::from(i64::MIN), i128::from(i64::MAX)),
        "i128" | "u128" => return Some("an integer".to_owned()),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" => {
            return Some("an integer of at least 1".to_owned());
        }
        _ => return None,
    };
    Some(format!("an integer from {low} to {high}"))
}

/// Explains messages of types that parse texts, and of the standard library.
fn other(message: &str) -> String {
    let known = [
        ("UUID parsing failed", "must be a UUID"),
        ("invalid digit found in string", "must be an integer"),
        (
            "cannot parse integer from empty string",
            "must be an integer",
        ),
        ("number too large to fit", "is too large"),
        ("number too small to fit", "is too small"),
        ("invalid float literal", "must be a number"),
        ("cannot parse float from empty string", "must be a number"),
        (
            "provided string was not `true` or `false`",
            "must be `true` or `false`",
        ),
    ];
    let found = known.iter().find(|(start, _)| message.starts_with(start));
    found.map_or_else(|| message.to_owned(), |(_, words)| (*words).to_owned())
}
