//! The components that may use the sandbox. Each has its own key, with which it makes tokens that are valid for a few
//! minutes.

use crate::problem::Problem;
use anyhow::bail;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use jwt_simple::prelude::{Clock, HS256Key, MACLike, NoCustomClaims, Token, VerificationOptions};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The audience of tokens.
const AUDIENCE: &str = "gather-sandbox";
/// The largest difference between the clocks of the platform's machines.
const LEEWAY_SECONDS: u64 = 30;
/// The number of verified tokens that are remembered.
const MAX_TOKENS: usize = 1_000;

/// A right of a component: an entry of `sandbox` in its `[component.<id>.tool.gather]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// The right to store a component.
    Upload,
    /// The right to read a component.
    Download,
    /// The right to call a tool.
    Invoke,
    /// The right to have a tool called with generated arguments.
    Probe,
    /// The right to have a statement signed.
    Attest,
}

const RIGHTS: [(&str, Right); 5] = [
    ("upload", Right::Upload),
    ("download", Right::Download),
    ("invoke", Right::Invoke),
    ("probe", Right::Probe),
    ("attest", Right::Attest),
];

impl FromStr for Right {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match RIGHTS.iter().find(|(name, _)| *name == text) {
            Some((_, right)) => Ok(*right),
            None => bail!(
                "there is no right {text:?}, only {}",
                RIGHTS.map(|(name, _)| name).join(", ")
            ),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = RIGHTS.iter().find(|(_, right)| right == self);
        out.write_str(found.map_or("", |(name, _)| name))
    }
}

/// A component that may use the sandbox.
pub struct CallerGrant {
    /// The key of the component's tokens.
    pub key: String,
    /// The rights of the component.
    pub rights: BTreeSet<Right>,
}

struct Known {
    key: HS256Key,
    rights: BTreeSet<Right>,
}

/// The components that may use the sandbox.
pub struct Callers {
    known: BTreeMap<String, Known>,
    /// The verified tokens with their issuers, until they expire.
    verified: Mutex<HashMap<String, (String, Instant)>>,
}

impl Callers {
    /// Makes the callers from their names, keys and rights.
    pub fn new(callers: BTreeMap<String, CallerGrant>) -> Self {
        let known = callers.into_iter().map(|(name, grant)| {
            let key = HS256Key::from_bytes(grant.key.as_bytes());
            let rights = grant.rights;
            (name, Known { key, rights })
        });
        Self {
            known: known.collect(),
            verified: Mutex::default(),
        }
    }

    /// The component that made a token, if the token is valid. A caller uses a token for minutes, so a verified one
    /// is remembered until it expires.
    fn issuer(&self, token: &str) -> Option<String> {
        let now = Instant::now();
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, until)) = verified.get(token)
            && now < *until
        {
            return Some(name.clone());
        }
        let (name, validity) = self.verify(token)?;
        if verified.len() >= MAX_TOKENS {
            verified.clear();
        }
        verified.insert(token.to_owned(), (name.clone(), now + validity));
        Some(name)
    }

    /// The component that made a token, and the time until the token expires.
    fn verify(&self, token: &str) -> Option<(String, Duration)> {
        // The name of its key says which key to try; the signature whether that is true.
        let metadata = Token::decode_metadata(token).ok()?;
        let (name, known) = self.known.get_key_value(metadata.key_id()?)?;
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([name.clone()])),
            allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
            time_tolerance: Some(jwt_simple::prelude::Duration::from_secs(LEEWAY_SECONDS)),
            ..VerificationOptions::default()
        };
        let claims = known
            .key
            .verify_token::<NoCustomClaims>(token, Some(options))
            .ok()?;
        let until = claims.expires_at?.as_secs();
        let left = until.saturating_sub(Clock::now_since_epoch().as_secs());
        Some((name.clone(), Duration::from_secs(left)))
    }
}

/// The component that sends a request, which is the issuer of its token.
pub struct Caller {
    name: String,
    rights: BTreeSet<Right>,
    /// The id of the request in the logs.
    pub request_id: Option<String>,
}

impl Caller {
    /// Refuses a component that lacks a right.
    ///
    /// # Errors
    /// The component lacks the right. The error says what to add to the manifest.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        if self.rights.contains(&right) {
            return Ok(());
        }
        let name = &self.name;
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!(
                "{name} may not ask this; if it shall, add \"{right}\" to `sandbox` in [component.{name}.tool.gather]."
            ),
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
        let rights = callers.known.get(&name).map(|known| known.rights.clone());
        Ok(Self {
            rights: rights.unwrap_or_default(),
            name,
            request_id: header("x-request-id").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_read_as_it_is_written() {
        for (name, right) in RIGHTS {
            assert_eq!(name.parse::<Right>().unwrap(), right);
            assert_eq!(right.to_string(), name);
        }
        let error = "dance".parse::<Right>().unwrap_err().to_string();
        assert!(
            error.contains("\"dance\", only upload, download"),
            "{error}"
        );
    }

    #[test]
    fn who_lacks_a_right_is_refused_and_told_how_to_get_it() {
        let caller = Caller {
            name: "a".to_owned(),
            rights: BTreeSet::from([Right::Invoke]),
            request_id: None,
        };
        assert!(caller.require(Right::Invoke).is_ok());
        for (name, right) in RIGHTS.into_iter().filter(|(name, _)| *name != "invoke") {
            let problem = caller.require(right).unwrap_err();
            let expected = format!("add \"{name}\" to `sandbox` in [component.a.tool.gather]");
            assert!(problem.detail.contains(&expected), "{}", problem.detail);
        }
    }
}
