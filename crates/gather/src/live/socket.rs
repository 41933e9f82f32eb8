//! Topics that are followed over any number of sockets. After a break, the next socket continues at the last position.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use futures::{SinkExt, StreamExt};
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{
    net::TcpStream,
    sync::mpsc::Sender,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    api::{Api, delay, may_pass},
    note,
};

/// The time limit for opening a socket.
const OPEN_WITHIN: Duration = Duration::from_secs(30);
/// The longest silence of the gateway, which pings more often.
const SILENCE: Duration = Duration::from_secs(60);
/// The time before its end at which a token is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(25);
/// The largest frame, which is larger than any of the gateway's.
const MAX_FRAME_BYTES: usize = 4 << 20;
/// The number of attempts after which a server that never answered is given up.
const ATTEMPTS: u32 = 5;
/// The number of events in which a repetition is looked for, since repeated events follow each other soon.
const REMEMBERED: usize = 1000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The news of a follower.
#[derive(Debug)]
pub enum Told {
    /// An event happened, which is the gateway's frame.
    Event(Value),
    /// The subscription began. From now on nothing on the topic is missed.
    Subscribed,
    /// The position is too old. Some events since then are not kept any more.
    Gone(String),
    /// The topic does not exist, or the agent may not read it (any more).
    Denied(String),
}

/// A topic, and the position of its reader.
#[derive(Debug)]
pub struct Topic {
    /// The name of the topic, `<kind>:<id>`.
    pub name: String,
    /// The position from which to continue; `None` begins now.
    pub since: Option<String>,
}

/// Follows topics.
pub struct Follower {
    /// The agent that follows.
    pub api: Api,
    /// The topics that are still followed.
    pub topics: Vec<Topic>,
    /// The types of events to follow; all types if empty.
    pub types: Vec<String>,
    /// The channel for news.
    pub told: Sender<Told>,
    /// The ids of the last events.
    seen: (VecDeque<String>, HashSet<String>),
    failures: u32,
    /// Whether a subscription has ever begun.
    has_begun: bool,
}

/// The reason why a socket ended that another one may replace.
struct Broken(String);

impl Follower {
    /// Makes a follower, which has not begun.
    pub fn new(api: Api, topics: Vec<Topic>, types: Vec<String>, told: Sender<Told>) -> Self {
        Self {
            api,
            topics,
            types,
            told,
            seen: Default::default(),
            failures: 0,
            has_begun: false,
        }
    }

    /// Follows until nobody listens or no topic is left. Fails if another attempt makes no sense.
    pub async fn run(mut self) -> Result<()> {
        loop {
            let broken = match self.open().await? {
                Ok(mut socket) => match self.read(&mut socket).await? {
                    Some(broken) => broken,
                    None => {
                        // The gateway may be gone; it finds out by itself.
                        _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                        return Ok(());
                    }
                },
                Err(broken) => broken,
            };
            if self.failures == 0 {
                note(&format!(
                    "The connection broke ({}); trying again …",
                    broken.0
                ));
            }
            self.failures += 1;
            if !self.has_begun && self.failures == ATTEMPTS {
                bail!("{} can't be followed: {}", self.api.server(), broken.0);
            }
            sleep(delay(self.failures)).await;
            // The token may have ended, or been revoked.
            match self.api.renewed().await {
                Err(error) if !may_pass(&error) => return Err(error),
                _ => {}
            }
        }
    }

