//! The client's end of a call: the head of its answer, which waits for the first content, and its stream.

use std::time::{Duration, Instant};

use futures::channel::oneshot;
use guest::task::{Writer, body};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

use crate::call::Head;
use crate::fault::Fault;
use crate::protocol::Protocol;

/// The longest silence towards the client: balancers cut streams that are silent for longer than a few times this.
const SILENCE: Duration = Duration::from_secs(14);

/// The client's end of a call.
pub struct Outlet {
    protocol: Protocol,
    head: Option<oneshot::Sender<Head>>,
    writer: Option<Writer>,
    /// The events before the first content. Another target may replace them.
    held: Vec<u8>,
    has_content: bool,
    last: Instant,
}

impl Outlet {
    pub fn new(protocol: Protocol, head: oneshot::Sender<Head>) -> Self {
        Self {
            protocol,
            head: Some(head),
            writer: None,
            held: Vec::new(),
            has_content: false,
            last: Instant::now(),
        }
    }

    /// Whether the client has left.
    pub fn is_gone(&self) -> bool {
        match (&self.head, &self.writer) {
            (Some(head), _) => head.is_canceled(),
            (None, Some(writer)) => writer.is_closed(),
            (None, None) => false,
        }
    }

    /// Whether a part of an answer has gone to the client, after which no other target can answer.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether the client has heard nothing for so long that it should hear a ping.
    pub fn is_silent(&self) -> bool {
        self.last.elapsed() >= SILENCE
    }

    /// Answers the whole of it.
    pub fn answer(&mut self, head: Head) {
        if let Some(sender) = self.head.take() {
            drop(sender.send(head));
        }
    }

    fn open(&mut self, mut headers: HeaderMap) {
        if self.head.is_none() {
            return;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // Proxies would hold events back.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        let (writer, body) = body();
        self.writer = Some(writer);
        self.answer(Head::Stream { headers, body });
    }

    /// Keeps an event that says nothing yet.
    pub fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The events that were kept, and then these.
    pub fn released(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.held.is_empty() {
            return bytes;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(&bytes);
        all
    }

    /// Forgets what another target began to say.
    pub fn forget(&mut self) {
        self.held.clear();
    }

    /// Opens the answer if need be, and writes. Whether the client is there.
    pub async fn write(&mut self, headers: impl FnOnce() -> HeaderMap, bytes: Vec<u8>) -> bool {
        if self.head.is_some() {
            self.open(headers());
        }
        self.has_content = true;
        self.last = Instant::now();
        self.send(bytes).await
    }

    /// Writes a ping. Whether the client is there.
    pub async fn ping(&mut self, headers: HeaderMap) -> bool {
        self.open(headers);
        self.last = Instant::now();
        self.send(self.protocol.ping().as_bytes().to_vec()).await
    }

    async fn send(&mut self, bytes: Vec<u8>) -> bool {
        match &mut self.writer {
            Some(writer) if !bytes.is_empty() => writer.write(bytes).await,
            Some(writer) => !writer.is_closed(),
            None => false,
        }
    }

    /// Tells that the call failed: as an answer, or as the last event of one that has begun.
    pub async fn fail(&mut self, headers: HeaderMap, fault: Fault) {
        if self.head.is_some() {
            self.answer(Head::Failed { headers, fault });
            return;
        }
        let event = self
            .protocol
            .error_event(fault.http_status(), fault.code, &fault.detail);
        self.send(event).await;
    }
}
