//! Values as they are written in paths and queries.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Number;

/// Encodes a path segment: everything but RFC 3986's unreserved characters, so that no value reaches beyond its
/// segment.
pub fn segment(value: &str) -> String {
    const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
    const RESERVED_WITHIN: AsciiSet = RESERVED.remove(b'.');
    let reserved = match value {
        "." | ".." => &RESERVED,
        _ => &RESERVED_WITHIN,
    };
    utf8_percent_encode(value, reserved).to_string()
}

/// A number as it is written in a path or a query. There, an integer has neither a fraction nor an exponent, while 5.0
/// and 5e0 are integers in JSON Schema.
pub fn plain(number: &Number) -> String {
    // Up to this number, each integer has a double of its own (RFC 8259, section 6).
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    let float = number.as_f64().filter(|_| number.is_f64());
    match float.filter(|float| float.fract() == 0.0 && float.abs() <= MAX_SAFE_INTEGER) {
        Some(whole) => (whole as i64).to_string(),
        None => number.to_string(),
    }
}
