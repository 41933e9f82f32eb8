//! Takes a secret's value out of text that a stranger sends: the value itself, its base64 at each offset, its hexadecimal
//! digits, and all of these as addresses, JSON, HTML and programs escape them, whichever characters they choose to escape.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

/// What stands for a value that was taken out.
const MASK: &[u8] = b"***";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The longest escape of one character: `&#x0000041;`.
const LONGEST_ESCAPE: usize = 11;
/// The number of ways to read a text that are followed at the same time. A backslash or percent sign in the value itself
/// can be read in two ways.
const WAYS: usize = 8;

/// A set of ASCII characters.
type Set = u128;

fn set_of(characters: impl IntoIterator<Item = u8>) -> Set {
    characters
        .into_iter()
        .fold(0, |set, character| set | 1_u128 << (character & 127))
}

fn has(set: Set, character: u8) -> bool {
    character < 128 && set >> character & 1 == 1
}

/// The forms of a value that are taken out.
pub struct Mask {
    patterns: Vec<Vec<Set>>,
    /// The bytes that a form can begin with, escaped or not.
    begins: [bool; 256],
}

/// What a text begins with.
#[derive(Default)]
struct Found {
    /// The length of a form of the value.
    until: Option<usize>,
    /// Whether more text may make a form, or a longer one.
    is_unfinished: bool,
}

impl Mask {
    /// Makes a mask for a value of printable ASCII.
    pub fn new(value: &[u8]) -> Self {
        let plain = value
            .iter()
            .map(|byte| set_of([byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]));
        let hex = value.iter().flat_map(|byte| {
            [byte >> 4, byte & 15].map(|digit| {
                let digit = b"0123456789abcdef"[usize::from(digit)];
                set_of([digit, digit.to_ascii_uppercase()])
            })
        });
        let mut patterns = vec![plain.collect(), hex.collect()];
        patterns.extend((0..3).map(|before| base64_of(value, before)));
        let mut begins = [false; 256];
        for pattern in &patterns {
            let first = pattern.first().copied().unwrap_or_default();
            for byte in 0..=127_u8 {
                begins[usize::from(byte)] |= has(first, byte);
            }
            begins[usize::from(b'+')] |= has(first, b' ');
        }
        for escape in [b'%', b'\\', b'&'] {
            begins[usize::from(escape)] = true;
        }
        Self { patterns, begins }
    }

