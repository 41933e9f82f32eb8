//! Changes of single members of a JSON object that leave all other bytes as they are.

use std::ops::Range;

/// The members of a JSON object, with the positions of their values.
#[derive(Debug)]
pub struct Members {
    /// The position after the opening brace.
    open: usize,
    members: Vec<(String, Range<usize>)>,
}

impl Members {
    /// Finds the members of a valid JSON object in `text`; `None` if it is another value, or repeats a name.
    pub fn of(text: &[u8]) -> Option<Self> {
        let mut at = skip_space(text, 0);
        if text.get(at) != Some(&b'{') {
            return None;
        }
        at += 1;
        let (open, mut members) = (at, Vec::<(String, Range<usize>)>::new());
        loop {
            at = skip_space(text, at);
            match text.get(at)? {
                b'}' => return Some(Self { open, members }),
                b',' => at += 1,
                _ => {
                    let end = skip_value(text, at)?;
                    let name: String = serde_json::from_slice(&text[at..end]).ok()?;
                    if members.iter().any(|(known, _)| *known == name) {
                        return None;
                    }
                    at = skip_space(text, end);
                    if text.get(at) != Some(&b':') {
                        return None;
                    }
                    let start = skip_space(text, at + 1);
                    at = skip_value(text, start)?;
                    members.push((name, start..at));
                }
            }
        }
    }

    /// The position of a member's value.
    pub fn get(&self, name: &str) -> Option<Range<usize>> {
        let mut members = self.members.iter();
        let found = members.find(|(known, _)| known == name);
        found.map(|(_, range)| range.clone())
    }

    /// The change that gives a member a value, whether it is there or not.
    pub fn set(&self, name: &str, value: &str) -> (Range<usize>, String) {
        if let Some(range) = self.get(name) {
            return (range, value.to_owned());
        }
        let name = serde_json::Value::from(name);
        let comma = if self.members.is_empty() { "" } else { "," };
        (self.open..self.open, format!("{name}:{value}{comma}"))
    }
}

/// Makes changes, each of another part.
pub fn apply(text: &[u8], mut changes: Vec<(Range<usize>, String)>) -> Vec<u8> {
    changes.sort_by_key(|(range, _)| range.start);
    let mut changed = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    for (range, value) in changes {
        changed.extend_from_slice(&text[at..range.start]);
        changed.extend_from_slice(value.as_bytes());
        at = range.end;
    }
    changed.extend_from_slice(&text[at..]);
    changed
}

fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The position after a value.
fn skip_value(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match text.get(at) {
            Some(b'"') => at = skip_text(text, at)?,
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            Some(b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\r' | b'\n') if depth == 0 => {
                return (at > start).then_some(at);
            }
            Some(_) => at += 1,
            None => return (depth == 0 && at > start).then_some(at),
        }
        let is_complete = matches!(text[at - 1], b'"' | b'}' | b']');
        if depth == 0 && is_complete {
            return Some(at);
        }
    }
}

/// The position after a string.
fn skip_text(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn set(text: &str, name: &str, value: &str) -> String {
        let members = Members::of(text.as_bytes()).expect("an object");
        String::from_utf8(apply(text.as_bytes(), vec![members.set(name, value)])).expect("text")
    }

    #[test]
    fn other_bytes_stay_as_they_are() {
        let odd =
            r#" { "b" : 1.0 , "\u006dodel":"x\"}" ,"n": 9007199254740993, "m":[{"model":"y"}]}"#;
        assert_eq!(
            set(odd, "model", r#""z""#),
            r#" { "b" : 1.0 , "\u006dodel":"z" ,"n": 9007199254740993, "m":[{"model":"y"}]}"#
        );
        assert_eq!(set("{}", "a", "1"), r#"{"a":1}"#);
        assert_eq!(set(r#"{"b":2}"#, "a", "1"), r#"{"a":1,"b":2}"#);
    }

    #[test]
    fn what_is_no_object_or_repeats_a_name_is_refused() {
        for text in ["[]", "1", r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(Members::of(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_member_is_set_in_any_object(name in "[a-c\\\\\"é]{0,3}", value in any::<i64>(), members in
            prop::collection::btree_map("[a-c\\\\\"é]{0,3}", "[a-z\"\\\\{}\\[\\]:,]{0,9}", 0..4)) {
            let mut object: Value = json!(members);
            let changed = set(&object.to_string(), &name, &value.to_string());
            object[name.as_str()] = json!(value);
            prop_assert_eq!(serde_json::from_str::<Value>(&changed).expect("JSON"), object);
        }
    }
}
