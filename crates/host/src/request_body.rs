//! A request's body on its way to a guest: small ones arrive whole before an instance is taken, so
//! that a slow client holds none; large ones stream, bounded in size and in pauses.

use crate::{
    limits::WHOLE_REQUEST_BYTES,
    problem::{self, Problem},
};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep, timeout};
use wasmtime_wasi_http::{Error, WasiBody};

/// The number of bytes that are read of a body that is too large, before the request is refused.
const DISCARD_BYTES: usize = 8 << 20;

/// Tells whether the client sent more than it may, after the body has been passed on.
#[derive(Clone, Default)]
pub struct Oversize(Arc<AtomicBool>);

impl Oversize {
    /// The client sent more than the component takes.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads a body, whole if it is small. `waits` is true if the client sent `Expect: 100-continue`.
///
/// # Errors
/// The problem to answer with: the body is too large, too slow or broken off.
pub async fn receive(
    mut body: Incoming,
    limit: u64,
    stall: Duration,
    waits: bool,
) -> Result<(WasiBody, Oversize), Problem> {
    let oversize = Oversize::default();
    if body.is_end_stream() {
        return Ok((
            Empty::new().map_err(|never| match never {}).boxed_unsync(),
            oversize,
        ));
    }
    if body.size_hint().lower() > limit {
        // Who waits for a go-ahead (RFC 9110, section 10.1.1) has sent nothing yet.
        if !waits {
            discard(body, stall).await;
        }
        return Err(problem::BODY_TOO_LARGE);
    }
    let mut start = BytesMut::new();
    while start.len() < WHOLE_REQUEST_BYTES {
        match timeout(stall, body.frame()).await {
            Err(_) => return Err(problem::BODY_TIMEOUT),
            Ok(Some(Err(_))) => return Err(problem::BODY_BROKEN),
            Ok(Some(Ok(frame))) => {
                // Trailers carry nothing that a function may use.
                if let Ok(data) = frame.into_data() {
                    start.extend_from_slice(&data);
                    if start.len() as u64 > limit {
                        discard(body, stall).await;
                        return Err(problem::BODY_TOO_LARGE);
                    }
                }
            }
            Ok(None) => {
                let whole = Full::new(start.freeze());
                return Ok((
                    whole.map_err(|never| match never {}).boxed_unsync(),
                    oversize,
                ));
            }
        }
    }
    let rest = Bounded {
        left: limit.saturating_sub(start.len() as u64),
        start: Some(start.freeze()),
        body,
        stall,
        pause: Box::pin(sleep(stall)),
        oversize: oversize.clone(),
    };
    Ok((rest.boxed_unsync(), oversize))
}

/// Reads on for a while: most clients look for an answer only when all is sent, and a closed
/// connection would tell them nothing.
async fn discard(mut body: Incoming, stall: Duration) {
    let mut left = DISCARD_BYTES;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // However it ends, the answer is the same.
    drop(timeout(stall, reading).await);
}

/// A large body: the part that was already read, and then the rest.
struct Bounded {
    start: Option<Bytes>,
    body: Incoming,
    left: u64,
    stall: Duration,
    pause: Pin<Box<Sleep>>,
    oversize: Oversize,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Some(start) = this.start.take() {
            this.pause
                .as_mut()
                .reset(tokio::time::Instant::now() + this.stall);
            return Poll::Ready(Some(Ok(Frame::data(start))));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.pause.as_mut().poll(cx));
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        this.pause
            .as_mut()
            .reset(tokio::time::Instant::now() + this.stall);
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, |data| data.len() as u64);
                if size > this.left {
                    this.oversize.0.store(true, Ordering::Relaxed);
                    Some(Err(Error::HttpRequestBodySize(None)))
                } else {
                    this.left -= size;
                    Some(Ok(frame))
                }
            }
            Some(Err(_)) => Some(Err(Error::ConnectionTerminated)),
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
