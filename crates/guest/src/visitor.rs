//! The visitor on whose behalf one function asks another: its address, in a header with a MAC.
//!
//! The function that is asked does not see the visitor's connection, but limits and the audit trail need the address.
//! The MAC is bound to the request's method and path and to the time, so that only functions of the platform can name a
//! visitor, and the header of one request is useless in another.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use sha2::Sha256;

use crate::client::{self, CLIENT_ADDRESS};
use crate::clock::unix_now;
use crate::{Problem, Result, hex_key, required_variable};

const VISITOR: HeaderName = HeaderName::from_static("gather-visitor");
/// The purpose of the MAC, so that other MACs of the same key can't stand in for it.
const PURPOSE: &[u8] = b"gather-visitor-v1\0";
/// The time for which a request is believed after it was sent.
const SECONDS: u64 = 60;

/// Names the visitor to the function that receives `request`: the client of the request with the headers `visitor`. The
/// request's method and URL must be set already.
///
/// # Errors
/// The variable `visitor_key` is missing or malformed.
pub async fn vouch(request: &mut Request<Body>, visitor: &HeaderMap) -> Result<()> {
    let Some(ip) = client::ip_of(visitor).await else {
        return Ok(());
    };
    let value = seal(&key().await?, request, ip, unix_now());
    let value = HeaderValue::try_from(value).map_err(Problem::internal)?;
    request.headers_mut().insert(VISITOR, value);
    Ok(())
}

/// Replaces the connection's address by the visitor that another function vouches for. An unverified header is removed.
pub(crate) async fn settle(request: &mut Request<Body>) {
    if !request.headers().contains_key(&VISITOR) {
        return;
    }
    let vouched = match key().await {
        Ok(key) => open(&key, request, unix_now()),
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

/// Makes the header's value: `<seconds since 1970>;<address>;<MAC>`.
fn seal(key: &[u8; 32], request: &Request<Body>, ip: IpAddr, now: u64) -> String {
    let said = format!("{now};{ip}");
    let tag = mac(key, request, &said).finalize().into_bytes();
    format!("{said};{}", URL_SAFE_NO_PAD.encode(tag))
}

fn open(key: &[u8; 32], request: &Request<Body>, now: u64) -> Option<IpAddr> {
    let mut values = request.headers().get_all(&VISITOR).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (said, tag) = value.to_str().ok()?.rsplit_once(';')?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    mac(key, request, said).verify_slice(&tag).ok()?;
    let (then, ip) = said.split_once(';')?;
    let then: u64 = then.parse().ok()?;
    (now.abs_diff(then) <= SECONDS).then(|| ip.parse().ok())?
}

/// The MAC over everything that the header is bound to. Each part ends with a zero byte, which no part can contain.
fn mac(key: &[u8; 32], request: &Request<Body>, said: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes any length");
    let path = request.uri().path_and_query();
    let path = path.map_or("/", |path| path.as_str());
    mac.update(PURPOSE);
    for part in [request.method().as_str(), path, said] {
        mac.update(part.as_bytes());
        mac.update(&[0]);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const NOW: u64 = 1_800_000_000;

    fn request(method: &str, uri: &str, value: &str) -> Request<Body> {
        let request = Request::builder().method(method).uri(uri);
        let request = request.header(VISITOR, value).body(Body::empty());
        request.expect("a request")
    }

    fn sealed(ip: &str) -> String {
        let asked = request("GET", "http://jobs.spin.internal/api/jobs?limit=1", "");
        seal(&KEY, &asked, ip.parse().expect("an address"), NOW)
    }

    #[test]
    fn a_visitor_is_believed_of_the_very_request_for_a_minute() {
        for ip in ["203.0.113.9", "2001:db8::1", "::1"] {
            let asked = request("GET", "/api/jobs?limit=1", &sealed(ip));
            let expected = ip.parse().ok();
            assert_eq!(open(&KEY, &asked, NOW + SECONDS), expected);
            assert_eq!(open(&KEY, &asked, NOW - SECONDS), expected);
            assert_eq!(open(&KEY, &asked, NOW + SECONDS + 1), None);
            assert_eq!(open(&KEY, &asked, NOW - SECONDS - 1), None);
            assert_eq!(open(&[8; 32], &asked, NOW), None);
        }
        let value = sealed("203.0.113.9");
        for (method, path) in [
            ("POST", "/api/jobs?limit=1"),
            ("GET", "/api/jobs?limit=2"),
            ("GET", "/api/jobs"),
        ] {
            let other = request(method, path, &value);
            assert_eq!(open(&KEY, &other, NOW), None, "{method} {path}");
        }
    }

    #[test]
    fn what_is_changed_or_there_twice_is_not_believed() {
        let value = sealed("203.0.113.9");
        let path = "/api/jobs?limit=1";
        let changes = [
            value.replace("203.0.113.9", "203.0.113.8"),
            value.replace(&NOW.to_string(), &(NOW + 1).to_string()),
            value[..value.len() - 1].to_owned(),
            value.replace("203.0.113.9;", ""),
            format!("{NOW};127.0.0.1;"),
            format!("{NOW};127.0.0.1"),
            String::new(),
        ];
        for changed in changes {
            let asked = request("GET", path, &changed);
            assert_eq!(open(&KEY, &asked, NOW), None, "{changed}");
        }
        let mut twice = request("GET", path, &value);
        let again = value.parse().expect("a value");
        twice.headers_mut().append(VISITOR, again);
        assert_eq!(open(&KEY, &twice, NOW), None);
    }

    #[test]
    fn what_nobody_vouches_for_is_taken_off() {
        let mut asked = request("GET", "/", "1;127.0.0.1;AAAA");
        let connection = HeaderValue::from_static("203.0.113.9:1");
        asked.headers_mut().insert(CLIENT_ADDRESS, connection);
        futures::executor::block_on(settle(&mut asked));
        assert!(!asked.headers().contains_key(VISITOR));
        assert_eq!(asked.headers()[CLIENT_ADDRESS], "203.0.113.9:1");
    }
}
