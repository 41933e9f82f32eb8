//! Tests that need a real connection.

use super::*;
use http_body_util::Empty;
use std::{
    net::IpAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

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
    let outgoing = Outgoing::new(Some(resolve), BTreeMap::new());
    let Ok(address) = outgoing.address("rebind.example", 80).await else {
        panic!("public at first")
    };
    assert_eq!(address.ip(), IpAddr::from([1, 1, 1, 1]));
    assert_eq!(
        asked.load(Relaxed),
        1,
        "asked once for the check and the connection"
    );
    assert!(matches!(
        outgoing.address("rebind.example", 80).await,
        Err(Failure::PrivateAddress)
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
    let outgoing = Outgoing::new(Some(resolve), BTreeMap::new());
    assert!(matches!(
        outgoing.address("mixed.example", 80).await,
        Err(Failure::PrivateAddress)
    ));
}

fn get(uri: &str) -> Request<Empty<Bytes>> {
    Request::get(uri).body(Empty::new()).unwrap()
}

/// A server that answers every connection with the same bytes.
async fn server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4096];
            _ = socket.read(&mut head).await;
            _ = socket.write_all(answer).await;
        }
    });
    address
}

#[tokio::test]
async fn whom_the_operator_vouches_for_is_reached_and_nobody_else_inside() {
    let address =
        server(b"HTTP/1.1 301 Moved\r\nlocation: http://10.0.0.1/\r\ncontent-length: 2\r\n\r\nok")
            .await;
    let trusted = BTreeMap::from([("inside.example".to_owned(), address)]);
    let outgoing = Outgoing::new(None, trusted);
    let sent = outgoing
        .send(get("http://inside.example/x"), CONNECT_WITHIN, ())
        .await;
    let (answer, _) = sent.unwrap();
    assert_eq!(answer.status(), 301, "handed on, not followed");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    for uri in [
        format!("http://{address}/"),
        format!("http://localhost:{}/", address.port()),
        format!("http://[::1]:{}/", address.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", address.port()),
    ] {
        let refused = outgoing.send(get(&uri), CONNECT_WITHIN, ()).await;
        assert!(matches!(refused, Err(Failure::PrivateAddress)), "{uri}");
    }
    let user = outgoing
        .send(get("http://a@inside.example/"), CONNECT_WITHIN, ())
        .await;
    assert!(matches!(user, Err(Failure::InvalidUri)));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let address = server(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\nxxxx").await;
    let trusted = BTreeMap::from([("inside.example".to_owned(), address)]);
    let outgoing = Outgoing::new(None, trusted);
    let sent = outgoing
        .send(get("http://inside.example/"), CONNECT_WITHIN, ())
        .await;
    assert!(matches!(sent, Err(Failure::TooLarge)));
}

/// A certificate for a name, and the roots that trust it.
fn certified(expired: bool) -> (rustls::ServerConfig, rustls::RootCertStore) {
    let mut parameters = rcgen::CertificateParams::new(vec!["inside.example".to_owned()]).unwrap();
    if expired {
        parameters.not_before = rcgen::date_time_ymd(2001, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (config.unwrap(), roots)
}

#[tokio::test]
async fn a_certificate_has_to_be_good_today_and_for_the_name() {
    for (expired, name, good) in [
        (false, "inside.example", true),
        (true, "inside.example", false),
        (false, "other.example", false),
    ] {
        let (config, roots) = certified(expired);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let mut head = [0; 4096];
                _ = stream.read(&mut head).await;
                _ = stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await;
                _ = stream.flush().await;
                _ = stream.read(&mut head).await;
            }
        });
        let trusted = BTreeMap::from([(name.to_owned(), address)]);
        let outgoing = Outgoing::with_roots(None, trusted, roots);
        let uri = format!("https://{name}/");
        let sent = outgoing.send(get(&uri), CONNECT_WITHIN, ()).await;
        match sent {
            Ok((answer, _)) => assert!(good && answer.status() == 204),
            Err(Failure::Tls(_)) => assert!(!good),
            Err(error) => panic!("{error}"),
        }
    }
}
