//! The adapter between `wasi:http` 0.3 and axum, with as few calls of the host as a request needs.
//!
//! Unlike the SDK's adapter, this one asks for the path, the method and the headers only, reads small bodies at once,
//! and opens no stream without a body.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use spin_sdk::wasip3::clocks::monotonic_clock::wait_for;
use spin_sdk::wasip3::http::types::{self as wasi, ErrorCode, Fields};
use spin_sdk::wasip3::wit_bindgen::{
    FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter, spawn,
};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::body::Broken;
use crate::entry::{self, Entry, Refused};
use crate::{Problem, clock};

/// The largest announced body that is read completely before the handler runs.
const SMALL_BODY_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;
/// The longest pause of a client that sends a body, the same as of Gather's own host.
const STALL: Duration = Duration::from_secs(15);

type Trailers = Result<Option<wasi::Trailers>, ErrorCode>;

/// Answers one request of the host. [`crate::export!`] calls this.
pub async fn serve(router: Router, request: wasi::Request) -> Result<wasi::Response, ErrorCode> {
    clock::request_began(None);
    let received = incoming(request).await;
    outgoing(entry::answer(Entry::Shared, router, received).await)
}

async fn incoming(request: wasi::Request) -> Result<Request<Body>, Box<Refused>> {
    let mut received = head(&request)?;
    let body = match length(received.method(), received.headers()) {
        Some(0) => Ok(Body::empty()),
        Some(length) if length <= SMALL_BODY_BYTES => whole(request, length).await,
        _ => Ok(Body::new(Incoming::open(request))),
    };
    match body {
        Ok(body) => {
            *received.body_mut() = body;
            Ok(received)
        }
        Err(broken) => Err(Box::new(Refused {
            request: received,
            problem: broken.into(),
        })),
    }
}

/// Reads a request without its body.
fn head(request: &wasi::Request) -> Result<Request<Body>, Problem> {
    let path = request
        .get_path_with_query()
        .unwrap_or_else(|| "/".to_owned());
    let mut head = Request::new(Body::empty());
    *head.method_mut() = method(request.get_method())?;
    *head.uri_mut() = Uri::try_from(path).map_err(|_| malformed("The path is not valid."))?;
    *head.headers_mut() = header_map(request.get_headers().copy_all())?;
    Ok(head)
}

pub(crate) fn malformed(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
}

fn method(method: wasi::Method) -> Result<Method, Problem> {
    Ok(match method {
        wasi::Method::Get => Method::GET,
        wasi::Method::Head => Method::HEAD,
        wasi::Method::Post => Method::POST,
        wasi::Method::Put => Method::PUT,
        wasi::Method::Delete => Method::DELETE,
        wasi::Method::Connect => Method::CONNECT,
        wasi::Method::Options => Method::OPTIONS,
        wasi::Method::Trace => Method::TRACE,
        wasi::Method::Patch => Method::PATCH,
        wasi::Method::Other(name) => Method::from_bytes(name.as_bytes())
            .map_err(|_| malformed("The method is not valid."))?,
    })
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// Makes a header map. The values take over the host's buffers instead of copying them.
fn header_map(fields: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed("A header is not valid."));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The length of the body; `None` if it is not announced.
fn length(method: &Method, headers: &HeaderMap) -> Option<usize> {
    if let Some(length) = headers.get(CONTENT_LENGTH) {
        return length.to_str().ok()?.parse().ok();
    }
    let bodiless = [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ];
    // HTTP/2 need not announce a body, so other methods may have one.
    (bodiless.contains(method) && !headers.contains_key(TRANSFER_ENCODING)).then_some(0)
}

fn open(request: wasi::Request) -> (StreamReader<u8>, FutureReader<Trailers>) {
    let (done, reader) = wit_future::new(|| Ok(()));
    drop(done);
    wasi::Request::consume_body(request, reader)
}

async fn whole(request: wasi::Request, length: usize) -> Result<Body, Broken> {
    let (mut stream, _trailers) = open(request);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let (result, filled) = in_time(stream.read(bytes)).await?;
        bytes = filled;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    if bytes.len() < length {
        return Err(Broken::Off);
    }
    Ok(Body::from(bytes))
}

/// Waits for a read, unless the client pauses for too long. The clock is used only if there is a pause.
async fn in_time<T>(reading: impl Future<Output = T> + Send) -> Result<T, Broken> {
    let mut reading = std::pin::pin!(reading);
    let mut pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(read) = reading.as_mut().poll(context) {
            return Poll::Ready(Ok(read));
        }
        let nanoseconds = u64::try_from(STALL.as_nanos()).unwrap_or(u64::MAX);
        let pause = pause.get_or_insert_with(|| Box::pin(wait_for(nanoseconds)));
        pause.as_mut().poll(context).map(|()| Err(Broken::Stalled))
    })
    .await
}

