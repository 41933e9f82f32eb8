//! Who may ask the sandbox: components of ours, each with a key of its own, by tokens of a few minutes that they make
//! from it.

use crate::problem::Problem;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use jwt_simple::prelude::{Clock, HS256Key, MACLike, NoCustomClaims, Token, VerificationOptions};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Who tokens are for.
const AUDIENCE: &str = "gather-sandbox";
/// What clocks of our own machines may differ by.
const LEEWAY_SECONDS: u64 = 30;
/// Verified tokens that are remembered.
const MAX_TOKENS: usize = 1_000;

/// The components that may ask.
pub struct Callers {
    keys: BTreeMap<String, HS256Key>,
    /// Tokens that were verified, with their issuers, until they expire.
    verified: Mutex<HashMap<String, (String, Instant)>>,
}

impl Callers {
    /// With their keys, by their names.
    pub fn new(keys: BTreeMap<String, String>) -> Self {
        let keys = keys
            .into_iter()
            .map(|(name, key)| (name, HS256Key::from_bytes(key.as_bytes())));
        Self {
            keys: keys.collect(),
            verified: Mutex::default(),
        }
    }

    /// Which component made this token, if it is valid. A caller uses its token for minutes: one that was found to be
    /// valid is so until it expires.
    fn issuer(&self, token: &str) -> Option<String> {
        let now = Instant::now();
        let mut known = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, until)) = known.get(token)
            && now < *until
        {
            return Some(name.clone());
        }
        let (name, validity) = self.verify(token)?;
        if known.len() >= MAX_TOKENS {
            known.clear();
        }
        known.insert(token.to_owned(), (name.clone(), now + validity));
        Some(name)
    }

    /// Which component made this token, and for how long it is still good.
    fn verify(&self, token: &str) -> Option<(String, Duration)> {
        // The name of its key says which key to try; the signature whether that is true.
        let metadata = Token::decode_metadata(token).ok()?;
        let (name, key) = self.keys.get_key_value(metadata.key_id()?)?;
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([name.clone()])),
            allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
            time_tolerance: Some(jwt_simple::prelude::Duration::from_secs(LEEWAY_SECONDS)),
            ..VerificationOptions::default()
        };
        let claims = key
            .verify_token::<NoCustomClaims>(token, Some(options))
            .ok()?;
        let until = claims.expires_at?.as_secs();
        let left = until.saturating_sub(Clock::now_since_epoch().as_secs());
        Some((name.clone(), Duration::from_secs(left)))
    }
}

/// The component that asks, by the issuer of its token.
pub struct Caller {
    name: String,
    /// Names the request in the logs.
    pub request_id: Option<String>,
}

impl Caller {
    /// What only one component may.
    ///
    /// # Errors
    /// It is another.
    pub fn require(&self, name: &str) -> Result<(), Problem> {
        if self.name == name {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("Only {name} may ask this."),
        ))
    }
}

impl<S: AsRef<Callers> + Send + Sync> FromRequestParts<Arc<S>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<S>) -> Result<Self, Problem> {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let token =
            header(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let callers: &Callers = (**shared).as_ref();
        let name = token.and_then(|token| callers.issuer(token));
        let name = name.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "This needs a service token.",
            )
        })?;
        Ok(Self {
            name,
            request_id: header("x-request-id").map(str::to_owned),
        })
    }
}
