//! The visitor on whose behalf one part of the platform asks another: its address, in a header with a MAC.
//!
//! Whoever is asked does not see the visitor's connection, but limits and the audit trail need the address. The MAC is
//! bound to the request's method and path and to the time, so that only parts of the platform can name a visitor, and
//! the header of one request is useless in another.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderMap, HeaderName, Method, Uri};
use sha2::Sha256;

/// The header's name.
pub const VISITOR: HeaderName = HeaderName::from_static("gather-visitor");
/// The purpose of the MAC, so that other MACs of the same key can't stand in for it.
const PURPOSE: &[u8] = b"gather-visitor-v1\0";
/// The time for which a request is believed after it was sent.
const SECONDS: u64 = 60;

/// Makes the header's value: `<seconds since 1970>;<address>;<MAC>`.
#[must_use]
pub fn seal(key: &[u8; 32], method: &Method, uri: &Uri, ip: IpAddr, now: u64) -> String {
    let said = format!("{now};{ip}");
    let tag = mac(key, method, uri, &said).finalize().into_bytes();
    format!("{said};{}", URL_SAFE_NO_PAD.encode(tag))
}

/// The address that a request's header names; `None` unless the header is there once and its MAC is right.
#[must_use]
pub fn open(
    key: &[u8; 32],
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    now: u64,
) -> Option<IpAddr> {
    let mut values = headers.get_all(&VISITOR).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (said, tag) = value.to_str().ok()?.rsplit_once(';')?;
    let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
    mac(key, method, uri, said).verify_slice(&tag).ok()?;
    let (then, ip) = said.split_once(';')?;
    let then: u64 = then.parse().ok()?;
    (now.abs_diff(then) <= SECONDS).then(|| ip.parse().ok())?
}

/// The MAC over everything that the header is bound to. Each part ends with a zero byte, which no part can contain.
fn mac(key: &[u8; 32], method: &Method, uri: &Uri, said: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes any length");
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    mac.update(PURPOSE);
    for part in [method.as_str(), path, said] {
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
    const URI: &str = "/api/jobs?limit=1";

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| value.parse().expect("a value"));
        values.map(|value| (VISITOR, value)).collect()
    }

    fn opened(
        key: &[u8; 32],
        method: &str,
        uri: &str,
        values: &[&str],
        now: u64,
    ) -> Option<IpAddr> {
        let method = method.parse().expect("a method");
        let uri = uri.parse().expect("a path");
        open(key, &method, &uri, &headers(values), now)
    }

    fn sealed(ip: &str) -> String {
        let uri = format!("http://jobs.spin.internal{URI}");
        let uri = uri.parse().expect("an address");
        seal(
            &KEY,
            &Method::GET,
            &uri,
            ip.parse().expect("an address"),
            NOW,
        )
    }

    #[test]
    fn a_visitor_is_believed_of_the_very_request_for_a_minute() {
        for ip in ["203.0.113.9", "2001:db8::1", "::1"] {
            let value = sealed(ip);
            let at = |key, now| opened(key, "GET", URI, &[&value], now);
            let expected = ip.parse().ok();
            assert_eq!(at(&KEY, NOW + SECONDS), expected);
            assert_eq!(at(&KEY, NOW - SECONDS), expected);
            assert_eq!(at(&KEY, NOW + SECONDS + 1), None);
            assert_eq!(at(&KEY, NOW - SECONDS - 1), None);
            assert_eq!(at(&[8; 32], NOW), None);
        }
        let value = sealed("203.0.113.9");
        for (method, path) in [
            ("POST", URI),
            ("GET", "/api/jobs?limit=2"),
            ("GET", "/api/jobs"),
        ] {
            let other = opened(&KEY, method, path, &[&value], NOW);
            assert_eq!(other, None, "{method} {path}");
        }
    }

    #[test]
    fn what_is_changed_or_there_twice_is_not_believed() {
        let value = sealed("203.0.113.9");
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
            let believed = opened(&KEY, "GET", URI, &[&changed], NOW);
            assert_eq!(believed, None, "{changed}");
        }
        assert_eq!(opened(&KEY, "GET", URI, &[&value, &value], NOW), None);
        assert_eq!(opened(&KEY, "GET", URI, &[], NOW), None);
    }
}
