//! Requests to hosts that strangers name: those of skills, and the receivers of webhooks.
//!
//! A name is resolved once. If one of its addresses is not of the public internet, or is this machine's, nothing is
//! sent; otherwise the connection goes to the checked address. Redirects are not followed: a caller that
//! follows one sends a new request, which is checked like the first. Answers are cut off at a size, and connecting
//! takes a bounded time.

mod address;
mod origin;

pub use address::Resolve;
pub use origin::Origin;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderName, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use public_address::is_public;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, task::AbortHandle, task::JoinHandle, time::timeout};
use tokio_rustls::TlsConnector;

/// The longest time for each of resolving, connecting and the TLS handshake.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The largest answer that is read.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The guarded client.
pub struct Outgoing {
    resolve: Resolve,
    /// The hosts that the operator vouches for, with their addresses, which may be private.
    trusted: BTreeMap<String, SocketAddr>,
    /// Origins that the operator vouches for, wherever their names lead.
    trusted_origins: BTreeSet<Origin>,
    tls: TlsConnector,
}

/// The reason why a request was not answered.
#[derive(Debug)]
pub enum Failure {
    /// The host's name does not resolve.
    DoesNotResolve,
    /// The host is in a private network, or is this machine.
    PrivateAddress,
    /// Connecting took too long.
    ConnectionTimeout,
    /// Nothing accepts connections at the address.
    Connect(io::Error),
    /// The server's TLS is not valid, for example by a certificate of another name, or one that expired.
    Tls(io::Error),
    /// The server does not speak HTTP, or broke off.
    Http(hyper::Error),
    /// The answer is larger than is read.
    TooLarge,
    /// The URL is not an `http` or `https` address.
    InvalidUri,
}

/// The body of an answer, which keeps the connection.
pub type AnswerBody = UnsyncBoxBody<Bytes, Failure>;

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DoesNotResolve => out.write_str("its name does not resolve"),
            Self::PrivateAddress => out.write_str("its address is private"),
            Self::ConnectionTimeout => out.write_str("connecting took too long"),
            Self::Connect(error) => write!(out, "it can't be connected to: {error}"),
            Self::Tls(error) => write!(out, "TLS: {error}"),
            Self::Http(error) => write!(out, "HTTP: {error}"),
            Self::TooLarge => out.write_str("its answer is too large"),
            Self::InvalidUri => out.write_str("no address of the web"),
        }
    }
}

impl std::error::Error for Failure {}

impl Outgoing {
    /// Makes the client, with the system's resolver unless another is given.
    ///
    /// # Panics
    /// Never: the protocol versions are the library's own.
    #[must_use]
    pub fn new(resolve: Option<Resolve>, trusted: BTreeMap<String, SocketAddr>) -> Self {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        Self::with_roots(resolve, trusted, roots)
    }

