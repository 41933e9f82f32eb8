//! Access and refresh tokens: what every way of signing in ends with.

use guest::{AccessClaims, Actor, Db, Kind, Problem, Result, TOKEN_SECONDS, TOKEN_TYPE};
use jwt_simple::prelude::{Claims, Duration, EdDSAKeyPairLike, HeaderOptions};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Secret, signing_key};

/// The tokens of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    /// The access token for `Authorization: Bearer`, a JWT (EdDSA).
    access_token: String,
    /// The type of the access token, always `Bearer`.
    token_type: &'static str,
    /// The lifetime of the access token, in seconds.
    expires_in: u64,
    /// The refresh token for the next pair, which works once.
    refresh_token: String,
}

/// The result of a statement that opens or continues a session, with the active signing key:
#[derive(Debug, Deserialize)]
pub struct Granted {
    session: Uuid,
    account: Uuid,
    kind: Kind,
    scope: String,
    generation: i32,
    /// `None` if there is no key yet.
    kid: Option<String>,
    /// The sealed key, unless this instance remembers it.
    sealed: Option<String>,
}

/// The lifetime of a token with which a component acts for an account, in seconds.
const COMPONENT_TOKEN_SECONDS: u64 = 5 * 60;

impl Granted {
    /// The granted scopes, separated by spaces.
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

/// Signs the access token of a session.
pub async fn grant(db: &Db, granted: Granted, refresh: Secret) -> Result<Tokens> {
    let access_token = sign(db, granted, TOKEN_SECONDS, None).await?;
    Ok(Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: TOKEN_SECONDS,
        refresh_token: refresh.into_text(),
    })
}

/// Signs the access token with which a component acts for an account. Returns it with its lifetime in seconds.
pub async fn grant_to_component(
    db: &Db,
    granted: Granted,
    component: &str,
) -> Result<(String, u64)> {
    let actor = Actor {
        sub: component.to_owned(),
    };
    let token = sign(db, granted, COMPONENT_TOKEN_SECONDS, Some(actor)).await?;
    Ok((token, COMPONENT_TOKEN_SECONDS))
}

async fn sign(db: &Db, granted: Granted, seconds: u64, act: Option<Actor>) -> Result<String> {
    let server = guest::required_variable("public_url").await?;
    let signer = signing_key::signer(db, granted.kid, granted.sealed).await?;
    let custom = AccessClaims {
        kind: granted.kind,
        scope: granted.scope,
        sid: granted.session,
        generation: granted.generation,
        act,
    };
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(seconds))
        .with_subject(granted.account)
        .with_issuer(&server)
        .with_audience(&server)
        .with_jwt_id(Uuid::now_v7());
    let header = HeaderOptions {
        signature_type: Some(TOKEN_TYPE.to_owned()),
        ..HeaderOptions::default()
    };
    signer
        .sign_with_options(claims, &header)
        .map_err(Problem::internal)
}
