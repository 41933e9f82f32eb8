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
/// A text that agrees with this many characters of a form is taken out as far as it agrees, before all of the form is there.
/// So no character of a text is compared with many others, however long the value is and however it repeats itself. Of a
/// longer value that repeats itself, and can be read in two ways or as base64 of two offsets, an end that stands behind such a
/// beginning may stay; a shorter one is found wherever it stands.
const DECIDING: usize = 256;

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
    forms: Vec<Form>,
    /// The bytes that a form can begin with, escaped or not.
    begins: [bool; 256],
}

/// A form of a value.
struct Form {
    characters: Vec<Set>,
    /// For each number of characters that a text agrees with, the longest beginning of the form that these end with.
    borders: Vec<u32>,
}

/// A text that agrees with a form so far.
#[derive(Clone, Copy)]
struct Match {
    form: usize,
    /// The number of characters of the form that are there.
    matched: usize,
    ways: Ways,
}

/// The places in a text, without repetition, to which it may have been read.
#[derive(Clone, Copy, Default)]
struct Ways {
    at: [usize; WAYS],
    count: usize,
}

/// The reason why a text was not followed any further.
#[derive(PartialEq, Eq)]
enum End {
    /// The characters that were wanted are all there.
    Reached,
    /// The next character is another one.
    Differs,
    /// More text decides.
    Waits,
}

impl Ways {
    fn only(at: usize) -> Self {
        let mut ways = Self::default();
        ways.add(at);
        ways
    }

    fn add(&mut self, at: usize) {
        if self.count < WAYS && !self.all().contains(&at) {
            self.at[self.count] = at;
            self.count += 1;
        }
    }

    fn all(&self) -> &[usize] {
        &self.at[..self.count]
    }

    fn first(&self) -> usize {
        self.all().iter().copied().min().unwrap_or_default()
    }

    fn last(&self) -> usize {
        self.all().iter().copied().max().unwrap_or_default()
    }
}

