//! The position of a reader of events: what it has seen, including a part of the batch that it is reading.
//!
//! Events are committed in another order than they are numbered, so a position can't be a number: it is the snapshot
//! (PostgreSQL's `pg_snapshot`) of the reader's last look. Clients keep it as an opaque text, which is sealed and
//! padded so that it reveals nothing about other transactions, and which is invalid for a database that was restored.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

/// The purpose of the seal, so that a text sealed for something else can't pass for a position.
const PURPOSE: &[u8] = b"gather-position-v1";
/// The step between lengths of texts. Snapshots grow with the number of running transactions, which their length should
/// not reveal.
const STEP_BYTES: usize = 128;
const NONCE_BYTES: usize = 24;
/// The largest number of running transactions, which a server's connections limit.
const MAX_UNDER_WAY: usize = 4096;

/// The transactions that had ended at one moment: those below `end` that are not in `under_way`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    oldest: u64,
    end: u64,
    under_way: Vec<u64>,
}

/// The position of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The epoch of the database, which a restored database changes.
    pub epoch: i64,
    /// The time at which the position was made, in milliseconds since 1970, by the database's clock.
    pub at_ms: i64,
    /// The snapshot of everything that the reader has seen.
    pub after: Snapshot,
    /// The batch of which the reader has seen a part.
    pub within: Option<Batch>,
}

/// The events that became visible between two snapshots, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The snapshot that ends it.
    pub until: Snapshot,
    /// The number of the last event in the batch that the reader has seen.
    pub number: i64,
}

/// A text that is not a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASnapshot;

impl fmt::Display for NotASnapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("not a pg_snapshot")
    }
}

impl std::error::Error for NotASnapshot {}

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    /// Parses PostgreSQL's text form: `xmin:xmax:xip,xip`.
    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (oldest, end) = number().zip(number()).ok_or(NotASnapshot)?;
        let listed = parts.next().ok_or(NotASnapshot)?;
        let listed = listed.split(',').filter(|one| !one.is_empty());
        let under_way = listed
            .map(|one| one.parse().map_err(|_| NotASnapshot))
            .collect::<Result<Vec<u64>, _>>()?;
        let snapshot = Self {
            oldest,
            end,
            under_way,
        };
        (parts.next().is_none() && snapshot.is_sound())
            .then_some(snapshot)
            .ok_or(NotASnapshot)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:", self.oldest, self.end)?;
        for (index, one) in self.under_way.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{one}")?;
        }
        Ok(())
    }
}

impl Snapshot {
    /// Checks what PostgreSQL checks, so that its cast of the text never fails.
    fn is_sound(&self) -> bool {
        let ascending = self.under_way.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = |one: &u64| (self.oldest..self.end).contains(one);
        self.oldest > 0
            && self.oldest <= self.end
            && self.end <= i64::MAX as u64
            && self.under_way.len() <= MAX_UNDER_WAY
            && ascending
            && self.under_way.iter().all(inside)
    }

