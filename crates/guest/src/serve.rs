//! Between `wasi:http` 0.3 and axum, with as few calls to the host as a request needs.
//!
//! The SDK has such an adapter too; this one asks for the path, the method and the headers only,
//! takes small bodies whole, and opens no stream where there is no body.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use spin_sdk::wasip3::http::types::{self as wasi, ErrorCode, Fields};
use spin_sdk::wasip3::wit_bindgen::{
    FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter, spawn, yield_async,
};
use spin_sdk::wasip3::{wit_future, wit_stream};

use crate::{Problem, clock, respond};
use axum::response::IntoResponse;

/// Bodies that announce at most this are taken whole, before the handler runs.
const SMALL_BODY_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

type Trailers = Result<Option<wasi::Trailers>, ErrorCode>;

/// Answers one request of the host. [`crate::export!`] calls this.
pub async fn serve(router: Router, request: wasi::Request) -> Result<wasi::Response, ErrorCode> {
    clock::request_began(None);
    let response = match incoming(request).await {
        Ok(request) => respond(router, request).await,
        Err(problem) => problem.into_response(),
    };
    outgoing(response)
}

async fn incoming(request: wasi::Request) -> Result<http::Request<Body>, Problem> {
    let method = method(request.get_method())?;
    let path = request
        .get_path_with_query()
        .unwrap_or_else(|| "/".to_owned());
    let uri = Uri::try_from(path).map_err(|_| malformed("The path is not a valid one."))?;
    let headers = header_map(request.get_headers().copy_all())?;
    let body = match length(&method, &headers) {
        Some(0) => Body::empty(),
        Some(length) if length <= SMALL_BODY_BYTES => whole(request, length).await?,
        _ => Body::new(Incoming::open(request)),
    };
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
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
            .map_err(|_| malformed("The method is not a valid one."))?,
    })
}

fn listed(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// The values take over the host's buffer instead of copying it.
fn header_map(fields: Vec<(String, Vec<u8>)>) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_maybe_shared(Bytes::from(value));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(malformed("A header is not a valid one."));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// How long the body is; `None` where that is not announced.
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
    // HTTP/2 announces nothing, so that other methods may have one.
    (bodiless.contains(method) && !headers.contains_key(TRANSFER_ENCODING)).then_some(0)
}

fn open(request: wasi::Request) -> (StreamReader<u8>, FutureReader<Trailers>) {
    let (done, reader) = wit_future::new(|| Ok(()));
    drop(done);
    wasi::Request::consume_body(request, reader)
}

async fn whole(request: wasi::Request, length: usize) -> Result<Body, Problem> {
    let (mut stream, _trailers) = open(request);
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let (result, filled) = stream.read(bytes).await;
        bytes = filled;
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    if bytes.len() < length {
        let detail = "The body ended before its end.";
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "incomplete-body",
            detail,
        ));
    }
    Ok(Body::from(bytes))
}

type Reading = Pin<Box<dyn Future<Output = (StreamReader<u8>, Chunk)> + Send>>;
type Chunk = Option<Vec<u8>>;

/// A large body, or one of unknown length, chunk by chunk.
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

async fn next_chunk(mut stream: StreamReader<u8>) -> (StreamReader<u8>, Chunk) {
    let (result, chunk) = stream.read(Vec::with_capacity(CHUNK_BYTES)).await;
    let open = matches!(result, StreamResult::Complete(_)) || !chunk.is_empty();
    (stream, open.then_some(chunk))
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        if let Some(reading) = &mut self.reading {
            let (stream, chunk) = std::task::ready!(reading.as_mut().poll(context));
            if let Some(chunk) = chunk {
                self.reading = Some(Box::pin(next_chunk(stream)));
                return Poll::Ready(Some(Ok(Frame::data(chunk.into()))));
            }
            self.reading = None;
            let trailers = self.trailers.take();
            self.failed = trailers.map(|trailers| Box::pin(trailers.into_future()) as _);
        }
        // Whether the body came to its end stands behind the stream; trailers are not passed on.
        let Some(failed) = &mut self.failed else {
            return Poll::Ready(None);
        };
        let result = std::task::ready!(failed.as_mut().poll(context));
        self.failed = None;
        Poll::Ready(result.err().map(Err))
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
            // The reader is gone if the client is: nothing is left to be told.
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

/// Each frame as soon as it is there, so that a complete body is one write; ends when the reader
/// has gone away.
async fn send(mut stream: StreamWriter<u8>, result: FutureWriter<Trailers>, mut body: Body) {
    // The host takes the answer first: then it is there to receive what is written, and no write
    // has to wait for it. Measured: a sixth less time a request.
    yield_async().await;
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
