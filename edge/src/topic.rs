//! The sockets of one topic, and its latest events.
//!
//! A topic sleeps while nothing happens: its sockets stay open, and all that it knows is in its storage. The origin pushes
//! events to it while it renews a lease. Its only timer is the lease's.

mod ended;
mod frames;
mod store;

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::{
    DurableObject, Env, Method, Request, RequestInit, Response, Result, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, durable_object,
};

use crate::clock::now_ms;
use crate::news::{VALID_FOR_MS, Verdict, judge, told_now_ms};
use crate::origin;
use crate::problem::{MALFORMED, ORIGIN_AWAY, RATE_LIMITED};
use ended::Ended;
use frames::{FromClient, authenticated, error, gone, subscribed};
use store::Store;

/// The address of pushes, with the topic behind it.
pub const CALLBACK: &str = "/edge/topics/";
/// The header that names the reader to a topic. Only this worker reaches a topic.
const READER: &str = "x-edge-reader";
/// The header with the URL that clients know.
const BASE: &str = "x-edge-base";
/// The sockets of one account on one topic.
const SOCKETS_OF_ACCOUNT: usize = 20;
/// The time after which a lease is renewed, and after which a failed renewal is tried again.
const RENEWED_AFTER_MS: i64 = 30_000;
const RETRY_AFTER_MS: i64 = 5_000;
/// The pause before a lease that may have been given back is taken again.
const SOON_MS: i64 = 100;
const PATIENCE_MS: u64 = 10_000;
/// The status with which a topic refuses a reader of whom the origin has to be asked again.
pub const ASK_AGAIN: u16 = 409;
/// The code of a socket whose credential has ended.
const ENDED: u16 = 4401;

/// The reader of a socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reader {
    /// The account.
    pub account: String,
    /// The session.
    pub sid: String,
    /// The time at which the token expires, in seconds since 1970 by the origin's clock.
    pub exp: u64,
    /// The accounts of whose events the reader is told nothing.
    pub without: Vec<String>,
    /// The time at which the origin was asked for this.
    pub asked_at_ms: u64,
}

/// The data of a socket while the topic sleeps. There is little room, so the rest is in the storage.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Attachment {
    /// The row of the accounts to leave out; 0: there are none.
    without: i64,
    account: String,
    sid: String,
    exp: u64,
}

/// A push of the origin.
#[derive(Debug, Deserialize)]
struct Push {
    topic: String,
    after: Option<String>,
    position: String,
    events: Vec<Value>,
    #[serde(default)]
    revoke: Vec<String>,
}

#[derive(Deserialize)]
struct Granted {
    position: String,
}

/// Opens a socket at its topic.
pub async fn join(
    request: &Request,
    env: &Env,
    topic: &str,
    reader: &Reader,
    since: Option<&str>,
) -> Result<Response> {
    let url = request.url()?;
    let headers = worker::Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(READER, &serde_json::to_string(reader)?)?;
    headers.set(BASE, &url.origin().ascii_serialization())?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    let mut address = url::Url::parse("https://topic/")?;
    address.query_pairs_mut().append_pair("topic", topic);
    if let Some(since) = since {
        address.query_pairs_mut().append_pair("since", since);
    }
    let joined = Request::new_with_init(address.as_str(), &init)?;
    env.durable_object("TOPIC")?
        .get_by_name(topic)?
        .fetch_with_request(joined)
        .await
}

