//! The client that sent a request, and its address.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use client_address::{counted, networks, parse};
use http::header::{COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::caller::{Caller, Checked};
use crate::{Problem, Result, variable};

pub(crate) const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");
/// The name of the session cookie. Its prefix makes browsers insist on `Secure`, `Path=/` and no `Domain`.
pub const SESSION_COOKIE: &str = "__Host-gather-session";

/// The data about a client that is kept when it signs in, and in the audit trail. The SQL functions receive it as the
/// JSON argument `client`.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// The client's address; for IPv6 the first 64 bits, which is the network that one customer gets.
    pub address: String,
    /// The user agent, as the client states it.
    pub user_agent: Option<String>,
    /// The id of the request, and in a second line the component that acts for the account, if one does: the audit trail
    /// tells them apart (`sql/audit/record.sql`).
    pub request_id: Option<String>,
    /// The SHA-256 of the session cookie that the request carried, in hexadecimal.
    pub former_cookie: Option<String>,
    /// The SHA-256 of the session cookie that the client will get, in hexadecimal.
    pub cookie: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let headers = &parts.headers;
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let client = Self {
            address: address(headers).await.text.to_string(),
            user_agent: text(USER_AGENT.as_str()),
            request_id: text("x-request-id"),
            former_cookie: cookie(headers, SESSION_COOKIE).map(hex_digest),
            cookie: None,
        };
        Ok(match parts.extensions.get::<Checked>() {
            Some(Checked::Known(caller)) => client.of(caller),
            _ => client,
        })
    }
}

impl Client {
    /// The client of a caller: a request that a component sends for an account is put on record as both's.
    pub(crate) fn of(mut self, caller: &Caller) -> Self {
        if let Some(component) = &caller.act {
            let id = self.request_id.unwrap_or_default();
            self.request_id = Some(format!("{id}\n{component}"));
        }
        self
    }

    /// The client with a new session cookie.
    #[must_use]
    pub fn with_cookie(mut self, value: &str) -> Self {
        self.cookie = Some(hex_digest(value));
        self
    }
}

/// The SHA-256 of a text, in hexadecimal.
fn hex_digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// A cookie of the request. Two cookies of the same name count as none, because somebody else may have set one of them.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    // The crate `cookie` parses each pair as a line that sets a cookie, which would bring a parser of dates into every
    // function for nothing.
    let mut values = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(key, value)| (key == name).then_some(value));
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// An address by which requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address; for IPv6 the network.
    pub text: Arc<str>,
    /// Whether the address is on this machine. Local programs need no limits for strangers, and behind a proxy that
    /// nobody configured every client seems local.
    pub is_local: bool,
}

/// The client's address: the connection's or, behind a trusted proxy, the last address in `X-Forwarded-For` that does
/// not belong to a trusted proxy.
pub(crate) async fn address(headers: &HeaderMap) -> Address {
    thread_local! {
        // Successive requests often come from the same client.
        static LAST: RefCell<Option<(Box<str>, Address)>> = const { RefCell::new(None) };
    }
    let proxies = trusted_proxies().await;
    let host = connected(headers).and_then(|address| Some(address.rsplit_once(':')?.0));
    let host = host.filter(|_| proxies.is_empty());
    let known = LAST.with_borrow(|last| {
        let last = last.as_ref().filter(|(known, _)| Some(&**known) == host);
        last.map(|(_, address)| address.clone())
    });
    if let Some(address) = known {
        return address;
    }
    let ip = client_ip(headers, &proxies);
    let address = Address {
        text: told(ip).into(),
        is_local: ip.is_some_and(|ip| ip.is_loopback()),
    };
    LAST.set(host.map(|host| (host.into(), address.clone())));
    address
}

async fn trusted_proxies() -> Arc<[IpNet]> {
    thread_local! {
        static PROXIES: RefCell<Option<Arc<[IpNet]>>> = const { RefCell::new(None) };
    }
    if let Some(known) = PROXIES.with_borrow(Clone::clone) {
        return known;
    }
    let list = variable("trusted_proxies").await.unwrap_or_default();
    let proxies: Arc<[IpNet]> = networks(&list).into();
    PROXIES.set(Some(proxies.clone()));
    proxies
}

/// The client's full address; `None` if the host does not tell it.
pub(crate) async fn ip_of(headers: &HeaderMap) -> Option<IpAddr> {
    client_ip(headers, &trusted_proxies().await)
}

/// The address of the connection, as the host states it. The host's value comes last, after any that the client may
/// have sent.
fn connected(headers: &HeaderMap) -> Option<&str> {
    let said = headers.get_all(CLIENT_ADDRESS).iter().next_back()?;
    said.to_str().ok()
}

fn client_ip(headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let connected = parse(connected(headers)?)?;
    Some(client_address::client(connected, headers, proxies))
}

