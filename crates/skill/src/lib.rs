//! The definition of a skill, without running it: its manifest ([`Manifest`]), the tools and parts of its component
//! ([`inspect`]), and the signed statements about it ([`statement`]).

pub mod digest;
mod docs;
mod embed;
pub mod imports;
mod inspect;
pub mod manifest;
pub mod names;
mod schema;
pub mod statement;

pub use embed::embed_docs;
pub use inspect::{Facts, Inspection, Refusal, Refused, Section, Tool, inspect};
pub use manifest::{Example, Expected, FieldError, KeyValue, Limits, Manifest, Permissions};

/// Replaces zero characters, which PostgreSQL does not store.
fn without_zeros(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The largest component that is accepted, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 32 << 20;
