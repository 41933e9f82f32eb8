//! The keys that sign access tokens: made when first needed, sealed in the database, published.

use std::cell::RefCell;
use std::sync::Arc;

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_compact::{KeyPair, Seed};
use guest::{Db, Problem, Result, args};
use jwt_simple::prelude::Ed25519KeyPair;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::secrets;

thread_local! {
    static SIGNER: RefCell<Option<(String, Arc<Ed25519KeyPair>)>> = RefCell::default();
}

/// The keys that verify access tokens (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

/// One key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    kid: String,
    /// The public key, base64url.
    x: String,
}

#[derive(Debug, Deserialize)]
struct Verification {
    kid: String,
    public_key: String,
}

#[derive(Debug, Deserialize)]
struct Active {
    kid: String,
    sealed: String,
}

/// The keys that verify access tokens, and those that verify receipts and attestations of skills.
///
/// A retired key stays as long as a token that it signed may be valid. Fetch again when a token
/// names a key that is not here. Keys of attestations stay for good.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "authentication",
    responses((status = 200, body = Jwks)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn jwks(db: Db) -> Result<impl IntoResponse> {
    let mut rows = published(&db).await?;
    if rows.is_empty() {
        create(&db).await?;
        rows = published(&db).await?;
    }
    let keys = rows.into_iter().map(|row| {
        let bytes = STANDARD.decode(row.public_key).map_err(Problem::internal)?;
        Ok(Jwk {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            usage: "sig",
            kid: row.kid,
            x: URL_SAFE_NO_PAD.encode(bytes),
        })
    });
    let keys = keys.collect::<Result<_>>()?;
    // Short enough for a rotation: the new key is fetched by whoever meets it anyway.
    Ok((
        [(CACHE_CONTROL, "public, max-age=300")],
        Json(Jwks { keys }),
    ))
}

async fn published(db: &Db) -> Result<Vec<Verification>> {
    let rows = db.many(
        "select kid, public_key from published_key order by expires_at desc nulls first",
        args![],
    );
    Ok(rows.await?)
}

/// The key that this instance remembers, so that statements send another one only.
pub fn remembered_kid() -> Option<String> {
    SIGNER.with_borrow(|signer| signer.as_ref().map(|(kid, _)| kid.clone()))
}

/// The active key: the remembered one if it still is, else the sealed one, else a new one.
pub async fn signer(
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
        _ => create(db).await?,
    };
    let key = secrets::subkey("signing key").await?;
    let signer = Arc::new(open(&key, &active)?.with_key_id(&active.kid));
    SIGNER.set(Some((active.kid, signer.clone())));
    Ok(signer)
}

/// Makes a key, unless another instance has just made one: only one can be active.
async fn create(db: &Db) -> Result<Active> {
    let pair = KeyPair::generate();
    let kid = URL_SAFE_NO_PAD.encode(&Sha256::digest(*pair.pk)[..12]);
    let key = secrets::subkey("signing key").await?;
    let sealed = secrets::seal(&key, kid.as_bytes(), &pair.sk.seed()[..])?;
    db.execute(
        "insert into signing_key (kid, public_key, sealed) values ($1, $2, $3)
         on conflict ((true)) where retired_at is null do nothing",
        args![&kid, *pair.pk, sealed],
    )
    .await?;
    let active = db
        .one(
            "select kid, encode(sealed, 'base64') as sealed from signing_key where retired_at is null",
            args![],
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
    // PostgreSQL breaks lines in long base64.
    let text = active.sealed.replace('\n', "");
    let sealed = STANDARD.decode(text).map_err(Problem::internal)?;
    let seed = secrets::open(key, active.kid.as_bytes(), &sealed).ok_or_else(lost)?;
    let seed = Seed::from_slice(&seed).map_err(|_| lost())?;
    Ed25519KeyPair::from_bytes(&*KeyPair::from_seed(seed)).map_err(|_| lost())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_with_its_key_and_id_only() {
        let seed = Seed::new([5; 32]);
        let sealed = STANDARD.encode(secrets::seal(&[1; 32], b"kid", &seed[..]).expect("sealed"));
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
