//! Work that goes on while an answer is streamed: tasks, time, and bodies that a task writes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use http_body::Frame;
use http_body_util::StreamBody;

/// The number of frames that a body holds before its writer waits for the client.
const FRAMES: usize = 16;

/// Lets work go on beside the answer. Whether it may go on after the client has left is up to the host.
#[cfg(target_os = "wasi")]
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    spin_sdk::wasip3::wit_bindgen::spawn(work);
}

/// Lets work go on beside the answer.
#[cfg(target_os = "unknown")]
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    crate::workers::spawn(work);
}

/// Does nothing in native builds, which have no host to run it.
#[cfg(not(target_family = "wasm"))]
pub fn spawn(work: impl Future<Output = ()> + 'static) {
    drop(work);
}

/// Waits for a time.
#[cfg(target_os = "wasi")]
pub async fn sleep(time: Duration) {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    spin_sdk::wasip3::clocks::monotonic_clock::wait_for(nanoseconds).await;
}

/// Waits for a time.
#[cfg(target_os = "unknown")]
pub async fn sleep(time: Duration) {
    crate::workers::sleep(time).await;
}

/// Never ends in native builds, which have no host to wait for.
#[cfg(not(target_family = "wasm"))]
pub async fn sleep(time: Duration) {
    let _ = time;
    std::future::pending().await
}

/// A clock that ticks while something else is waited for. It costs a call of the host for each tick, and not one for each
/// thing that is waited for.
pub struct Ticker {
    every: Duration,
    next: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// The result of waiting beside a [`Ticker`].
#[derive(Debug, PartialEq, Eq)]
pub enum Waited<T> {
    /// The awaited event has come.
    Ready(T),
    /// The clock ticked first.
    Tick,
}

impl Ticker {
    /// A clock that ticks this often.
    pub fn new(every: Duration) -> Self {
        Self { every, next: None }
    }

    /// Waits for something, or for the next tick.
    pub async fn beside<T>(&mut self, waiting: impl Future<Output = T>) -> Waited<T> {
        let mut waiting = std::pin::pin!(waiting);
        poll_fn(|context| {
            if let Poll::Ready(ready) = waiting.as_mut().poll(context) {
                return Poll::Ready(Waited::Ready(ready));
            }
            self.poll(context).map(|()| Waited::Tick)
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let every = self.every;
        let next = self.next.get_or_insert_with(|| Box::pin(sleep(every)));
        std::task::ready!(next.as_mut().poll(context));
        self.next = None;
        Poll::Ready(())
    }
}

/// The writing end of a streamed body.
#[derive(Debug, Clone)]
pub struct Writer(mpsc::Sender<Bytes>);

impl Writer {
    /// Writes a part as soon as the client has read enough. Whether somebody still reads.
    pub async fn write(&mut self, part: impl Into<Bytes>) -> bool {
        self.0.send(part.into()).await.is_ok()
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A body that a task writes. It ends when the writer is dropped.
pub fn body() -> (Writer, Body) {
    let (sender, receiver) = mpsc::channel(FRAMES);
    let frames = receiver.map(|part| Ok::<_, std::convert::Infallible>(Frame::data(part)));
    (Writer(sender), Body::new(StreamBody::new(frames)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use http_body_util::BodyExt;

    #[test]
    fn a_body_ends_with_its_writer() {
        let (mut writer, body) = body();
        assert!(block_on(writer.write("a")) && block_on(writer.write("b")));
        drop(writer);
        let read = block_on(body.collect()).expect("a body").to_bytes();
        assert_eq!(read, "ab");
    }

    #[test]
    fn a_writer_learns_that_nobody_reads() {
        let (mut writer, body) = body();
        assert!(!writer.is_closed());
        drop(body);
        assert!(writer.is_closed());
        assert!(!block_on(writer.write("a")));
    }
}
