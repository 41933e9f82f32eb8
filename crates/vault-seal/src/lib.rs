//! How secrets are sealed (HPKE, RFC 9180: X25519, HKDF-SHA256, ChaCha20-Poly1305). Whoever has the public key can seal;
//! only the way out has the private key. What is sealed is bound to the secret's id, version and owner, so that no row
//! can stand in for another.

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use rand_core::{OsRng, TryRngCore};
use uuid::Uuid;
use zeroize::Zeroizing;

/// The length of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// The length by which a sealed value is longer than the value.
pub const OVERHEAD_BYTES: usize = 32 + 16;

/// Separates these seals from others that may use the same key one day.
const INFO: &[u8] = b"gather vault 1";

/// The account or team that owns a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The platform itself.
    Platform,
    /// An account.
    Account(Uuid),
    /// A team.
    Team(Uuid),
}

/// The value of a secret that a seal is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The secret's id.
    pub secret: Uuid,
    /// The version of the value.
    pub version: u32,
    /// The secret's owner.
    pub owner: Owner,
}

impl Binding {
    fn bytes(&self) -> Vec<u8> {
        let (kind, owner) = match self.owner {
            Owner::Platform => (b'p', Uuid::nil()),
            Owner::Account(id) => (b'a', id),
            Owner::Team(id) => (b't', id),
        };
        let mut bytes = self.secret.as_bytes().to_vec();
        bytes.extend(self.version.to_be_bytes());
        bytes.push(kind);
        bytes.extend(owner.as_bytes());
        bytes
    }
}

/// A key that seals.
#[derive(Clone)]
pub struct PublicKey(<X25519HkdfSha256 as Kem>::PublicKey);

/// A key that opens.
pub struct PrivateKey(<X25519HkdfSha256 as Kem>::PrivateKey);

/// Derives the key pair from a secret of 32 bytes.
#[must_use]
pub fn key_pair(secret: &[u8; 32]) -> (PrivateKey, PublicKey) {
    let (private, public) = X25519HkdfSha256::derive_keypair(secret);
    (PrivateKey(private), PublicKey(public))
}

impl PublicKey {
    /// Reads a key; `None` if the bytes are not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Deserializable::from_bytes(bytes).ok().map(Self)
    }

    /// The key's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.to_bytes().into()
    }

    /// Seals a value; `None` if this key can't.
    ///
    /// # Panics
    /// The operating system has no randomness.
    #[must_use]
    pub fn seal(&self, binding: &Binding, value: &[u8]) -> Option<Vec<u8>> {
        let (encapsulated, sealed) =
            single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256, _>(
                &OpModeS::Base,
                &self.0,
                INFO,
                value,
                &binding.bytes(),
                &mut OsRng.unwrap_err(),
            )
            .ok()?;
        Some([encapsulated.to_bytes().as_slice(), &sealed].concat())
    }
}

impl PrivateKey {
    /// Opens a value; `None` if it was sealed to another key, or for another secret, version or owner.
    #[must_use]
    pub fn open(&self, binding: &Binding, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (encapsulated, sealed) = sealed.split_at_checked(PUBLIC_KEY_BYTES)?;
        let encapsulated = Deserializable::from_bytes(encapsulated).ok()?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            INFO,
            sealed,
            &binding.bytes(),
        )
        .ok()
        .map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests;
