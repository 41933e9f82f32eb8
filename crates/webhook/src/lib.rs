//! Standard Webhooks (<https://www.standardwebhooks.com>): signatures of sent messages, and verification of received
//! ones.
//!
//! Secrets are derived from the platform's key and their purpose, so the database does not keep them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// The header with the id by which repetitions are recognised.
pub const ID: &str = "webhook-id";
/// The header with the time of the attempt, in seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, one for each secret that counts.
pub const SIGNATURE: &str = "webhook-signature";
/// The largest difference between the time of a message and the present, by clocks and by the way.
pub const TOLERANCE_SECONDS: u64 = 300;

const PREFIX: &str = "whsec_";

/// A shared secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret")
    }
}

impl Secret {
    /// The secret of a webhook, in one of its versions.
    #[must_use]
    pub fn of_webhook(key: &[u8; 32], webhook: Uuid, version: u32) -> Self {
        let version = version.to_be_bytes();
        Self::derive(key, &[b"gather-webhook-v1\0", webhook.as_bytes(), &version])
    }

    /// The secret of a hook, by which its senders are known.
    #[must_use]
    pub fn of_hook(key: &[u8; 32], hook: Uuid) -> Self {
        Self::derive(key, &[b"gather-hook-v1\0", hook.as_bytes()])
    }

    fn derive(key: &[u8; 32], parts: &[&[u8]]) -> Self {
        let mut mac = keyed(key);
        parts.iter().for_each(|part| mac.update(part));
        Self(mac.finalize().into_bytes().into())
    }

    /// The text of the secret, for the other side.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }

    /// The signature of a message, as one part of the header [`SIGNATURE`].
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let tag = message(&self.0, id, timestamp, body).finalize();
        format!("v1,{}", STANDARD.encode(tag.into_bytes()))
    }

    /// Whether one of the signatures of a message is this secret's, and its time is about now.
    #[must_use]
    pub fn verifies(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: u64,
    ) -> bool {
        let Some(timestamp) = timestamp.parse::<u64>().ok() else {
            return false;
        };
        if timestamp.abs_diff(now) > TOLERANCE_SECONDS {
            return false;
        }
        let mac = message(&self.0, id, timestamp, body);
        signatures.split(' ').take(20).any(|signature| {
            let tag = signature.strip_prefix("v1,");
            tag.and_then(|tag| STANDARD.decode(tag).ok())
                .is_some_and(|tag| mac.clone().verify_slice(&tag).is_ok())
        })
    }

    /// Whether `tag`, in hexadecimal digits, is the HMAC-SHA-256 of a body under this secret's text, as GitHub signs.
    #[must_use]
    pub fn verifies_hex(&self, tag: &str, body: &[u8]) -> bool {
        from_hex(tag).is_some_and(|tag| self.has_tagged(&tag, body))
    }

    /// Whether `tag`, in base64, is the HMAC-SHA-256 of a body under this secret's text.
    #[must_use]
    pub fn verifies_base64(&self, tag: &str, body: &[u8]) -> bool {
        let tag = STANDARD.decode(tag).ok();
        tag.is_some_and(|tag| self.has_tagged(&tag, body))
    }

    fn has_tagged(&self, tag: &[u8], body: &[u8]) -> bool {
        let mut mac = keyed(self.text().as_bytes());
        mac.update(body);
        mac.verify_slice(tag).is_ok()
    }

    /// Whether `text` is this secret, compared in constant time.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        // Tags under a key of their own are compared, whatever the lengths.
        let tag = |text: &str| {
            let mut mac = keyed(&self.0);
            mac.update(text.as_bytes());
            mac
        };
        let own = tag(&self.text()).finalize().into_bytes();
        tag(text).verify_slice(&own).is_ok()
    }
}

/// The token in the address of a hook: its id, and a tag without which nobody finds it.
#[must_use]
pub fn hook_token(key: &[u8; 32], hook: Uuid) -> String {
    let tag = token_mac(key, hook).finalize().into_bytes();
    URL_SAFE_NO_PAD.encode([hook.as_bytes().as_slice(), &tag].concat())
}

