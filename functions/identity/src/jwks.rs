//! The keys that verify what is signed here, published.

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use guest::{Db, Problem, Result, args};
use principal::signing_key;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The keys that verify access tokens (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys that are valid or recently retired.
    keys: Vec<Jwk>,
}

/// A public key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// The type of key, always `OKP`.
    kty: &'static str,
    /// The curve, always `Ed25519`.
    crv: &'static str,
    /// The algorithm, always `EdDSA`.
    alg: &'static str,
    /// The use of the key, always `sig`.
    #[serde(rename = "use")]
    usage: &'static str,
    /// The key's id, which tokens and statements name.
    kid: String,
    /// The public key, encoded as base64url.
    x: String,
}

#[derive(Debug, Deserialize)]
struct Verification {
    kid: String,
    public_key: String,
}

/// Lists the keys that verify access tokens, receipts and attestations of skills.
///
/// A retired key stays listed as long as a token that it signed may be valid. Fetch the keys again when a token names a
/// key that is not listed. Keys of attestations stay for good.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "authentication",
    responses((status = 200, body = Jwks)),
    extensions(("x-rate-limit" = json!("relaxed")))
)]
pub async fn jwks(db: Db) -> Result<impl IntoResponse> {
    let mut rows = published(&db).await?;
    if rows.is_empty() {
        signing_key::create(&db).await?;
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
    // The cache time is short enough for a rotation, and clients fetch an unknown key anyway.
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
