//! Service tokens, with which the edge and the origin know each other: JSON Web Tokens, authenticated with one key
//! (HS256), for a few minutes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use worker::{Env, Headers, Result};

use crate::clock::now_ms;

/// The audience of tokens for the origin.
const EDGE: &str = "edge";
/// The audience of the origin's tokens.
const PUSH: &str = "edge-push";
const ISSUER: &str = "edge";
/// The lifetime of a token.
const SECONDS: u64 = 600;
/// The tolerated difference between the clocks.
const LEEWAY_SECONDS: u64 = 300;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
}

fn mac(env: &Env, message: &str) -> Result<Hmac<Sha256>> {
    let key = env.secret("EDGE_KEY")?.to_string();
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let mac = mac.map_err(|_| worker::Error::from("EDGE_KEY is not a key"))?;
    Ok(mac.chain_update(message.as_bytes()))
}

/// The header `Authorization` for the origin. `now_ms` is the origin's time, as far as it is known.
pub fn authorization(env: &Env, now_ms: u64) -> Result<String> {
    let now = now_ms / 1000;
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": ISSUER});
    // Without the time of issue, which a clock that is ahead would put into the future.
    let claims = json!({"iss": ISSUER, "aud": EDGE, "exp": now + SECONDS});
    let message = format!(
        "{}.{}",
        BASE64.encode(header.to_string()),
        BASE64.encode(claims.to_string())
    );
    let tag = mac(env, &message)?.finalize().into_bytes();
    Ok(format!("Bearer {message}.{}", BASE64.encode(tag)))
}

/// Whether the origin sent a request.
pub fn is_from_origin(env: &Env, headers: &Headers) -> Result<bool> {
    let Some(value) = headers.get("authorization")? else {
        return Ok(false);
    };
    Ok(value
        .strip_prefix("Bearer ")
        .is_some_and(|token| verify(env, token).is_some()))
}

fn verify(env: &Env, token: &str) -> Option<()> {
    let (message, tag) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let header: Header = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
    (header.alg == "HS256").then_some(())?;
    mac(env, message)
        .ok()?
        .verify_slice(&BASE64.decode(tag).ok()?)
        .ok()?;
    let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    let now = now_ms() / 1000;
    let is_now = claims.iat <= now + LEEWAY_SECONDS && now <= claims.exp + LEEWAY_SECONDS;
    (is_now && claims.iss == ISSUER && claims.aud == PUSH).then_some(())
}
