//! Answers on their way back: which headers pass, how long they may be silent, and what is masked.

use crate::connections::Answer;
use crate::mask::{Mask, Masking};
use crate::presence::Presence;
use crate::problem::{Problem, REFUSED};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use outgoing::is_forbidden_header;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The version of the secret that was put in.
pub const VERSION: HeaderName = HeaderName::from_static("gather-secret-version");

/// The times that an answer may take.
#[derive(Debug)]
pub struct Limits {
    /// The longest pause between two parts.
    pub silence: Duration,
    /// The time at which the whole answer must have come.
    pub until: Instant,
}

/// Prepares an answer for the function that asked.
///
/// # Errors
/// The answer can't be masked.
pub fn prepare(
    answer: Response<Answer>,
    mask: Option<Arc<Mask>>,
    version: Option<i32>,
    limits: &Limits,
) -> Result<Response<Body>, Problem> {
    let (parts, body) = answer.into_parts();
    if mask.is_some() && is_encoded(&parts.headers) {
        return Err(Problem::failed(
            "The answer is compressed, though that was not accepted, so the secret can't be taken out of it.",
        ));
    }
    let mut headers = passed(parts.headers);
    if let Some(mask) = &mask {
        mask.headers(&mut headers);
        // What is taken out changes the length.
        headers.remove(header::CONTENT_LENGTH);
    }
    if let Some(version) = version {
        headers.insert(VERSION, version.into());
    }
    let body = Watched {
        body,
        masking: mask.map(Masking::new),
        is_finished: false,
        silence: limits.silence,
        deadline: Box::pin(tokio::time::sleep(limits.silence)),
        end: Box::pin(tokio::time::sleep_until(limits.until)),
    };
    // The reason beside the status is the stranger's too.
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Watches whether the function that asked hears the answer to its end.
pub fn watched(response: Response<Body>, mut presence: Presence) -> Response<Body> {
    if response.body().is_end_stream() {
        presence.ended();
    }
    response.map(|body| Body::new(Heard { body, presence }))
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let is_other = |value: &HeaderValue, plain: &str| {
        !value.to_str().is_ok_and(|text| {
            let text = text.trim();
            text.is_empty() || text.eq_ignore_ascii_case(plain)
        })
    };
    let mut content = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut transfer = headers.get_all(header::TRANSFER_ENCODING).iter();
    content.any(|value| is_other(value, "identity"))
        || transfer.any(|value| is_other(value, "chunked"))
}

/// The headers that pass: not those of the connection, no cookies, and none that only the platform may set.
fn passed(headers: HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        let is_ours = name.as_str().starts_with("gather-") || *name == REFUSED;
        let is_dropped = is_forbidden_header(name)
            || *name == header::SET_COOKIE
            || *name == header::TRAILER
            || *name == header::TE
            || *name == header::ALT_SVC;
        if !is_ours && !is_dropped {
            out.append(name, value.clone());
        }
    }
    out
}

/// The body of an answer, which fails if it is silent or takes for too long, and ends without trailers.
struct Watched {
    body: Answer,
    masking: Option<Masking>,
    is_finished: bool,
    silence: Duration,
    deadline: Pin<Box<Sleep>>,
    end: Pin<Box<Sleep>>,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Watched {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("the answer takes too long".into())));
        }
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
                ready!(self.deadline.as_mut().poll(context));
                return Poll::Ready(Some(Err("the answer is silent".into())));
            };
            self.deadline.as_mut().reset(Instant::now() + self.silence);
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(None),
                Some(Ok(Ok(part))) => return Poll::Ready(Some(Ok(part))),
                // Trailers.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            }
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while !self.is_finished {
            let part = ready!(self.poll_part(context)).transpose()?;
            self.is_finished = part.is_none();
            let passed = match (&mut self.masking, part) {
                (Some(masking), Some(part)) => masking.push(&part),
                (Some(masking), None) => masking.finish(),
                (None, Some(part)) => part,
                (None, None) => Bytes::new(),
            };
            if !passed.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(passed))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        // What is held back because it may be the beginning of a secret is still to come.
        self.is_finished || (self.masking.is_none() && self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.masking {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

/// A body that tells whether it was read to its end.
struct Heard {
    body: Body,
    presence: Presence,
}

impl HttpBody for Heard {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.presence.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