    /// The snapshot before a database's first transaction.
    #[must_use]
    pub fn before_all() -> Self {
        Self {
            oldest: 1,
            end: 1,
            under_way: Vec::new(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.oldest.to_be_bytes());
        out.extend(self.end.to_be_bytes());
        out.extend((self.under_way.len() as u16).to_be_bytes());
        for one in &self.under_way {
            out.extend(one.to_be_bytes());
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (oldest, end) = (take(bytes)?, take(bytes)?);
        let count = u16::from_be_bytes(take_bytes(bytes)?);
        let under_way = (0..count).map(|_| take(bytes)).collect::<Option<_>>()?;
        let snapshot = Self {
            oldest,
            end,
            under_way,
        };
        snapshot.is_sound().then_some(snapshot)
    }
}

impl Position {
    /// Seals the position into the text that clients keep.
    #[must_use]
    pub fn seal(&self, key: &[u8; 32]) -> String {
        let mut plain = Vec::with_capacity(STEP_BYTES);
        plain.extend(self.epoch.to_be_bytes());
        plain.extend(self.at_ms.to_be_bytes());
        self.after.write(&mut plain);
        plain.push(u8::from(self.within.is_some()));
        if let Some(batch) = &self.within {
            batch.until.write(&mut plain);
            plain.extend(batch.number.to_be_bytes());
        }
        // The content determines its own end, so the padding does not need a length.
        plain.resize(plain.len().next_multiple_of(STEP_BYTES), 0);
        // The same position always becomes the same text, so a text reveals only whether two positions are equal.
        let digest = Sha256::new_with_prefix(key).chain_update(&plain).finalize();
        let nonce = XNonce::from_slice(&digest[..NONCE_BYTES]);
        let payload = Payload {
            msg: &plain,
            aad: PURPOSE,
        };
        let sealed = XChaCha20Poly1305::new(Key::from_slice(key)).encrypt(nonce, payload);
        let sealed = sealed.expect("a position is far shorter than what the cipher takes");
        URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed text; `None` if it was not sealed with this key.
    #[must_use]
    pub fn open(key: &[u8; 32], text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: sealed,
            aad: PURPOSE,
        };
        let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
        let plain = cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?;
        let rest = &mut plain.as_slice();
        let epoch = i64::from_be_bytes(take_bytes(rest)?);
        let at_ms = i64::from_be_bytes(take_bytes(rest)?);
        let after = Snapshot::read(rest)?;
        let [has_batch] = take_bytes(rest)?;
        let within = match has_batch {
            0 => None,
            _ => Some(Batch {
                until: Snapshot::read(rest)?,
                number: i64::from_be_bytes(take_bytes(rest)?),
            }),
        };
        Some(Self {
            epoch,
            at_ms,
            after,
            within,
        })
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    take_bytes(bytes).map(u64::from_be_bytes)
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];

    fn snapshot() -> impl Strategy<Value = Snapshot> {
        (
            1..1_000_000_u64,
            prop::collection::btree_set(0..50_u64, 0..40),
        )
            .prop_map(|(oldest, steps)| Snapshot {
                oldest,
                end: oldest + 50,
                under_way: steps.into_iter().map(|step| oldest + step).collect(),
            })
    }

    fn position() -> impl Strategy<Value = Position> {
        let batch = (snapshot(), any::<i64>()).prop_map(|(until, number)| Batch { until, number });
        (
            any::<i64>(),
            any::<i64>(),
            snapshot(),
            prop::option::of(batch),
        )
            .prop_map(|(epoch, at_ms, after, within)| Position {
                epoch,
                at_ms,
                after,
                within,
            })
    }

    proptest! {
        #[test]
        fn a_position_comes_back(position in position()) {
            let text = position.seal(&KEY);
            prop_assert_eq!(Position::open(&KEY, &text), Some(position));
            prop_assert_eq!(Position::open(&[8; 32], &text), None);
        }

        #[test]
        fn a_snapshot_comes_back(snapshot in snapshot()) {
            prop_assert_eq!(snapshot.to_string().parse(), Ok(snapshot));
        }

        #[test]
        fn any_text_is_a_position_or_none(text in ".*") {
            prop_assert_eq!(Position::open(&KEY, &text), None);
        }

        #[test]
        fn a_changed_text_is_none(position in position(), at in any::<prop::sample::Index>()) {
            let mut bytes = position.seal(&KEY).into_bytes();
            let at = at.index(bytes.len() - 1);
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(Position::open(&KEY, std::str::from_utf8(&bytes).expect("ASCII")), None);
        }
    }

    #[test]
    fn what_postgresql_would_refuse_is_refused_here() {
        for text in [
            "", "1", "1:2", "0:1:", "5:4:", "1:3:3", "1:9:4,2", "1:9:2,2", "1:2:x", "1:2::",
            "1:2:1:",
        ] {
            assert_eq!(text.parse::<Snapshot>(), Err(NotASnapshot), "{text}");
        }
        assert!("10:20:10,14,15".parse::<Snapshot>().is_ok());
        assert!("10:10:".parse::<Snapshot>().is_ok());
    }

    #[test]
    fn the_length_tells_little() {
        let with = |count: u64| Position {
            epoch: 1,
            at_ms: 2,
            after: Snapshot {
                oldest: 1,
                end: 100,
                under_way: (1..=count).collect(),
            },
            within: None,
        };
        assert_eq!(with(0).seal(&KEY).len(), with(9).seal(&KEY).len());
    }
}