type Reading = Pin<Box<dyn Future<Output = (StreamReader<u8>, Result<Chunk, Broken>)> + Send>>;
/// A chunk of a body; `None` once the body has ended.
type Chunk = Option<Vec<u8>>;

/// A large body, or one of unknown length, read chunk by chunk.
struct Incoming {
    reading: Option<Reading>,
    trailers: Option<FutureReader<Trailers>>,
    failed: Option<Pin<Box<dyn Future<Output = Trailers> + Send>>>,
}

impl Incoming {
    fn open(request: wasi::Request) -> Self {
        let (stream, trailers) = open(request);
        Self {
            reading: Some(Box::pin(next_chunk(stream))),
            trailers: Some(trailers),
            failed: None,
        }
    }
}

async fn next_chunk(mut stream: StreamReader<u8>) -> (StreamReader<u8>, Result<Chunk, Broken>) {
    let read = in_time(stream.read(Vec::with_capacity(CHUNK_BYTES))).await;
    let chunk = read.map(|(result, chunk)| {
        let open = matches!(result, StreamResult::Complete(_)) || !chunk.is_empty();
        open.then_some(chunk)
    });
    (stream, chunk)
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(reading) = &mut self.reading {
            let (stream, chunk) = std::task::ready!(reading.as_mut().poll(context));
            self.reading = None;
            match chunk {
                Ok(Some(chunk)) => {
                    self.reading = Some(Box::pin(next_chunk(stream)));
                    return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
                }
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Some(Err(broken))),
            }
            let trailers = self.trailers.take();
            self.failed = trailers.map(|trailers| Box::pin(trailers.into_future()) as _);
        }
        // The end of the stream is followed by whether the body is complete. Trailers are not passed on.
        let Some(failed) = &mut self.failed else {
            return Poll::Ready(None);
        };
        let result = std::task::ready!(failed.as_mut().poll(context));
        self.failed = None;
        Poll::Ready(result.err().map(|error| Err(why(&error))))
    }
}

fn why(error: &ErrorCode) -> Broken {
    match error {
        ErrorCode::ConnectionReadTimeout => Broken::Stalled,
        _ => Broken::Off,
    }
}

pub(crate) fn outgoing(response: http::Response<Body>) -> Result<wasi::Response, ErrorCode> {
    let (parts, body) = response.into_parts();
    let fields = Fields::from_list(&listed(&parts.headers))
        .map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error}"))))?;

    let (result, result_reader) = wit_future::new(|| Err(ErrorCode::ConnectionTerminated));
    let response = if body.is_end_stream() {
        let (response, _sent) = wasi::Response::new(fields, None, result_reader);
        spawn(async move {
            // The reader is gone if the client is, so nobody is left to be told.
            _ = result.write(Ok(None)).await;
        });
        response
    } else {
        let (stream, stream_reader) = wit_stream::new();
        let (response, _sent) = wasi::Response::new(fields, Some(stream_reader), result_reader);
        spawn(send(stream, result, body));
        response
    };
    if parts.status != StatusCode::OK {
        response
            .set_status_code(parts.status.as_u16())
            .map_err(|()| ErrorCode::InternalError(Some("status".to_owned())))?;
    }
    Ok(response)
}

/// Sends each frame as soon as it exists, so that a complete body is one write; ends when the reader has gone away.
/// Nothing waits before the first one: a host that holds small packets back would send the head alone, and the body
/// only after that is acknowledged.
async fn send(mut stream: StreamWriter<u8>, result: FutureWriter<Trailers>, mut body: Body) {
    while let Some(frame) = body.frame().await {
        let data = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => {
                crate::error!("a streamed answer broke off", cause = error.to_string());
                drop(stream);
                let broken = ErrorCode::InternalError(Some("broken off".to_owned()));
                _ = result.write(Err(broken)).await;
                return;
            }
        };
        if !data.is_empty() && !stream.write_all(data.into()).await.is_empty() {
            return;
        }
    }
    drop(stream);
    _ = result.write(Ok(None)).await;
}
