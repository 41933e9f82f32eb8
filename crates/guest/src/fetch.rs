//! Outgoing HTTP requests, to the hosts in the function's `allowed_outbound_hosts` only.

#[cfg(not(target_os = "unknown"))]
use std::time::Duration;
#[cfg(target_os = "wasi")]
use std::{future::poll_fn, mem, pin::pin};

use axum::body::Body;
use bytes::Bytes;
#[cfg(target_os = "wasi")]
use http::HeaderMap;
#[cfg(target_os = "wasi")]
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
#[cfg(target_os = "wasi")]
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

#[cfg(target_os = "unknown")]
pub use crate::workers::{fetch, limit_silence};

/// The reason why a request has no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The host can't be reached, or the connection broke. The text says how, for the log.
    Failed(String),
    /// The answer is larger than the caller accepts.
    TooLarge,
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(why) => out.write_str(why),
            Self::TooLarge => out.write_str("the answer is too large"),
        }
    }
}

impl std::error::Error for FetchError {}

/// Makes a request fail if its answer does not begin within `limit`, or pauses for longer. Without this, a request
/// waits as long as the host allows.
#[cfg(target_os = "wasi")]
pub fn limit_silence(request: &mut Request<Body>, limit: Duration) {
    use spin_sdk::wasip3::{http::types::RequestOptions, http_compat::RequestOptionsExtension};
    let nanoseconds = u64::try_from(limit.as_nanos()).ok();
    let options = RequestOptions::new();
    let set = [
        options.set_connect_timeout(nanoseconds),
        options.set_first_byte_timeout(nanoseconds),
        options.set_between_bytes_timeout(nanoseconds),
    ];
    if let Some(error) = set.into_iter().find_map(Result::err) {
        crate::warn!("the host limits no request", cause = format!("{error:?}"));
    }
    request
        .extensions_mut()
        .insert(RequestOptionsExtension(options));
}

/// Does nothing in native builds, which send no requests.
#[cfg(not(target_family = "wasm"))]
pub fn limit_silence(_: &mut Request<Body>, _: Duration) {}

/// Removes the headers that belong to one connection (RFC 9110, section 7.6.1), and the name of the server. A host sets
/// its own, and may refuse a request or an answer that has others, as Spin does.
#[cfg(target_os = "wasi")]
fn without_hops(headers: &mut HeaderMap) {
    for name in [
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        headers.remove(name);
    }
}

/// Sends a request, and returns as soon as the head of the answer arrives. Redirects are not followed. Headers that belong
/// to a connection are neither sent nor returned, so that either may be made of what another client or server sent.
///
/// # Errors
/// The host is not allowed, can't be reached, or closes the connection early.
#[cfg(target_os = "wasi")]
pub async fn fetch(mut request: Request<Body>) -> Result<Response<Body>, FetchError> {
    without_hops(request.headers_mut());
    // The length of a complete body is known, so it does not need chunks.
    if let Some(length) = request
        .body()
        .size_hint()
        .exact()
        .filter(|length| *length > 0)
    {
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    let failed =
        |error: spin_sdk::wasip3::http::types::ErrorCode| FetchError::Failed(format!("{error:?}"));
    let request = spin_sdk::wasip3::http_compat::http_into_wasi_request(request).map_err(failed)?;
    // What writes the body is a task, which is first polled when its parent is polled again: at once, instead of at the
    // next event, which may be the timer of somebody who waits for the answer.
    let mut sending = pin!(spin_sdk::wasip3::http::client::send(request));
    let mut has_yielded = false;
    let response = poll_fn(|context| {
        let polled = sending.as_mut().poll(context);
        if polled.is_pending() && !mem::replace(&mut has_yielded, true) {
            context.waker().wake_by_ref();
        }
        polled
    });
    let response = response.await.map_err(failed)?;
    let mut response =
        spin_sdk::wasip3::http_compat::http_from_wasi_response(response).map_err(failed)?;
    without_hops(response.headers_mut());
    Ok(response.map(Body::new))
}

/// Fails in native builds, which have no host to send requests.
///
/// # Errors
/// Always.
#[cfg(not(target_family = "wasm"))]
pub async fn fetch(_: Request<Body>) -> Result<Response<Body>, FetchError> {
    Err(FetchError::Failed(
        "only a host can send requests".to_owned(),
    ))
}

/// Like [`fetch`], but reads the whole body of the answer, of at most `max_bytes`.
///
/// # Errors
/// The errors of [`fetch`], and an answer that is larger.
pub async fn fetch_whole(
    request: Request<Body>,
    max_bytes: usize,
) -> Result<Response<Bytes>, FetchError> {
    let (parts, body) = fetch(request).await?.into_parts();
    let body = Limited::new(body, max_bytes)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                FetchError::TooLarge
            } else {
                FetchError::Failed(error.to_string())
            }
        })?;
    Ok(Response::from_parts(parts, body.to_bytes()))
}
