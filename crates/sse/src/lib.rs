//! Server-sent events (WHATWG HTML, section 9.2), taken apart from pieces that end anywhere.

use std::ops::Range;

/// The largest event that is accepted.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// An event is larger than [`MAX_EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub struct TooLarge;

/// One event, or a block of comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The bytes as received, with the blank line at the end.
    pub raw: Vec<u8>,
    /// The field `event`; empty if it is absent.
    pub name: String,
    /// The lines of `data`, joined by line feeds; `None` if there are none.
    pub data: Option<Vec<u8>>,
}

/// The bytes that are not an event yet.
#[derive(Debug, Default)]
pub struct Events {
    bytes: Vec<u8>,
    /// The position up to which lines were looked for.
    scanned: usize,
    /// The beginning of the line that is not complete.
    line: usize,
    /// The complete lines of the event that is not complete.
    lines: Vec<Range<usize>>,
    /// Whether the last line ended with a carriage return, which a line feed may follow.
    after_return: bool,
}

impl Events {
    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// Returns the next complete event.
    ///
    /// # Errors
    /// The event is too large, whether it is complete or not.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        while self.scanned < self.bytes.len() {
            let at = self.scanned;
            let byte = self.bytes[at];
            self.scanned += 1;
            if byte == b'\n' && std::mem::take(&mut self.after_return) {
                // The second half of a line's end. If the line was blank, this belongs to the next event.
                self.line = self.scanned;
                continue;
            }
            self.after_return = byte == b'\r';
            if byte != b'\n' && byte != b'\r' {
                continue;
            }
            let line = self.line..at;
            self.line = self.scanned;
            if !line.is_empty() {
                self.lines.push(line);
                continue;
            }
            if byte == b'\r' && self.bytes.get(self.scanned) == Some(&b'\n') {
                self.scanned += 1;
                self.line = self.scanned;
                self.after_return = false;
            }
            if let Some(event) = self.take() {
                return if event.raw.len() > MAX_EVENT_BYTES {
                    Err(TooLarge)
                } else {
                    Ok(Some(event))
                };
            }
        }
        if self.bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLarge);
        }
        Ok(None)
    }

    /// The event that a blank line completes; `None` if nothing but blank lines came.
    fn take(&mut self) -> Option<Event> {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return None;
        }
        let rest = self.bytes.split_off(self.scanned);
        let raw = std::mem::replace(&mut self.bytes, rest);
        (self.scanned, self.line) = (0, 0);
        Some(read(raw, &lines))
    }
}

fn read(raw: Vec<u8>, lines: &[Range<usize>]) -> Event {
    let (mut name, mut data) = (String::new(), None::<Vec<u8>>);
    for line in lines {
        let line = &raw[line.clone()];
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let colon = line.iter().position(|byte| *byte == b':');
        let (field, value) = match colon {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
    Event { raw, name, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The names and data of all events, and all bytes that came with them.
    fn read_in(pieces: &[&[u8]]) -> (Vec<(String, Option<String>)>, Vec<u8>) {
        let (mut events, mut all, mut raw) = (Events::default(), Vec::new(), Vec::new());
        for piece in pieces {
            events.push(piece);
            while let Some(event) = events.next_event().expect("small") {
                let data = event
                    .data
                    .map(|data| String::from_utf8(data).expect("text"));
                all.push((event.name, data));
                raw.extend(event.raw);
            }
        }
        (all, raw)
    }

    const STREAM: &str = "\u{feff}data: {\"a\":\"日本語 🙂\"}\n\nevent: ping\r\ndata:x\r\n\r\n: comment\n\ndata: one\ndata: two\rdata:three\r\r\n\ndata\n\n";

    #[test]
    fn every_cut_gives_the_same_events() {
        let (whole, _) = read_in(&[STREAM.as_bytes()]);
        let expected = [
            ("", Some("{\"a\":\"日本語 🙂\"}")),
            ("ping", Some("x")),
            ("", None),
            ("", Some("one\ntwo\nthree")),
            ("", Some("")),
        ];
        let expected: Vec<_> = expected
            .map(|(name, data)| (name.to_owned(), data.map(str::to_owned)))
            .into();
        assert_eq!(whole, expected);
        for at in 0..=STREAM.len() {
            let (first, second) = STREAM.as_bytes().split_at(at);
            assert_eq!(read_in(&[first, second]).0, whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(read_in(&bytes).0, whole);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        events.push(b"data: ");
        events.push(&vec![b'x'; MAX_EVENT_BYTES]);
        assert_eq!(events.next_event(), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-z:\\r\\n ]{0,60}", at in 0_usize..60) {
            let mut text = text;
            text.push_str("x\n\n");
            let at = at.min(text.len());
            let (first, second) = text.as_bytes().split_at(at);
            let (whole, split) = (read_in(&[text.as_bytes()]), read_in(&[first, second]));
            prop_assert_eq!(&whole.0, &split.0);
            prop_assert_eq!(whole.1, text.into_bytes());
        }
    }
}
