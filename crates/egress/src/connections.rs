//! Connections that are kept for the next request to the same origin.

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use outgoing::{CONNECT_WITHIN, Connection, Failure, Origin, Outgoing};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// The time for which a connection is kept: less than most servers keep theirs.
const KEPT: Duration = Duration::from_secs(30);
/// Connections that are kept to one origin.
const MAX_IDLE: usize = 64;
/// The time that a connection has to become ready after an answer is complete.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// Connections that wait for the next request, with the time since which they do.
type Idle = HashMap<Origin, Vec<(Connection<Body>, Instant)>>;

/// The way out, with its kept connections.
pub struct Connections {
    pub outgoing: Outgoing,
    idle: Mutex<Idle>,
}

/// The body of an answer. Its connection ends with it, unless the answer is complete: then it is kept.
pub struct Answer {
    body: Incoming,
    is_complete: bool,
    kept: Option<(Arc<Connections>, Origin, Connection<Body>)>,
}

impl Connections {
    pub fn new(outgoing: Outgoing) -> Arc<Self> {
        Arc::new(Self {
            outgoing,
            idle: Mutex::default(),
        })
    }

    /// Sends a request in origin form, over a kept connection or a new one. A request that a kept connection did not take
    /// is sent again; one that it may have taken is not.
    ///
    /// # Errors
    /// It was not sent, or not answered.
    pub async fn send(
        self: &Arc<Self>,
        origin: &Origin,
        mut request: Request<Body>,
    ) -> Result<Response<Answer>, Failure> {
        while let Some(mut connection) = self.take(origin) {
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok(self.answer(origin, response, connection)),
                Err(mut error) => match error.take_message() {
                    Some(untouched) => request = untouched,
                    None => return Err(Failure::Http(error.into_error())),
                },
            }
        }
        let mut connection = self.outgoing.connect(origin, CONNECT_WITHIN).await?;
        let sent = connection.sender.send_request(request).await;
        let response = sent.map_err(Failure::Http)?;
        Ok(self.answer(origin, response, connection))
    }

    fn answer(
        self: &Arc<Self>,
        origin: &Origin,
        response: Response<Incoming>,
        connection: Connection<Body>,
    ) -> Response<Answer> {
        response.map(|body| Answer {
            is_complete: body.is_end_stream(),
            body,
            kept: Some((self.clone(), origin.clone(), connection)),
        })
    }

    fn take(&self, origin: &Origin) -> Option<Connection<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.get_mut(origin)?;
        while let Some((connection, since)) = kept.pop() {
            if since.elapsed() < KEPT && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, origin: Origin, connection: Connection<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.entry(origin).or_default();
        if kept.len() < MAX_IDLE {
            kept.push((connection, Instant::now()));
        }
    }

    /// Ends connections that were idle for too long.
    pub fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, kept| {
            kept.retain(|(connection, since)| {
                since.elapsed() < KEPT && !connection.sender.is_closed()
            });
            !kept.is_empty()
        });
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_complete = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some((connections, origin, mut connection)) = self.kept.take() else {
            return;
        };
        // Without a runtime, this process is ending.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        if !self.is_complete {
            return;
        }
        runtime.spawn(async move {
            let ready = tokio::time::timeout(READY_WITHIN, connection.sender.ready()).await;
            if matches!(ready, Ok(Ok(()))) {
                connections.keep(origin, connection);
            }
        });
    }
}
