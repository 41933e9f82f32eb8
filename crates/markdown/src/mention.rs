//! Mentions: names after `@`.

use crate::MAX_MENTIONS;

/// The lengths of names of accounts and teams.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=40;

/// Adds the names that a text mentions. Mail addresses are not mentions.
pub(crate) fn collect(text: &str, names: &mut Vec<String>) {
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find('@') {
        let previous = rest[..at].chars().next_back().or(before);
        rest = &rest[at + 1..];
        before = Some('@');
        let follows_word =
            previous.is_some_and(|c| c.is_alphanumeric() || matches!(c, '@' | '/' | '.' | '_'));
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('-');
        let goes_on = rest[end..]
            .chars()
            .next()
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '@' | '_'));
        if follows_word || goes_on || !LENGTHS.contains(&name.len()) {
            continue;
        }
        let name = name.to_ascii_lowercase();
        if names.len() < MAX_MENTIONS && !names.contains(&name) {
            names.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentioned(text: &str) -> Vec<String> {
        let mut names = Vec::new();
        collect(text, &mut names);
        names
    }

    #[test]
    fn names_are_found_between_other_text() {
        assert_eq!(
            mentioned("@ada, (@Bob) and @eve-1."),
            ["ada", "bob", "eve-1"]
        );
        assert_eq!(mentioned("你好@ada再见"), [""; 0]);
        assert_eq!(mentioned("谢谢 @ada。"), ["ada"]);
        assert_eq!(mentioned("@ada @ADA @ada-"), ["ada"]);
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "ada@example.org",
            "@",
            "@ab",
            "@@ada",
            "@a_b",
            "x/@ada",
            "@ada@host",
            "@äda",
        ] {
            assert_eq!(mentioned(text), [""; 0], "{text}");
        }
        let long = format!("@{}", "a".repeat(41));
        assert_eq!(mentioned(&long), [""; 0]);
    }

    #[test]
    fn only_so_many_are_told() {
        let text: String = (0..500).map(|n| format!("@name-{n} ")).collect();
        assert_eq!(mentioned(&text).len(), MAX_MENTIONS);
    }
}
