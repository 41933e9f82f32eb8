//! The visitor of a page, and the requests to other functions on the visitor's behalf.
//!
//! A page reads and changes everything through the functions' own HTTP API, with the visitor's session and address, so
//! that permissions, limits and the audit trail are the same as for every other client.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRequestParts;
use bytes::Bytes;
use futures::future::join3;
use guest::{Problem, SESSION_COOKIE, cookie, csrf_token, fetch_whole, vouch};
use http::header::{CONTENT_TYPE, COOKIE, IF_MATCH, REFERER, USER_AGENT};
use http::request::{Builder, Parts};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::forms::Proof;

/// The largest answer of a function that a page is made of.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// The cookie with the chosen theme.
pub const THEME_COOKIE: &str = "gather-theme";

/// The visitor of the page that is asked for. Handlers take it as an argument.
#[derive(Debug, Clone)]
pub struct Visitor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    headers: HeaderMap,
    uri: Uri,
    account: Option<Account>,
    unread: u64,
    /// The channels that the visitor is in and that were written in last.
    joined: Vec<Joined>,
    /// Whether the session has ended: functions refuse a request with its cookie, even where strangers may read.
    has_ended: bool,
}

/// The account of a visitor who is signed in.
#[derive(Debug, Deserialize)]
pub struct Account {
    /// The account's id.
    pub id: String,
    /// `agent` or `user`.
    pub kind: String,
    /// The account's name.
    pub name: String,
    /// The scopes that the roles grant.
    pub scopes: Vec<String>,
}

/// A channel that the visitor is in.
#[derive(Debug, Deserialize)]
pub struct Joined {
    /// The channel's id.
    pub channel: String,
    /// The channel's name; `None` for a direct channel.
    pub name: Option<String>,
    /// The number of unread messages.
    pub unread: u64,
}

impl Visitor {
    /// Finds out who sends a request. A session that has ended makes a stranger.
    ///
    /// # Errors
    /// The account can't be read, for example because the database can't be reached.
    pub async fn of(headers: &HeaderMap, uri: &Uri) -> Result<Self, (Self, Failure)> {
        let stranger = Self::without_account(headers, uri, false);
        if stranger.session().is_none() {
            return Ok(stranger);
        }
        let account = stranger.get::<Account>("accounts", "/api/accounts/me");
        let unread = stranger.unread_items();
        let joined = stranger.joined_channels();
        let (account, unread, joined) = join3(account, unread, joined).await;
        match account {
            Ok(account) => Ok(Self(Arc::new(Inner {
                headers: headers.clone(),
                uri: uri.clone(),
                account: Some(account),
                unread,
                joined,
                has_ended: false,
            }))),
            Err(failure) if failure.status == StatusCode::UNAUTHORIZED => Ok(stranger.signed_out()),
            Err(failure) => Err((stranger, failure)),
        }
    }

    /// The visitor's account; `None` for a stranger.
    pub fn account(&self) -> Option<&Account> {
        self.0.account.as_ref()
    }

    /// The visitor's account.
    ///
    /// # Errors
    /// 401 for a stranger.
    pub fn required(&self) -> Result<&Account, Failure> {
        self.account()
            .ok_or_else(|| Problem::unauthenticated().into())
    }

    /// Whether the visitor has a scope.
    pub fn may(&self, scope: &str) -> bool {
        let scopes = self.account().map_or(&[][..], |account| &account.scopes);
        scopes.iter().any(|own| own == scope || own == guest::ALL)
    }

    /// The number of unread items in the visitor's inbox.
    pub fn unread(&self) -> u64 {
        self.0.unread
    }

    /// The channels that the visitor is in and that were written in last, with what is unread first.
    pub fn joined(&self) -> &[Joined] {
        &self.0.joined
    }

    /// Counts the unread items for the rail. A part of a page has none.
    async fn unread_items(&self) -> u64 {
        if self.wants_part() {
            return 0;
        }
        let count = self.get::<Unread>("inbox", "/api/inbox/count");
        count.await.map_or(0, |count| count.unread)
    }

    /// Reads the channels for the rail. A part of a page has none.
    async fn joined_channels(&self) -> Vec<Joined> {
        if self.wants_part() {
            return Vec::new();
        }
        let joined = self.get::<Vec<Joined>>("channels", "/api/channels/unread?limit=8");
        let mut joined = joined.await.unwrap_or_default();
        joined.retain(|channel| channel.name.is_some());
        joined.sort_by(|one, other| {
            (one.unread == 0, &one.name).cmp(&(other.unread == 0, &other.name))
        });
        joined
    }

    /// The path of the page.
    pub fn path(&self) -> &str {
        self.0.uri.path()
    }

    /// The address of the page, with its query.
    pub fn address(&self) -> &str {
        self.0
            .uri
            .path_and_query()
            .map_or("/", |whole| whole.as_str())
    }

    /// The address of the page with the form that is sent; for any other request, the address that is asked for.
    pub fn came_from(&self) -> &str {
        let is_form = self.0.headers.contains_key(CONTENT_TYPE);
        let referer = self.0.headers.get(REFERER).filter(|_| is_form);
        let referer = referer.and_then(|referer| referer.to_str().ok());
        let path = referer.and_then(|referer| {
            let (_, rest) = referer.split_once("://")?;
            rest.find('/').map(|at| &rest[at..])
        });
        path.map_or_else(|| self.address(), guest::own_address)
    }

    /// Whether a script asks for a part of a page, and not the browser for a page.
    pub fn wants_part(&self) -> bool {
        self.0.headers.contains_key("hx-request")
    }