impl Form {
    fn new(characters: Vec<Set>) -> Self {
        let mut borders = vec![0_u32; characters.len() + 1];
        let mut length = 0;
        for end in 1..characters.len() {
            while length > 0 && characters[length] & characters[end] == 0 {
                length = borders[length] as usize;
            }
            length += usize::from(characters[length] & characters[end] != 0);
            borders[end + 1] = u32::try_from(length).unwrap_or(u32::MAX);
        }
        Self {
            characters,
            borders,
        }
    }
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
        let mut forms = vec![plain.collect(), hex.collect()];
        forms.extend((0..3).map(|before| base64_of(value, before)));
        let forms: Vec<_> = forms.into_iter().map(Form::new).collect();
        let mut begins = [false; 256];
        for form in &forms {
            let first = form.characters.first().copied().unwrap_or_default();
            for byte in 0..=127_u8 {
                begins[usize::from(byte)] |= has(first, byte);
            }
            begins[usize::from(b'+')] |= has(first, b' ');
        }
        for escape in [b'%', b'\\', b'&'] {
            begins[usize::from(escape)] = true;
        }
        Self { forms, begins }
    }

    /// Masks text from the front. Returns what can be passed on, and how many bytes of the text that stands for: the rest
    /// may be the beginning of the value, unless this `is_last`. A form of which a part was taken out is kept in `within`
    /// until its end.
    fn scan(&self, text: &[u8], is_last: bool, within: &mut Option<Match>) -> (Vec<u8>, usize) {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        loop {
            if let Some(found) = within.take() {
                let (left, read) = self.take_out(found, &text[at..], is_last);
                at += read;
                *within = left;
                if within.is_some() {
                    break;
                }
            }
            let Some(&byte) = text.get(at) else {
                break;
            };
            if self.begins[usize::from(byte)] {
                let Ok(found) = self.find(&text[at..], is_last) else {
                    break;
                };
                if found.is_some() {
                    out.extend(MASK);
                    *within = found;
                    continue;
                }
            }
            out.push(byte);
            at += 1;
        }
        (out, at)
    }

    /// What a text begins with: a form, or enough of one. An error if more text decides.
    fn find(&self, text: &[u8], is_last: bool) -> Result<Option<Match>, ()> {
        let mut longest: Option<Match> = None;
        let mut waits = false;
        for form in 0..self.forms.len() {
            let begin = Match {
                form,
                matched: 0,
                ways: Ways::only(0),
            };
            let (found, end) = self.follow(begin, text, DECIDING, is_last);
            waits |= end == End::Waits;
            let is_longer = longest.is_none_or(|longest| longest.ways.last() < found.ways.last());
            if end == End::Reached && is_longer {
                longest = Some(found);
            }
        }
        if waits { Err(()) } else { Ok(longest) }
    }

    /// Takes out what follows a part of a form that was taken out, as far as it agrees. Returns the match if more text is
    /// needed, its places from the end of what was read, and the length of what was read.
    fn take_out(&self, found: Match, text: &[u8], is_last: bool) -> (Option<Match>, usize) {
        let mut found = found;
        loop {
            let (mut left, end) = self.follow(found, text, usize::MAX, is_last);
            if end == End::Waits {
                let read = left.ways.first();
                let places = left.ways;
                left.ways = Ways::default();
                for at in places.all() {
                    left.ways.add(at - read);
                }
                return (Some(left), read);
            }
            let read = left.ways.last();
            // What was taken out may end with the beginning of the value.
            let border = self.forms[left.form].borders[left.matched] as usize;
            if border == 0 {
                return (None, read);
            }
            found = Match {
                matched: border,
                ways: Ways::only(read),
                ..left
            };
        }
    }

    /// Follows a match through a text, up to a number of characters of its form.
    fn follow(&self, from: Match, text: &[u8], most: usize, is_last: bool) -> (Match, End) {
        let mut found = from;
        let characters = &self.forms[found.form].characters;
        while let Some(set) = characters[..most.min(characters.len())].get(found.matched) {
            let mut next = Ways::default();
            let mut waits = false;
            for at in found.ways.all() {
                step(*set, &text[*at..], &mut |length| match length {
                    Some(length) => next.add(at + length),
                    None => waits = true,
                });
            }
            if waits && !is_last {
                return (found, End::Waits);
            }
            if next.count == 0 {
                return (found, End::Differs);
            }
            found.ways = next;
            found.matched += 1;
        }
        (found, End::Reached)
    }

    /// Masks a whole text; `None` if it does not have the value.
    pub fn whole(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (out, _) = self.scan(text, true, &mut None);
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
    let bit = |at: usize| -> Option<usize> {
        let at = at.checked_sub(begin).filter(|at| *at < bits)?;
        Some(usize::from(value[at / 8] >> (7 - at % 8) & 1))
    };
    let characters = begin / 6..=(begin + bits).saturating_sub(1) / 6;
    characters
        .map(|character| {
            let (mut known, mut index) = (0, 0);
            for place in 0..6 {
                let bit = bit(character * 6 + place);
                known = known << 1 | usize::from(bit.is_some());
                index = index << 1 | bit.unwrap_or_default();
            }
            let fitting = match known {
                63 => index..index + 1,
                _ => 0..64,
            };
            let fitting = fitting.filter(|other| other & known == index);
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
    within: Option<Match>,
}

impl Masking {
    /// Masks a stream from its beginning.
    pub fn new(mask: std::sync::Arc<Mask>) -> Self {
        Self {
            mask,
            held: BytesMut::new(),
            within: None,
        }
    }

    /// Takes the next part of the stream, and returns what can be passed on.
    pub fn push(&mut self, part: &[u8]) -> Bytes {
        self.held.extend_from_slice(part);
        let (out, read) = self.mask.scan(&self.held, false, &mut self.within);
        self.held.advance(read);
        out.into()
    }

    /// Returns what waited, at the end of the stream.
    pub fn finish(&mut self) -> Bytes {
        let held = self.held.split();
        self.mask.scan(&held, true, &mut self.within).0.into()
    }
}

#[cfg(test)]
mod tests;
