//! A WebSocket, from its upgrade to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use http::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use uuid::Uuid;

use crate::feed::{Feed, Out, refuse, tell};
use crate::frames::{Close, FromClient, FromServer};
use crate::hub::{Frame, Listener};
use crate::request::Waiting;
use crate::session::{Credential, Session, Visitor};
use crate::{Gateway, database, stopping};

/// The largest frame, with all its fragments together.
const MAX_FRAME_BYTES: usize = 64 << 10;
const BUFFER_BYTES: usize = 4 << 10;
/// The time limits for sending a frame, and for closing.
const SEND_WITHIN: Duration = Duration::from_secs(20);
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// The sending half of a socket.
struct Wire {
    stream: Stream,
    listener: Option<Arc<Listener>>,
}

impl Out for Wire {
    async fn send(&mut self, frame: Frame) -> Result<(), Close> {
        self.write(Message::Text(frame.text)).await
    }
}

impl Wire {
    async fn write(&mut self, message: Message) -> Result<(), Close> {
        let listener = self.listener.clone();
        let too_slow = async {
            match &listener {
                Some(listener) if !listener.is_too_slow() => listener.woken.notified().await,
                Some(_) => {}
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            sent = timeout(SEND_WITHIN, self.stream.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Close::GoingAway),
                Err(_) => Err(Close::TooSlow),
            },
            () = too_slow => Err(Close::TooSlow),
        }
    }

    async fn close(&mut self, why: Close) {
        let frame = CloseFrame {
            code: CloseCode::from(why.code()),
            reason: why.reason().into(),
        };
        // The peer may be gone, or not read this either.
        if timeout(CLOSE_WITHIN, self.stream.close(Some(frame)))
            .await
            .is_ok()
        {
            _ = timeout(CLOSE_WITHIN, self.hear_out(why)).await;
        }
    }

    /// Reads until the peer closes, too. A connection that ended with bytes unread would be reset, and the peer might
    /// never read why.
    async fn hear_out(&mut self, why: Close) {
        if matches!(why, Close::TooLarge | Close::Malformed | Close::NotUtf8) {
            // What follows is not looked at as frames.
            let mut rest = vec![0; 4096];
            while matches!(self.stream.get_mut().read(&mut rest).await, Ok(1..)) {}
        } else {
            while let Some(Ok(message)) = self.stream.next().await {
                if message.is_close() {
                    break;
                }
            }
        }
    }
}

/// Serves an upgraded connection until it ends.
pub async fn serve(
    gateway: Arc<Gateway>,
    upgraded: Upgraded,
    address: IpAddr,
    signed_in: Option<(Visitor, Session)>,
    topics: Vec<String>,
    waiting: Waiting,
) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES);
    let stream =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config));
    let mut wire = Wire {
        stream: stream.await,
        listener: None,
    };
    gateway.metrics.sockets.inc();
    let ended = match signed_in {
        Some((visitor, session)) => run(&gateway, &mut wire, visitor, session, topics).await,
        None => match sign_in(&gateway, &mut wire, address).await {
            Ok((visitor, session)) => {
                drop(waiting);
                run(&gateway, &mut wire, visitor, session, topics).await
            }
            Err(why) => Err(why),
        },
    };
    match ended {
        // The peer has closed, and is answered in kind.
        Ok(()) => _ = timeout(CLOSE_WITHIN, SinkExt::close(&mut wire.stream)).await,
        Err(why) => say_why(&gateway, &mut wire, why).await,
    }
    gateway.metrics.sockets.dec();
}

/// Closes a socket, and tells when to reconnect if the client is not at fault.
async fn say_why(gateway: &Gateway, wire: &mut Wire, why: Close) {
    if why == Close::TooSlow {
        gateway.metrics.slow.inc();
    }
    if why.invites_back() {
        let closing = FromServer::Closing {
            retry_after_ms: gateway.retry_after_ms(),
        };
        // Whoever was too slow for events may be for this.
        wire.listener = None;
        _ = timeout(CLOSE_WITHIN, tell(wire, &closing)).await;
    }
    wire.close(why).await;
}

