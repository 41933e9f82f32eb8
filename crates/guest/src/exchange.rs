//! The adapter between `gather:http/exchange` and axum, which takes a whole request and returns its answer in one call.

use std::mem::MaybeUninit;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Method, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::entry::{self, Entry, Refused};
use crate::serve::{malformed, outgoing};
use crate::{Problem, clock};
pub use bindings::exports::gather::http::exchange::{Guest, Reply, Request, Response};

/// The largest answer that the host accepts in one piece; larger ones are streamed.
const WHOLE_BYTES: u64 = 256 * 1024;
/// The largest number of header fields that the interface allows.
const MAX_FIELDS: usize = 2560;
/// The number of header fields that nearly every request stays below.
const USUAL_FIELDS: usize = 64;
/// The size that the head of most answers stays below.
const HEAD_BYTES: usize = 512;

#[doc(hidden)]
pub mod bindings {
    #![allow(missing_docs, reason = "generated")]
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit",
        world: "gather:http/exchanges",
        runtime_path: "spin_sdk::wit_bindgen::rt",
        pub_export_macro: true,
        with: {
            "wasi:http/types@0.3.0": spin_sdk::wasip3::http::types,
            "wasi:clocks/types@0.3.0": spin_sdk::wasip3::clocks::types,
        },
    });
}

/// Answers one request of the host. [`crate::export!`] calls this.
pub async fn answer(router: Router, request: Request) -> Reply {
    clock::request_began(Some(request.now_ms));
    let received = incoming(request).map_err(Box::<Refused>::from);
    let response = entry::answer(Entry::Alone, router, received).await;
    let size = response.body().size_hint().exact();
    if size.is_none_or(|size| size > WHOLE_BYTES) {
        return match outgoing(response) {
            Ok(streamed) => Reply::Streamed(streamed),
            Err(error) => whole(Problem::internal(format_args!("{error:?}")).into_response()).await,
        };
    }
    whole(response).await
}

fn incoming(request: Request) -> Result<http::Request<Body>, Problem> {
    let head = Bytes::from(request.head);
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut many;
    let mut parsed = httparse::Request::new(&mut []);
    let mut read = parsed.parse_with_uninit_headers(&head, &mut usual);
    if read == Err(httparse::Error::TooManyHeaders) {
        many = vec![MaybeUninit::uninit(); MAX_FIELDS];
        parsed = httparse::Request::new(&mut []);
        read = parsed.parse_with_uninit_headers(&head, &mut many);
    }
    if read != Ok(httparse::Status::Complete(head.len())) {
        return Err(malformed("The request is not valid HTTP."));
    }
    let body = if request.body.is_empty() {
        Body::empty()
    } else {
        Body::from(request.body)
    };
    let mut made = http::Request::new(body);
    *made.method_mut() = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes())
        .map_err(|_| malformed("The method is not valid."))?;
    let path = parsed.path.unwrap_or_default().as_bytes();
    *made.uri_mut() = Uri::from_maybe_shared(head.slice_ref(path))
        .map_err(|_| malformed("The path is not valid."))?;
    let headers = made.headers_mut();
    headers.reserve(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| malformed("A header is not valid."))?;
        // SAFETY: httparse accepts only bytes that `HeaderValue` accepts too; hyper relies on the same.
        let value =
            unsafe { HeaderValue::from_maybe_shared_unchecked(head.slice_ref(field.value)) };
        headers.append(name, value);
    }
    Ok(made)
}

async fn whole(response: http::Response<Body>) -> Reply {
    let (parts, body) = response.into_parts();
    let (parts, body) = match collected(body).await {
        Ok(body) => (parts, body),
        Err(error) => {
            let problem = Problem::internal(error);
            let body = problem.render(None);
            (problem.into_response().into_parts().0, body)
        }
    };
    Reply::Whole(Response {
        head: head(&parts),
        body,
    })
}

/// Collects a body. It usually is a single frame, which is passed on without copying.
async fn collected(mut body: Body) -> Result<Vec<u8>, axum::Error> {
    let mut bytes = Vec::new();
    while !body.is_end_stream()
        && let Some(frame) = body.frame().await
    {
        let data = frame?.into_data().unwrap_or_default();
        if bytes.is_empty() {
            bytes = data.into();
        } else {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// Writes the head of an answer as HTTP/1.1 (RFC 9112, sections 4 and 5).
fn head(parts: &Parts) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    for piece in ["HTTP/1.1 ", parts.status.as_str(), "\r\n"] {
        head.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in &parts.headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
