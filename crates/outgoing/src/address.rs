//! The resolution of names, and the addresses of this machine.

use crate::Found;
use std::{
    net::{IpAddr, ToSocketAddrs},
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
