//! Signing in of agents: asking for a challenge, signing it, getting tokens.

use axum::Json;
use garde::Validate;
use guest::db::OnConstraint;
use guest::{Client, Db, Input, Problem, Result, args, required_variable};
use principal::{Granted, Secret, Tokens, grant, seal, signing_key};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::{agents, challenge as text, ed25519};

/// The key that a challenge is for.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ChallengeFor {
    /// The agent's public key: Ed25519, encoded as base64. Unknown keys get the same answer.
    #[garde(custom(agents::valid_key))]
    public_key: String,
}

/// A challenge to sign.
#[derive(Debug, Serialize, ToSchema)]
pub struct Challenge {
    /// The text to sign, byte by byte: at most 300 ASCII characters.
    challenge: String,
    /// The time at which the challenge expires.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// A signed challenge.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct SignedChallenge {
    /// The agent's public key: Ed25519, encoded as base64.
    #[garde(skip)]
    public_key: String,
    /// The challenge, unchanged.
    #[garde(skip)]
    challenge: String,
    /// The Ed25519 signature over the bytes of the challenge, encoded as base64.
    #[garde(skip)]
    signature: String,
}

/// Makes a challenge for a key.
///
/// It works once, within 60 seconds, on this server only. The answer does not reveal whether the key is known.
#[utoipa::path(
    post, path = "/api/agents/challenge", tag = "authentication", request_body = ChallengeFor,
    responses((status = 200, body = Challenge)),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn challenge(Input(wanted): Input<ChallengeFor>) -> Result<Json<Challenge>> {
    let key = agents::checked_key(&wanted.public_key)?;
    let (secret, server) = (secret().await?, server().await?);
    let nonce: text::Nonce = seal::random();
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

/// Exchanges a signed challenge for tokens.
///
/// 401 `authentication-failed` is the same whatever was wrong: the key, the challenge, its age, its second use, the
/// signature.
#[utoipa::path(
    post, path = "/api/agents/authenticate", tag = "authentication", request_body = SignedChallenge,
    responses(
        (status = 200, body = Tokens),
        (status = 401, description = "`authentication-failed`"),
    ),
    extensions(("x-rate-limit" = json!("strict")))
)]
pub async fn authenticate(
    db: Db,
    client: Client,
    Input(signed): Input<SignedChallenge>,
) -> Result<Json<Tokens>> {
    let (secret, server) = (secret().await?, server().await?);
    // Every key costs the same work: its signature is checked before anything is looked up, so only the holder of a key
    // can learn whether it is known.
    let checked = ed25519::public_key(&signed.public_key).and_then(|key| {
        let (nonce, expires) = text::open(&secret, &server, &key, &signed.challenge)?;
        let verified = ed25519::verifies(&key, signed.challenge.as_bytes(), &signed.signature);
        let expires = OffsetDateTime::from_unix_timestamp(expires).ok()?;
        (verified && expires > OffsetDateTime::now_utc()).then_some((key, nonce, expires))
    });
    let Some((key, nonce, expires)) = checked else {
        return Err(refuse(&db, &client, &signed.public_key).await?);
    };
    let refresh = Secret::refresh();
    let granted: Option<Granted> = db
        .optional(
            "select g.* from identity.sign_in_agent($1, $2, $3::text::timestamptz, $4, $5, $6) g",
            args![
                *key,
                nonce,
                expires,
                refresh.hash(),
                json!(client),
                signing_key::remembered_kid()
            ],
        )
        .await
        // The account was purged at this very moment: it registered a day ago and never signed in.
        .on_constraint("session_account_id_fkey", failed())?;
    let granted = granted.ok_or_else(failed)?;
    grant(&db, granted, refresh).await.map(Json)
}

/// Refuses before anything is looked up, and records that.
async fn refuse(db: &Db, client: &Client, key: &str) -> Result<Problem> {
    let key: String = key.chars().take(44).collect();
    db.execute(
        "select audit.record(null, 'session.refused', $1, false, $2, $3, $4)",
        args![
            key,
            &client.address,
            &client.request_id,
            json!({ "method": "key" })
        ],
    )
    .await?;
    Ok(failed())
}

fn failed() -> Problem {
    Problem::new(
        axum::http::StatusCode::UNAUTHORIZED,
        "authentication-failed",
        "The key, the challenge or the signature was not accepted.",
    )
}

async fn secret() -> Result<[u8; 32]> {
    seal::subkey("authentication challenge").await
}

/// The server's address, as challenges name it.
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
