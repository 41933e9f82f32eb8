//! Answers that are the same for everybody: caches in between may keep them for a second, and compare them by a tag.

use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, ETAG, SET_COOKIE, VARY};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body as _;
use sha2::{Digest, Sha256};

use crate::Problem;
use axum::response::IntoResponse;

/// A client asks again each time, and shared caches at most once a second.
const FOR_A_SECOND: HeaderValue = HeaderValue::from_static("public, s-maxage=1");
/// The answer to a request with a credential may differ.
const BY_CREDENTIAL: HeaderValue = HeaderValue::from_static("authorization, cookie");
/// The largest answer that gets a tag.
const MAX_BYTES: u64 = 1 << 20;
/// The bytes of a digest that are enough for a tag.
const TAG_BYTES: usize = 15;

/// Marks an answer to a request without any credential: it may be kept for a second, unless its handler has said more, and
/// has a tag.
pub(crate) async fn publish(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let size = response.body().size_hint().exact();
    let said = headers.get(CACHE_CONTROL);
    // What never changes has its version in its address.
    let is_settled = said.is_some_and(|said| {
        let said = said.to_str().unwrap_or_default();
        !said.contains("public") || said.contains("immutable")
    });
    if response.status() != StatusCode::OK
        || is_settled
        || headers.contains_key(SET_COOKIE)
        || size.is_none_or(|size| size > MAX_BYTES)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = match to_bytes(body, MAX_BYTES as usize).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    if !parts.headers.contains_key(CACHE_CONTROL) {
        parts.headers.insert(CACHE_CONTROL, FOR_A_SECOND);
        parts.headers.append(VARY, BY_CREDENTIAL);
    }
    if !parts.headers.contains_key(ETAG) {
        let digest = Sha256::digest(&body);
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest[..TAG_BYTES]));
        if let Ok(tag) = HeaderValue::try_from(tag) {
            parts.headers.insert(ETAG, tag);
        }
    }
    Response::from_parts(parts, Body::from(body))
}
