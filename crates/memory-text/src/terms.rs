//! Words, as texts are indexed by them and searched for them: without case and accents, in scripts with spaces and without.

use markdown::folded;
use serde::Serialize;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;

/// The number of words of a query that count.
const MAX_QUERY_TERMS: usize = 64;
/// The longest word in bytes. What is longer is data, and not looked for.
const MAX_TERM_BYTES: usize = 100;

/// A word of a query.
#[derive(Debug, PartialEq, Serialize)]
pub struct Word {
    /// The word as it is indexed.
    term: String,
    /// The weight of the word beside the others.
    weight: f64,
}

/// The words of texts, each once.
pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all = BTreeSet::new();
    for text in texts {
        for run in runs(&simplified(text)) {
            all.extend(run.terms().into_iter().map(|(term, _)| term));
            all.extend(run.letters().map(String::from));
        }
    }
    all.into_iter().collect()
}

/// The words of a query, each with what it counts: a name with digits more than a word, and a pair of signs of a script
/// without spaces less.
pub fn of_query(query: &str) -> Vec<Word> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for run in runs(&simplified(query)) {
        let mut terms = run.terms();
        if terms.is_empty() {
            terms.extend(run.letters().map(|letter| (letter.into(), 0.5)));
        }
        all.extend(
            terms
                .into_iter()
                .filter(|(term, _)| seen.insert(term.clone())),
        );
    }
    all.truncate(MAX_QUERY_TERMS);
    let words = all.into_iter();
    words.map(|(term, weight)| Word { term, weight }).collect()
}

/// A text without case, accents, and other ways to write the same letter.
fn simplified(text: &str) -> String {
    let plain = folded(text);
    let plain = plain
        .nfd()
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .nfc();
    plain.fold(String::with_capacity(text.len()), |mut plain, c| {
        match c {
            'ß' => plain.push_str("ss"),
            'ı' => plain.push('i'),
            'ς' => plain.push('σ'),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            c => plain.push(c),
        }
        plain
    })
}

/// Whether a letter is of a script whose words are not separated, or change at their ends: its words are found by pairs of
/// letters.
fn is_dense(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'       // Thai, Lao
        | '\u{0f00}'..='\u{109f}'     // Tibetan, Myanmar
        | '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' // Korean
        | '\u{1780}'..='\u{17ff}'     // Khmer
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' // Japanese
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Whether a character belongs to a word. Marks do, such as vowels in Thai and Devanagari.
fn is_word(c: char) -> bool {
    c.is_alphanumeric()
        || is_dense(c)
        || matches!(c, '\u{0591}'..='\u{05c7}' | '\u{064b}'..='\u{065f}' | '\u{0900}'..='\u{0dff}')
}

/// Whether a character joins the parts of a name, such as `INV-20993` or `a.b@example.org`.
fn joins(c: char) -> bool {
    "-_.@/:+#'’".contains(c)
}

/// A piece of text without spaces, in parts that signs join.
struct Run<'a>(Vec<&'a str>);

fn runs(text: &str) -> Vec<Run<'_>> {
    let pieces = text.split(|c| !is_word(c) && !joins(c));
    let parts = pieces.map(|piece| piece.split(joins).filter(|part| !part.is_empty()).collect());
    parts.map(Run).filter(|run| !run.0.is_empty()).collect()
}

impl Run<'_> {
    /// The words of the piece with what they count: its parts, and all of it if it has several.
    fn terms(&self) -> Vec<(String, f64)> {
        let mut terms = Vec::new();
        for part in &self.0 {
            words_of(part, &mut terms);
        }
        if self.0.len() > 1 {
            let has_digit = self
                .0
                .iter()
                .any(|part| part.contains(|c: char| c.is_ascii_digit()));
            terms.push((self.0.join("-"), if has_digit { 3.0 } else { 1.0 }));
        }
        terms.retain(|(term, _)| term.len() <= MAX_TERM_BYTES);
        terms
    }

    /// The single letters of scripts without spaces.
    fn letters(&self) -> impl Iterator<Item = char> {
        self.0
            .iter()
            .flat_map(|part| part.chars())
            .filter(|c| is_dense(*c))
    }
}

/// Adds the words of a part: each piece of a script with spaces, and pairs of letters of others.
fn words_of(part: &str, terms: &mut Vec<(String, f64)>) {
    let letters: Vec<char> = part.chars().collect();
    for piece in letters.chunk_by(|a, b| is_dense(*a) == is_dense(*b)) {
        if is_dense(piece[0]) {
            let pairs = piece.windows(2).map(|pair| (pair.iter().collect(), 0.5));
            terms.extend(pairs);
        } else {
            let word: String = piece.iter().collect();
            let weight = if word.contains(|c: char| c.is_ascii_digit()) {
                2.0
            } else {
                1.0
            };
            terms.push((word, weight));
        }
    }
    // Where the script changes, a word may go on, as in `C盘`.
    let borders = letters
        .windows(2)
        .filter(|pair| is_dense(pair[0]) != is_dense(pair[1]));
    terms.extend(borders.map(|pair| (pair.iter().collect(), 1.0)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether a text has all words of a query.
    fn finds(text: &str, query: &str) -> bool {
        let words = of_query(query);
        let known = of([text]);
        !words.is_empty() && words.iter().all(|word| known.contains(&word.term))
    }

    #[test]
    fn words_are_found_in_all_scripts() {
        for (text, query) in [
            ("即适者生存", "生存"),
            ("即适者生存", "适"),
            ("今日は成語しりとりをした", "しりとり"),
            ("저는 서울에서 살아요", "서울"),
            ("ฉันชอบกินข้าวผัด", "ข้าว"),
            ("C盘满了", "c盘"),
            ("İstanbul'da yaşıyor", "istanbul"),
            ("Die Straße ist gesperrt", "STRASSE"),
            ("un cafe\u{301} noir", "café"),
            ("Rechnung INV-20993 ist bezahlt", "INV-20993"),
            ("Mail an ada.b@example.org", "ada.b@example.org"),
            ("Привет, Мир", "мир"),
        ] {
            assert!(finds(text, query), "{text}: {query} {:?}", of([text]));
        }
        assert!(!finds("Rechnung INV-20994", "INV-20993"));
        assert!(!finds("今日は晴れ", "しりとり"));
    }

    #[test]
    fn signs_are_not_words() {
        assert_eq!(of_query("?! … — ()"), []);
    }

    proptest! {
        #[test]
        fn a_text_is_found_by_itself(text in "\\PC{0,40}") {
            prop_assert!(of_query(&text).is_empty() || finds(&text, &text));
        }
    }
}
