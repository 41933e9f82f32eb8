//! A check whether functions can connect to a database at all.

use super::pool::{PoolLimits, open_pool};
use anyhow::{Result, anyhow};
use deadpool_postgres::PoolError;
use std::time::Duration;
use tokio_postgres::Config;

/// The time within which a server has to answer [`check_database`].
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds what would keep functions from a database for good: settings that their driver does not know, or TLS that
/// the server does not have or that its certificate is not good for. A server that does not answer, or that refuses the
/// user, may do better later.
///
/// # Errors
/// The database cannot be used. The error does not contain the password.
pub async fn check_database(address: &str) -> Result<()> {
    // The parser's own message may repeat the text, and with it the password.
    let config: Config = address
        .parse()
        .map_err(|_| anyhow!("the functions' driver does not understand the address"))?;
    let limits = PoolLimits {
        connections: 1,
        shared: 0,
        timeout: CHECK_TIMEOUT,
    };
    match open_pool(config, None, limits)?.get().await {
        Err(PoolError::Backend(error)) if is_of_tls(&error) => {
            Err(anyhow::Error::from(error).context("functions can't connect to the database"))
        }
        _ => Ok(()),
    }
}

/// Whether TLS failed after both sides agreed on it. A connection that broke during the handshake may have another
/// cause.
fn is_of_tls(error: &tokio_postgres::Error) -> bool {
    let cause = std::error::Error::source(error);
    let io = cause.and_then(|cause| cause.downcast_ref::<std::io::Error>());
    // The driver has no other way to tell.
    error
        .to_string()
        .starts_with("error performing TLS handshake")
        && io.is_none_or(|io| {
            io.get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>())
        })
}

#[cfg(test)]
mod tests {
    use super::check_database;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that answers the request for TLS (PostgreSQL's protocol, section 55.2.11) with one byte, and goes on
    /// with a certificate of its own. Returns its port.
    async fn stand_in(answer: u8) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 8];
                if socket.read_exact(&mut request).await.is_ok()
                    && socket.write_all(&[answer]).await.is_ok()
                    && answer == b'S'
                {
                    // The client turns away.
                    drop(tls.accept(socket).await);
                }
            }
        });
        port
    }

    async fn checked(settings: &str, port: u16) -> Result<(), String> {
        let address = format!("postgres://u:hunter2@127.0.0.1:{port}/d{settings}");
        let checked = check_database(&address).await;
        checked.map_err(|error| format!("{error:#}"))
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_knows_is_found_out() {
        let port = stand_in(b'S').await;
        for settings in ["", "?sslmode=require"] {
            let error = checked(settings, port).await.unwrap_err();
            assert!(error.contains("invalid peer certificate"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(checked("?sslmode=disable", port).await, Ok(()));
    }

    #[tokio::test]
    async fn a_server_without_the_tls_that_is_required_is_found_out() {
        let port = stand_in(b'N').await;
        let error = checked("?sslmode=require", port).await.unwrap_err();
        assert!(error.contains("does not support TLS"), "{error}");
        assert_eq!(checked("", port).await, Ok(()));
    }

    #[tokio::test]
    async fn an_address_that_the_driver_does_not_understand_is_found_out() {
        for settings in ["?sslmode=verify-full", "?sslrootcert=/ca.pem"] {
            let error = checked(settings, 1).await.unwrap_err();
            assert!(error.contains("does not understand"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_may_do_so_later() {
        assert_eq!(checked("?sslmode=require", 1).await, Ok(()));
    }
}
