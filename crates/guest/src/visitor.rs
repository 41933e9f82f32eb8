//! The visitor on whose behalf one function asks another; see [`client_address::visitor`].

use std::net::SocketAddr;

use axum::body::Body;
use client_address::visitor::{VISITOR, open, seal};
use http::{HeaderMap, HeaderValue, Request};

use crate::client::{self, CLIENT_ADDRESS};
use crate::clock::unix_now;
use crate::{Problem, Result, hex_key, required_variable};

/// Names the visitor to the function that receives `request`: the client of the request with the headers `visitor`. The
/// request's method and URL must be set already.
///
/// # Errors
/// The variable `visitor_key` is missing or malformed.
pub async fn vouch(request: &mut Request<Body>, visitor: &HeaderMap) -> Result<()> {
    let Some(ip) = client::ip_of(visitor).await else {
        return Ok(());
    };
    let value = seal(
        &key().await?,
        request.method(),
        request.uri(),
        ip,
        unix_now(),
    );
    let value = HeaderValue::try_from(value).map_err(Problem::internal)?;
    request.headers_mut().insert(VISITOR, value);
    Ok(())
}

/// Replaces the connection's address by the visitor that another part of the platform vouches for. An unverified header
/// is removed.
pub(crate) async fn settle(request: &mut Request<Body>) {
    if !request.headers().contains_key(&VISITOR) {
        return;
    }
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let vouched = match key().await {
        Ok(key) => open(&key, method, uri, headers, unix_now()),
        Err(_) => None,
    };
    let headers = request.headers_mut();
    headers.remove(&VISITOR);
    if let Some(ip) = vouched
        && let Ok(address) = HeaderValue::try_from(SocketAddr::new(ip, 0).to_string())
    {
        headers.insert(CLIENT_ADDRESS, address);
    }
}

async fn key() -> Result<[u8; 32]> {
    let key = required_variable("visitor_key").await?;
    hex_key(&key)
        .ok_or_else(|| Problem::internal("the variable `visitor_key` must be 64 hex digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_vouches_for_is_taken_off() {
        let asked = Request::builder().header(VISITOR, "1;127.0.0.1;AAAA");
        let mut asked = asked.body(Body::empty()).expect("a request");
        let connection = HeaderValue::from_static("203.0.113.9:1");
        asked.headers_mut().insert(CLIENT_ADDRESS, connection);
        futures::executor::block_on(settle(&mut asked));
        assert!(!asked.headers().contains_key(VISITOR));
        assert_eq!(asked.headers()[CLIENT_ADDRESS], "203.0.113.9:1");
    }
}
