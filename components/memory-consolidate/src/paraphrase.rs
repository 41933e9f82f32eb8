//! Texts that say the same in other words, as far as a list of words and a few rules tell it for sure. Vectors can't: those of
//! opposites, and of texts with other numbers or names, are as near as those of the same said twice.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::wording::{Word, ends, words};

/// Words and phrases that mean the same wherever both can stand, one kind in each line.
const SYNONYMS: &str = include_str!("synonyms.txt");
/// The most words of a phrase in the list.
const MAX_PHRASE: usize = 4;
/// Words that ask, and say nothing.
const POLITE: [&str; 2] = ["please", "kindly"];
/// What a phrase begins with that may stand at either end of a sentence.
const ADVERBIAL: [&str; 24] = [
    "after", "at", "because", "before", "by", "during", "each", "every", "for", "from", "if", "in",
    "last", "next", "on", "since", "under", "unless", "until", "when", "whenever", "while", "with",
    "within",
];
/// Words whose reach depends on their place, so that a sentence with one of them stays in its order.
const REACHING: [&str; 16] = [
    "all", "always", "any", "both", "even", "hardly", "just", "neither", "never", "no", "nobody",
    "none", "not", "nothing", "only", "some",
];

/// Whether two texts say the same: the same words or synonyms in the same order, so with the same numbers, names and
/// negations; but a phrase from the end of a sentence may begin it, and the sides of "is" may be exchanged. When in doubt,
/// they do not.
pub fn agree(one: &str, other: &str) -> bool {
    let (one, other) = (Statement::of(one), Statement::of(other));
    one.knows_names_of(&other)
        && other.knows_names_of(&one)
        && (one.orders().contains(&other.words) || other.orders().contains(&one.words))
}

/// A text as it is compared.
struct Statement<'a> {
    written: Vec<Word<'a>>,
    /// The words without case, with one for all of a kind.
    words: Vec<String>,
    /// Whether parts of it may be moved.
    is_loose: bool,
}

impl<'a> Statement<'a> {
    fn of(text: &'a str) -> Self {
        let written = words(text);
        let spoken: Vec<String> = written.iter().flat_map(spoken).collect();
        let mut pieces = text.split_whitespace();
        pieces.next_back();
        let is_one = !pieces.any(|piece| ends(piece) || piece.ends_with(';'));
        let is_reaching = |word: &String| REACHING.contains(&word.as_str()) || word == "?";
        Self {
            is_loose: is_one && !spoken.iter().any(is_reaching),
            words: common(&spoken),
            written,
        }
    }

    /// Whether all names of another text are here, as they are written there.
    fn knows_names_of(&self, other: &Self) -> bool {
        let mut names = other.written.iter().filter(|word| word.is_name());
        names.all(|name| self.written.iter().any(|word| word.written == name.written))
    }

    /// The orders in which the same words say the same.
    fn orders(&self) -> Vec<Vec<String>> {
        let mut orders = vec![self.words.clone()];
        if !self.is_loose {
            return orders;
        }
        for (at, word) in self.words.iter().enumerate().skip(1) {
            let (before, after) = self.words.split_at(at);
            let first = word.split(' ').next().unwrap_or_default();
            if ADVERBIAL.contains(&first) {
                orders.push([after, before].concat());
            } else if matches!(first, "is" | "are") && after.len() > 1 {
                orders.push([&after[1..], &after[..1], before].concat());
            }
        }
        orders
    }
}

/// The words that a written one is spoken as: `don't` is two.
fn spoken(word: &Word<'_>) -> Vec<String> {
    let folded = word.folded();
    let parts = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
    match folded.as_str() {
        polite if POLITE.contains(&polite) => return Vec::new(),
        "cannot" | "can't" => return parts(&["can", "not"]),
        "won't" => return parts(&["will", "not"]),
        "i'm" => return parts(&["i", "am"]),
        "it's" | "he's" | "she's" | "that's" | "there's" => {
            return parts(&[folded.trim_end_matches("'s"), "is"]);
        }
        _ => {}
    }
    for (ending, full) in [
        ("n't", "not"),
        ("'re", "are"),
        ("'ll", "will"),
        ("'ve", "have"),
        ("%", "%"),
    ] {
        if let Some(start) = folded
            .strip_suffix(ending)
            .filter(|start| !start.is_empty())
        {
            return parts(&[start, full]);
        }
    }
    vec![folded]
}

