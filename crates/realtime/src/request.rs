//! The gateway's requests: upgrades to sockets, event streams, and presence.

mod path;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Result as Asked;
use bytes::Bytes;
use futures::stream;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, COOKIE, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use uuid::Uuid;

use self::path::Path;
use crate::feed::shunned;
use crate::session::{Credential, Session, Visitor, csrf_token};
use crate::{Body, Gateway, database, enter, leave, socket, stream as events};

/// The name of the session's cookie.
const SESSION_COOKIE: &str = "__Host-gather-session";
const REQUEST_ID: &str = "x-request-id";
/// The number of lines of a stream that may wait to be sent.
const WAITING_LINES: usize = 64;

/// A refusal: status, code and detail of a problem (RFC 9457).
struct Refusal(StatusCode, &'static str, &'static str);

const NOT_SIGNED_IN: Refusal = Refusal(
    StatusCode::UNAUTHORIZED,
    "unauthenticated",
    "This needs `Authorization: Bearer` with a valid access token or API key.",
);
const NOT_FOUND: Refusal = Refusal(
    StatusCode::NOT_FOUND,
    "not-found",
    "This path does not exist, or you may not see its channel.",
);
const UNAVAILABLE: Refusal = Refusal(
    StatusCode::SERVICE_UNAVAILABLE,
    "unavailable",
    "Who you are can't be told at the moment. Try again in a moment.",
);

impl Gateway {
    /// Whether a path is one of the gateway's, which are in its Cargo.toml.
    pub(crate) fn serves(path: &str) -> bool {
        Path::of(path).is_some()
    }

