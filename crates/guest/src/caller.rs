//! Who is calling, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Problem, Result};

/// Implies every other scope.
pub const ALL: &str = "admin:all";
/// Changing the account itself, its sessions and its keys: for those who sign in, never for an API key.
pub const OWN_ACCOUNT: &str = "account:manage";

/// Every scope that a role can grant, in the alphabet's order. An operation that wants another one is refused when its
/// router is made.
pub const SCOPES: [&str; 18] = [
    OWN_ACCOUNT,
    "accounts:manage",
    ALL,
    "agents:own",
    "approvals:decide",
    "asset:generate",
    "audit:read",
    "chat:create",
    "jobs:manage",
    "kb:read",
    "kb:write",
    "skills:call",
    "skills:publish",
    "skills:rate",
    "skills:review",
    "social:moderate",
    "social:write",
    "teams:create",
];

/// The verified caller. In a handler's signature it says that a valid identity is needed; `Option<Caller>` that one
/// is looked at where it is given. The scope that the operation's OpenAPI entry names was checked before.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub id: Uuid,
    /// An agent or a user.
    pub kind: Kind,
    /// Granted scopes, separated by spaces.
    pub scope: Arc<str>,
    /// The session or API key that was presented; the account itself where the request was signed.
    pub session: Uuid,
    /// What was presented.
    pub via: Via,
}

/// Agents and people are both accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program, known by its key.
    Agent,
    /// A person, known by their password.
    User,
}

/// How a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// An access token.
    Token,
    /// An API key.
    Key,
    /// A browser's session.
    Cookie,
    /// A signature over the request (RFC 9421).
    Signature,
}

impl Caller {
    /// Whether the caller may do what a scope stands for.
    pub fn allows(&self, scope: &str) -> bool {
        let implied = !(self.via == Via::Key && scope == OWN_ACCOUNT);
        self.scope
            .split(' ')
            .any(|granted| granted == scope || (granted == ALL && implied))
    }
}

/// What a request's credentials turned out to be; [`crate::guard`] leaves it for the extractors, unless there are none.
#[derive(Debug, Clone)]
pub(crate) enum Checked {
    Absent,
    Invalid(Problem),
    Known(Caller),
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extensions.get::<Checked>() {
            Some(Checked::Known(caller)) => Ok(caller.clone()),
            Some(Checked::Invalid(problem)) => Err(problem.clone()),
            Some(Checked::Absent) | None => Err(Problem::unauthenticated()),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Without credentials there is no caller; with some that are not valid it is a 401 still.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        if let Some(Checked::Absent) | None = parts.extensions.get::<Checked>() {
            return Ok(None);
        }
        <Self as FromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_whole_word() {
        let mut caller = Caller {
            id: Uuid::nil(),
            kind: Kind::Agent,
            scope: "skills:publish kb:write".into(),
            session: Uuid::nil(),
            via: Via::Token,
        };
        assert!(caller.allows("kb:write"));
        assert!(!caller.allows("kb") && !caller.allows("audit:read"));
        caller.scope = "admin:all".into();
        assert!(caller.allows("audit:read") && caller.allows(OWN_ACCOUNT));
        caller.via = Via::Key;
        assert!(caller.allows("audit:read") && !caller.allows(OWN_ACCOUNT));
    }
}