/// Takes a push of the origin.
pub async fn pushed(mut request: Request, env: &Env) -> Result<Response> {
    let Ok(body) = request.text().await else {
        return MALFORMED.answer(&request);
    };
    let path = request.path();
    let named = path.strip_prefix(CALLBACK).unwrap_or_default();
    let named = url::form_urlencoded::parse(format!("t={}", named.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(body.into()));
    let push = Request::new_with_init("https://topic/", &init)?;
    env.durable_object("TOPIC")?
        .get_by_name(&named)?
        .fetch_with_request(push)
        .await
}

/// The sockets of one topic.
#[durable_object]
pub struct Topic {
    state: State,
    env: Env,
    store: Store,
    ended: RefCell<Ended>,
}

impl DurableObject for Topic {
    fn new(state: State, env: Env) -> Self {
        let store = Store::open(state.storage().sql());
        Self {
            state,
            env,
            store,
            ended: RefCell::default(),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        if request.method() == Method::Get {
            return self.accept(&request).await;
        }
        let Ok(push) = request.json::<Push>().await else {
            return MALFORMED.answer(&request);
        };
        self.take(push)
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        let WebSocketIncomingMessage::String(text) = message else {
            return socket.close(Some(1003), Some("frames are text"));
        };
        match serde_json::from_str(&text) {
            Ok(FromClient::Renew { token }) => self.renew(&socket, &token).await,
            Ok(FromClient::Subscribe { topics, since }) => {
                let topic = self.store.topic()?;
                if topics.iter().any(|wanted| *wanted == topic) {
                    self.replay(&socket, since.as_deref())?;
                }
                for other in topics.iter().filter(|wanted| **wanted != topic) {
                    socket.send_with_str(frames::denied(other))?;
                }
                Ok(())
            }
            Ok(FromClient::Other) => socket.send_with_str(error("not-at-the-edge")),
            Err(_) => socket.send_with_str(error("malformed-frame")),
        }
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        code: usize,
        reason: String,
        _: bool,
    ) -> Result<()> {
        self.forget(&socket);
        // Codes that no frame may carry say that there was none.
        let code = u16::try_from(code)
            .ok()
            .filter(|code| !matches!(code, 1005 | 1006 | 1015));
        // The other end may be gone.
        _ = socket.close(code, Some(reason));
        Ok(())
    }

    async fn websocket_error(&self, socket: WebSocket, _: worker::Error) -> Result<()> {
        self.forget(&socket);
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.end_expired().await;
        let topic = self.store.topic()?;
        let path = path_of(&topic);
        let pause = if self.state.get_websockets().is_empty() {
            // A socket that opens meanwhile takes a lease of its own, which must not end with this one.
            self.store.leave()?;
            // A lease that is not renewed ends by itself.
            drop(origin::ask(&self.env, Method::Delete, &path, None, PATIENCE_MS).await);
            (!self.state.get_websockets().is_empty()).then_some(SOON_MS)
        } else {
            match self.lease(&topic).await {
                Ok(()) => Some(RENEWED_AFTER_MS),
                Err(error) => {
                    worker::console_warn!("a lease can't be renewed: {error}");
                    Some(RETRY_AFTER_MS)
                }
            }
        };
        if let Some(pause) = pause {
            self.state.storage().set_alarm(pause).await?;
        }
        Response::ok("")
    }
}

fn path_of(topic: &str) -> String {
    let topic: String = url::form_urlencoded::byte_serialize(topic.as_bytes()).collect();
    format!("/api/edge/topics/{topic}")
}

impl Topic {
    async fn accept(&self, request: &Request) -> Result<Response> {
        let headers = request.headers();
        let header = |name| Ok::<_, worker::Error>(headers.get(name)?.unwrap_or_default());
        let reader: Reader = serde_json::from_str(&header(READER)?)?;
        let url = request.url()?;
        let parameter = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        };
        let topic = parameter("topic").unwrap_or_default();
        let of_account = self.state.get_websockets_with_tag(&reader.account);
        if of_account.len() >= SOCKETS_OF_ACCOUNT {
            return RATE_LIMITED.retried(request, 5);
        }
        if !self.store.is_leased()? {
            self.store.settle(&topic, &header(BASE)?)?;
            if let Err(error) = self.lease(&topic).await {
                worker::console_warn!("no lease: {error}");
                return ORIGIN_AWAY.retried(request, 1);
            }
            self.state.storage().set_alarm(RENEWED_AFTER_MS).await?;
        }
        // What the origin said may have ended while the answer was on its way, or before its function knew.
        let known_at_ms = reader.asked_at_ms.saturating_sub(ended::LEARNED_WITHIN_MS);
        if self.has_ended_since(&reader.account, &reader.sid, known_at_ms) {
            return Ok(Response::empty()?.with_status(ASK_AGAIN));
        }
        let pair = WebSocketPair::new()?;
        let socket = pair.server;
        self.state
            .accept_websocket_with_tags(&socket, &[&reader.account]);
        socket.serialize_attachment(Attachment {
            without: self.store.leave_out(&reader.without)?,
            account: reader.account.clone(),
            sid: reader.sid,
            exp: reader.exp,
        })?;
        socket.send_with_str(authenticated(&reader.account))?;
        self.replay(&socket, parameter("since").as_deref())?;
        Response::from_websocket(pair.client)
    }

    /// Sends what happened since a position, and says where that ends.
    fn replay(&self, socket: &WebSocket, since: Option<&str>) -> Result<()> {
        let topic = self.store.topic()?;
        let have = self.store.have()?.unwrap_or_default();
        if let Some(since) = since.filter(|since| *since != have) {
            match self.store.after(since)? {
                Some(events) => {
                    let without = self.without(socket)?;
                    for event in events.iter().filter(|event| event.is_for(&without)) {
                        socket.send_with_str(&event.frame)?;
                    }
                }
                None => socket
                    .send_with_str(gone(&topic, &self.store.oldest()?.unwrap_or(have.clone())))?,
            }
        }
        socket.send_with_str(subscribed(&topic, &have))
    }

    fn without(&self, socket: &WebSocket) -> Result<Vec<String>> {
        let attachment: Option<Attachment> = socket.deserialize_attachment()?;
        self.store
            .left_out(attachment.map_or(0, |kept| kept.without))
    }

    async fn renew(&self, socket: &WebSocket, token: &str) -> Result<()> {
        let Some(kept) = socket.deserialize_attachment::<Attachment>()? else {
            return Ok(());
        };
        let news_of_ms = now_ms().saturating_sub(VALID_FOR_MS);
        match judge(&self.env, token).await {
            // The news by which it was judged may be older than what was pushed.
            Verdict::Valid(claims)
                if self.has_ended_since(&claims.account, &claims.sid, news_of_ms) =>
            {
                socket.send_with_str(error("unavailable"))
            }
            Verdict::Valid(claims) if claims.account == kept.account => {
                socket.serialize_attachment(Attachment {
                    sid: claims.sid,
                    exp: claims.exp,
                    ..kept
                })?;
                socket.send_with_str(authenticated(&claims.account))
            }
            Verdict::Unsure => socket.send_with_str(error("unavailable")),
            Verdict::Valid(_) | Verdict::Invalid => {
                socket.close(Some(ENDED), Some("the token is not valid"))
            }
        }
    }

    fn take(&self, push: Push) -> Result<Response> {
        // A revocation counts wherever the topic stands.
        self.ended.borrow_mut().note(&push.revoke, now_ms());
        self.end(|kept| push.revoke.contains(&kept.account) || push.revoke.contains(&kept.sid));
        if !self.store.is_leased()? || push.topic != self.store.topic()? {
            return gap(None);
        }
        let have = self.store.have()?;
        let Some(after) = &push.after else {
            self.store.begin_at(&push.position)?;
            for socket in self.state.get_websockets() {
                _ = socket.send_with_str(gone(&push.topic, &push.position));
            }
            return taken(&push.position);
        };
        if have.as_ref() != Some(after) {
            return gap(have.as_deref());
        }
        let mut events = Vec::new();
        for event in push.events {
            if event["type"] == "access.changed" {
                // Whoever may still read it comes back, and is told what was missed.
                let account = event["data"]["account"].as_str();
                self.end(|kept| account.is_none_or(|account| account == kept.account));
                continue;
            }
            events.push(store::Event::of(event));
        }
        self.store.append(&events, &push.position)?;
        if !events.is_empty() {
            self.tell(&events)?;
        }
        taken(&push.position)
    }

    fn tell(&self, events: &[store::Event]) -> Result<()> {
        for socket in self.state.get_websockets() {
            let without = self.without(&socket)?;
            for event in events.iter().filter(|event| event.is_for(&without)) {
                // One that is gone does not keep the others from hearing of it.
                _ = socket.send_with_str(&event.frame);
            }
        }
        Ok(())
    }

    /// Begins or renews the lease.
    async fn lease(&self, topic: &str) -> Result<()> {
        let encoded: String = url::form_urlencoded::byte_serialize(topic.as_bytes()).collect();
        let have = self.store.have()?;
        let callback = format!("{}{CALLBACK}{encoded}", self.store.base()?);
        let body = json!({"callback": callback, "have": have}).to_string();
        let path = path_of(topic);
        let asked = origin::ask(&self.env, Method::Put, &path, Some(body), PATIENCE_MS);
        let granted: Granted = asked.await?.json().await?;
        // Where it stood may have moved on meanwhile, or have been too old.
        if self.store.have()?.is_none() {
            self.store.begin_at(&granted.position)?;
        }
        self.store.leased()
    }

    fn end(&self, is_ended: impl Fn(&Attachment) -> bool) {
        let mut sockets = self.state.get_websockets();
        sockets.retain(|socket| {
            let kept = socket.deserialize_attachment::<Attachment>();
            kept.is_ok_and(|kept| kept.is_some_and(|kept| is_ended(&kept)))
        });
        // What is sent after a change of the storage would wait until the change is kept.
        for socket in &sockets {
            _ = socket.close(Some(ENDED), Some("sign in again"));
        }
        for socket in &sockets {
            self.forget(socket);
        }
    }

    fn has_ended_since(&self, account: &str, sid: &str, since_ms: u64) -> bool {
        let ended = self.ended.borrow();
        [account, sid].iter().any(|id| ended.since(id, since_ms))
    }

    async fn end_expired(&self) {
        if let Some(now_ms) = told_now_ms(&self.env).await {
            self.end(|kept| kept.exp <= now_ms / 1000);
        }
    }

    fn forget(&self, socket: &WebSocket) {
        if let Ok(Some(kept)) = socket.deserialize_attachment::<Attachment>() {
            _ = self.store.forget_left_out(kept.without);
        }
    }
}

fn taken(position: &str) -> Result<Response> {
    Response::from_json(&json!({"have": position}))
}

fn gap(have: Option<&str>) -> Result<Response> {
    let body = json!({"type": "/problems/gap", "title": "Gap", "status": 409, "code": "gap", "have": have,
        "detail": "Events are missing before these."});
    Ok(Response::from_json(&body)?.with_status(409))
}
