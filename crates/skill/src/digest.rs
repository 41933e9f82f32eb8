//! Digests of components and of JSON.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// The SHA-256 of bytes, as `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// The SHA-256 of bytes, as 64 hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The hexadecimal SHA-256 of a value's canonical JSON (RFC 8785), which is the same for everybody who has the same
/// value.
///
/// # Errors
/// The value can't be written as JSON.
pub fn of_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(hex(&serde_json_canonicalizer::to_vec(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_fields_and_the_form_of_numbers_do_not_matter() {
        let one = of_json(&json!({"b": 1.0, "a": "é"})).unwrap();
        let two =
            of_json(&serde_json::from_str::<serde_json::Value>(r#"{"a":"\u00e9","b":1}"#).unwrap())
                .unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn the_empty_digest_is_the_published_one() {
        assert_eq!(
            of_bytes(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
