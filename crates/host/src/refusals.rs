//! The count of the host's own refusals by client. Functions count only the requests that reach them.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
const MINUTE: Duration = Duration::from_secs(60);
/// The refusals allowed in a minute, as many as functions allow of cheap requests.
const QUOTA: u32 = 6_000;
/// The factor by which this machine's address may be refused more often, since all clients of a proxy may share it.
const LOCAL_FACTOR: u32 = 100;
/// The number of clients above which all counts start again.
const MAX_CLIENTS: usize = 10_000;

/// Counts refusals by address. IPv6 addresses of one network count together.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<IpAddr, Window>>);

struct Window {
    ends: Instant,
    left: u32,
}

/// The count of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    quota: u32,
    left: u32,
    seconds: u32,
    /// Whether this refusal is above the allowed number.
    pub is_exhausted: bool,
}

impl Refusals {
    /// Counts one more refusal of the client at `peer`, which is an address with a port.
    pub fn count(&self, peer: &HeaderValue) -> Standing {
        let peer = peer.to_str().ok();
        let peer = peer.and_then(|peer| peer.parse::<SocketAddr>().ok());
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
        self.count_at(address.to_canonical(), Instant::now())
    }

    fn count_at(&self, address: IpAddr, now: Instant) -> Standing {
        let factor = if address.is_loopback() {
            LOCAL_FACTOR
        } else {
            1
        };
        let quota = QUOTA.saturating_mul(factor);
        let counted = match address {
            IpAddr::V6(ip) if !ip.is_loopback() => {
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
            }
            other => other,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_CLIENTS && !all.contains_key(&counted) {
            all.clear();
        }
        let new = Window {
            ends: now + MINUTE,
            left: quota,
        };
        let window = all.entry(counted).or_insert(new);
        if window.ends <= now {
            *window = Window {
                ends: now + MINUTE,
                left: quota,
            };
        }
        let is_exhausted = window.left == 0;
        window.left = window.left.saturating_sub(1);
        let left_ms = (window.ends - now).as_millis();
        Standing {
            quota,
            left: window.left,
            seconds: u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(60).max(1),
            is_exhausted,
        }
    }
}

impl Standing {
    /// The time that the client has to wait, in seconds.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Writes the count to the answer's headers (draft-ietf-httpapi-ratelimit-headers-10), as functions do.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let Self {
            quota,
            left,
            seconds,
            ..
        } = self;
        let policy = format!("\"refused\";q={quota};w=60");
        let standing = format!("\"refused\";r={left};t={seconds}");
        for (name, value) in [(POLICY, policy), (STANDING, standing)] {
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_minute_has_so_many_refusals() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let first = refusals.count_at(address("203.0.113.9"), now);
        assert_eq!((first.left, first.is_exhausted), (QUOTA - 1, false));
        for _ in 1..QUOTA {
            assert!(!refusals.count_at(address("203.0.113.9"), now).is_exhausted);
        }
        assert!(refusals.count_at(address("203.0.113.9"), now).is_exhausted);
        assert!(!refusals.count_at(address("203.0.113.8"), now).is_exhausted);
        assert!(
            !refusals
                .count_at(address("203.0.113.9"), now + MINUTE)
                .is_exhausted
        );
    }

    #[test]
    fn of_ipv6_the_network_counts() {
        let refusals = Refusals::default();
        let now = Instant::now();
        refusals.count_at(address("2001:db8:1:2:3::1"), now);
        let second = refusals.count_at(address("2001:db8:1:2:ffff::9"), now);
        assert_eq!(second.left, QUOTA - 2);
        let other = refusals.count_at(address("2001:db8:1:3::1"), now);
        assert_eq!(other.left, QUOTA - 1);
        let local = refusals.count_at(address("::1"), now);
        assert_eq!(local.quota, QUOTA * LOCAL_FACTOR);
    }

    #[test]
    fn clients_are_bounded() {
        let refusals = Refusals::default();
        let now = Instant::now();
        for number in 0..=u32::try_from(MAX_CLIENTS).expect("a small number") {
            refusals.count_at(IpAddr::V4(number.into()), now);
        }
        assert!(refusals.0.lock().expect("no panic").len() <= MAX_CLIENTS);
    }
}