/// Waits for the first frame, which signs in.
async fn sign_in(
    gateway: &Gateway,
    wire: &mut Wire,
    address: IpAddr,
) -> Result<(Visitor, Session), Close> {
    let frame = timeout(gateway.limits.sign_in, next_text(wire)).await;
    let text = match frame {
        Ok(Ok(Some(text))) => text,
        Ok(Err(why)) => return Err(why),
        Ok(Ok(None)) | Err(_) => return Err(Close::NotSignedIn),
    };
    let Ok(FromClient::Authenticate { token }) = serde_json::from_str(&text) else {
        return Err(Close::NotSignedIn);
    };
    let credential = Credential::Bearer(token.into());
    let visitor = Visitor {
        credential,
        address,
    };
    match gateway.functions.session(&visitor).await {
        Ok(Some(session)) => Ok((visitor, session)),
        Ok(None) => Err(Close::NotSignedIn),
        Err(error) => {
            tracing::warn!("can't tell who a token stands for: {error:#}");
            refuse(wire, "unavailable").await?;
            Err(Close::GoingAway)
        }
    }
}

/// Waits for the next text frame. `None` if the peer closed.
async fn next_text(wire: &mut Wire) -> Result<Option<String>, Close> {
    while let Some(message) = wire.stream.next().await {
        match read(message)? {
            Some(Heard::Text(text)) => return Ok(Some(text)),
            Some(Heard::Closed) => return Ok(None),
            None => {}
        }
    }
    Ok(None)
}

enum Heard {
    Text(String),
    Closed,
}

fn read(message: Result<Message, Error>) -> Result<Option<Heard>, Close> {
    match message {
        Ok(Message::Text(text)) => Ok(Some(Heard::Text(text.to_string()))),
        Ok(Message::Binary(_)) => Err(Close::NotText),
        Ok(Message::Close(_)) => Ok(Some(Heard::Closed)),
        // Pings are answered by the library.
        Ok(_) => Ok(None),
        Err(Error::Capacity(_)) => Err(Close::TooLarge),
        Err(Error::Utf8(_)) => Err(Close::NotUtf8),
        Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
            Ok(Some(Heard::Closed))
        }
        Err(Error::Protocol(_)) => Err(Close::Malformed),
        Err(_) => Ok(Some(Heard::Closed)),
    }
}

async fn run(
    gateway: &Arc<Gateway>,
    wire: &mut Wire,
    visitor: Visitor,
    session: Session,
    topics: Vec<String>,
) -> Result<(), Close> {
    if !gateway.enter(session.account) {
        return Err(Close::TooMany);
    }
    let account = session.account;
    let mut feed = Feed::new(gateway.clone(), visitor, session);
    wire.listener = Some(feed.listener.clone());
    let authenticated = FromServer::Authenticated {
        account,
        retry_after_ms: gateway.retry_after_ms(),
    };
    tell(wire, &authenticated).await?;
    if !topics.is_empty() {
        let topics = identified(gateway, account, topics).await?;
        feed.subscribe(topics, None, None, wire).await?;
    }
    let mut stop = gateway.stop.subscribe();
    let mut ping = interval(gateway.limits.ping_every);
    ping.reset();
    let mut heard = Instant::now();
    loop {
        let lasts = feed.lasts();
        tokio::select! {
            message = wire.stream.next() => {
                heard = Instant::now();
                let Some(message) = message else {
                    return Ok(());
                };
                match read(message)? {
                    Some(Heard::Text(text)) => hear(gateway, wire, &mut feed, &text).await?,
                    Some(Heard::Closed) => return Ok(()),
                    None => {}
                }
            }
            Some(told) = feed.queue.recv() => feed.pass_on(told, wire).await?,
            ended = feed.ended.recv() => feed.look_at(ended, wire).await?,
            () = feed.listener.woken.notified() => return Err(Close::TooSlow),
            () = sleep(lasts) => return Err(Close::NotSignedIn),
            _ = ping.tick() => {
                if heard.elapsed() > gateway.limits.gone_after {
                    return Ok(());
                }
                wire.write(Message::Ping(Bytes::new())).await?;
            }
            () = stopping(&mut stop) => return Err(Close::GoingAway),
        }
    }
}

