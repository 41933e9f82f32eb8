//! Secrets that are given away once and known by their digest from then on.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::seal;

/// A secret of 256 random bits, of which the database has the SHA-256 only.
pub struct Secret(String);

impl Secret {
    /// A new one, with a prefix that says what it is.
    pub fn new(prefix: &str) -> Self {
        Self(prefix.to_owned() + &URL_SAFE_NO_PAD.encode(seal::random::<32>()))
    }

    /// A new refresh token.
    pub fn refresh() -> Self {
        Self::new("gr_")
    }

    /// Its text, for whom it belongs to.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Its text, once it is nobody else's.
    pub fn into_text(self) -> String {
        self.0
    }

    /// The SHA-256 by which the database knows it.
    pub fn hash(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// The SHA-256 by which the database knows a secret.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_are_long() {
        let (one, two) = (Secret::refresh(), Secret::refresh());
        assert_eq!(one.text().len(), 3 + 43);
        assert_ne!(one.hash(), two.hash());
    }
}
