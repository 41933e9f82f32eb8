//! The identity of clients. The gateway asks the functions with the client's own credentials, and asks
//! the database what has been revoked since.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use client_address::visitor::{self, VISITOR};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgPool;
use tokio::sync::broadcast;
use tokio::time::timeout;
use uuid::Uuid;

use crate::database;

/// The time within which a function has to answer, after which the client is told to try again.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// The interval at which the database is asked for revocations.
const WATCH_EVERY: Duration = Duration::from_millis(750);

/// The credential that a client presented.
#[derive(Clone)]
pub enum Credential {
    /// The access token or API key.
    Bearer(Arc<str>),
    /// The credential is a browser's session cookie, with the whole header, of one of the platform's own pages.
    Cookie {
        /// The header with the cookie.
        header: HeaderValue,
        /// The token that goes with the cookie's changes.
        csrf_token: String,
    },
}

/// The token that the functions want with a change that a session cookie asks for, as the guest library makes it. A page
/// proves its origin to the gateway by the socket's `Origin`.
pub fn csrf_token(cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("gather-csrf-v1:{cookie}")))
}

impl Credential {
    /// The time at which an access token expires, in seconds since 1970. The functions have verified it before.
    pub fn expires_at(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Claims {
            exp: u64,
        }
        let Self::Bearer(token) = self else {
            return None;
        };
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        Some(claims.exp)
    }
}

/// A client: its credential and its address.
#[derive(Clone)]
pub struct Visitor {
    /// The credential that the client presented.
    pub credential: Credential,
    /// The client's address, for limits and the audit trail.
    pub address: IpAddr,
}

/// The account and session of a credential.
#[derive(Debug, Clone, Deserialize)]
pub struct Session {
    /// The account.
    pub account: Uuid,
    /// The session or API key.
    pub session: Uuid,
    /// The granted scopes, separated by spaces: a key or a token may have fewer than its account.
    scope: String,
}

impl Session {
    /// Whether the credential has the scope of administrators, whose account then has the right to read more topics.
    pub fn administers(&self) -> bool {
        self.scope.split(' ').any(|granted| granted == "admin:all")
    }
}

/// The revocations, as the database returns them.
#[derive(Debug, Clone, Deserialize)]
pub struct Ended {
    #[serde(rename = "revoked")]
    sessions: Vec<Uuid>,
    /// Accounts that changed, with the number of their change: their keys and rights may have ended.
    changed: Vec<(Uuid, i64)>,
    now: String,
}

impl Ended {
    /// Whether a session was revoked.
    pub fn ends(&self, session: &Session) -> bool {
        self.sessions.contains(&session.session)
    }

    /// The sessions, and the accounts with the number of their change.
    pub fn all(&self) -> impl Iterator<Item = (Uuid, i64)> {
        let sessions = self.sessions.iter().map(|session| (*session, 0));
        sessions.chain(self.changed.iter().copied())
    }

    /// The number of the last change of the account behind a session, if it changed lately.
    pub fn change_of(&self, session: &Session) -> Option<i64> {
        let mut changes = self.changed.iter();
        changes.find_map(|(account, number)| (*account == session.account).then_some(*number))
    }
}

/// The client of the functions.
pub struct Functions {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    visitor_key: [u8; 32],
}

impl Functions {
    /// The functions at an address such as `http://127.0.0.1:3000`.
    pub fn new(url: &str, visitor_key: [u8; 32]) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
            visitor_key,
        }
    }

    /// Finds the account and session of a client's credential; `None` if it is not valid.
    ///
    /// # Errors
    /// The functions can't be reached, or failed.
    pub async fn session(&self, visitor: &Visitor) -> Result<Option<Session>> {
        let (status, body) = self
            .call(Method::GET, "/api/events/session", visitor, None)
            .await?;
        match status {
            StatusCode::OK => Ok(Some(serde_json::from_slice(&body).context("a session")?)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(None),
            other => bail!("the functions answered {other} to who somebody is"),
        }
    }

    /// Forwards a client's request with its credential and address. Returns the status and the body.
    ///
    /// # Errors
    /// The functions can't be reached, or take too long.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        client: &Visitor,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Bytes)> {
        let uri = format!("{}{path}", self.url).parse::<Uri>()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let vouched = visitor::seal(&self.visitor_key, &method, &uri, client.address, now);
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header(VISITOR, vouched);
        request = match &client.credential {
            Credential::Bearer(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            Credential::Cookie { header, csrf_token } => request
                .header(COOKIE, header)
                .header("x-csrf-token", csrf_token),
        };
        let body = match body {
            Some(value) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(serde_json::to_vec(value)?)
            }
            None => Bytes::new(),
        };
        let answered = async {
            let response = self.client.request(request.body(Full::new(body))?).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
                .collect()
                .await;
            let body = body.map_err(|error| anyhow::anyhow!("an answer broke off: {error}"))?;
            Ok((status, body.to_bytes()))
        };
        timeout(PATIENCE, answered)
            .await
            .context("the functions take too long")?
    }
}

/// Tells all feeds of revocations, forever. A database that is gone is asked again; revocations meanwhile are told
/// then.
pub async fn watch(pool: PgPool, ended: broadcast::Sender<Arc<Ended>>) {
    let mut since = None::<String>;
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let query = sqlx::query_scalar::<_, String>(
            "select identity.check_in($1::text::timestamptz, null, null, 'standard', 0, false)::text",
        );
        let asked = database::one(&pool, query.bind(since.clone())).await;
        let asked = asked.and_then(|json| Ok(serde_json::from_str::<Ended>(&json)?));
        match asked {
            Ok(news) => {
                since = Some(news.now.clone());
                // Nobody may be listening.
                _ = ended.send(Arc::new(news));
            }
            Err(error) => tracing::warn!("can't ask what was revoked: {error:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1234,"sub":"x"}"#);
        let bearer = |text: String| Credential::Bearer(text.into());
        assert_eq!(bearer(format!("h.{claims}.s")).expires_at(), Some(1234));
        assert_eq!(bearer("gk_key".into()).expires_at(), None);
        assert_eq!(bearer("a.%.c".into()).expires_at(), None);
    }
}