/// The topics with the ids of circles in the place of their names. One that the account may not read keeps its name, and is
/// refused like one that does not exist.
async fn identified(
    gateway: &Gateway,
    account: Uuid,
    mut topics: Vec<String>,
) -> Result<Vec<String>, Close> {
    for topic in &mut topics {
        let Some(name) = topic.strip_prefix("circle:") else {
            continue;
        };
        if Uuid::try_parse(name).is_ok() {
            continue;
        }
        let query = sqlx::query_scalar("select circles.find_circle($1, $2)");
        let found: anyhow::Result<Option<Uuid>> =
            database::one(&gateway.pool, query.bind(account).bind(name.to_owned())).await;
        if let Some(id) = found.map_err(|_| Close::GoingAway)? {
            *topic = format!("circle:{id}");
        }
    }
    Ok(topics)
}

/// Handles a frame of the client.
async fn hear(
    gateway: &Arc<Gateway>,
    wire: &mut Wire,
    feed: &mut Feed,
    text: &str,
) -> Result<(), Close> {
    let frame = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(_) => return refuse(wire, "invalid-frame").await,
    };
    match frame {
        FromClient::Ping => tell(wire, &FromServer::Pong).await,
        FromClient::Authenticate { .. } => refuse(wire, "already-authenticated").await,
        FromClient::Renew { token } => renew(gateway, wire, feed, token).await,
        FromClient::Subscribe {
            topics,
            types,
            since,
        } => {
            let types = types.map(Into::into);
            feed.subscribe(topics, types, since.as_deref(), wire).await
        }
        FromClient::Unsubscribe { topics } => {
            for topic in topics {
                feed.unsubscribe(&feed.named(&topic));
            }
            Ok(())
        }
        FromClient::Post {
            channel,
            body,
            client_id,
            reference,
        } => {
            let message = json!({ "body": body, "client_id": client_id });
            post(gateway, wire, feed, channel, &message, reference.as_deref()).await
        }
        FromClient::Typing { channel } => {
            let topic = format!("channel:{channel}");
            if !feed.reads(&topic) {
                return refuse(wire, "not-subscribed").await;
            }
            gateway
                .ephemeral
                .typing(&gateway.pool, channel, feed.session.account)
                .await;
            Ok(())
        }
        FromClient::Presence { state } => {
            feed.say_presence(state).await;
            Ok(())
        }
    }
}

/// Continues with another token of the same account.
async fn renew(
    gateway: &Gateway,
    wire: &mut Wire,
    feed: &mut Feed,
    token: String,
) -> Result<(), Close> {
    let visitor = Visitor {
        credential: Credential::Bearer(token.into()),
        address: feed.visitor.address,
    };
    match gateway.functions.session(&visitor).await {
        Ok(Some(session)) if session.account == feed.session.account => {
            feed.visitor = visitor;
            tell(wire, &FromServer::Renewed).await?;
            feed.go_on_as(session, wire).await
        }
        Ok(_) => Err(Close::NotSignedIn),
        Err(_) => refuse(wire, "unavailable").await,
    }
}

/// Posts a message as the sender, through the function that posts messages, which is the only writer.
async fn post(
    gateway: &Gateway,
    wire: &mut Wire,
    feed: &Feed,
    channel: Uuid,
    message: &Value,
    reference: Option<&str>,
) -> Result<(), Close> {
    let path = format!("/api/channels/{channel}/messages");
    let answered = gateway
        .functions
        .call(Method::POST, &path, &feed.visitor, Some(message))
        .await;
    let problem = match answered {
        Ok((status, _)) if status.is_success() => return Ok(()),
        Ok((_, body)) => serde_json::from_slice(&body).unwrap_or(Value::Null),
        Err(_) => json!({ "code": "unavailable" }),
    };
    let frame = FromServer::Error {
        code: problem["code"].as_str().unwrap_or("unavailable"),
        detail: problem["detail"].as_str(),
        reference,
    };
    tell(wire, &frame).await
}
