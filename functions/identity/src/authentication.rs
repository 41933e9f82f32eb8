//! Signing in: ask for a challenge, sign it, get tokens.

use axum::Json;
use chacha20poly1305::aead::OsRng;
use chacha20poly1305::aead::rand_core::RngCore;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Db, Input, Problem, Result, args, required_variable};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::tokens::{Granted, Tokens};
use crate::{agents, challenge as text, ed25519, keys, secrets, tokens};

/// Whose challenge.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChallengeFor {
    /// Ed25519, base64. It need not be known here: the answer is the same.
    #[garde(custom(agents::valid_key))]
    public_key: String,
}

/// A text to sign.
#[derive(Debug, Serialize, ToSchema)]
pub struct Challenge {
    /// At most 300 ASCII characters. Sign its bytes.
    challenge: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// A signed challenge.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct SignedChallenge {
    /// Ed25519, base64.
    #[garde(skip)]
    public_key: String,
    /// As it was given.
    #[garde(skip)]
    challenge: String,
    /// Ed25519 over the bytes of the challenge, base64.
    #[garde(skip)]
    signature: String,
}

/// Gives a challenge for a key.
///
/// It works once, for 60 seconds, here only. Nothing in the answer tells whether the key is known.
#[utoipa::path(
    post, path = "/api/agents/challenge", tag = "authentication", request_body = ChallengeFor,
    responses((status = 200, body = Challenge))
)]
pub async fn challenge(Input(wanted): Input<ChallengeFor>) -> Result<Json<Challenge>> {
    let key = agents::checked_key(&wanted.public_key)?;
    let (secret, server) = (secret().await?, server().await?);
    let mut nonce = text::Nonce::default();
    OsRng.fill_bytes(&mut nonce);
    let now = OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .map_err(Problem::internal)?;
    let expires_at = now + Duration::seconds(text::SECONDS);
    let challenge = text::issue(&secret, &server, &key, nonce, expires_at.unix_timestamp());
    Ok(Json(Challenge {
        challenge,
        expires_at,
    }))
}

/// Gives tokens for a signed challenge.
///
/// 401 `authentication-failed` is the same whatever was wrong: the key, the challenge, its age, its
/// second use, the signature.
#[utoipa::path(
    post, path = "/api/agents/authenticate", tag = "authentication", request_body = SignedChallenge,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "`authentication-failed`"),
    )
)]
pub async fn authenticate(db: Db, Input(signed): Input<SignedChallenge>) -> Result<Json<Tokens>> {
    let (secret, server) = (secret().await?, server().await?);
    // The same work for every key: its signature is checked before anything is looked up, so only
    // who holds a key can learn whether it is known.
    let key = ed25519::public_key(&signed.public_key).ok_or_else(failed)?;
    let opened = text::open(&secret, &server, &key, &signed.challenge);
    let verified = ed25519::verifies(&key, signed.challenge.as_bytes(), &signed.signature);
    let (Some((nonce, expires)), true) = (opened, verified) else {
        return Err(failed());
    };
    let expires = OffsetDateTime::from_unix_timestamp(expires).map_err(|_| failed())?;
    if expires <= OffsetDateTime::now_utc() {
        return Err(failed());
    }

    let refresh = tokens::Refresh::new();
    let granted: Option<Granted> = db
        .optional(
            "with swept as (
                 delete from used_challenge where nonce in (
                     select nonce from used_challenge where expires_at < now() - interval '1 minute'
                     order by expires_at limit 5 for update skip locked)
             ), known as (
                 select a.id, a.kind from agent g join account a on a.id = g.account_id
                 where g.public_key = $1 and a.status = 'active'
             ), used as (
                 insert into used_challenge (nonce, expires_at)
                 select $2, $3::text::timestamptz from known
                 on conflict do nothing
                 returning nonce
             ), opened as (
                 insert into session (account_id, expires_at)
                 select known.id, now() + interval '30 days' from known, used
                 returning id, account_id, expires_at
             ), came as (
                 update account a set authenticated_at = now() from opened
                 where a.id = opened.account_id and a.authenticated_at is null
             ), token as (
                 insert into refresh_token (hash, account_id, session_id, expires_at)
                 select $4, account_id, id, expires_at from opened
             )
             select opened.id as session, known.id as account, known.kind, k.kid,
                    case when k.kid is distinct from $5 then encode(k.sealed, 'base64') end as sealed
             from opened join known on true
             left join signing_key k on k.retired_at is null",
            args![*key, nonce, expires, refresh.hash(), keys::remembered_kid()],
        )
        .await
        // Forgotten at this very moment: it registered a day ago and never came.
        .on_constraint("session_account_id_fkey", failed())?;
    let granted = granted.ok_or_else(failed)?;
    tokens::grant(&db, &server, granted, refresh)
        .await
        .map(Json)
}

fn failed() -> Problem {
    Problem::new(
        axum::http::StatusCode::UNAUTHORIZED,
        "authentication-failed",
        "The key, the challenge or the signature was not accepted.",
    )
}

async fn secret() -> Result<[u8; 32]> {
    secrets::subkey("authentication challenge").await
}

/// Our address, as challenges name it.
async fn server() -> Result<std::sync::Arc<str>> {
    let server = required_variable("public_url").await?;
    if server.len() > text::MAX_SERVER_BYTES || !server.is_ascii() {
        let limit = text::MAX_SERVER_BYTES;
        return Err(Problem::internal(format_args!(
            "the variable `public_url` must be at most {limit} ASCII characters"
        )));
    }
    Ok(server)
}