    async fn open(&self) -> Result<Result<Socket, Broken>> {
        // `http` and `https` become `ws` and `wss`.
        let url = self.api.server().replacen("http", "ws", 1) + "/ws";
        let mut request = url.into_client_request()?;
        let bearer = format!("Bearer {}", self.api.access().token);
        request.headers_mut().insert(AUTHORIZATION, bearer.parse()?);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME_BYTES))
            .max_frame_size(Some(MAX_FRAME_BYTES));
        let opened = timeout(
            OPEN_WITHIN,
            connect_async_with_config(request, Some(config), true),
        );
        Ok(match opened.await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(Error::Http(answer))) => {
                let status = answer.status().as_u16();
                // A token that ended meanwhile is renewed.
                if status < 500 && ![401, 408, 429].contains(&status) {
                    bail!("{} has no sockets for us ({status})", self.api.server());
                }
                Err(Broken(format!("the server answers {status}")))
            }
            Ok(Err(error)) => Err(Broken(error.to_string())),
            Err(_) => Err(Broken("the server does not answer".to_owned())),
        })
    }

    /// Reads until the socket ends. `None` if nobody listens any more.
    async fn read(&mut self, socket: &mut Socket) -> Result<Option<Broken>> {
        let mut renew_at = renewal(self.api.access().ends_at);
        loop {
            let next = tokio::select! {
                next = timeout(SILENCE, socket.next()) => next,
                () = sleep_until(renew_at) => {
                    match self.api.renewed().await {
                        Ok(access) => {
                            let frame = json!({ "type": "renew", "token": access.token });
                            if let Err(broken) = send(socket, &frame).await {
                                return Ok(Some(broken));
                            }
                            renew_at = renewal(access.ends_at);
                        }
                        Err(error) if may_pass(&error) => renew_at = Instant::now() + delay(1),
                        Err(error) => return Err(error),
                    }
                    continue;
                }
                () = self.told.closed() => return Ok(None),
            };
            match next {
                Err(_) => return Ok(Some(Broken("the server is silent".to_owned()))),
                Ok(None) => return Ok(Some(Broken("the server closed it".to_owned()))),
                Ok(Some(Err(error))) => return Ok(Some(Broken(error.to_string()))),
                Ok(Some(Ok(Message::Close(why)))) => return closed(why).map(Some),
                Ok(Some(Ok(Message::Text(text)))) => {
                    let frame = serde_json::from_str(&text).context("a frame that is not JSON")?;
                    if let Err(broken) = self.hear(socket, frame).await? {
                        return Ok(Some(broken));
                    }
                    if self.topics.is_empty() || self.told.is_closed() {
                        return Ok(None);
                    }
                }
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// Handles a frame of the gateway.
    async fn hear(&mut self, socket: &mut Socket, frame: Value) -> Result<Result<(), Broken>> {
        let topic = frame["topic"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().unwrap_or_default() {
            "authenticated" => {
                let account = frame["account"].as_str().context("no account")?;
                return Ok(self.subscribe(socket, account).await);
            }
            "subscribed" => {
                self.failures = 0;
                self.has_begun = true;
                self.stand(&topic, &frame);
                self.tell(Told::Subscribed).await;
            }
            "gone" => self.tell(Told::Gone(topic)).await,
            "denied" => {
                self.topics.retain(|one| one.name != topic);
                self.tell(Told::Denied(topic)).await;
            }
            "error" => match frame["code"].as_str().unwrap_or_default() {
                // The gateway's own trouble, which passes.
                code @ ("unavailable" | "database-unavailable") => {
                    return Ok(Err(Broken(code.to_owned())));
                }
                code => bail!("the server refuses: {code}"),
            },
            _ if frame["position"].is_string() => {
                self.stand(&topic, &frame);
                if self.is_new(&frame) {
                    self.tell(Told::Event(frame)).await;
                }
            }
            // What is kept nowhere: who types, who is there. Answers to our own frames.
            _ => {}
        }
        Ok(Ok(()))
    }

    /// Subscribes to all topics, each from the position of its reader.
    async fn subscribe(&mut self, socket: &mut Socket, account: &str) -> Result<(), Broken> {
        for topic in &mut self.topics {
            if topic.name == "account:me" {
                topic.name = format!("account:{account}");
            }
            let mut frame = json!({ "type": "subscribe", "topics": [topic.name] });
            if let Some(since) = &topic.since {
                frame["since"] = json!(since);
            }
            if !self.types.is_empty() {
                frame["types"] = json!(self.types);
            }
            send(socket, &frame).await?;
        }
        Ok(())
    }

    /// Notes the position of the topic's reader.
    fn stand(&mut self, topic: &str, frame: &Value) {
        let position = frame["position"].as_str().map(str::to_owned);
        for one in self.topics.iter_mut().filter(|one| one.name == topic) {
            one.since.clone_from(&position);
        }
    }

    /// Whether an event is new on this topic.
    fn is_new(&mut self, frame: &Value) -> bool {
        let (order, all) = &mut self.seen;
        let id = format!("{} {}", frame["topic"], frame["id"]);
        if !all.insert(id.clone()) {
            return false;
        }
        order.push_back(id);
        if order.len() > REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            all.remove(&oldest);
        }
        true
    }

    async fn tell(&self, told: Told) {
        // Whoever listens no more is seen by the caller.
        _ = self.told.send(told).await;
    }
}

async fn send(socket: &mut Socket, frame: &Value) -> Result<(), Broken> {
    let sent = socket.send(Message::text(frame.to_string())).await;
    sent.map_err(|error| Broken(error.to_string()))
}

/// The time at which a token is renewed, which leaves a pause between two renewals.
fn renewal(ends_at: OffsetDateTime) -> Instant {
    let left = Duration::try_from(ends_at - OffsetDateTime::now_utc()).unwrap_or_default();
    let wait = left.saturating_sub(RENEW_BEFORE);
    Instant::now() + wait.max(Duration::from_secs(5))
}

/// The meaning of the gateway's close frame: whether another socket may succeed.
fn closed(why: Option<CloseFrame>) -> Result<Broken> {
    let Some(why) = why else {
        return Ok(Broken("the server closed it".to_owned()));
    };
    let reason = if why.reason.is_empty() {
        "the server closed it"
    } else {
        why.reason.as_str()
    };
    match u16::from(why.code) {
        4403 | 4409 | 4413 | 1003 => Err(anyhow!("{reason}")),
        _ => Ok(Broken(reason.to_owned())),
    }
}