/// The hook of a token; `None` if the platform did not make the token.
#[must_use]
pub fn open_hook_token(key: &[u8; 32], text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, tag) = bytes.split_at_checked(16)?;
    let id = Uuid::from_slice(id).ok()?;
    token_mac(key, id).verify_slice(tag).ok()?;
    Some(id)
}

fn token_mac(key: &[u8; 32], hook: Uuid) -> Hmac<Sha256> {
    let mut mac = keyed(key);
    mac.update(b"gather-hook-token-v1\0");
    mac.update(hook.as_bytes());
    mac
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn message(secret: &[u8], id: &str, timestamp: u64, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = keyed(secret);
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    mac
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    let digits = (0..64).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the specification's libraries; its secret has 24 bytes.
    #[test]
    fn the_published_example_is_signed_as_published() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let tag = message(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).finalize();
        assert_eq!(
            STANDARD.encode(tag.into_bytes()),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    /// The example of GitHub's documentation, with its secret in place of ours.
    #[test]
    fn the_example_of_github_is_signed_as_documented() {
        let mut mac = keyed(b"It's a Secret to Everybody");
        mac.update(b"Hello, World!");
        let tag = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(mac.verify_slice(&from_hex(tag).unwrap()).is_ok());
    }

    #[test]
    fn any_of_several_signatures_counts_and_no_other_message() {
        let secret = Secret::of_webhook(&[1; 32], Uuid::nil(), 2);
        let other = Secret::of_webhook(&[1; 32], Uuid::nil(), 1);
        let (old, new) = (other.sign("m", 1000, b"x"), secret.sign("m", 1000, b"x"));
        let both = format!("v1a,AAAA {old} {new}");
        assert!(secret.verifies("m", "1000", &both, b"x", 1300));
        assert!(!secret.verifies("m", "1000", &both, b"x", 1301));
        assert!(!secret.verifies("m", "1301", &both, b"x", 1000));
        assert!(!secret.verifies("n", "1000", &both, b"x", 1000));
        assert!(!secret.verifies("m", "1000", &both, b"y", 1000));
        assert!(!secret.verifies("m", "1000", &old, b"x", 1000));
        assert!(!secret.verifies("m", "1000", "", b"x", 1000));
        assert_ne!(secret.text(), Secret::of_hook(&[1; 32], Uuid::nil()).text());
    }

    #[test]
    fn a_tag_counts_in_either_writing() {
        let secret = Secret::of_hook(&[1; 32], Uuid::nil());
        let mut mac = keyed(secret.text().as_bytes());
        mac.update(b"x");
        let tag = mac.finalize().into_bytes();
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(secret.verifies_hex(&hex, b"x") && !secret.verifies_hex(&hex, b"y"));
        let base64 = STANDARD.encode(tag);
        assert!(secret.verifies_base64(&base64, b"x") && !secret.verifies_base64(&base64, b"y"));
        assert!(!secret.verifies_base64(&hex, b"x") && !secret.verifies_hex(&base64, b"x"));
        assert!(!secret.verifies_base64("", b"x") && !secret.verifies_base64(&base64[1..], b"x"));
    }

    #[test]
    fn a_secret_is_itself_only() {
        let secret = Secret::of_hook(&[1; 32], Uuid::nil());
        assert!(secret.is(&secret.text()));
        assert!(!secret.is("") && !secret.is(&secret.text()[1..]));
    }

    #[test]
    fn a_token_opens_with_its_key_only() {
        let id = Uuid::from_u128(7);
        let token = hook_token(&[1; 32], id);
        assert_eq!(open_hook_token(&[1; 32], &token), Some(id));
        assert_eq!(open_hook_token(&[2; 32], &token), None);
        assert_eq!(open_hook_token(&[1; 32], &token[1..]), None);
        assert_eq!(open_hook_token(&[1; 32], ""), None);
    }

    proptest! {
        #[test]
        fn no_text_is_a_signature_by_chance(timestamp in ".*", signatures in ".*", tag in ".*") {
            let secret = Secret::of_hook(&[1; 32], Uuid::nil());
            prop_assert!(!secret.verifies("m", &timestamp, &signatures, b"x", 1000));
            prop_assert!(!secret.verifies_hex(&tag, b"x"));
        }
    }
}
