//! The wording of a text: two texts with the same one say the same.

use markdown::folded;

/// The words of a text in their order, without what changes nothing: articles, case, and punctuation. Numbers with their
/// signs, negations and question marks are words; names are kept as they are written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wording {
    words: Vec<String>,
    names: Vec<String>,
}

/// A word of a text as it is written, without the punctuation around it, or a question mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'a> {
    pub written: &'a str,
    /// Whether it stands where a sentence begins, and any word has a capital letter.
    pub begins: bool,
}

impl Word<'_> {
    /// Whether it is written as a name is, and for no other reason.
    pub fn is_name(&self) -> bool {
        !self.begins && self.written.contains(char::is_uppercase)
    }

    /// The word without case.
    pub fn folded(&self) -> String {
        folded(&self.written.replace('’', "'"))
    }
}

/// The words of a text, without articles.
pub fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut begins = true;
    let mut pieces = text.split_whitespace().peekable();
    while let Some(piece) = pieces.next() {
        let written = trimmed(piece);
        let is_article = is_article(written, begins) && pieces.peek().is_some();
        if !written.is_empty() && !is_article {
            words.push(Word { written, begins });
        }
        if piece.contains('?') || piece.contains('？') {
            words.push(Word {
                written: "?",
                begins: false,
            });
        }
        begins = ends(piece);
    }
    words
}

/// Whether a sentence ends with a piece of text.
pub fn ends(piece: &str) -> bool {
    piece.ends_with(['.', '!', '?', ':', '。'])
}

impl Wording {
    /// The wording of a text.
    pub fn of(text: &str) -> Self {
        let words = words(text);
        let names = words.iter().filter(|word| word.is_name());
        Self {
            names: names.map(|word| word.written.to_owned()).collect(),
            words: words.iter().map(Word::folded).collect(),
        }
    }
}

/// A word without the punctuation around it. Signs that belong to a number or a quantity stay: `-5`, `50%`, `€3`.
fn trimmed(piece: &str) -> &str {
    let is_ornament = |c: char| {
        matches!(
            c,
            '.' | ','
                | ';'
                | ':'
                | '!'
                | '?'
                | '"'
                | '\''
                | '('
                | ')'
                | '['
                | ']'
                | '“'
                | '”'
                | '„'
                | '‘'
                | '’'
                | '«'
                | '»'
                | '。'
                | '、'
                | '，'
                | '！'
                | '？'
                | '「'
                | '」'
                | '…'
                | '*'
                | '_'
                | '`'
        )
    };
    piece.trim_matches(is_ornament)
}

/// Whether a word is an article of English. A capital A or The within a sentence may be a name.
fn is_article(word: &str, begins: bool) -> bool {
    matches!(word, "a" | "an" | "the") || begins && matches!(word, "An" | "The")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_ornaments_differ() {
        for (one, other) in [
            ("The user prefers a dark mode.", "user prefers dark mode"),
            ("Ada lives in Paris", "Ada lives in Paris."),
            ("Don't call before 9:00!", "don’t call before 9:00"),
            ("今日は晴れ。", "今日は晴れ"),
            ("  two   spaces ", "Two spaces"),
        ] {
            assert_eq!(Wording::of(one), Wording::of(other), "{one} / {other}");
        }
    }

    #[test]
    fn opposites_numbers_and_names_differ() {
        for (one, other) in [
            ("Ada likes tea", "Ada hates tea"),
            ("Ada likes tea", "Ada does not like tea"),
            ("Ada likes tea", "Ada no longer likes tea"),
            ("Ada loves Ben", "Ben loves Ada"),
            ("The meeting is at 10:00", "The meeting is at 11:00"),
            ("It costs 5 EUR", "It costs -5 EUR"),
            ("It costs 1.5 EUR", "It costs 15 EUR"),
            ("It costs 5€", "It costs 5$"),
            ("It grew by 50%", "It grew by 50"),
            ("5 km", "5 miles"),
            ("2026-01-02", "2026-02-01"),
            ("Ada mag Tee", "Ada mag keinen Tee"),
            ("アダはお茶が好き", "アダはお茶が嫌い"),
            ("アダはお茶を飲む", "アダはお茶を飲まない"),
            ("Ask Polish people", "Ask polish people"),
            ("Ada comes", "Ada comes?"),
            ("Take vitamin A", "Take vitamin"),
            ("can do it", "can't do it"),
            ("with sugar", "without sugar"),
            ("before noon", "after noon"),
        ] {
            assert_ne!(Wording::of(one), Wording::of(other), "{one} / {other}");
        }
    }

    proptest! {
        #[test]
        fn a_text_means_itself(text in "\\PC*") {
            prop_assert_eq!(Wording::of(&text), Wording::of(&format!(" {text} ")));
        }
    }
}
