//! Reads untrusted JSON into types.
//!
//! serde accepts an array for a struct, with its members by position. Nobody documents that form and schemas do not
//! describe it, so [`read`] refuses it, at any depth. An integer may be written with an empty fraction (`5.0`), as in
//! JSON Schema. Refusals are explained in the terms of JSON, with the path.
//!
//! serde reads members behind `#[serde(flatten)]` and in untagged or internally tagged enums from a copy of its own,
//! which this crate does not see. Types of input must not have structs there.

mod explain;
mod repeated;
mod strict;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The reason why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The text is not JSON. The message says why, and where the error is.
    Malformed(String),
    /// The text is JSON, but does not fit the type.
    Invalid {
        /// The path of the refused value, such as `items[0].title`; empty for the whole text.
        path: String,
        /// What the value must be.
        detail: String,
    },
}

impl Refusal {
    /// The path of the refused value below `root`, which names the whole text.
    pub fn below(root: &str, path: &str) -> String {
        match path {
            "" => root.to_owned(),
            path if path.starts_with('[') => format!("{root}{path}"),
            path => format!("{root}.{path}"),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(what) => write!(out, "it is not JSON: {what}"),
            Self::Invalid { path, detail } if path.is_empty() => write!(out, "it {detail}"),
            Self::Invalid { path, detail } => write!(out, "`{path}` {detail}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Reads a whole text.
///
/// # Errors
/// The text is not JSON, or doesn't fit the type.
pub fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = located(strict::Strict(&mut deserializer)).map_err(refusal)?;
    deserializer
        .end()
        .map_err(|error| refusal((String::new(), error)))?;
    Ok(value)
}

/// Like [`read`], but no object may name a member twice. For data that is hashed or signed: two readers that keep
/// different values of a repeated member would disagree about what was signed (RFC 8785 builds on I-JSON, RFC 7493,
/// section 2.3).
///
/// # Errors
/// The errors of [`read`], and a repeated member.
pub fn read_unique<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Refusal> {
    refuse_repeated(json)?;
    read(json)
}

/// Refuses a text in which an object names a member twice.
///
/// # Errors
/// The text is not JSON, or repeats a member.
pub fn refuse_repeated(json: &[u8]) -> Result<(), Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let repeated::Unique = located(&mut deserializer).map_err(refusal)?;
    deserializer
        .end()
        .map_err(|error| refusal((String::new(), error)))
}

/// Reads a value that is already parsed.
///
/// # Errors
/// The value doesn't fit the type.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    located(strict::Strict(value))
        .map_err(|(path, error)| explain::explain(path, &error.to_string()))
}

/// Explains in the terms of JSON what serde said about a value at a path.
pub fn explain(path: &str, message: &str) -> Refusal {
    explain::explain(path.to_owned(), message)
}

/// Reads a value, or returns an error with its path.
fn located<'de, D, T>(deserializer: D) -> Result<T, (String, D::Error)>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        (path, error.into_inner())
    })
}

fn refusal((path, error): (String, serde_json::Error)) -> Refusal {
    let location = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&location).unwrap_or(&text);
    if error.is_data() {
        explain::explain(path, what)
    } else {
        Refusal::Malformed(format!("{what}{location}"))
    }
}

#[cfg(test)]
mod tests;
