//! Properties of a request whose null means something else than their absence.

use serde::{Deserialize, Deserializer};

/// Tells a null from what is absent, in a property `Option<Option<T>>` that is absent by default.
///
/// # Errors
/// The value is of another type.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
