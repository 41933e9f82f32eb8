//! Access and refresh tokens: what every way of signing in ends with.

use guest::{AccessClaims, Db, Kind, Problem, Result, TOKEN_SECONDS, TOKEN_TYPE};
use jwt_simple::prelude::{Claims, Duration, EdDSAKeyPairLike, HeaderOptions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Secret, signing_key};

/// What a caller is known by from now on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    /// A JWT (EdDSA), for `Authorization: Bearer`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// For the next pair; works once.
    refresh_token: String,
}

/// What a statement that opens or continues a session says of it, with the active signing key:
/// `identity.granted` in `migrations/0003_identity.sql`.
#[derive(Debug, Deserialize)]
pub struct Granted {
    session: Uuid,
    account: Uuid,
    kind: Kind,
    scope: String,
    generation: i32,
    /// None where there is no key yet.
    kid: Option<String>,
    /// The sealed key, unless this instance remembers it.
    sealed: Option<String>,
}

/// Signs the access token of a session.
pub async fn grant(db: &Db, granted: Granted, refresh: Secret) -> Result<Tokens> {
    let server = guest::required_variable("public_url").await?;
    let signer = signing_key::signer(db, granted.kid, granted.sealed).await?;
    let custom = AccessClaims {
        kind: granted.kind,
        scope: granted.scope,
        sid: granted.session,
        generation: granted.generation,
    };
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(TOKEN_SECONDS))
        .with_subject(granted.account)
        .with_issuer(&server)
        .with_audience(&server)
        .with_jwt_id(Uuid::now_v7());
    let header = HeaderOptions {
        signature_type: Some(TOKEN_TYPE.to_owned()),
        ..HeaderOptions::default()
    };
    let access_token = signer
        .sign_with_options(claims, &header)
        .map_err(Problem::internal)?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: TOKEN_SECONDS,
        refresh_token: refresh.into_text(),
    })
}
