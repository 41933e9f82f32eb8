//! `gather:http/exchange`: a whole request and its answer in one call. Most of the cost of `wasi:http` is
//! the calls back and forth for each part of a request.

use super::http::is_forbidden;
use crate::limits::{WHOLE_ANSWER_BYTES, WHOLE_REQUEST_BYTES};
use bytes::Bytes;
use futures::channel::oneshot;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use http_body::Body;
use http_body_util::BodyExt;
use std::{
    future::poll_fn,
    mem::MaybeUninit,
    time::{SystemTime, UNIX_EPOCH},
};
use wasm::Data;
use wasmtime::Store;
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{Request, Response},
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:http/exchanges",
        require_store_data_send: true,
        with: {
            "wasi:http/types": wasmtime_wasi_http::p3::bindings::http::types,
            "wasi:clocks": wasmtime_wasi::p3::bindings::clocks,
        },
    });
}
use generated::exports::gather::http::exchange as wit;
pub use generated::{Exchanges, ExchangesPre};

/// The largest head of an answer in bytes, as in `wasi:http`.
const MAX_HEAD_BYTES: usize = 128 << 10;
/// The largest number of fields in a request or an answer, which is more than a client's request has room for.
const MAX_FIELDS: usize = 2560;
/// The number of fields that nearly every answer stays below. Room for all would take too much of the stack.
const USUAL_FIELDS: usize = 64;
/// The number of bytes that the heads of most requests need.
const HEAD_BYTES: usize = 512;
/// The number of fields that the host adds to an answer: its length and the request's id.
const OWN_FIELDS: usize = 2;

/// Whether a request can be handed over whole: its length is known and small, and it does not have too many fields.
#[must_use]
pub fn fits(request: &Request) -> bool {
    let size = request.body().size_hint().exact();
    // Another component may send more fields than a client can.
    size.is_some_and(|size| size <= WHOLE_REQUEST_BYTES as u64)
        && request.headers().len() <= MAX_FIELDS
}

/// The answer of a function.
pub enum Reply {
    /// The whole answer.
    Whole(Told),
    /// An answer that is large, or comes in parts.
    Streamed(Response),
}

/// A whole answer whose head is not parsed yet, so that the instance is free sooner.
pub struct Told {
    response: wit::Response,
    is_head: bool,
}

/// Lets the guest answer a request. The answer comes through `sender`, before the guest has ended.
///
/// # Errors
/// The guest trapped.
pub async fn answer(
    store: &mut Store<Data>,
    function: &Exchanges,
    request: Request,
    sender: oneshot::Sender<wasmtime::Result<Reply>>,
) -> wasmtime::Result<()> {
    let (parts, body) = request.into_parts();
    let is_head = parts.method == http::Method::HEAD;
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            _ = sender.send(Err(error.into()));
            return Ok(());
        }
    };
    let given = given(&parts, body);
    store
        .run_concurrent(async |accessor| {
            let function = function.gather_http_exchange();
            let response = match function.call_answer(accessor, given).await? {
                wit::Reply::Whole(response) => Ok(Reply::Whole(Told { response, is_head })),
                wit::Reply::Streamed(response) => accessor.with(|mut store| {
                    let response = store.get().http().table.delete(response)?;
                    let sent = async { Ok(()) };
                    let http = <Data as WasiHttpView>::http;
                    let response = response.into_http_with_getter(&mut store, sent, http)?;
                    Ok(Reply::Streamed(response))
                }),
            };
            // Nobody waits any more if the client went away.
            _ = sender.send(response);
            poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
            Ok(())
        })
        .await?
}

