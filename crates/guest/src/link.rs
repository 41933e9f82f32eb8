//! One-time links, which are mailed to a person or printed for an operator.
//!
//! A token consists of the id of the link's row and a MAC over it, so that the database contains nothing usable: 16
//! bytes of id and 32 bytes of HMAC-SHA256, in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::{Problem, Result, required_variable};

/// The purpose of the MAC, so that other MACs of the same key can't stand in for it.
const PURPOSE: &[u8] = b"gather-link-v1\0";

/// Makes the token of a link, with the key in the variable `link_key`.
///
/// # Errors
/// The variable is missing or malformed.
pub async fn link_token(id: Uuid) -> Result<String> {
    Ok(token(&key().await?, id))
}

/// The id of the link that a token belongs to; `None` if this server did not make the token.
///
/// # Errors
/// The variable is missing or malformed.
pub async fn open_link(text: &str) -> Result<Option<Uuid>> {
    Ok(open(&key().await?, text))
}

async fn key() -> Result<[u8; 32]> {
    let key = required_variable("link_key").await?;
    crate::hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `link_key` must be 64 hex digits"))
}

fn token(key: &[u8; 32], id: Uuid) -> String {
    let tag = mac(key, id).finalize().into_bytes();
    URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &tag].concat())
}

fn open(key: &[u8; 32], text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, tag) = bytes.split_at_checked(16)?;
    let id = Uuid::from_slice(id).ok()?;
    mac(key, id).verify_slice(tag).ok()?;
    Some(id)
}

fn mac(key: &[u8; 32], id: Uuid) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes any length");
    mac.update(PURPOSE);
    mac.update(id.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_opens_with_its_key_only() {
        let id = Uuid::now_v7();
        let text = token(&[1; 32], id);
        assert_eq!(text.len(), 64);
        assert_eq!(open(&[1; 32], &text), Some(id));
        assert_eq!(open(&[2; 32], &text), None);
    }

    /// `gather` makes tokens too, for the first admin; its own test has the same value.
    #[test]
    fn a_token_is_what_the_command_makes() {
        let key =
            crate::hex_key("f439db93cd728e9661ace26c89f4dc4c7d6a4d644105d3b4a7a7037a63d45bb8");
        let id = Uuid::parse_str("0192f5a0-1234-7abc-8def-0123456789ab").expect("an id");
        let expected = "AZL1oBI0eryN7wEjRWeJq_YN4JfJAhrLmMN-J7PErULwk4VtlvM8kJnNgbB8HRgB";
        assert_eq!(token(&key.expect("a key"), id), expected);
    }

    proptest! {
        #[test]
        fn any_other_text_is_refused(text in ".*", at in 0_usize..64) {
            prop_assert_eq!(open(&[1; 32], &text), None);
            let mut changed = token(&[1; 32], Uuid::nil());
            let other = if changed.as_bytes()[at] == b'A' { "B" } else { "A" };
            changed.replace_range(at..=at, other);
            prop_assert_eq!(open(&[1; 32], &changed), None);
        }
    }
}
