//! The bounds of an expression's text. The parser of CEL and its evaluator recurse without a limit of their own, so what
//! would nest too deep for the stack of a component is refused before they see it.

/// The deepest nesting of brackets.
const MAX_NESTING: usize = 32;
/// The largest number of operators of which each works on the value of the next.
const MAX_DEPTH: usize = 100;
/// The largest number of terms of a sum that are evaluated together, beside what the terms are made of.
const TERMS: usize = 50;
/// The name by which the later parts of a long sum read the sum so far.
pub(super) const SUM: &str = "sum_so_far";

/// The operators of one pair of brackets, or of those around all.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    /// The operators of the present operand.
    present: usize,
    /// The most operators of an operand.
    most: usize,
    /// The choices by `?`, of which each contains the next.
    choices: usize,
}

impl Level {
    fn depth(self) -> usize {
        self.most.max(self.present) + self.choices
    }

    /// Begins another operand, beside the present one and not on top of it.
    fn next_operand(&mut self) {
        self.most = self.most.max(self.present);
        self.present = 0;
    }
}

/// A token of an expression, as far as it matters for its bounds.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Open(u8),
    Close,
    Comma,
    /// A name, a number or a text.
    Operand(&'a str),
    Operator(&'a str),
}

/// Checks the bounds of an expression. Answers its text in parts: one, or the parts of a long sum, of which each but the
/// first begins with [`SUM`].
///
/// # Errors
/// It nests too deep.
pub(super) fn parts(text: &str) -> Result<Vec<String>, String> {
    let mut levels = vec![Level::default()];
    // The same as the outermost level, if each term of a sum there is an operand of its own.
    let mut terms = Level::default();
    let mut signs = Vec::new();
    let (mut is_sum, mut has_operand) = (true, false);
    let mut at = 0;
    while let Some((token, start, end)) = token(text, at) {
        at = end;
        let is_outermost = levels.len() == 1;
        let Some(level) = levels.last_mut() else {
            break;
        };
        let was_operand = std::mem::replace(&mut has_operand, false);
        match token {
            Token::Open(bracket) => {
                // A place in a list, or a field.
                let operators = usize::from(bracket == b'[' && was_operand);
                level.present += operators;
                if is_outermost {
                    terms.present += operators;
                }
                levels.push(Level::default());
                if levels.len() > MAX_NESTING + 1 {
                    return Err(format!("is nested deeper than {MAX_NESTING}"));
                }
            }
            // The parser refuses one that closes nothing.
            Token::Close if is_outermost => {}
            Token::Close => {
                let inner = level.depth();
                levels.pop();
                if let Some(level) = levels.last_mut() {
                    level.present += inner;
                }
                if levels.len() == 1 {
                    terms.present += inner;
                }
                has_operand = true;
            }
            Token::Comma => {
                *level = Level {
                    choices: 0,
                    most: level.depth(),
                    present: 0,
                }
            }
            Token::Operand("in") => {
                level.present += 1;
                is_sum &= !is_outermost;
            }
            Token::Operand(_) => has_operand = true,
            Token::Operator("&&" | "||") => {
                level.next_operand();
                is_sum &= !is_outermost;
            }
            Token::Operator(operator @ ("?" | ":")) => {
                level.choices += usize::from(operator == "?");
                level.next_operand();
                is_sum &= !is_outermost;
            }
            Token::Operator("+" | "-") if was_operand => {
                level.present += 1;
                if is_outermost {
                    terms.next_operand();
                    signs.push(start);
                }
            }
            Token::Operator(operator) => {
                level.present += 1;
                if is_outermost {
                    terms.present += 1;
                    is_sum &= matches!(operator, "." | "*" | "/" | "%" | "!" | "-");
                }
            }
        }
    }
    // What is left open is nested as deep for the parser, which refuses it then.
    let depth: usize = levels.iter().map(|level| level.depth()).sum();
    if depth <= MAX_DEPTH {
        return Ok(vec![text.to_owned()]);
    }
    if !is_sum || levels.len() > 1 || terms.depth() + TERMS > MAX_DEPTH {
        return Err(format!(
            "has more than {MAX_DEPTH} operators on top of each other"
        ));
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for sign in signs.iter().copied().skip(TERMS).step_by(TERMS) {
        parts.push(part(text, from, sign));
        from = sign;
    }
    parts.push(part(text, from, text.len()));
    Ok(parts)
}

fn part(text: &str, from: usize, to: usize) -> String {
    let part = &text[from..to];
    match from {
        0 => part.to_owned(),
        _ => format!("{SUM}{part}"),
    }
}

/// The token at a place or after it, with where it begins and ends.
fn token(text: &str, at: usize) -> Option<(Token<'_>, usize, usize)> {
    let bytes = text.as_bytes();
    let mut start = at;
    loop {
        match bytes.get(start)? {
            b'/' if bytes.get(start + 1) == Some(&b'/') => {
                let line = text[start..].find('\n');
                start = line.map_or(text.len(), |length| start + length);
            }
            byte if byte.is_ascii_whitespace() => start += 1,
            _ => break,
        }
    }
    let rest = &bytes[start..];
    let length = |fits: fn(u8) -> bool| rest.iter().take_while(|byte| fits(**byte)).count();
    let end = match rest[0] {
        b'"' | b'\'' => start + quoted(rest, false),
        b'0'..=b'9' => start + number(rest),
        byte if byte.is_ascii_alphabetic() || byte == b'_' => {
            let word = length(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let is_prefix = word <= 2 && rest[..word].iter().all(|byte| b"rRbB".contains(byte));
            let is_raw = rest[..word].iter().any(|byte| b"rR".contains(byte));
            match rest.get(word) {
                Some(b'"' | b'\'') if is_prefix => start + word + quoted(&rest[word..], is_raw),
                _ => start + word,
            }
        }
        bracket @ (b'(' | b'[' | b'{') => return Some((Token::Open(bracket), start, start + 1)),
        b')' | b']' | b'}' => return Some((Token::Close, start, start + 1)),
        b',' => return Some((Token::Comma, start, start + 1)),
        _ => {
            let two = ["&&", "||", "==", "!=", "<=", ">="];
            let first = text[start..].chars().next()?;
            let is_two = text
                .get(start..start + 2)
                .is_some_and(|both| two.contains(&both));
            let end = start + if is_two { 2 } else { first.len_utf8() };
            return Some((Token::Operator(&text[start..end]), start, end));
        }
    };
    Some((Token::Operand(&text[start..end]), start, end))
}

/// The length of a text, with its quotes; of one that does not end, the rest.
fn quoted(bytes: &[u8], is_raw: bool) -> usize {
    let quote = bytes[0];
    let is_triple = bytes.starts_with(&[quote; 3]);
    let ends: &[u8] = if is_triple { &[quote; 3] } else { &[quote] };
    let mut at = ends.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' && !is_raw {
            at += 2;
        } else if bytes[at..].starts_with(ends) {
            return at + ends.len();
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The length of a number, whose exponent may have a sign.
fn number(bytes: &[u8]) -> usize {
    let is_hex = bytes.len() > 1 && bytes[1].eq_ignore_ascii_case(&b'x');
    let mut at = 1;
    while at < bytes.len() {
        let before = bytes[at - 1];
        let is_sign = !is_hex && b"+-".contains(&bytes[at]) && before.eq_ignore_ascii_case(&b'e');
        let is_point = bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !(bytes[at].is_ascii_alphanumeric() || is_sign || is_point) {
            break;
        }
        at += 1;
    }
    at
}
