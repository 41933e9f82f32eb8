//! The address by which a client is counted: that of its connection or, behind trusted proxies, the one that they name.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

pub mod visitor;

/// Parses networks and single addresses with commas between them. Malformed ones are skipped, since the command refuses
/// them.
#[must_use]
pub fn networks(list: &str) -> Vec<IpNet> {
    let entries = list.split(',').map(str::trim);
    let network = |entry: &str| {
        let single = || entry.parse::<IpAddr>().ok().map(IpNet::from);
        entry.parse().ok().or_else(single)
    };
    entries.filter_map(network).collect()
}

/// The client's own address: that of the connection or, behind a trusted proxy, the last one in
/// `X-Forwarded-For` that is not a trusted proxy's.
#[must_use]
pub fn client(connected: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |ip: &IpAddr| proxies.iter().any(|network| network.contains(ip));
    let mut client = connected.to_canonical();
    if !is_proxy(&client) {
        return client;
    }
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    // Each proxy appends whom it was connected to; what stands before the last untrusted one, or before anything that
    // is no address, is hearsay.
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let hop = std::str::from_utf8(hop).ok();
        let Some(hop) = hop.and_then(|hop| parse(hop.trim())) else {
            break;
        };
        client = hop;
        if !is_proxy(&client) {
            break;
        }
    }
    client
}

/// An address with or without a port.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    let plain = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let with_port = text.parse::<SocketAddr>().ok().map(|address| address.ip());
    with_port.or_else(plain).map(|ip| ip.to_canonical())
}

/// The address that is counted: for IPv6 the first 64 bits, the size of one customer's network.
#[must_use]
pub fn counted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            let network = Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64);
            format!("{network}/64")
        }
        ip => ip.to_string(),
    }
}
