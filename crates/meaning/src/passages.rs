//! Passages: parts of a text that the model reads whole, divided where sentences or words end.

/// The size that a passage has at most. The model reads 256 tokens, and a token is a few letters of plain text, or a single
/// sign of another script.
const MAX_SIZE: usize = 600;
/// What a character that is not plain text counts.
const SIGN_SIZE: usize = 3;

/// The passages of a text, at least one.
pub fn passages(text: &str) -> Vec<&str> {
    let mut rest = text.trim();
    let mut passages = Vec::new();
    loop {
        let end = end_of(rest);
        let (passage, after) = rest.split_at(end);
        passages.push(passage.trim_end());
        rest = after.trim_start();
        if rest.is_empty() {
            return passages;
        }
    }
}

/// The end of the first passage: behind the last sentence that fits or, if that is short, the last word, or the last sign.
fn end_of(text: &str) -> usize {
    let (mut size, mut sentence, mut word) = (0, 0, 0);
    let mut former = ' ';
    for (at, c) in text.char_indices() {
        size += if c.is_ascii() { 1 } else { SIGN_SIZE };
        if size > MAX_SIZE {
            return [sentence, word]
                .into_iter()
                .find(|end| *end > at / 2)
                .unwrap_or(at);
        }
        if c.is_whitespace() {
            word = at;
            if matches!(former, '.' | '!' | '?' | '\n') || c == '\n' {
                sentence = at;
            }
        } else if matches!(c, '。' | '！' | '？') {
            sentence = at + c.len_utf8();
        }
        former = c;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_text_is_one_passage() {
        assert_eq!(
            passages(" Ada likes tea. Ben does not. "),
            ["Ada likes tea. Ben does not."]
        );
        assert_eq!(passages(""), [""]);
    }

    #[test]
    fn a_long_text_is_divided_between_sentences() {
        let text = "Ada likes tea in the afternoon. ".repeat(40);
        let passages = passages(&text);
        assert!(passages.len() > 1);
        assert!(
            passages
                .iter()
                .all(|passage| passage.starts_with("Ada") && passage.ends_with('.'))
        );
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_long(text in "(\\PC{0,40}[ .\n。]?){0,60}") {
            let passages = passages(&text);
            let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(plain(&passages.concat()), plain(&text));
            prop_assert!(passages.iter().all(|passage| passage.len() <= 2 * MAX_SIZE));
        }
    }
}
