//! Keys derived from the secrets that a function is given: one for each purpose, so that none can stand in for another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng, Payload, rand_core::RngCore};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use guest::{Problem, Result, hex_key, required_variable};
use hkdf::Hkdf;
use sha2::Sha256;

const NONCE_BYTES: usize = 24;

/// A key of 32 bytes for a purpose of this function alone.
///
/// # Errors
/// The function was not given the variable `secret_key`.
pub async fn subkey(purpose: &str) -> Result<[u8; 32]> {
    subkey_of("secret_key", purpose).await
}

/// A key of 32 bytes for a purpose of all functions that sign tokens.
pub(crate) async fn token_subkey(purpose: &str) -> Result<[u8; 32]> {
    subkey_of("token_key", purpose).await
}

async fn subkey_of(variable: &'static str, purpose: &str) -> Result<[u8; 32]> {
    let secret = required_variable(variable).await?;
    let secret = hex_key(&secret).ok_or_else(|| {
        Problem::internal(format_args!(
            "the variable `{variable}` must be 64 hex digits"
        ))
    })?;
    derive(&secret, purpose)
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// Seals bytes (XChaCha20-Poly1305): nonce and ciphertext, bound to `owner`, so that rows can't be exchanged.
///
/// # Errors
/// The bytes are more than the cipher takes.
pub fn seal(key: &[u8; 32], owner: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
    let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
    let payload = Payload {
        msg: bytes,
        aad: owner,
    };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&nonce, payload);
    let sealed = sealed.map_err(Problem::internal)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// The bytes that were sealed with this key for this owner; `None` for anything else.
pub fn open(key: &[u8; 32], owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload {
        msg: sealed,
        aad: owner,
    };
    let opened = XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), payload);
    opened.ok()
}

/// Bytes of the database: PostgreSQL breaks lines in long base64.
///
/// # Errors
/// The text is not base64.
pub fn decode(base64: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(base64.replace('\n', ""))
        .map_err(Problem::internal)
}

fn derive(secret: &[u8; 32], purpose: &str) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(purpose.as_bytes(), &mut key);
    expanded.map_err(Problem::internal)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_its_key() {
        let secret = [7; 32];
        let one = derive(&secret, "one").expect("a key");
        assert_eq!(one, derive(&secret, "one").expect("a key"));
        assert_ne!(one, derive(&secret, "two").expect("a key"));
    }
}
