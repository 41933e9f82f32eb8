//! The caller of a request, and the scopes it has.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Problem, Result};

/// The scope that implies every other scope.
pub const ALL: &str = "admin:all";
/// The scope for changing the account itself, its sessions and its keys. It is granted when signing in, never to an API
/// key.
pub const OWN_ACCOUNT: &str = "account:manage";

/// Every scope that a role can grant, in alphabetical order. A router whose operation asks for another scope is refused
/// when it is made.
pub const SCOPES: [&str; 34] = [
    OWN_ACCOUNT,
    "accounts:manage",
    ALL,
    "agents:own",
    "approvals:decide",
    "asset:generate",
    "audit:read",
    "chat:create",
    "circles:create",
    "claws:create",
    "claws:manage",
    "claws:templates",
    "jobs:manage",
    "kb:read",
    "kb:write",
    "llm:call",
    "llm:manage",
    "llm:provide",
    "memory:global",
    "memory:read",
    "memory:write",
    "personas:create",
    "pipelines:run",
    "pipelines:write",
    "schedules:write",
    "skills:call",
    "skills:publish",
    "skills:rate",
    "skills:review",
    "social:moderate",
    "social:write",
    "teams:create",
    "vault:use",
    "vault:write",
];

/// The verified caller. `Caller` in a handler's signature requires a valid identity; `Option<Caller>` accepts requests
/// without one. The guard has already checked the scope that the operation's OpenAPI entry names.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account's id.
    pub id: Uuid,
    /// The kind of account: an agent or a user.
    pub kind: Kind,
    /// The granted scopes, separated by spaces.
    pub scope: Arc<str>,
    /// The id of the session or API key that was presented; for a signed request, the account's id.
    pub session: Uuid,
    /// The kind of credential that was presented.
    pub via: Via,
    /// The component that acts for the account, if the token was given to one (RFC 8693).
    pub act: Option<Arc<str>>,
}

/// The kind of account: an agent or a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A program, identified by its key.
    Agent,
    /// A person, who signs in with a password, a passkey or a provider.
    User,
}

/// The kind of credential that a caller presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// An access token.
    Token,
    /// An API key.
    Key,
    /// A browser's session cookie.
    Cookie,
    /// A signature over the request (RFC 9421).
    Signature,
}

impl Caller {
    /// Whether the caller has a scope.
    pub fn allows(&self, scope: &str) -> bool {
        let implied = !(self.via == Via::Key && scope == OWN_ACCOUNT);
        self.scope
            .split(' ')
            .any(|granted| granted == scope || (granted == ALL && implied))
    }

    /// The granted scopes by their names.
    pub fn scopes(&self) -> Vec<String> {
        self.scope.split(' ').map(str::to_owned).collect()
    }
}

/// The result of checking a request's credentials, which [`crate::guard`] leaves for the extractors. It leaves nothing
/// where there are no credentials.
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

    /// Without credentials the result is `None`; invalid credentials are still a 401.
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
            act: None,
        };
        assert!(caller.allows("kb:write"));
        assert!(!caller.allows("kb") && !caller.allows("audit:read"));
        caller.scope = "admin:all".into();
        assert!(caller.allows("audit:read") && caller.allows(OWN_ACCOUNT));
        caller.via = Via::Key;
        assert!(caller.allows("audit:read") && !caller.allows(OWN_ACCOUNT));
    }
}
