//! The components that may use the sandbox. Each has its own key, with which it makes tokens that are valid for a few
//! minutes.

use crate::problem::Problem;
use anyhow::bail;
use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
};
use service_token::{SANDBOX, Verifier};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

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
    /// The right to have a statement about a review signed.
    Attest,
    /// The right to have a statement about an erasure signed.
    AttestErasure,
    /// The right to have the receipt of a turn signed.
    AttestTurn,
    /// The right to have an A2A card signed.
    SignCard,
}

const RIGHTS: [(&str, Right); 8] = [
    ("upload", Right::Upload),
    ("download", Right::Download),
    ("invoke", Right::Invoke),
    ("probe", Right::Probe),
    ("attest", Right::Attest),
    ("attest-erasure", Right::AttestErasure),
    ("attest-turn", Right::AttestTurn),
    ("sign-card", Right::SignCard),
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

/// The components that may use the sandbox.
pub struct Callers {
    verifier: Verifier,
    rights: BTreeMap<String, BTreeSet<Right>>,
}

impl Callers {
    /// Makes the callers from their names, keys and rights.
    pub fn new(callers: BTreeMap<String, CallerGrant>) -> Self {
        let keys = callers.iter();
        let keys = keys.map(|(name, grant)| (name.as_str(), grant.key.as_str()));
        let verifier = Verifier::new(SANDBOX, keys);
        let callers = callers.into_iter();
        Self {
            verifier,
            rights: callers.map(|(name, grant)| (name, grant.rights)).collect(),
        }
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
    /// Whether a component has a right.
    pub fn has(&self, right: Right) -> bool {
        self.rights.contains(&right)
    }

    /// Refuses a component that lacks a right.
    ///
    /// # Errors
    /// The component lacks the right. The error says what to add to the manifest.
    pub fn require(&self, right: Right) -> Result<(), Problem> {
        if self.has(right) {
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
        let issuer = token.and_then(|token| callers.verifier.issuer(token));
        let issuer = issuer.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "This needs a service token.",
            )
        })?;
        let rights = callers.rights.get(&issuer.component).cloned();
        Ok(Self {
            rights: rights.unwrap_or_default(),
            name: issuer.component.clone(),
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
