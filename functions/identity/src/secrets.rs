//! Keys derived from the function's secret: one for each purpose, so that none can stand in for
//! another.

use guest::{Problem, Result, required_variable};
use hkdf::Hkdf;
use sha2::Sha256;

/// A key of 32 bytes for a purpose.
pub async fn subkey(purpose: &str) -> Result<[u8; 32]> {
    let secret = required_variable("secret_key").await?;
    let secret = from_hex(&secret)
        .ok_or_else(|| Problem::internal("the variable `secret_key` must be 64 hex digits"))?;
    derive(&secret, purpose)
}

fn derive(secret: &[u8; 32], purpose: &str) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), &mut key);
    expanded.map_err(Problem::internal)?;
    Ok(key)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_64_hex_digits() {
        assert_eq!(from_hex(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(from_hex(&"0a".repeat(31)), None);
        assert_eq!(from_hex(&"zz".repeat(32)), None);
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }

    #[test]
    fn each_purpose_has_its_key() {
        let secret = [7; 32];
        let one = derive(&secret, "one").expect("a key");
        assert_eq!(one, derive(&secret, "one").expect("a key"));
        assert_ne!(one, derive(&secret, "two").expect("a key"));
    }
}
