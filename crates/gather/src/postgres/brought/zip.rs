//! Reads the files of a zip archive, as wheels are, whose digest was checked before.

use std::io::Read;

use anyhow::{Context, Result, bail};
use flate2::read::DeflateDecoder;

/// The record at the end, without its comment, and what it begins with.
const END_BYTES: usize = 22;
const END: &[u8] = b"PK\x05\x06";
/// The record of a file in the archive's list, and what it begins with.
const ENTRY_BYTES: usize = 46;
const ENTRY: &[u8] = b"PK\x01\x02";
/// The record before a file's content, and what it begins with.
const HEAD_BYTES: usize = 30;
const HEAD: &[u8] = b"PK\x03\x04";

/// A file in an archive.
pub(super) struct Entry<'a> {
    /// The path in the archive.
    pub(super) name: &'a str,
    method: usize,
    content: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Unpacks the file.
    pub(super) fn reader(&self) -> Result<Box<dyn Read + 'a>> {
        match self.method {
            0 => Ok(Box::new(self.content)),
            8 => Ok(Box::new(DeflateDecoder::new(self.content))),
            other => bail!("{} is packed in the unknown way {other}", self.name),
        }
    }
}

/// The files of an archive.
pub(super) fn entries(archive: &[u8]) -> Result<Vec<Entry<'_>>> {
    read(archive).context("the archive is not a zip archive")
}

fn read(archive: &[u8]) -> Option<Vec<Entry<'_>>> {
    let last = archive.len().checked_sub(END_BYTES)?;
    let end = (0..=last)
        .rev()
        .find(|at| archive[*at..].starts_with(END))?;
    let count = number(archive, end + 10, 2)?;
    let mut at = number(archive, end + 16, 4)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = archive.get(at..).filter(|rest| rest.starts_with(ENTRY))?;
        let length = |place| number(entry, place, 2);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let size = number(entry, 20, 4)?;
        let head = archive.get(number(entry, 42, 4)?..);
        let head = head.filter(|rest| rest.starts_with(HEAD))?;
        let start = HEAD_BYTES + number(head, 26, 2)? + number(head, 28, 2)?;
        entries.push(Entry {
            name: str::from_utf8(entry.get(ENTRY_BYTES..ENTRY_BYTES + name)?).ok()?,
            method: length(10)?,
            content: head.get(start..start.checked_add(size)?)?,
        });
        at += ENTRY_BYTES + name + extra + comment;
    }
    Some(entries)
}

/// A number of a record, whose lowest byte comes first.
fn number(record: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let digits = record.get(at..at + bytes)?.iter().rev();
    Some(digits.fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;

    /// An archive of one file, that says to be packed by `method`.
    fn archive(name: &str, method: u8, content: &[u8]) -> Vec<u8> {
        let name_length = [u8::try_from(name.len()).unwrap(), 0];
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let mut all = [HEAD, &[0; 4], &[method, 0], &[0; 16], &name_length, &[3, 0]].concat();
        all.extend([name.as_bytes(), b"xxx", content].concat());
        let list = u32::try_from(all.len()).unwrap().to_le_bytes();
        let head = [ENTRY, &[0; 6], &[method, 0], &[0; 8], &size, &[0; 4]].concat();
        all.extend([&head[..], &name_length, &[0; 16], name.as_bytes()].concat());
        all.extend([END, &[0; 6], &[1, 0], &[0; 4], &list, &[7, 0], b"comment"].concat());
        all
    }

    fn unpacked(archive: &[u8]) -> Result<(String, Vec<u8>)> {
        let entry = entries(archive)?.remove(0);
        let mut content = Vec::new();
        entry.reader()?.read_to_end(&mut content)?;
        Ok((entry.name.to_owned(), content))
    }

    #[test]
    fn files_are_read_as_they_were_packed() {
        let content = b"again and again and again".repeat(99);
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&content).unwrap();
        let packed = packed.finish().unwrap();
        for (method, bytes) in [(0, &content), (8, &packed)] {
            let archive = archive("a/b.sql", method, bytes);
            let (name, found) = unpacked(&archive).unwrap();
            assert_eq!((name.as_str(), &found), ("a/b.sql", &content));
        }
        let other = archive("a", 12, b"x");
        assert!(unpacked(&other).unwrap_err().to_string().contains("12"));
    }

    #[test]
    fn what_is_cut_off_is_no_archive() {
        let whole = archive("a/b.sql", 0, b"content");
        assert!(entries(&whole).is_ok());
        for length in 0..whole.len() {
            let mut part = whole[whole.len() - length..].to_vec();
            let _ = entries(&part).map(|entries| entries.len());
            part.extend([0; 3]);
            part.truncate(length / 2);
            assert!(entries(&part).is_err());
        }
    }
}
