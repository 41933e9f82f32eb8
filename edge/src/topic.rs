//! The sockets of one topic, and its latest events.
//!
//! A topic sleeps while nothing happens: its sockets stay open, and all that it knows is in its storage. The origin pushes
//! events to it while it renews a lease. Its only timer is the lease's.

mod ended;
mod frames;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::{
    DurableObject, Env, Headers, Method, Request, RequestInit, Response, Result, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, durable_object,
};

use crate::access::{self, Access};
use crate::news::{Verdict, judge, told_now_ms};
use crate::origin;
use crate::problem::{MALFORMED, ORIGIN_AWAY, RATE_LIMITED};
use ended::Ended;
use frames::{FromClient, authenticated, error, gone, subscribed};
use store::{Listener, Store};

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
    /// The right to read the topic.
    pub access: Access,
    /// The time at which the origin was asked for this, by the topic's clock.
    pub asked_at_ms: u64,
}

/// The answer with the status [`ASK_AGAIN`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AskAgain {
    /// The time of the topic's clock.
    pub now_ms: u64,
    /// The time before the origin knows what has changed.
    pub wait_ms: u64,
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
    ended: Ended,
}

impl DurableObject for Topic {
    fn new(state: State, env: Env) -> Self {
        let store = Store::open(state.storage().sql());
        let ended = Ended::open(state.storage().sql());
        Self {
            state,
            env,
            store,
            ended,
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
        let (account, asked_at_ms) = (&reader.account, reader.asked_at_ms);
        if self
            .ended
            .wait_ms(account, &reader.sid, asked_at_ms)?
            .is_some()
        {
            let now_ms = self.ended.now_ms();
            let wait_ms = self.ended.wait_ms(account, &reader.sid, now_ms)?;
            let wait_ms = wait_ms.unwrap_or_default();
            return Ok(Response::from_json(&AskAgain { now_ms, wait_ms })?.with_status(ASK_AGAIN));
        }
        let pair = WebSocketPair::new()?;
        let socket = pair.server;
        self.state
            .accept_websocket_with_tags(&socket, &[&reader.account]);
        let attachment = self.attachment(&reader.access, &reader.account, reader.sid, reader.exp);
        socket.serialize_attachment(attachment?)?;
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
                    let listener = self.listener(socket)?;
                    for event in events.iter().filter(|event| event.is_for(&listener)) {
                        socket.send_with_str(&event.frame)?;
                    }
                }
                None => socket
                    .send_with_str(gone(&topic, &self.store.oldest()?.unwrap_or(have.clone())))?,
            }
        }
        socket.send_with_str(subscribed(&topic, &have))
    }

    fn attachment(
        &self,
        access: &Access,
        account: &str,
        sid: String,
        exp: u64,
    ) -> Result<Attachment> {
        Ok(Attachment {
            without: self.store.leave_out(&access.without)?,
            account: account.to_owned(),
            sid,
            exp,
        })
    }

    fn listener(&self, socket: &WebSocket) -> Result<Listener> {
        let kept = socket.deserialize_attachment::<Attachment>()?;
        let kept = kept.ok_or("a socket has no reader")?;
        Ok(Listener {
            without: self.store.left_out(kept.without)?,
            account: kept.account,
        })
    }

    async fn renew(&self, socket: &WebSocket, token: &str) -> Result<()> {
        let Some(kept) = socket.deserialize_attachment::<Attachment>()? else {
            return Ok(());
        };
        let asked_at_ms = self.ended.now_ms();
        let claims = match judge(&self.env, token).await {
            Verdict::Valid(claims) if claims.account == kept.account => claims,
            Verdict::Unsure => return socket.send_with_str(error("unavailable")),
            Verdict::Valid(_) | Verdict::Invalid => {
                return socket.close(Some(ENDED), Some("the token is not valid"));
            }
        };
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {token}"))?;
        let access = match access::ask(&self.env, &self.store.topic()?, headers).await {
            Ok(Ok(access)) => access,
            Ok(Err(refusal)) if matches!(refusal.status_code(), 401 | 403 | 404) => {
                return socket.close(Some(ENDED), Some("sign in again"));
            }
            // The origin is away, or busy.
            Ok(Err(_)) | Err(_) => return socket.send_with_str(error("unavailable")),
        };
        // What was pushed meanwhile may be newer than both answers.
        let ended = &self.ended;
        if ended
            .wait_ms(&claims.account, &claims.sid, asked_at_ms)?
            .is_some()
        {
            return socket.send_with_str(error("unavailable"));
        }
        if access.is_for_the_origin() {
            return socket.close(Some(ENDED), Some("sign in again"));
        }
        self.store.forget_left_out(kept.without)?;
        socket.serialize_attachment(self.attachment(
            &access,
            &kept.account,
            claims.sid,
            claims.exp,
        )?)?;
        socket.send_with_str(authenticated(&claims.account))
    }

    fn take(&self, push: Push) -> Result<Response> {
        // A revocation counts wherever the topic stands.
        self.ended.note(&push.revoke)?;
        self.end(|kept| push.revoke.contains(&kept.account) || push.revoke.contains(&kept.sid));
        if !self.store.is_leased()? || push.topic != self.store.topic()? {
            return gap(None);
        }
        let have = self.store.have()?;
        let Some(after) = &push.after else {
            self.begin_anew(&push.position)?;
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
                self.ended.note_rights(account)?;
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
            let Ok(listener) = self.listener(&socket) else {
                continue;
            };
            for event in events.iter().filter(|event| event.is_for(&listener)) {
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
        // Where it stood may be too old for the origin, unless it has moved on meanwhile.
        let stands = self.store.have()?;
        if stands == have && stands.as_ref() != Some(&granted.position) {
            self.begin_anew(&granted.position)?;
        }
        self.store.leased()
    }

    /// Stands at a position, before which nothing is known: neither events nor changes of rights.
    fn begin_anew(&self, position: &str) -> Result<()> {
        self.store.begin_at(position)?;
        self.ended.note_rights(None)?;
        let gone = gone(&self.store.topic()?, position);
        for socket in self.state.get_websockets() {
            _ = socket.send_with_str(&gone);
        }
        self.end(|_| true);
        Ok(())
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
