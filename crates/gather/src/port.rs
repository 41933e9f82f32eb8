//! Free ports of this machine.

use std::{
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

/// For databases.
pub const DATABASES: Range<u16> = 10_000..12_000;
/// For tests' servers.
pub const TESTS: Range<u16> = 12_000..32_000;

/// A port that nobody listens on now. The system gives none of these to connections by itself (on Linux those from
/// 32768 up), so a server that restarts finds its port again.
pub fn free(range: Range<u16>) -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(range.end - range.start);
    let first = std::process::id().wrapping_mul(97);
    (0..count)
        .filter_map(|_| {
            let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            u16::try_from(next % count).ok()
        })
        .map(|offset| range.start + offset)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port on the loopback interface")
}
