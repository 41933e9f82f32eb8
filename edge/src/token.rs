//! Access tokens: JSON Web Tokens, signed with the origin's keys (EdDSA).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ed25519_compact::{PublicKey, Signature};
use serde::Deserialize;

/// The type of access tokens (RFC 9068). Nothing else that the origin signs passes for one.
const TYPE: &str = "at+jwt";
const MAX_BYTES: usize = 4096;

/// The claims of an access token that matter here.
#[derive(Debug, Clone, Deserialize)]
pub struct Claims {
    /// The account.
    #[serde(rename = "sub")]
    pub account: String,
    /// The session.
    pub sid: String,
    /// The account's generation when the token was issued.
    #[serde(default)]
    pub generation: i64,
    /// The time of expiry, in seconds since 1970 by the origin's clock.
    pub exp: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// The parts of a token that may be one.
pub struct Token<'a> {
    /// The id of the key that is said to have signed it.
    pub kid: String,
    message: &'a str,
    signature: Signature,
    claims: Claims,
}

/// Whether a text is an access token and not an API key.
pub fn is_token(text: &str) -> bool {
    !text.starts_with("gk_") && text.split('.').count() == 3
}

impl<'a> Token<'a> {
    /// Takes a text apart; `None` if it is certainly not a token of the origin.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (message, signature) = text.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        if header.alg != "EdDSA" || header.typ != TYPE {
            return None;
        }
        Some(Self {
            kid: header.kid,
            message,
            signature: Signature::from_slice(&BASE64.decode(signature).ok()?).ok()?,
            claims: serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?,
        })
    }

    /// The claims, if the key has signed them.
    pub fn verified(self, key: &PublicKey) -> Option<Claims> {
        key.verify(self.message, &self.signature).ok()?;
        Some(self.claims)
    }
}
