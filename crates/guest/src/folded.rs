//! The form in which texts and queries are compared.

use unicode_normalization::UnicodeNormalization;

/// A text in the form in which it is searched: without case, and however its letters are composed.
///
/// Searchable texts are folded when they are written, since the database knows the case of ASCII only.
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_case_nor_composition_nor_width_matters() {
        assert_eq!(folded("ПРИВЕТ"), folded("привет"));
        assert_eq!(folded("cafe\u{301}"), folded("CAFÉ"));
        assert_eq!(folded("Ｇａｔｈｅｒ\u{3000}検索"), "gather 検索");
    }
}
