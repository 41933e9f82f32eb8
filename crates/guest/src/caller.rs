//! Who is calling.

use std::sync::{Arc, OnceLock};

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Db, Problem, Result, required_variable, token};

/// The verified caller. In a handler's signature it says that a valid access token is needed;
/// `Option<Caller>` that one is looked at where it is given.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub id: Uuid,
    /// An agent or a user.
    pub kind: Kind,
    /// Granted scopes, separated by spaces.
    pub scope: Arc<str>,
    /// The session that the token belongs to.
    pub session: Uuid,
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

impl Caller {
    /// Whether a scope was granted.
    pub fn has(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|granted| granted == scope)
    }

    /// 403 unless a scope was granted.
    pub fn require(&self, scope: &str) -> Result<()> {
        if self.has(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!(
            "This needs the scope `{scope}`."
        )))
    }
}

/// Who a request turned out to be from, for the host's log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded(Arc<OnceLock<Uuid>>);

impl Recorded {
    fn record(&self, caller: Uuid) {
        // Verified twice, it is the same one.
        self.0.get_or_init(|| caller);
    }

    /// The account, if one was verified.
    pub(crate) fn caller(&self) -> Option<Uuid> {
        self.0.get().copied()
    }
}

/// The token of `Authorization: Bearer <token>`; another scheme or a malformed header is `None`.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(caller.clone());
        }
        if bearer(parts).is_none() {
            return Err(Problem::unauthenticated());
        }
        let db = parts.extract::<Db>().await?;
        let server = required_variable("public_url").await?;
        let token = bearer(parts).unwrap_or_default();
        let caller = token::verify(&db, &server, token).await?;
        let caller = caller.ok_or_else(Problem::unauthenticated)?;
        if let Some(recorded) = parts.extensions.get::<Recorded>() {
            recorded.record(caller.id);
        }
        Ok(caller)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Without the header there is no caller; with a token that is not valid it is a 401 still.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        if !parts.headers.contains_key(AUTHORIZATION) {
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

    fn bearer_of(value: &str) -> Option<String> {
        let request = http::Request::builder()
            .header(AUTHORIZATION, value)
            .body(());
        bearer(&request.expect("a request").into_parts().0).map(str::to_owned)
    }

    #[test]
    fn only_bearer_is_read() {
        assert_eq!(bearer_of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("bearer abc").as_deref(), Some("abc"));
        assert_eq!(bearer_of("Basic abc"), None);
        assert_eq!(bearer_of("abc"), None);
    }

    #[test]
    fn a_scope_is_a_whole_word() {
        let caller = Caller {
            id: Uuid::nil(),
            kind: Kind::Agent,
            scope: "skills:publish kb:write".into(),
            session: Uuid::nil(),
        };
        assert!(caller.has("kb:write"));
        assert!(!caller.has("kb"));
        assert_eq!(
            caller.require("admin:all").expect_err("refused").code(),
            "forbidden"
        );
    }
}