    /// Answers a request for one of the `native_routes` in the crate's Cargo.toml.
    pub async fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        let id = request.headers().get(REQUEST_ID).cloned();
        let answered = match (Path::of(request.uri().path()), request.method()) {
            (None, _) => Err(NOT_FOUND),
            (Some(_), method) if method != Method::GET => Err(Refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path has the method GET only.",
            )),
            (Some(Path::Socket), _) => self.upgrade(request, peer, Vec::new()).await,
            (Some(Path::ChannelSocket(channel)), _) => {
                self.upgrade(request, peer, vec![format!("channel:{channel}")])
                    .await
            }
            (Some(Path::TopicSocket(topic)), _) => self.upgrade(request, peer, vec![topic]).await,
            (Some(Path::Stream), _) => self.stream(&request, peer).await,
            (Some(Path::Presence(channel)), _) => {
                self.presence(request.headers(), peer, channel).await
            }
        };
        let mut response = answered.unwrap_or_else(|refusal| refusal.response(id.as_ref()));
        let headers = response.headers_mut();
        if let Some(id) = id {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn upgrade(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        topics: Vec<String>,
    ) -> Result<Response<Body>, Refusal> {
        let headers = request.headers();
        let is = |name, value: &str| {
            let values = headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok());
            values
                .flat_map(|line| line.split(','))
                .any(|one| one.trim().eq_ignore_ascii_case(value))
        };
        let key = headers
            .get(SEC_WEBSOCKET_KEY)
            .filter(|_| is(UPGRADE, "websocket") && is(CONNECTION, "upgrade"));
        let Some(accept) = key.map(|key| derive_accept_key(key.as_bytes())) else {
            return Err(Refusal(
                StatusCode::UPGRADE_REQUIRED,
                "upgrade-required",
                "Open this address as a WebSocket (RFC 6455).",
            ));
        };
        if !is(SEC_WEBSOCKET_VERSION, "13") {
            return Err(Refusal(
                StatusCode::BAD_REQUEST,
                "upgrade-required",
                "Only version 13 of the WebSocket protocol is spoken here.",
            ));
        }
        let address = client_address::client(peer.ip(), headers, &self.proxies);
        let signed_in = match self.credential(headers)? {
            Some(credential) => Some(self.session(credential, address).await?),
            None => None,
        };
        let unsigned = signed_in
            .is_none()
            .then(|| client_address::counted(address));
        if let Some(address) = &unsigned
            && !enter(&self.unsigned, address.clone(), self.limits.unsigned)
        {
            return Err(Refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many sockets of this address have not signed in.",
            ));
        }
        let waiting = Waiting(self.clone(), unsigned);
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                socket::serve(self, upgraded, address, signed_in, topics, waiting).await;
            }
        });
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let accept = HeaderValue::from_str(&accept).map_err(|_| UNAVAILABLE)?;
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        Ok(response)
    }

    async fn stream(
        self: Arc<Self>,
        request: &Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Refusal> {
        let (visitor, session) = self.signed_in(request.headers(), peer).await?;
        let (mut topics, mut types, mut since) = (Vec::new(), None, None);
        for (name, value) in form(request.uri().query().unwrap_or_default()) {
            let listed = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match name.as_str() {
                "topics" => topics = listed(),
                "types" => types = Some(listed().into()),
                "since" => since = Some(value),
                _ => {}
            }
        }
        if topics.is_empty() {
            return Err(Refusal(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-input",
                "`topics` must name at least one topic, such as `account:me`; several are separated by commas.",
            ));
        }
        // A browser that comes back says where it stood.
        let last = request.headers().get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()).map(str::to_owned);
        if !self.enter(session.account) {
            return Err(Refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "This account has too many sockets and streams.",
            ));
        }
        let (lines, mut waiting) = mpsc::channel(WAITING_LINES);
        tokio::spawn(events::serve(
            self,
            visitor,
            session,
            topics,
            types,
            last.or(since),
            lines,
        ));
        let body = stream::poll_fn(move |context| {
            let line = std::task::ready!(waiting.poll_recv(context));
            std::task::Poll::Ready(line.map(|line: Bytes| Ok(Frame::data(line))))
        });
        let mut response = Response::new(StreamBody::new(body).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }

    async fn presence(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        channel: Uuid,
    ) -> Result<Response<Body>, Refusal> {
        let (_, session) = self.signed_in(headers, peer).await?;
        let topic = format!("channel:{channel}");
        let readable = sqlx::query_scalar("select events.may_read($1, $2, false)");
        let readable = readable.bind(session.account).bind(&topic);
        let readable: Asked<bool> = database::one(&self.pool, readable).await;
        if !readable.map_err(|_| UNAVAILABLE)? {
            return Err(NOT_FOUND);
        }
        let shunned = shunned(&self.pool, session.account).await;
        let shunned = shunned.map_err(|_| UNAVAILABLE)?;
        let present = self.ephemeral.present(&topic, &shunned);
        let present = serde_json::to_vec(&present).unwrap_or_default();
        let mut response = Response::new(Full::from(present).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        Ok(response)
    }

    /// Reads the credential from the headers. A cookie counts for the platform's own pages only.
    fn credential(&self, headers: &HeaderMap) -> Result<Option<Credential>, Refusal> {
        if let Some(value) = headers.get(AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|value| value.split_once(' '));
            return match token {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    Ok(Some(Credential::Bearer(token.trim().into())))
                }
                _ => Err(NOT_SIGNED_IN),
            };
        }
        let cookie = headers.get(COOKIE).and_then(|cookie| {
            let mut pairs = cookie.to_str().unwrap_or_default().split(';');
            let value = pairs
                .find_map(|pair| pair.trim().strip_prefix(SESSION_COOKIE)?.strip_prefix('='))?;
            Some(Credential::Cookie {
                header: cookie.clone(),
                csrf_token: csrf_token(value),
            })
        });
        let Some(cookie) = cookie else {
            return Ok(None);
        };
        if is_own_page(headers, &self.public_url) {
            return Ok(Some(cookie));
        }
        Err(Refusal(
            StatusCode::FORBIDDEN,
            "origin-refused",
            "The session cookie works for the platform's own pages only.",
        ))
    }

    /// The client, who must be signed in.
    async fn signed_in(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
    ) -> Result<(Visitor, Session), Refusal> {
        let credential = self.credential(headers)?.ok_or(NOT_SIGNED_IN)?;
        let address = client_address::client(peer.ip(), headers, &self.proxies);
        self.session(credential, address).await
    }

    async fn session(
        &self,
        credential: Credential,
        address: IpAddr,
    ) -> Result<(Visitor, Session), Refusal> {
        let visitor = Visitor {
            credential,
            address,
        };
        match self.functions.session(&visitor).await {
            Ok(Some(session)) => Ok((visitor, session)),
            Ok(None) => Err(NOT_SIGNED_IN),
            Err(error) => {
                tracing::warn!("can't tell who a credential stands for: {error:#}");
                Err(UNAVAILABLE)
            }
        }
    }
}