    /// Masks text from the front. Returns what can be passed on, and how many bytes of the text that stands for: the rest
    /// may be the beginning of the value, unless this `is_last`.
    fn scan(&self, text: &[u8], is_last: bool) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(&byte) = text.get(at) {
            if self.begins[usize::from(byte)] {
                let found = self.find(&text[at..]);
                if found.is_unfinished && !is_last {
                    break;
                }
                if let Some(length) = found.until {
                    out.extend(MASK);
                    at += length;
                    continue;
                }
            }
            out.push(byte);
            at += 1;
        }
        (out, at)
    }

    fn find(&self, text: &[u8]) -> Found {
        let mut found = Found::default();
        for pattern in &self.patterns {
            let one = begins_with(pattern, text);
            found.until = found.until.max(one.until);
            found.is_unfinished |= one.is_unfinished;
        }
        found
    }

    /// Masks a whole text; `None` if it does not have the value.
    pub fn whole(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (out, _) = self.scan(text, true);
        (out != text).then_some(out)
    }

    /// Masks the values of headers, and drops those whose name has the secret.
    pub fn headers(&self, headers: &mut HeaderMap) {
        let names: Vec<_> = headers
            .keys()
            .filter(|name| self.whole(name.as_str().as_bytes()).is_some())
            .cloned()
            .collect();
        for name in names {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            if let Some(masked) = self.whole(value.as_bytes()) {
                *value = HeaderValue::from_bytes(&masked)
                    .unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }
}

/// The base64 of a value that stands behind some other bytes: of its first and last character only some bits are known.
fn base64_of(value: &[u8], before: usize) -> Vec<Set> {
    let bits = value.len() * 8;
    let begin = before * 8;
    let bit = |at: usize| -> Option<bool> {
        let at = at.checked_sub(begin).filter(|at| *at < bits)?;
        Some(value[at / 8] >> (7 - at % 8) & 1 == 1)
    };
    let characters = begin / 6..=(begin + bits).saturating_sub(1) / 6;
    characters
        .map(|character| {
            let fits = |index: usize| {
                (0..6).all(|place| {
                    bit(character * 6 + place)
                        .is_none_or(|bit| bit == (index >> (5 - place) & 1 == 1))
                })
            };
            let fitting = (0..64).filter(|index| fits(*index));
            fitting.fold(0, |set, index| {
                set | match BASE64[index] {
                    b'+' => set_of(*b"+-"),
                    b'/' => set_of(*b"/_"),
                    character => set_of([character]),
                }
            })
        })
        .collect()
}

/// Whether a text begins with a pattern, each character of which may be escaped.
fn begins_with(pattern: &[Set], text: &[u8]) -> Found {
    let mut ways = [0; WAYS];
    let mut count = 1;
    let mut is_unfinished = false;
    for set in pattern {
        let mut next = [0; WAYS];
        let mut found = 0;
        for at in &ways[..count] {
            step(*set, &text[*at..], &mut |length| match length {
                None => is_unfinished = true,
                Some(length) => {
                    let to = at + length;
                    if found < WAYS && !next[..found].contains(&to) {
                        next[found] = to;
                        found += 1;
                    }
                }
            });
        }
        if found == 0 {
            return Found {
                until: None,
                is_unfinished,
            };
        }
        (ways, count) = (next, found);
    }
    Found {
        until: ways[..count].iter().copied().max(),
        is_unfinished,
    }
}

/// Tells the lengths of the ways in which a text begins with a character of the set; `None` for one that more text would
/// decide.
fn step(set: Set, text: &[u8], tell: &mut impl FnMut(Option<usize>)) {
    let Some(&byte) = text.first() else {
        return tell(None);
    };
    if has(set, byte) || (byte == b'+' && has(set, b' ')) {
        tell(Some(1));
    }
    match byte {
        b'%' => digits(set, text, 1, 2, tell),
        b'\\' => match text.get(1) {
            None => tell(None),
            Some(b'u') => digits(set, text, 2, 4, tell),
            Some(b'x') => digits(set, text, 2, 2, tell),
            Some(escaped) if has(set, *escaped) => tell(Some(2)),
            Some(_) => {}
        },
        b'&' => entity(set, text, tell),
        _ => {}
    }
}

/// Reads a character as hexadecimal digits.
fn digits(set: Set, text: &[u8], from: usize, count: usize, tell: &mut impl FnMut(Option<usize>)) {
    let given = &text[from..text.len().min(from + count)];
    if !given.iter().all(u8::is_ascii_hexdigit) {
        return;
    }
    if given.len() < count {
        return tell(None);
    }
    let code = std::str::from_utf8(given)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok());
    if code
        .and_then(|code| u8::try_from(code).ok())
        .is_some_and(|code| has(set, code))
    {
        tell(Some(from + count));
    }
}

/// Reads a character as HTML writes it.
fn entity(set: Set, text: &[u8], tell: &mut impl FnMut(Option<usize>)) {
    let within = &text[1..text.len().min(LONGEST_ESCAPE)];
    let Some(end) = within.iter().position(|byte| *byte == b';') else {
        let is_open = within
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#');
        if is_open && within.len() + 1 < LONGEST_ESCAPE {
            tell(None);
        }
        return;
    };
    let name = std::str::from_utf8(&within[..end]).unwrap_or_default();
    let code = match name {
        "amp" => Some(u32::from(b'&')),
        "lt" => Some(u32::from(b'<')),
        "gt" => Some(u32::from(b'>')),
        "quot" => Some(u32::from(b'"')),
        "apos" => Some(u32::from(b'\'')),
        _ => name
            .strip_prefix('#')
            .and_then(|number| match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => number.parse().ok(),
            }),
    };
    if code
        .and_then(|code| u8::try_from(code).ok())
        .is_some_and(|code| has(set, code))
    {
        tell(Some(end + 2));
    }
}

/// Masks a stream: what may be the beginning of the value waits for what follows.
pub struct Masking {
    mask: std::sync::Arc<Mask>,
    held: BytesMut,
}

impl Masking {
    /// Masks a stream from its beginning.
    pub fn new(mask: std::sync::Arc<Mask>) -> Self {
        Self {
            mask,
            held: BytesMut::new(),
        }
    }

    /// Takes the next part of the stream, and returns what can be passed on.
    pub fn push(&mut self, part: &[u8]) -> Bytes {
        self.held.extend_from_slice(part);
        let (out, read) = self.mask.scan(&self.held, false);
        self.held.advance(read);
        out.into()
    }

    /// Returns what waited, at the end of the stream.
    pub fn finish(&mut self) -> Bytes {
        let held = self.held.split();
        self.mask.scan(&held, true).0.into()
    }
}

#[cfg(test)]
mod tests;
