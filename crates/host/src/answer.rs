//! The answers that hyper sends.

use crate::{access_log::Record, guest_run::Content, native::NativeBody, turns::Turn};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use wasmtime_wasi_http::Error;

/// An answer as hyper sends it. When it is sent or abandoned, the request is logged and counted.
pub struct Answer {
    content: Content,
    /// The log line, which is written when the answer is sent or abandoned and this is dropped.
    _record: Option<Box<Record>>,
    /// Tells the connection when hyper has taken the whole answer.
    _turn: Option<Turn>,
}

impl Answer {
    /// The answer, bound to the request's turn on its connection.
    #[must_use]
    pub fn in_turn(mut self, turn: Turn) -> Self {
        self._turn = Some(turn);
        self
    }

    /// Makes the answer of a function.
    #[must_use]
    pub fn new(content: Content, record: Record) -> Self {
        Self {
            content,
            _record: Some(Box::new(record)),
            _turn: None,
        }
    }

    /// Makes an answer of the host.
    #[must_use]
    pub fn whole(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Whole(body),
            _record: None,
            _turn: None,
        }
    }

    /// Makes an answer of a native route.
    #[must_use]
    pub fn native(body: NativeBody) -> Self {
        Self {
            content: Content::Native(body),
            _record: None,
            _turn: None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}
