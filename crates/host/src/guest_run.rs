//! A guest at work on a request, and its answer: whole if it comes without waiting,
//! a stream otherwise.

use crate::{
    function::Function,
    instances::Run,
    limits::WHOLE_ANSWER_BYTES,
    native::NativeBody,
    problem::{self, Problem},
};
use bytes::{Bytes, BytesMut};
use futures::channel::oneshot;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::{Instrument, Span};
use wasmtime_wasi_http::{Error, WasiBody};

/// The time for which a guest runs on after its client left in the middle of an answer.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A guest at work on a request. Dropping it stops the guest.
pub struct Guest {
    run: Option<Run>,
    permit: Option<OwnedSemaphorePermit>,
    function: Arc<Function>,
    /// The guest's time at work since the client last received a part of the answer.
    busy: Duration,
}

impl Guest {
    /// A guest that begins. The permit is given back when the guest ends.
    #[must_use]
    pub fn new(run: Run, permit: OwnedSemaphorePermit, function: Arc<Function>) -> Self {
        Self {
            run: Some(run),
            permit: Some(permit),
            function,
            busy: Duration::ZERO,
        }
    }

    /// Lets the guest go on. The result is ready when the guest has ended; an error is a trap.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(Ok(()));
        };
        let started = Instant::now();
        let Poll::Ready(result) = run.as_mut().poll(cx) else {
            self.busy += started.elapsed();
            if self.busy > self.function.limits().deadline {
                tracing::error!(
                    "the function was stopped: it computed for longer than its deadline"
                );
                self.run = None;
                self.permit = None;
                return Poll::Ready(Err(problem::DEADLINE));
            }
            return Poll::Pending;
        };
        self.run = None;
        self.permit = None;
        Poll::Ready(result.map_err(|trap| {
            tracing::error!(trap = format!("{trap:?}"), "the function trapped");
            self.function.trapped();
            problem::INTERNAL
        }))
    }

    /// Waits for the answer, or for its head.
    ///
    /// # Errors
    /// The problem of a guest that trapped or gave no answer.
    pub async fn answer<T>(
        &mut self,
        answer: oneshot::Receiver<wasmtime::Result<T>>,
    ) -> Result<T, Problem> {
        let mut answer = std::pin::pin!(answer);
        poll_fn(|cx| {
            let ended = self.poll(cx);
            match (answer.as_mut().poll(cx), ended) {
                (Poll::Ready(Ok(Ok(answer))), _) => Poll::Ready(Ok(answer)),
                (Poll::Ready(Ok(Err(error))), _) => Poll::Ready(Err(no_answer(&error))),
                (_, Poll::Ready(Err(problem))) => Poll::Ready(Err(problem)),
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Ok(()))) => {
                    tracing::error!("the function ended without an answer");
                    Poll::Ready(Err(problem::INTERNAL))
                }
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }

    /// Takes the body whole if the guest has it ready and it is not large, as a stream otherwise.
    ///
    /// # Errors
    /// The problem of a guest that trapped, or whose body broke off.
    pub async fn collect(mut self, body: WasiBody) -> Result<Content, Problem> {
        let mut body = Box::pin(body);
        let mut frames = Frames::default();
        let whole = poll_fn(|cx| {
            loop {
                let ended = match self.poll(cx) {
                    Poll::Ready(Err(problem)) => return Poll::Ready(Err(problem)),
                    ended => ended.is_ready(),
                };
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Ready(Some(Ok(frame))) => {
                        if !frames.add(frame) {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    Poll::Ready(Some(Err(error))) => {
                        tracing::error!(%error, "the function's body broke off");
                        return Poll::Ready(Err(problem::INTERNAL));
                    }
                    Poll::Pending if ended => {
                        tracing::error!("the function ended before its body did");
                        return Poll::Ready(Err(problem::INTERNAL));
                    }
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await?;
        if !whole {
            return Ok(Content::Stream(Box::new(Streamed {
                start: frames.bytes(),
                body: Some(body),
                guest: Some(self),
                span: Span::current(),
            })));
        }
        self.finish();
        Ok(Content::Whole(Full::new(frames.bytes())))
    }

    /// The answer is whole. The client does not wait for what the guest still does.
    pub fn finish(mut self) {
        let ended = self.poll(&mut Context::from_waker(std::task::Waker::noop()));
        if ended.is_pending() {
            let deadline = self.function.limits().deadline;
            let rest = poll_fn(move |cx| self.poll(cx));
            tokio::spawn(timeout(deadline, rest).in_current_span());
        }
    }
}

/// The problem of a function whose answer is malformed.
#[must_use]
pub fn no_answer(error: &wasmtime::Error) -> Problem {
    tracing::error!(error = format!("{error:#}"), "the function gave no answer");
    problem::INTERNAL
}

/// The frames of a small answer. A single frame, the usual case, is not copied.
#[derive(Default)]
struct Frames {
    first: Bytes,
    rest: BytesMut,
}

impl Frames {
    /// Adds a frame. Returns false if the answer is now too large to count as small.
    fn add(&mut self, frame: Frame<Bytes>) -> bool {
        // Trailers are not sent on: no function of ours makes any.
        let Ok(data) = frame.into_data() else {
            return true;
        };
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&data);
        }
        self.first.len().max(self.rest.len()) <= WHOLE_ANSWER_BYTES
    }

    fn bytes(self) -> Bytes {
        if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        }
    }
}

/// The content of a function's answer.
pub enum Content {
    /// The whole answer.
    Whole(Full<Bytes>),
    /// The beginning of the answer, and the guest that makes the rest.
    Stream(Box<Streamed>),
    /// An answer of a native route.
    Native(NativeBody),
}

/// A body whose guest runs on while the client reads. When the client disconnects, the guest finds its body closed, and
/// has a moment to finish.
pub struct Streamed {
    start: Bytes,
    /// `None` once it is dropped.
    body: Option<Pin<Box<WasiBody>>>,
    /// `None` once it is dropped.
    guest: Option<Guest>,
    span: Span,
}

impl Drop for Streamed {
    fn drop(&mut self) {
        drop(self.body.take());
        let Some(mut guest) = self.guest.take().filter(|guest| guest.run.is_some()) else {
            return;
        };
        // Without a runtime the process is about to end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let rest = async move { timeout(LAST_WORDS, poll_fn(|cx| guest.poll(cx))).await };
            runtime.spawn(rest.instrument(self.span.clone()));
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Stream(streamed) => streamed.poll_frame(cx),
            Self::Native(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(_) => false,
            Self::Native(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => SizeHint::default(),
            Self::Native(body) => body.size_hint(),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let _entered = self.span.enter();
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        let (Some(guest), Some(body)) = (&mut self.guest, &mut self.body) else {
            return Poll::Ready(None);
        };
        let ended = match guest.poll(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            ended => ended.is_ready(),
        };
        match body.as_mut().poll_frame(cx) {
            Poll::Pending if ended => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            frame => {
                if frame.is_ready() {
                    guest.busy = Duration::ZERO;
                }
                frame
            }
        }
    }
}