    /// The theme that the visitor chose: `light` or `dark`; `None` for the system's.
    pub fn theme(&self) -> Option<&'static str> {
        let chosen = cookie(&self.0.headers, THEME_COOKIE);
        ["light", "dark"]
            .into_iter()
            .find(|theme| chosen == Some(theme))
    }

    /// The token that forms carry; `None` without a session.
    pub fn csrf(&self) -> Option<String> {
        self.account().and(self.session()).map(csrf_token)
    }

    /// The same visitor as a stranger, after the session has ended.
    #[must_use]
    pub fn signed_out(&self) -> Self {
        Self::stranger(&self.0.headers, &self.0.uri)
    }

    /// A visitor without an account, whoever sends the request.
    pub fn stranger(headers: &HeaderMap, uri: &Uri) -> Self {
        Self::without_account(headers, uri, true)
    }

    fn without_account(headers: &HeaderMap, uri: &Uri, has_ended: bool) -> Self {
        Self(Arc::new(Inner {
            headers: headers.clone(),
            uri: uri.clone(),
            account: None,
            unread: 0,
            joined: Vec::new(),
            has_ended,
        }))
    }

    fn session(&self) -> Option<&str> {
        cookie(&self.0.headers, SESSION_COOKIE).filter(|_| !self.0.has_ended)
    }

    /// Reads from a function: `component` is its name, `path` a path of its API with the query.
    ///
    /// # Errors
    /// The function's problem, or 503 if it can't be asked.
    pub async fn get<T: DeserializeOwned>(
        &self,
        component: &str,
        path: &str,
    ) -> Result<T, Failure> {
        let request = self.request(Method::GET, component, path);
        let answer = self.send(request, Body::empty()).await?;
        serde_json::from_slice(answer.body()).map_err(|error| Problem::internal(error).into())
    }

    /// Changes something: sends `body` as JSON, with the proof from the visitor's form.
    ///
    /// # Errors
    /// The function's problem, or 503 if it can't be asked.
    pub async fn change(
        &self,
        method: Method,
        component: &str,
        path: &str,
        body: &impl Serialize,
        proof: &Proof,
    ) -> Result<Response<Bytes>, Failure> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let request = self.proven(method, component, path, proof);
        let request = request.header(CONTENT_TYPE, "application/json");
        self.send(request, Body::from(body)).await
    }

    /// Like [`Visitor::change`], for what must still have the given version.
    ///
    /// # Errors
    /// The function's problem, 412 if there is another version, or 503 if it can't be asked.
    pub async fn change_version(
        &self,
        method: Method,
        component: &str,
        path: &str,
        version: u32,
        body: &impl Serialize,
        proof: &Proof,
    ) -> Result<Response<Bytes>, Failure> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let request = self
            .proven(method, component, path, proof)
            .header(CONTENT_TYPE, "application/json")
            .header(IF_MATCH, format!("\"{version}\""));
        self.send(request, Body::from(body)).await
    }

    /// Creates something with POST, and reads the answer.
    ///
    /// # Errors
    /// The function's problem, or 503 if it can't be asked.
    pub async fn create<T: DeserializeOwned>(
        &self,
        component: &str,
        path: &str,
        body: &impl Serialize,
        proof: &Proof,
    ) -> Result<T, Failure> {
        self.exchange(Method::POST, component, path, body, proof)
            .await
    }

    /// Like [`Visitor::change`], and reads the answer.
    ///
    /// # Errors
    /// The function's problem, or 503 if it can't be asked.
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        component: &str,
        path: &str,
        body: &impl Serialize,
        proof: &Proof,
    ) -> Result<T, Failure> {
        let answer = self.change(method, component, path, body, proof).await?;
        serde_json::from_slice(answer.body()).map_err(|error| Problem::internal(error).into())
    }

    /// Deletes something, with the proof from the visitor's form.
    ///
    /// # Errors
    /// The function's problem, or 503 if it can't be asked.
    pub async fn delete(
        &self,
        component: &str,
        path: &str,
        proof: &Proof,
    ) -> Result<Response<Bytes>, Failure> {
        let request = self.proven(Method::DELETE, component, path, proof);
        self.send(request, Body::empty()).await
    }

    fn proven(&self, method: Method, component: &str, path: &str, proof: &Proof) -> Builder {
        let mut request = self.request(method, component, path);
        for (name, value) in [
            ("x-csrf-token", &proof.csrf),
            ("idempotency-key", &proof.key),
        ] {
            if let Ok(value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                request = request.header(name, value);
            }
        }
        request
    }

    fn request(&self, method: Method, component: &str, path: &str) -> Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{component}.spin.internal{path}"));
        for name in [USER_AGENT.as_str(), "x-request-id", "traceparent"] {
            if let Some(value) = self.0.headers.get(name) {
                request = request.header(name, value);
            }
        }
        if let Some(session) = self.session() {
            request = request.header(COOKIE, format!("{SESSION_COOKIE}={session}"));
        }
        request
    }

    async fn send(&self, request: Builder, body: Body) -> Result<Response<Bytes>, Failure> {
        let mut request = request.body(body).map_err(Problem::internal)?;
        vouch(&mut request, &self.0.headers).await?;
        let answer = fetch_whole(request, MAX_ANSWER_BYTES)
            .await
            .map_err(|error| {
                guest::error!("a function can't be asked", cause = error.to_string());
                let detail = "A part of the server can't be reached at the moment.";
                Problem::unavailable("part-unavailable", detail, 5)
            })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Failure::of(&answer))
    }
}

#[derive(Deserialize)]
struct Unread {
    unread: u64,
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Problem::internal("the route has no frame: see frame.rs").into())
    }
}
