//! Problems in the place of hyper's own answers, which have only a status, to requests that are not HTTP.
//!
//! A connection is either at a request, from when hyper has read its head until the answer is written and flushed, or
//! between two. What is written to an HTTP/1 connection in between is hyper's own, whatever it is; so nothing that a
//! function answers can ever be taken for it.

use crate::{own_answers::OwnAnswers, turns::Turns};
use http::{HeaderValue, StatusCode};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client's connection.
pub struct Connection<S> {
    /// The connection of the client.
    pub stream: S,
    /// The connection's turns, which tell whether it is at a request.
    pub turns: Arc<Turns>,
    /// Whether the connection speaks HTTP/1. HTTP/2 writes frames of its own at any time, and has no such answers.
    pub is_http1: bool,
    /// The maker of the host's answers.
    pub answers: Arc<OwnAnswers>,
    /// The address of the client.
    pub peer: HeaderValue,
    /// The answer in the place of hyper's, with the number of bytes that are written.
    pub own: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    /// Whether hyper's output is replaced from now on.
    fn takes_over(&mut self, written: &[u8]) -> bool {
        if self.own.is_none() && self.is_http1 && self.turns.are_over() {
            self.own =
                status(written).map(|status| (self.answers.malformed(status, &self.peer), 0));
        }
        self.own.is_some()
    }

    fn poll_own(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((bytes, sent)) = &mut self.own else {
            return Poll::Ready(Ok(()));
        };
        while *sent < bytes.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[*sent..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += written;
        }
        Poll::Ready(Ok(()))
    }
}

/// The status of an answer that refuses, from the beginning of its head.
fn status(head: &[u8]) -> Option<StatusCode> {
    let rest = head
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
    status.is_client_error().then_some(status)
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.takes_over(bytes) {
            ready!(self.poll_own(cx))?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty());
        if self.takes_over(first.map_or(&[][..], |part| &part[..])) {
            ready!(self.poll_own(cx))?;
            return Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes when it has written all that it has.
        self.turns.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_are_replaced() {
        let of = |head: &str| status(head.as_bytes()).map(|status| status.as_u16());
        assert_eq!(of("HTTP/1.1 400 Bad Request\r\n"), Some(400));
        assert_eq!(
            of("HTTP/1.0 431 Request Header Fields Too Large\r\n"),
            Some(431)
        );
        assert_eq!(of("HTTP/1.1 100 Continue\r\n"), None);
        assert_eq!(of("HTTP/1.1 4"), None);
        assert_eq!(of("{\"a\": 1}"), None);
    }
}
