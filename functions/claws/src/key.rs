//! The keys of claws that the platform thinks for. Nothing has them: they follow from the platform's secret.

use base64::{Engine, prelude::BASE64_STANDARD};
use ed25519_compact::{KeyPair, Seed};
use guest::Result;
use principal::seal::subkey;
use uuid::Uuid;

/// The public key that follows from an id, in Base64.
pub async fn public(id: Uuid) -> Result<String> {
    let seed = subkey(&format!("claw {id}")).await?;
    let pair = KeyPair::from_seed(Seed::new(seed));
    Ok(BASE64_STANDARD.encode(*pair.pk))
}