    fn with_roots(
        resolve: Option<Resolve>,
        trusted: BTreeMap<String, SocketAddr>,
        roots: rustls::RootCertStore,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the library's own versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            resolve: resolve.unwrap_or_else(address::system),
            trusted,
            trusted_origins: BTreeSet::new(),
            tls: Arc::new(tls).into(),
        }
    }

    /// Reaches these origins too, though their addresses be private.
    #[must_use]
    pub fn trusting(mut self, origins: BTreeSet<Origin>) -> Self {
        self.trusted_origins = origins;
        self
    }

    /// Whether the operator vouches for an origin.
    #[must_use]
    pub fn trusts_origin(&self, origin: &Origin) -> bool {
        self.trusted_origins.contains(origin)
    }

    /// Whether the operator vouches for a host.
    #[must_use]
    pub fn trusts(&self, host: &str) -> bool {
        self.trusted.contains_key(host)
    }

    /// Resolves a host to an address that may be connected to.
    ///
    /// # Errors
    /// The host does not have such an address.
    pub async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, Failure> {
        if let Some(address) = self.trusted.get(host) {
            return Ok(*address);
        }
        let found = self.resolve(host, port).await?;
        let own = address::own();
        let is_inside =
            |address: &SocketAddr| !is_public(address.ip()) || own.contains(&address.ip());
        if found.iter().any(is_inside) {
            return Err(Failure::PrivateAddress);
        }
        found.first().copied().ok_or(Failure::DoesNotResolve)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let resolving = timeout(CONNECT_WITHIN, (self.resolve)(host.to_owned(), port)).await;
        match resolving {
            Ok(Ok(found)) => Ok(found),
            _ => Err(Failure::DoesNotResolve),
        }
    }

    async fn address_of(&self, origin: &Origin) -> Result<SocketAddr, Failure> {
        if !self.trusts_origin(origin) {
            return self.address(&origin.host, origin.port).await;
        }
        let found = self.resolve(&origin.host, origin.port).await?;
        found.first().copied().ok_or(Failure::DoesNotResolve)
    }

    /// Opens a connection to an origin, at an address that was checked.
    ///
    /// # Errors
    /// The origin can't be reached, or must not be.
    pub async fn connect<B>(
        &self,
        origin: &Origin,
        connect_within: Duration,
    ) -> Result<Connection<B>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connect_within = connect_within.min(CONNECT_WITHIN);
        let address = self.address_of(origin).await?;
        let stream = timeout(connect_within, TcpStream::connect(address));
        let stream = stream.await.map_err(|_| Failure::ConnectionTimeout)?;
        let stream = stream.map_err(Failure::Connect)?;
        // Small requests go out at once.
        _ = stream.set_nodelay(true);
        if !origin.is_tls {
            return Connection::over(TokioIo::new(stream)).await;
        }
        let host = origin.host.trim_matches(['[', ']']).to_owned();
        let name = rustls::pki_types::ServerName::try_from(host);
        let name = name.map_err(|_| Failure::InvalidUri)?;
        let stream = timeout(connect_within, self.tls.connect(name, stream));
        let stream = stream.await.map_err(|_| Failure::ConnectionTimeout)?;
        Connection::over(TokioIo::new(stream.map_err(Failure::Tls)?)).await
    }

    /// Sends a request to its host, and answers as soon as the answer's head is there. `held` is dropped with the answer's
    /// body. The task is the connection's.
    ///
    /// # Errors
    /// The request was not sent, or not answered.
    pub async fn send<B, H>(
        &self,
        mut request: Request<B>,
        connect_within: Duration,
        held: H,
    ) -> Result<(Response<AnswerBody>, JoinHandle<()>), Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        H: Send + 'static,
    {
        let origin = Origin::of(request.uri())?;
        in_origin_form(&mut request)?;
        let connection = self.connect(&origin, connect_within).await?;
        exchange(connection, request, held).await
    }
}

/// Removes the headers that belong to a connection (RFC 9110, section 7.6.1), and the host's name.
#[must_use]
pub fn is_forbidden_header(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::HOST,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
    ]
    .contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

/// Puts the path into the first line, and the authority into its header.
///
/// # Errors
/// The address is not one of the web, or names a user.
pub fn in_origin_form<B>(request: &mut Request<B>) -> Result<(), Failure> {
    let authority = request.uri().authority().ok_or(Failure::InvalidUri)?;
    if authority.as_str().contains('@') {
        return Err(Failure::InvalidUri);
    }
    let value = authority
        .as_str()
        .parse()
        .map_err(|_| Failure::InvalidUri)?;
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| Failure::InvalidUri)?;
    request.headers_mut().insert(header::HOST, value);
    *request.uri_mut() = path;
    Ok(())
}

/// A connection, which ends when this is dropped. One that shuts down on its own may wait for its peer for ever.
pub struct Connection<B> {
    /// Sends a request, and another one when the answer is complete.
    pub sender: SendRequest<B>,
    task: Task,
    running: JoinHandle<()>,
}

struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn over<I>(io: I) -> Result<Self, Failure>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let handshake = hyper::client::conn::http1::handshake(io).await;
        let (sender, connection) = handshake.map_err(Failure::Http)?;
        // Ends with the answer's body, or when that is dropped. Whether it ended well, the body says.
        let running = tokio::spawn(async move { drop(connection.await) });
        Ok(Self {
            sender,
            task: Task(running.abort_handle()),
            running,
        })
    }
}

async fn exchange<B, H>(
    connection: Connection<B>,
    request: Request<B>,
    held: H,
) -> Result<(Response<AnswerBody>, JoinHandle<()>), Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    H: Send + 'static,
{
    let Connection {
        mut sender,
        task,
        running,
    } = connection;
    let held = (task, held);
    let response = sender.send_request(request).await.map_err(Failure::Http)?;
    let announced = response.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_ANSWER_BYTES) {
        return Err(Failure::TooLarge);
    }
    let response = response.map(|body| {
        Limited::new(body, MAX_ANSWER_BYTES)
            .map_err(|error| match error.downcast::<hyper::Error>() {
                Ok(error) => Failure::Http(*error),
                Err(error) => {
                    debug_assert!(error.is::<LengthLimitError>());
                    Failure::TooLarge
                }
            })
            .map_frame(move |frame| {
                let _ = &held;
                frame
            })
            .boxed_unsync()
    });
    Ok((response, running))
}

/// The future of a resolver.
type Found = BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

#[cfg(test)]
mod tests;