/// Words with the first of its kind in place of each phrase that the list has, the longest phrases first.
fn common(words: &[String]) -> Vec<String> {
    static KINDS: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| kinds().collect());
    let mut common = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let most = MAX_PHRASE.min(words.len() - at);
        let found = (1..=most).rev().find_map(|length| {
            let phrase = words[at..at + length].join(" ");
            Some((kinds.get(phrase.as_str())?, length))
        });
        let (word, length) =
            found.map_or((words[at].as_str(), 1), |(kind, length)| (*kind, length));
        common.push(word.to_owned());
        at += length;
    }
    common
}

/// The phrases of the list, each with the first of its kind.
fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = SYNONYMS.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(|line| {
        let phrases = line.split(',').map(str::trim);
        let first = line.split(',').next().unwrap_or_default().trim();
        phrases.map(move |phrase| (phrase, first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_list_is_in_the_form_in_which_it_is_looked_up() {
        let mut seen = BTreeMap::new();
        for (phrase, first) in kinds() {
            assert_eq!(seen.insert(phrase, first), None, "{phrase} is there twice");
            let words: Vec<String> = words(phrase).iter().flat_map(spoken).collect();
            assert_eq!(words.join(" "), phrase, "{phrase} is never found");
            assert!(words.len() <= MAX_PHRASE, "{phrase} is too long");
        }
    }

    #[test]
    fn the_same_is_said_in_other_words() {
        for (one, other) in [
            ("Ada has a car.", "Ada has an automobile"),
            (
                "Ada likes tea in the morning",
                "In the morning, Ada likes tea.",
            ),
            (
                "Green is Ada's favourite colour.",
                "Ada's favorite color is green",
            ),
            ("The build takes 10 minutes", "The build takes ten minutes."),
            ("Ada can't swim", "Ada is not able to swim"),
            ("It grew by 5%", "It grew by five percent"),
        ] {
            assert!(agree(one, other) && agree(other, one), "{one} / {other}");
        }
    }

    #[test]
    fn opposites_do_not_agree() {
        for (one, other) in [
            ("Ada likes tea", "Ada dislikes tea"),
            ("Ada loves Ben", "Ben loves Ada"),
            ("Tea is better than coffee", "Coffee is better than tea"),
            ("Ada arrives before Ben", "Ben arrives before Ada"),
            ("Ada flies from Oslo to Rome", "Ada flies from Rome to Oslo"),
            (
                "Ada does not call because of Ben",
                "Because of Ben Ada does not call",
            ),
            ("Ada only calls on Mondays", "On Mondays only Ada calls"),
            ("It grew by 5%", "It fell by 5%"),
            ("Ask Polish people", "Ask polish people"),
            ("Has Ada a car?", "Ada has a car"),
            ("Ada lived in Oslo", "Ada lives in Oslo"),
            ("Ada mag Tee", "Ada mag keinen Tee"),
            ("アダはお茶が好き", "アダはお茶が嫌い"),
            ("Call Ada. In Rome it rains.", "In Rome it rains. Call Ada."),
        ] {
            assert!(!agree(one, other) && !agree(other, one), "{one} / {other}");
        }
    }

    proptest! {
        #[test]
        fn a_text_agrees_with_itself_and_never_with_its_negation(text in "[A-Z][a-z]{1,8}( [a-z]{1,8}){1,6}") {
            prop_assert!(agree(&text, &text));
            let denied = format!("{text} not");
            prop_assert!(!agree(&text, &denied));
        }
    }
}
