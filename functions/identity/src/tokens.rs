//! Access and refresh tokens.

use axum::Json;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::OsRng;
use chacha20poly1305::aead::rand_core::RngCore;
use garde::Validate;
use guest::{AccessClaims, Db, Input, Kind, Problem, Result, TOKEN_SECONDS, TOKEN_TYPE, args};
use jwt_simple::prelude::{Claims, Duration, EdDSAKeyPairLike, HeaderOptions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::keys;

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

/// A refresh token. The database has its hash only.
pub struct Refresh(String);

impl Refresh {
    /// A new one: 256 random bits.
    pub fn new() -> Self {
        let mut bytes = [0; 32];
        OsRng.fill_bytes(&mut bytes);
        Self(format!("gr_{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What the database knows it by.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// What a statement that opens or continues a session says of it, with the active signing key.
#[derive(Debug, Deserialize)]
pub struct Granted {
    session: Uuid,
    account: Uuid,
    kind: Kind,
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
    )
)]
pub async fn refresh(db: Db, Input(given): Input<Refreshed>) -> Result<Json<Tokens>> {
    let server = guest::required_variable("public_url").await?;
    let next = Refresh::new();
    let granted: Option<Granted> = db
        .optional(
            "with presented as (
                 select hash, session_id, used_at, expires_at from refresh_token
                 where hash = $1 for update
             ), stolen as (
                 update session s set revoked_at = now() from presented p
                 where s.id = p.session_id and p.used_at is not null and s.revoked_at is null
             ), continued as (
                 update session s set refreshed_at = now(), expires_at = now() + interval '30 days'
                 from presented p, account a
                 where s.id = p.session_id and p.used_at is null and p.expires_at > now()
                   and s.revoked_at is null and s.expires_at > now()
                   and a.id = s.account_id and a.status = 'active'
                 returning s.id, s.account_id, s.expires_at, a.kind
             ), used as (
                 update refresh_token t set used_at = now() from presented p, continued c
                 where t.hash = p.hash
             ), token as (
                 insert into refresh_token (hash, account_id, session_id, expires_at)
                 select $2, account_id, id, expires_at from continued
             )
             select c.id as session, c.account_id as account, c.kind, k.kid,
                    case when k.kid is distinct from $3 then encode(k.sealed, 'base64') end as sealed
             from continued c left join signing_key k on k.retired_at is null",
            args![Refresh(given.refresh_token).hash(), next.hash(), keys::remembered_kid()],
        )
        .await?;
    let granted = granted.ok_or_else(|| {
        let detail = "This refresh token is not valid, or was used before.";
        Problem::new(StatusCode::UNAUTHORIZED, "refresh-failed", detail)
    })?;
    grant(&db, &server, granted, next).await.map(Json)
}

/// Signs the access token of a session.
pub async fn grant(db: &Db, server: &str, granted: Granted, refresh: Refresh) -> Result<Tokens> {
    let signer = keys::signer(db, granted.kid, granted.sealed).await?;
    let custom = AccessClaims {
        kind: granted.kind,
        scope: scope(granted.kind).to_owned(),
        sid: granted.session,
    };
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(TOKEN_SECONDS))
        .with_subject(granted.account)
        .with_issuer(server)
        .with_audience(server)
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

/// What an account may do before roles are given to it.
fn scope(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "agent skills:publish",
        Kind::User => "user",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_tokens_differ_and_are_long() {
        let (one, two) = (Refresh::new(), Refresh::new());
        assert_eq!(one.0.len(), 3 + 43);
        assert_ne!(one.hash(), two.hash());
    }
}