fn given(parts: &Parts, body: Bytes) -> wit::Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    wit::Request {
        head: head(parts),
        body: body.into(),
        now_ms: now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// A request's head as HTTP/1.1 has it (RFC 9112, sections 3 and 5).
fn head(parts: &Parts) -> Vec<u8> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut head = Vec::with_capacity(HEAD_BYTES);
    for piece in [parts.method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in &parts.headers {
        if !is_forbidden(name) {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

impl Told {
    /// Reads the answer.
    ///
    /// # Errors
    /// The answer is malformed, or its body does not fit its head.
    pub fn read(self) -> wasmtime::Result<http::Response<Bytes>> {
        let length = self.response.body.len();
        wasmtime::ensure!(
            length <= WHOLE_ANSWER_BYTES,
            "a whole answer of {length} bytes"
        );
        let (status, headers) = read_head(self.response.head.into())?;
        let announced = headers.get_all(header::CONTENT_LENGTH);
        let says_more = self.is_head || status == StatusCode::NOT_MODIFIED;
        let fits = |said: &HeaderValue| {
            let digits = said.as_bytes().iter().all(u8::is_ascii_digit);
            let said = said.to_str().ok().filter(|_| digits);
            let said = said.and_then(|said| said.parse::<u64>().ok());
            said.is_some_and(|said| says_more || said == length as u64)
        };
        wasmtime::ensure!(
            announced.iter().count() <= 1 && announced.iter().all(fits),
            "the function gave {length} bytes and announced others"
        );
        let mut made = http::Response::new(self.response.body.into());
        *made.status_mut() = status;
        *made.headers_mut() = headers;
        Ok(made)
    }
}

/// Reads an answer's head (RFC 9112, sections 4 and 5).
fn read_head(head: Bytes) -> wasmtime::Result<(StatusCode, HeaderMap)> {
    let size = head.len();
    wasmtime::ensure!(size <= MAX_HEAD_BYTES, "an answer's head of {size} bytes");
    let config = httparse::ParserConfig::default();
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut many;
    let mut parsed = httparse::Response::new(&mut []);
    let mut read = config.parse_response_with_uninit_headers(&mut parsed, &head, &mut usual);
    if read == Err(httparse::Error::TooManyHeaders) {
        many = vec![MaybeUninit::uninit(); MAX_FIELDS];
        parsed = httparse::Response::new(&mut []);
        read = config.parse_response_with_uninit_headers(&mut parsed, &head, &mut many);
    }
    wasmtime::ensure!(
        read? == httparse::Status::Complete(size),
        "an answer's head that does not end where it says"
    );
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default())?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + OWN_FIELDS);
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes())?;
        wasmtime::ensure!(!is_forbidden(&name), "the header {name} is the host's");
        // SAFETY: httparse takes no value with bytes that `HeaderValue` refuses: hyper makes its own in the same way.
        let value =
            unsafe { HeaderValue::from_maybe_shared_unchecked(head.slice_ref(field.value)) };
        headers.append(name, value);
    }
    Ok((status, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks what the unchecked values here and in the guest rely on.
    #[test]
    fn httparse_takes_no_value_that_a_header_refuses() {
        let mut taken = 0;
        for byte in 0..=u8::MAX {
            let fields = [b"\r\nx: a".as_slice(), &[byte], b"z\r\n\r\n"].concat();
            let answer = [b"HTTP/1.1 200 OK".as_slice(), &fields].concat();
            if let Ok((_, headers)) = read_head(answer.into()) {
                let value = headers["x"].as_bytes();
                assert!(
                    HeaderValue::from_bytes(value).is_ok(),
                    "{byte} in an answer"
                );
                taken += 1;
            }
            let asked = [b"GET / HTTP/1.1".as_slice(), &fields].concat();
            let mut field = [httparse::EMPTY_HEADER];
            let mut request = httparse::Request::new(&mut field);
            if let Ok(httparse::Status::Complete(_)) = request.parse(&asked) {
                let value = request.headers[0].value;
                assert!(
                    HeaderValue::from_bytes(value).is_ok(),
                    "{byte} in a request"
                );
            }
        }
        assert!(taken > 200, "{taken} of 256 bytes may stand in a value");
    }
}
