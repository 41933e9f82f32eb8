//! Access and refresh tokens, and the cookie of a browser's session.

use axum::Json;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use garde::Validate;
use guest::{
    AccessClaims, Client, Db, Input, Kind, Problem, Result, TOKEN_SECONDS, TOKEN_TYPE, args,
};
use jwt_simple::prelude::{Claims, Duration, EdDSAKeyPairLike, HeaderOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{keys, secrets};

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

/// A refresh token to use up.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct Refreshed {
    #[garde(skip)]
    refresh_token: String,
}

/// A secret of 256 random bits, of which the database has the SHA-256 only.
pub struct Secret(String);

impl Secret {
    /// A new one, with a prefix that says what it is.
    pub fn new(prefix: &str) -> Self {
        Self(prefix.to_owned() + &URL_SAFE_NO_PAD.encode(secrets::random::<32>()))
    }

    /// A new refresh token.
    pub fn refresh() -> Self {
        Self::new("gr_")
    }

    /// Its text, for whom it belongs to.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the database knows it by.
    pub fn hash(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// What the database knows a secret by.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// What a statement that opens or continues a session says of it, with the active signing key:
/// `identity.granted` in `migrations/0004_identity.sql`.
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

/// Exchanges a refresh token for a new pair.
///
/// It works once. A second use means that somebody has a copy, so the whole session is revoked.
#[utoipa::path(
    post, path = "/api/tokens/refresh", tag = "authentication", request_body = Refreshed,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "`refresh-failed`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn refresh(
    db: Db,
    client: Client,
    Input(given): Input<Refreshed>,
) -> Result<Json<Tokens>> {
    let next = Secret::refresh();
    let granted: Option<Granted> = db
        .optional(
            "select g.* from identity.refresh($1, $2, $3, $4) g",
            args![
                digest(&given.refresh_token),
                next.hash(),
                json!(client),
                keys::remembered_kid()
            ],
        )
        .await?;
    let granted = granted.ok_or_else(|| {
        let detail = "This refresh token is not valid, or was used before.";
        Problem::new(StatusCode::UNAUTHORIZED, "refresh-failed", detail)
    })?;
    grant(&db, granted, next).await.map(Json)
}

/// Signs the access token of a session.
pub async fn grant(db: &Db, granted: Granted, refresh: Secret) -> Result<Tokens> {
    let server = guest::required_variable("public_url").await?;
    let signer = keys::signer(db, granted.kid, granted.sealed).await?;
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
        refresh_token: refresh.0,
    })
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