/// Whether one of the platform's own pages sends a request. Browsers name the origin of a page that opens a socket, but
/// not of one that reads from its own origin; of that request they say that it stays there.
fn is_own_page(headers: &HeaderMap, public_url: &str) -> bool {
    // A server on the visitor's own machine has several names there.
    let normal = |origin: &str| {
        let by_name = origin.replacen("://127.0.0.1", "://localhost", 1);
        by_name.replacen("://[::1]", "://localhost", 1)
    };
    match headers.get(ORIGIN) {
        Some(origin) => origin
            .to_str()
            .is_ok_and(|origin| normal(origin) == normal(public_url)),
        None => headers
            .get("sec-fetch-site")
            .is_some_and(|site| site == "same-origin"),
    }
}

/// Counts a socket among its address's unsigned ones until it signs in or ends.
pub struct Waiting(Arc<Gateway>, Option<String>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(address) = self.1.take() {
            leave(&self.0.unsigned, address);
        }
    }
}

impl Refusal {
    fn response(self, id: Option<&HeaderValue>) -> Response<Body> {
        let Self(status, code, detail) = self;
        let problem = json!({
            "type": format!("/problems/{code}"), "title": code.replace('-', " "), "status": status.as_u16(),
            "detail": detail, "code": code, "request_id": id.and_then(|id| id.to_str().ok()),
        });
        let body = Full::from(problem.to_string()).boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert("allow", HeaderValue::from_static("GET"));
            }
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            }
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                headers.insert("retry-after", HeaderValue::from_static("2"));
            }
            _ => {}
        }
        response
    }
}

fn empty() -> Body {
    Full::default().boxed_unsync()
}

/// The pairs of a query string.
fn form(query: &str) -> impl Iterator<Item = (String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_paths_are_served() {
        let id = "01890000-0000-7000-8000-000000000000";
        for (path, served) in [
            ("/ws".to_owned(), true),
            ("/ws/".to_owned(), false),
            ("/api/events/stream".to_owned(), true),
            ("/api/events".to_owned(), false),
            (format!("/api/channels/{id}/ws"), true),
            (format!("/api/channels/{id}/presence"), true),
            (format!("/api/channels/{id}/messages"), false),
            ("/api/channels/general/ws".to_owned(), false),
            (format!("/api/channels/{id}/ws/x"), false),
        ] {
            assert_eq!(Gateway::serves(&path), served, "{path}");
        }
    }

    #[test]
    fn only_own_pages_use_the_cookie() {
        let own = "http://127.0.0.1:3000";
        for (name, value, expected) in [
            ("origin", own, true),
            ("origin", "http://localhost:3000", true),
            ("origin", "http://[::1]:3000", true),
            ("origin", "http://localhost:3001", false),
            ("origin", "https://localhost:3000", false),
            ("origin", "http://127.0.0.1.evil.example:3000", false),
            ("origin", "http://localhost.evil.example:3000", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("sec-fetch-site", "none", false),
            ("accept", "*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            assert_eq!(is_own_page(&headers, own), expected, "{name}: {value}");
        }
        let headers =
            HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("http://localhost:3000"))]);
        assert!(!is_own_page(&headers, "https://gather.example"));
    }
}
