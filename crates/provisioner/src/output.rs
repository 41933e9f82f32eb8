//! What an instance wrote, line by line.

use std::collections::VecDeque;

use bollard::container::LogOutput;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::backend::Lines;
use crate::instance::Line;

/// The longest line that is passed on, in bytes.
const MAX_LINE: usize = 4 << 10;

/// Collects lines, of which the last ones are kept.
pub struct Output {
    wanted: Lines,
    lines: VecDeque<Line>,
}

impl Output {
    pub fn new(wanted: Lines) -> Self {
        Self {
            wanted,
            lines: VecDeque::new(),
        }
    }

    /// Adds a part of the output, as the runtime sends it: lines that begin with their times.
    pub fn add(&mut self, part: LogOutput) {
        let stream = match part {
            LogOutput::StdErr { .. } => "stderr",
            _ => "stdout",
        };
        let bytes = part.into_bytes();
        for text in String::from_utf8_lossy(&bytes).lines() {
            let Some((at, text)) = text.split_once(' ') else {
                continue;
            };
            let Ok(at) = OffsetDateTime::parse(at, &Rfc3339) else {
                continue;
            };
            let at = at.to_offset(UtcOffset::UTC);
            if self.wanted.since.is_some_and(|since| at <= since) {
                continue;
            }
            if self.lines.len() >= self.wanted.most {
                self.lines.pop_front();
            }
            let end = text.floor_char_boundary(MAX_LINE);
            self.lines.push_back(Line {
                at,
                stream: stream.to_owned(),
                text: text[..end].to_owned(),
            });
        }
    }

    pub fn finish(self) -> Vec<Line> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &'static str) -> LogOutput {
        LogOutput::StdErr {
            message: bytes::Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn the_last_lines_after_a_time_are_kept() {
        let mut output = Output::new(Lines {
            since: OffsetDateTime::parse("2026-11-29T12:00:00.5Z", &Rfc3339).ok(),
            streams: (true, true),
            most: 2,
        });
        output.add(part("2026-11-29T12:00:00.5Z the last one that was read\n"));
        output.add(part(
            "2026-11-29T14:00:00.6+02:00 one\n2026-11-29T12:00:01Z two three\n",
        ));
        output.add(part("no time\n"));
        output.add(part("2026-11-29T12:00:02Z \n"));
        let lines = output.finish();
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["two three", ""]);
        assert_eq!(lines[0].stream, "stderr");
    }
}
