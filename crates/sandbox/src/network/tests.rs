//! Which requests a skill may make, and what becomes of them.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[test]
fn only_the_public_internet_is_public() {
    for address in [
        "0.0.0.0",
        "10.1.2.3",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "168.63.129.16",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
    ] {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "172.32.0.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2002:101:101::",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn an_origin_is_read_as_the_permissions_write_it() {
    let of = |uri: &str| origin(&uri.parse().unwrap());
    assert_eq!(
        of("https://A.example.org:443/x?y").as_deref(),
        Some("https://a.example.org")
    );
    assert_eq!(
        of("http://a.example.org:8080/").as_deref(),
        Some("http://a.example.org:8080")
    );
    assert_eq!(
        of("http://2130706433/").as_deref(),
        Some("http://127.0.0.1")
    );
    assert_eq!(of("http://0x7f.1/").as_deref(), Some("http://127.0.0.1"));
    assert_eq!(of("https://u:p@a.example.org/"), None);
}

/// DNS rebinding: a name that is public when it is checked and private when it is connected to.
#[tokio::test]
async fn what_is_checked_is_what_is_connected_to() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let resolve: Resolve = Arc::new(move |_, port| {
        let first = counter.fetch_add(1, Relaxed) == 0;
        let address: IpAddr = if first {
            [1, 1, 1, 1].into()
        } else {
            [127, 0, 0, 1].into()
        };
        Box::pin(async move { Ok(vec![SocketAddr::new(address, port)]) })
    });
    let network = Network::new(Some(resolve), BTreeMap::new());
    let Ok(address) = network.address("rebind.example", 80).await else {
        panic!("public at first")
    };
    assert_eq!(address.ip(), IpAddr::from([1, 1, 1, 1]));
    assert_eq!(
        asked.load(Relaxed),
        1,
        "asked once for the check and the connection"
    );
    assert!(matches!(
        network.address("rebind.example", 80).await,
        Err(Reason::PrivateAddress)
    ));
}

#[tokio::test]
async fn one_private_address_among_public_ones_is_refused() {
    let resolve: Resolve = Arc::new(|_, port| {
        Box::pin(async move {
            Ok(vec![
                SocketAddr::from(([1, 1, 1, 1], port)),
                SocketAddr::from(([10, 0, 0, 1], port)),
            ])
        })
    });
    let network = Network::new(Some(resolve), BTreeMap::new());
    assert!(matches!(
        network.address("mixed.example", 80).await,
        Err(Reason::PrivateAddress)
    ));
}
