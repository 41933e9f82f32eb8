//! Signing in: ask for a challenge, sign it, get tokens.

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

/// Gives tokens for a signed challenge.
///
/// 401 `authentication-failed` is the same whatever was wrong: the key, the challenge, its age, its
/// second use, the signature.
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
    // The same work for every key: its signature is checked before anything is looked up, so only
    // who holds a key can learn whether it is known.
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
        // Forgotten at this very moment: it registered a day ago and never came.
        .on_constraint("session_account_id_fkey", failed())?;
    let granted = granted.ok_or_else(failed)?;
    grant(&db, granted, refresh).await.map(Json)
}

/// A refusal before anything is looked up, on record too.
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
