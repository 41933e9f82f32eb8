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
