//! The key that signs access tokens: made when first needed, and sealed in the database.

use std::cell::RefCell;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_compact::{KeyPair, Seed};
use guest::{Db, Problem, Result, args};
use jwt_simple::prelude::Ed25519KeyPair;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::seal;

thread_local! {
    static SIGNER: RefCell<Option<(String, Arc<Ed25519KeyPair>)>> = RefCell::default();
}

#[derive(Debug, Deserialize)]
struct Active {
    kid: String,
    sealed: String,
}

/// The id of the key that this instance remembers, so that statements send another one only.
pub fn remembered_kid() -> Option<String> {
    SIGNER.with_borrow(|signer| signer.as_ref().map(|(kid, _)| kid.clone()))
}

/// The active key: the remembered one if it still is, else the sealed one, else a new one.
pub(crate) async fn signer(
    db: &Db,
    kid: Option<String>,
    sealed: Option<String>,
) -> Result<Arc<Ed25519KeyPair>> {
    let known = SIGNER.with_borrow(Clone::clone);
    if let (Some((remembered, signer)), Some(kid)) = (known, &kid)
        && remembered == *kid
    {
        return Ok(signer);
    }
    let active = match (kid, sealed) {
        (Some(kid), Some(sealed)) => Active { kid, sealed },
        _ => made(db).await?,
    };
    let key = seal::token_subkey("signing key").await?;
    let signer = Arc::new(open(&key, &active)?.with_key_id(&active.kid));
    SIGNER.set(Some((active.kid, signer.clone())));
    Ok(signer)
}

/// Makes a key, unless there is one: only one can be active.
///
/// # Errors
/// The database refuses, or the function was not given the variable `token_key`.
pub async fn create(db: &Db) -> Result<()> {
    made(db).await.map(|_| ())
}

async fn made(db: &Db) -> Result<Active> {
    let pair = KeyPair::generate();
    let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(*pair.pk)[..12]);
    let key = seal::token_subkey("signing key").await?;
    let sealed = seal::seal(&key, kid.as_bytes(), &pair.sk.seed()[..])?;
    let active = db
        .one(
            "select k.kid, k.sealed from identity.add_signing_key($1, $2, $3) k",
            args![&kid, *pair.pk, sealed],
        )
        .await?;
    guest::info!("a signing key was needed", made = kid);
    Ok(active)
}

fn open(key: &[u8; 32], active: &Active) -> Result<Ed25519KeyPair> {
    let lost = || {
        Problem::internal(
            "the signing key can't be opened: the master key is not the one that sealed it; \
             restore it, or run `select identity.rotate_signing_key()`",
        )
    };
    let sealed = seal::decode(&active.sealed)?;
    let seed = seal::open(key, active.kid.as_bytes(), &sealed).ok_or_else(lost)?;
    let seed = Seed::from_slice(&seed).map_err(|_| lost())?;
    Ed25519KeyPair::from_bytes(&*KeyPair::from_seed(seed)).map_err(|_| lost())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_sealed_key_opens_with_its_key_and_id_only() {
        let seed = Seed::new([5; 32]);
        let sealed = STANDARD.encode(seal::seal(&[1; 32], b"kid", &seed[..]).expect("sealed"));
        let active = |kid: &str| Active {
            kid: kid.to_owned(),
            sealed: sealed.clone(),
        };
        let opened = open(&[1; 32], &active("kid")).expect("opened");
        assert_eq!(opened.to_bytes(), KeyPair::from_seed(seed).to_vec());
        assert!(open(&[2; 32], &active("kid")).is_err());
        assert!(open(&[1; 32], &active("other")).is_err());
    }
}
