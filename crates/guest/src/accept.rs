//! The choice between two forms of an answer, by the client's preference (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether a client prefers an HTML page to a problem in JSON. An answer that depends on this must say so, with `Vary:
/// Accept`.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges: Vec<Range> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| split(line, ','))
        .filter_map(Range::parse)
        .collect();
    let json = quality(&ranges, "application", "problem+json");
    let json = json.max(quality(&ranges, "application", "json"));
    quality(&ranges, "text", "html") > json
}

/// A range of media types, with its quality in thousandths.
struct Range {
    kind: String,
    subtype: String,
    /// Whether the range asks for parameters other than the character set. Neither form has any.
    is_special: bool,
    quality: u16,
}

impl Range {
    /// Parses a media range; `None` for anything else, which is ignored.
    fn parse(text: &str) -> Option<Self> {
        let mut parameters = split(text, ';').into_iter();
        let (kind, subtype) = parameters.next()?.trim().split_once('/')?;
        if !is_token(kind) || !is_token(subtype) || kind == "*" && subtype != "*" {
            return None;
        }
        let (mut quality, mut is_special) = (1_000, false);
        for parameter in parameters {
            let Some((name, value)) = parameter.trim().split_once('=') else {
                continue;
            };
            if name.eq_ignore_ascii_case("q") {
                quality = thousandths(value)?;
                // The parameters after the weight do not belong to the media type.
                break;
            }
            let value = value.trim_matches('"');
            is_special |=
                !(name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8"));
        }
        Some(Self {
            kind: kind.to_ascii_lowercase(),
            subtype: subtype.to_ascii_lowercase(),
            is_special,
            quality,
        })
    }

    /// How closely the range matches a media type; `None` if it does not match.
    fn closeness(&self, kind: &str, subtype: &str) -> Option<u8> {
        match (&*self.kind, &*self.subtype) {
            _ if self.is_special => None,
            ("*", "*") => Some(0),
            (of, "*") if of == kind => Some(1),
            (of, name) if of == kind && name == subtype => Some(2),
            _ => None,
        }
    }
}

/// The quality of a media type, by the closest matching range. Without any range, all media types are equally good.
fn quality(ranges: &[Range], kind: &str, subtype: &str) -> u16 {
    if ranges.is_empty() {
        return 1_000;
    }
    let fitting = ranges
        .iter()
        .filter_map(|range| Some((range.closeness(kind, subtype)?, range.quality)));
    fitting.max().map_or(0, |(_, quality)| quality)
}

/// Parses a weight: `0.5` becomes 500 (RFC 9110, section 12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    if !["0", "1"].contains(&whole)
        || fraction.len() > 3
        || !fraction.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let fraction: u16 = format!("{fraction:0<3}").parse().ok()?;
    let whole = if whole == "1" { 1_000 } else { 0 };
    Some(whole + fraction).filter(|quality| *quality <= 1_000)
}

/// Splits a text at separators outside of quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefers(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, line.parse().expect("a header"));
        }
        prefers_html(&headers)
    }

    #[test]
    fn the_better_form_is_chosen() {
        for (accept, html) in [
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("text/html", true),
            ("TEXT/HTML", true),
            ("text/*", true),
            ("text/html;charset=utf-8", true),
            ("application/json;q=0.5, text/html;q=0.6", true),
            (
                "*/*;q=0.1, application/json;q=0, application/problem+json;q=0",
                true,
            ),
            ("*/*", false),
            ("application/json", false),
            ("application/json, text/html;q=0.9", false),
            ("application/json, text/html", false),
            ("text/html;q=0, */*", false),
            ("text/html;q=0", false),
            ("text/html;q=0.5, application/problem+json", false),
            ("text/html;level=1", false),
            ("application/xhtml+xml", false),
            // The closest range counts, not the first or the best.
            ("text/*, text/html;q=0.1, application/*;q=0.2", false),
            ("*/*, application/*;q=0.3", true),
            // Malformed ranges are ignored.
            ("text/html;q=2, application/json;q=0.1", false),
            ("*/html", false),
            ("nonsense", false),
            ("x=\"text/html, text/html\"", false),
            ("application/json;profile=\"a,text/html\"", false),
            ("", false),
        ] {
            assert_eq!(prefers(&[accept]), html, "{accept}");
        }
        assert!(
            prefers(&["application/json;q=0.5", "text/html"]),
            "two lines"
        );
        assert!(!prefers(&[]));
    }

    proptest! {
        #[test]
        fn any_header_is_read(accept in "[ -~]*") {
            prefers(&[accept.as_str()]);
        }

        #[test]
        fn the_higher_weight_wins(html in 0_u16..=1_000, json in 0_u16..=1_000) {
            let weight = |q: u16| format!("{}.{:03}", q / 1_000, q % 1_000);
            let accept = format!("application/json;q={}, text/html;q={}", weight(json), weight(html));
            prop_assert_eq!(prefers(&[accept.as_str()]), html > json);
        }
    }
}
