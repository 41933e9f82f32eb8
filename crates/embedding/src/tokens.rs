//! The tokenizer of BERT: words are cleaned, and cut into the longest pieces of a vocabulary.

use std::collections::HashMap;
use std::iter;

use anyhow::{Context, Result};
use serde::Deserialize;
use unicode_categories::UnicodeCategories;
use unicode_normalization::UnicodeNormalization;

use crate::MAX_TOKENS;

static FILE: &[u8] = include_bytes!("../model/tokenizer.json");

/// The characters of a word above which it is unknown as a whole.
const MAX_WORD: usize = 100;
/// What continues a word begins with this in the vocabulary.
const CONTINUES: &str = "##";

/// The vocabulary.
pub struct Tokenizer {
    pieces: HashMap<Box<str>, u32>,
    /// The tokens that stand for themselves in a text.
    special: Vec<(Box<str>, u32)>,
    unknown: u32,
    first: u32,
    last: u32,
}

#[derive(Deserialize)]
struct Description {
    added_tokens: Vec<Added>,
    model: Vocabulary,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: Box<str>,
}

#[derive(Deserialize)]
struct Vocabulary {
    vocab: HashMap<Box<str>, u32>,
}

impl Tokenizer {
    /// Reads the vocabulary.
    pub fn load() -> Result<Self> {
        let file: Description = serde_json::from_slice(FILE).context("the model's tokenizer")?;
        let pieces = file.model.vocab;
        let id = |name: &str| {
            let found = pieces.get(name).copied();
            found.with_context(|| format!("the model's tokenizer has no {name}"))
        };
        Ok(Self {
            unknown: id("[UNK]")?,
            first: id("[CLS]")?,
            last: id("[SEP]")?,
            special: file
                .added_tokens
                .into_iter()
                .map(|added| (added.content, added.id))
                .collect(),
            pieces,
        })
    }

    /// The tokens of a text, between the first and the last one. What is too long ends early.
    pub fn tokens(&self, text: &str) -> Vec<u32> {
        let mut tokens = vec![self.first];
        let mut rest = text;
        while !rest.is_empty() && tokens.len() < MAX_TOKENS {
            let next = self.next_special(rest);
            let (end, length, id) = next.unwrap_or((rest.len(), 0, None));
            self.push(&rest[..end], &mut tokens);
            tokens.extend(id);
            rest = &rest[end + length..];
        }
        tokens.truncate(MAX_TOKENS - 1);
        tokens.push(self.last);
        tokens
    }

    /// Where the next special token begins, its length, and its number.
    fn next_special(&self, text: &str) -> Option<(usize, usize, Option<u32>)> {
        let found = self.special.iter().filter_map(|(name, id)| {
            let at = text.find(&**name)?;
            Some((at, name.len(), Some(*id)))
        });
        found.min()
    }

    /// Adds the tokens of a text without special ones, until there are enough.
    fn push(&self, text: &str, tokens: &mut Vec<u32>) {
        let mut word = String::new();
        // The last space ends the last word.
        for c in cleaned(text).chain(iter::once(' ')) {
            if c.is_whitespace() {
                self.push_word(&mut word, tokens);
            } else if is_punctuation(c) {
                self.push_word(&mut word, tokens);
                word.push(c);
                self.push_word(&mut word, tokens);
            } else {
                word.push(c);
            }
            if tokens.len() >= MAX_TOKENS {
                return;
            }
        }
    }

    /// Adds the pieces of a word, and empties it. One that has no pieces is unknown.
    fn push_word(&self, word: &mut String, tokens: &mut Vec<u32>) {
        if word.is_empty() {
            return;
        }
        match self.pieces_of(word) {
            Some(pieces) => tokens.extend(pieces),
            None => tokens.push(self.unknown),
        }
        word.clear();
    }

    fn pieces_of(&self, word: &str) -> Option<Vec<u32>> {
        if word.chars().count() > MAX_WORD {
            return None;
        }
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut piece = String::new();
        while start < word.len() {
            let ends = word[start..].char_indices();
            let mut ends: Vec<_> = ends.map(|(at, c)| start + at + c.len_utf8()).collect();
            let found = loop {
                let end = ends.pop()?;
                piece.clear();
                if start > 0 {
                    piece.push_str(CONTINUES);
                }
                piece.push_str(&word[start..end]);
                if let Some(id) = self.pieces.get(piece.as_str()) {
                    break (end, *id);
                }
            };
            start = found.0;
            pieces.push(found.1);
        }
        Some(pieces)
    }
}

/// The characters of a text in small letters, without accents and control characters, and with Chinese ones apart.
fn cleaned(text: &str) -> impl Iterator<Item = char> {
    let kept = text.chars().filter(|c| !is_dropped(*c));
    let spaced = kept.flat_map(|c| {
        let space = is_chinese(c).then_some(' ');
        let c = if c.is_whitespace() { ' ' } else { c };
        space.into_iter().chain(iter::once(c)).chain(space)
    });
    let bare = spaced.nfd().filter(|c| !c.is_mark_nonspacing());
    bare.flat_map(char::to_lowercase)
}

fn is_dropped(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\0' | '\u{fffd}' => true,
        c => c.is_other(),
    }
}

fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_punctuation()
}

fn is_chinese(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}
