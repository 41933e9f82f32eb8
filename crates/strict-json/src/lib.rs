//! Reads the JSON of strangers into types.
//!
//! serde takes an array for a struct, its members by position. Nobody documents that form and no schema describes it,
//! so [`read`] refuses it, at any depth. An integer may be written with an empty fraction (`5.0`), as JSON Schema has it.
//! What is refused is said in JSON's words, with the path.
//!
//! Members behind `#[serde(flatten)]` and in untagged or internally tagged enums are read by serde from a copy of its
//! own, which this crate doesn't see: types of input have none that hold structs.

mod explain;
mod repeated;
mod strict;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The text is not JSON; this says why, and where it breaks.
    Malformed(String),
    /// The text is JSON and doesn't fit.
    Invalid {
        /// The path of the refused value, such as `items[0].title`; empty for the whole.
        path: String,
        /// What the value must be.
        detail: String,
    },
}

impl Refusal {
    /// The path of the refused value below `root`, which is the name of the whole.
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

/// As [`read`], and no object may name a member twice: for what is hashed or signed, where two readers that each keep
/// another of the two would disagree about what was signed (RFC 8785 builds on I-JSON, RFC 7493, section 2.3).
///
/// # Errors
/// As [`read`]; also a repeated member.
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

/// Reads a value that was parsed before.
///
/// # Errors
/// The value doesn't fit the type.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    located(strict::Strict(value))
        .map_err(|(path, error)| explain::explain(path, &error.to_string()))
}

/// Says in JSON's words what serde said of a value at a path.
pub fn explain(path: &str, message: &str) -> Refusal {
    explain::explain(path.to_owned(), message)
}

/// The value, or an error with the path of what it is about.
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
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&place).unwrap_or(&text);
    if error.is_data() {
        explain::explain(path, what)
    } else {
        Refusal::Malformed(format!("{what}{place}"))
    }
}

#[cfg(test)]
mod tests;
