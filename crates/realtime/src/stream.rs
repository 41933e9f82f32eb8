//! Server-sent events: the same feed over an ordinary answer (WHATWG HTML, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};

use crate::feed::{Feed, Out, Types};
use crate::frames::Close;
use crate::hub::Frame;
use crate::session::{Session, Visitor};
use crate::{Gateway, stopping};

/// The interval of comments, which keep proxies from closing an idle stream.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
const SEND_WITHIN: Duration = Duration::from_secs(20);

struct Lines(mpsc::Sender<Bytes>);

impl Out for Lines {
    async fn send(&mut self, frame: Frame) -> Result<(), Close> {
        let id = match frame.position.as_str() {
            "" => String::new(),
            position => format!("id: {position}\n"),
        };
        self.write(format!("{id}data: {}\n\n", frame.text)).await
    }
}

impl Lines {
    async fn write(&self, text: String) -> Result<(), Close> {
        match timeout(SEND_WITHIN, self.0.send(text.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Close::GoingAway),
            Err(_) => Err(Close::TooSlow),
        }
    }
}

/// Serves a stream until it ends.
pub async fn serve(
    gateway: Arc<Gateway>,
    visitor: Visitor,
    session: Session,
    topics: Vec<String>,
    types: Types,
    since: Option<String>,
    lines: mpsc::Sender<Bytes>,
) {
    gateway.metrics.streams.inc();
    let mut out = Lines(lines);
    let mut feed = Feed::new(gateway.clone(), visitor, session);
    let ended = run(&gateway, &mut feed, topics, types, since, &mut out).await;
    if ended == Err(Close::TooSlow) {
        gateway.metrics.slow.inc();
    }
    gateway.metrics.streams.dec();
}

async fn run(
    gateway: &Gateway,
    feed: &mut Feed,
    topics: Vec<String>,
    types: Types,
    since: Option<String>,
    out: &mut Lines,
) -> Result<(), Close> {
    out.write(format!("retry: {}\n\n", gateway.retry_after_ms()))
        .await?;
    feed.subscribe(topics, types, since.as_deref(), out).await?;
    let mut stop = gateway.stop.subscribe();
    let mut comment = interval(COMMENT_EVERY);
    comment.reset();
    loop {
        let lasts = feed.lasts();
        tokio::select! {
            Some(told) = feed.queue.recv() => feed.pass_on(told, out).await?,
            ended = feed.ended.recv() => feed.look_at(ended, out).await?,
            () = feed.listener.woken.notified() => return Err(Close::TooSlow),
            () = sleep(lasts) => return Err(Close::NotSignedIn),
            _ = comment.tick() => out.write(":\n\n".to_owned()).await?,
            () = out.0.closed() => return Ok(()),
            () = stopping(&mut stop) => return Ok(()),
        }
    }
}
