//! The addresses that may be connected to, and the resolution of names.

use crate::Found;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs},
    sync::{Arc, LazyLock},
};
use tokio::sync::Semaphore;

/// The number of names that are looked up at the same time, each of which takes a thread of the system's resolver.
const LOOKUPS: usize = 32;

/// Finds the addresses of a host.
pub type Resolve = Arc<dyn Fn(String, u16) -> Found + Send + Sync>;

/// The system's resolver.
pub fn system() -> Resolve {
    static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));
    Arc::new(|host, port| {
        Box::pin(async move {
            let place = PLACES.clone().acquire_owned().await;
            let looking = tokio::task::spawn_blocking(move || {
                // Kept until the resolver is done, though nobody may wait for it any more.
                let _place = place;
                Ok((host.trim_matches(['[', ']']), port)
                    .to_socket_addrs()?
                    .collect())
            });
            looking.await?
        })
    })
}

/// The addresses of this machine, whose services may rely on not being reached from outside.
pub fn own() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| interface.address);
    addresses
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect()
}

/// Whether an address is of the public internet, by the registries of special-purpose addresses (RFC 6890
/// and its updates). An address that contains an IPv4 address counts as that.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, private, loopback, link-local (where clouds have their metadata).
        (0 | 10 | 127, ..) | (172, 16..=31, _) | (192, 168, _) | (169, 254, _) => true,
        // Shared by providers, protocol assignments, documentation, 6to4 relays, benchmarks.
        (100, 64..=127, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        // Multicast, reserved, broadcast.
        (224.., ..) => true,
        // A cloud's own services (Azure's WireServer), at an address that looks public.
        (168, 63, 129) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [.., high, low] = segments;
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4 in IPv6: mapped, compatible (loopback among them), translated (RFC 6052, RFC 8215), 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => embedded(high, low),
        [0x64, 0xff9b, 1, ..] => false,
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo and other protocol assignments, documentation, discard.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only 2000::/3 is given to the public.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}
