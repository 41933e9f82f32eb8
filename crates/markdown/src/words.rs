//! The words of a text, as they are found: in any language, any case, and however their letters are composed.

use unicode_normalization::UnicodeNormalization;

/// The number of words of a query that count.
const MAX_WORDS: usize = 8;

/// A text as it is searched: without case, and however its letters are composed.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

/// The patterns (of SQL's `like`) that a folded text must match, all of them, to be found by a query; the longest first,
/// since an index can do most with it. None: the query has no words.
#[must_use]
pub fn patterns(query: &str) -> Option<Vec<String>> {
    let folded = folded(query);
    let mut words: Vec<_> = folded.split_whitespace().take(MAX_WORDS).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    let patterns: Vec<_> = words.into_iter().map(pattern).collect();
    (!patterns.is_empty()).then_some(patterns)
}

fn pattern(word: &str) -> String {
    let mut pattern = String::from("%");
    for c in word.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Whether a line of text reaches beyond itself: by control characters, or by marks that turn the direction of writing.
#[must_use]
pub fn steers(text: &str) -> bool {
    text.contains(|c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_composition() {
        assert_eq!(folded("ПРИВЕТ"), folded("привет"));
        assert_eq!(folded("cafe\u{301}"), folded("CAFÉ"));
        assert_eq!(
            patterns("a 100%_\\x"),
            Some(vec!["%100\\%\\_\\\\x%".to_owned(), "%a%".to_owned()])
        );
        assert_eq!(patterns(" \t"), None);
    }

    #[test]
    fn a_line_stays_a_line() {
        assert!(!steers("שלום, мир, 你好 👍"));
        for text in ["a\nb", "a\u{202e}b", "a\u{2066}b", "a\0"] {
            assert!(steers(text), "{text:?}");
        }
    }
}