fn told(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "unknown".to_owned(), counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    fn seen(connected: &str, forwarded: &[&str], proxies: &str) -> String {
        let mut pairs = vec![("spin-client-addr", connected)];
        pairs.extend(forwarded.iter().map(|line| ("x-forwarded-for", *line)));
        told(client_ip(&headers(&pairs), &networks(proxies)))
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(
            seen("203.0.113.9:4711", &["198.51.100.1"], ""),
            "203.0.113.9"
        );
        assert_eq!(
            seen("203.0.113.9:4711", &["198.51.100.1"], "10.0.0.0/8"),
            "203.0.113.9"
        );
        assert_eq!(
            seen("10.1.2.3:1", &["198.51.100.1"], "10.0.0.0/8"),
            "198.51.100.1"
        );
        // The client's own entries come before the one that the proxy appended.
        assert_eq!(
            seen("10.1.2.3:1", &["1.1.1.1, 198.51.100.1"], "10.0.0.0/8"),
            "198.51.100.1"
        );
        assert_eq!(
            seen(
                "10.1.2.3:1",
                &["1.1.1.1", "198.51.100.1, 10.9.9.9"],
                "10.0.0.0/8"
            ),
            "198.51.100.1"
        );
        assert_eq!(seen("10.1.2.3:1", &["rubbish"], "10.0.0.0/8"), "10.1.2.3");
        assert_eq!(seen("10.1.2.3:1", &[], "10.0.0.0/8"), "10.1.2.3");
        assert_eq!(seen("127.0.0.1:1", &["8.8.8.8:99"], "127.0.0.1"), "8.8.8.8");
    }

    #[test]
    fn the_host_has_the_last_word() {
        let address_of = |addresses: &[&'static str]| {
            let pairs: Vec<_> = addresses
                .iter()
                .map(|address| ("spin-client-addr", *address))
                .collect();
            futures::executor::block_on(address(&headers(&pairs)))
        };
        let forged = address_of(&["127.0.0.1:1", "203.0.113.9:1"]);
        assert_eq!((&*forged.text, forged.is_local), ("203.0.113.9", false));
        let again = address_of(&["127.0.0.1:1", "::1", "203.0.113.9:2"]);
        assert_eq!(again, forged);
        assert_eq!(&*address_of(&["127.0.0.1:1", "rubbish"]).text, "unknown");
    }

    #[test]
    fn what_stands_before_something_unreadable_is_not_believed() {
        let mut given = headers(&[
            ("spin-client-addr", "10.1.2.3:1"),
            ("x-forwarded-for", "8.8.8.8"),
        ]);
        for line in [b"\xff, 10.9.9.9".as_slice(), b"\xff"] {
            let line = http::HeaderValue::from_bytes(line).expect("a value");
            given.append("x-forwarded-for", line);
        }
        let proxies = networks("10.0.0.0/8");
        assert_eq!(told(client_ip(&given, &proxies)), "10.1.2.3");
    }

    #[test]
    fn of_ipv6_the_network_counts() {
        assert_eq!(
            seen("[2001:db8:1:2:3:4:5:6]:1", &[], ""),
            "2001:db8:1:2::/64"
        );
        assert_eq!(
            seen("[2001:db8:1:2::1]:1", &[], ""),
            seen("[2001:db8:1:2:ffff::9]:2", &[], "")
        );
        assert_eq!(seen("[::ffff:203.0.113.9]:1", &[], ""), "203.0.113.9");
        assert_eq!(seen("[::1]:1", &[], ""), "::1");
    }

    #[test]
    fn this_machine_is_known_also_the_second_time() {
        let address_of = |connected: &str| {
            let headers = headers(&[("spin-client-addr", connected)]);
            futures::executor::block_on(address(&headers))
        };
        for (connected, text, is_local) in [
            ("127.0.0.5:1", "127.0.0.5", true),
            ("127.0.0.5:2", "127.0.0.5", true),
            ("10.0.0.1:2", "10.0.0.1", false),
            ("[::1]:2", "::1", true),
            ("[::ffff:127.0.0.1]:2", "127.0.0.1", true),
            ("rubbish", "unknown", false),
        ] {
            let expected = Address {
                text: text.into(),
                is_local,
            };
            assert_eq!(address_of(connected), expected, "{connected}");
        }
    }

    #[test]
    fn a_cookie_that_is_there_twice_is_not_there() {
        let one = headers(&[("cookie", "a=1; __Host-gather-session=gs_x; b=2")]);
        assert_eq!(cookie(&one, SESSION_COOKIE), Some("gs_x"));
        let two = headers(&[
            ("cookie", "__Host-gather-session=gs_x"),
            ("cookie", "__Host-gather-session=gs_y"),
        ]);
        assert_eq!(cookie(&two, SESSION_COOKIE), None);
    }

    proptest! {
        #[test]
        fn any_header_gives_an_address(line in "[ -~]*", connected in "[ -~]*") {
            let given = seen(&connected, &[&line], "0.0.0.0/0,::/0");
            prop_assert!(!given.is_empty() && given.len() <= 45);
        }
    }
}
