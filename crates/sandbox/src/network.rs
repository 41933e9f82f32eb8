//! Requests of skills: to granted origins only, and never into a private network, whatever the name of the
//! origin resolves to. A redirect is the skill's own to follow: it is a new request, checked like the first.

use crate::refused::{Reach, Reason, Refusals, RefusedRequest};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderName, Request, Response, Uri, header, uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

/// The largest answer that a skill can read.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// How long connecting may take. The call's deadline bounds the rest.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests of one call under way at the same time, their answers' bodies included.
const REQUESTS_OF_ONE: usize = 16;
/// Requests that one call may send, one after another: what it is for needs no more, and nobody aims it at an origin.
const REQUESTS_IN_ALL: u32 = 100;
/// Requests of all calls under way at the same time.
const REQUESTS: usize = 256;
/// Names that are looked up at the same time: each takes a thread, for as long as the system's resolver likes.
const LOOKUPS: usize = 32;

/// Finds the addresses of a host.
pub type Resolve =
    Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// How skills reach the world.
pub struct Network {
    resolve: Resolve,
    /// Hosts that the operator vouches for, with their addresses: these may be private.
    trusted: BTreeMap<String, SocketAddr>,
    tls: Arc<rustls::ClientConfig>,
    requests: Arc<Semaphore>,
}

impl Network {
    /// With the system's resolver, unless another is given.
    ///
    /// # Panics
    /// Never: the protocol versions are the library's own.
    #[must_use]
    pub fn new(resolve: Option<Resolve>, trusted: BTreeMap<String, SocketAddr>) -> Self {
        let roots = rustls::RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.into(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the library's own versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            resolve: resolve.unwrap_or_else(|| Arc::new(system)),
            trusted,
            tls: Arc::new(tls),
            requests: Arc::new(Semaphore::new(REQUESTS)),
        }
    }

    /// An address of the host that may be connected to. What is checked is what is connected to: the name
    /// is resolved once.
    async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, Reason> {
        if let Some(address) = self.trusted.get(host) {
            return Ok(*address);
        }
        let resolving =
            tokio::time::timeout(CONNECT_TIMEOUT, (self.resolve)(host.to_owned(), port));
        let found = resolving
            .await
            .map_err(|_| Reason::DoesNotResolve)?
            .map_err(|_| Reason::DoesNotResolve)?;
        let own = own_addresses();
        if found
            .iter()
            .any(|address| !is_public(address.ip()) || own.contains(&address.ip()))
        {
            return Err(Reason::PrivateAddress);
        }
        found.first().copied().ok_or(Reason::DoesNotResolve)
    }
}

fn system(host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));
    Box::pin(async move {
        let place = PLACES.clone().acquire_owned().await;
        let looking = tokio::task::spawn_blocking(move || {
            // Kept until the resolver is done, though nobody may wait for it any more.
            let _place = place;
            Ok((host, port).to_socket_addrs()?.collect())
        });
        looking.await?
    })
}

/// The addresses of this machine: what listens there may rely on not being reached from outside.
fn own_addresses() -> Vec<IpAddr> {
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
/// and its updates). Addresses that carry an IPv4 address are as that is.
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

/// A skill's requests.
pub struct Outbound {
    network: Arc<Network>,
    granted: Vec<String>,
    reach: Reach,
    /// How many requests the call may still send.
    left: u32,
    reached: Vec<String>,
    refused: Arc<Mutex<Refusals>>,
    requests: Arc<Semaphore>,
}

type Finished = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Finished), Error>;

impl Outbound {
    /// For one call.
    #[must_use]
    pub fn new(network: Arc<Network>, granted: Vec<String>, reach: Reach) -> Self {
        let left = match &reach {
            Reach::Granted => REQUESTS_IN_ALL,
            Reach::Review { requests, .. } => *requests,
            Reach::Nowhere => 0,
        };
        Self {
            network,
            granted,
            reach,
            left,
            reached: Vec::new(),
            refused: Arc::default(),
            requests: Arc::new(Semaphore::new(REQUESTS_OF_ONE)),
        }
    }

    /// The granted origins that it sent requests to.
    #[must_use]
    pub fn reached(&self) -> &[String] {
        &self.reached
    }

    /// The requests that were not sent, or not answered.
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedRequest> {
        lock(&self.refused).all()
    }

    /// What it reached for and may not.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        lock(&self.refused).denied()
    }

    /// Whether a request was not sent because all skills together send too many.
    #[must_use]
    pub fn was_starved(&self) -> bool {
        lock(&self.refused).lacked_room()
    }

    /// Whether a request to this origin may be sent.
    fn check(&mut self, origin: &str) -> Result<(), Reason> {
        if !self.granted.iter().any(|granted| granted == origin) {
            return Err(Reason::NotGranted);
        }
        if matches!(self.reach, Reach::Nowhere) {
            return Err(Reason::NoNetwork);
        }
        self.left = self.left.checked_sub(1).ok_or(Reason::TooManyRequests)?;
        Ok(())
    }
}

fn lock(refused: &Mutex<Refusals>) -> MutexGuard<'_, Refusals> {
    refused.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WasiHttpHooks for Outbound {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn is_supported_scheme(&mut self, scheme: &uri::Scheme) -> bool {
        *scheme == uri::Scheme::HTTP || *scheme == uri::Scheme::HTTPS
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Finished,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(origin) = origin(request.uri()) else {
            return Box::new(async { Err(Error::HttpRequestUriInvalid) });
        };
        if let Err(reason) = self.check(&origin) {
            lock(&self.refused).add(&origin, reason);
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        if let Reach::Review { user_agent, .. } = &self.reach {
            let user_agent = user_agent.clone();
            request.headers_mut().insert(header::USER_AGENT, user_agent);
        }
        if !self.reached.contains(&origin) {
            self.reached.push(origin.clone());
        }
        let Ok(own_place) = self.requests.clone().try_acquire_owned() else {
            return Box::new(async { Err(Error::ConnectionLimitReached) });
        };
        let (network, refused) = (self.network.clone(), self.refused.clone());
        Box::new(async move {
            let waiting =
                tokio::time::timeout(CONNECT_TIMEOUT, network.requests.clone().acquire_owned());
            let Ok(Ok(place)) = waiting.await else {
                lock(&refused).add(&origin, Reason::NoRoom);
                return Err(Error::ConnectionLimitReached);
            };
            let host = request
                .uri()
                .host()
                .unwrap_or_default()
                .to_ascii_lowercase();
            let port = port(request.uri());
            let address = match network.address(&host, port).await {
                Ok(address) => address,
                Err(reason) => {
                    lock(&refused).add(&origin, reason);
                    return Err(match reason {
                        Reason::PrivateAddress => Error::HttpRequestDenied,
                        _ => Error::DestinationNotFound,
                    });
                }
            };
            let places = [own_place, place];
            let sent = send(&network, address, &host, request, options, places).await;
            if let Err(Error::Connect(_) | Error::ConnectionTimeout | Error::Tls(_)) = &sent {
                lock(&refused).add(&origin, Reason::NoConnection);
            }
            sent
        })
    }
}

/// The headers that belong to a connection (RFC 9110, section 7.6.1), and the host's name.
fn is_forbidden(name: &HeaderName) -> bool {
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

/// As the permissions write it: without the scheme's own port.
fn origin(uri: &Uri) -> Option<String> {
    let parsed = url::Url::parse(&uri.to_string()).ok()?;
    let is_plain = parsed.username().is_empty() && parsed.password().is_none();
    (is_plain && matches!(parsed.scheme(), "http" | "https"))
        .then(|| parsed.origin().ascii_serialization())
}

fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme() == Some(&uri::Scheme::HTTPS) {
        443
    } else {
        80
    };
    uri.port_u16().unwrap_or(usual)
}

async fn send(
    network: &Network,
    address: SocketAddr,
    host: &str,
    mut request: Request<WasiBody>,
    options: Option<RequestOptions>,
    places: Places,
) -> Sent {
    let connect_timeout = options
        .and_then(|options| options.connect_timeout)
        .unwrap_or(CONNECT_TIMEOUT)
        .min(CONNECT_TIMEOUT);
    let connecting = tokio::time::timeout(connect_timeout, TcpStream::connect(address));
    let stream = connecting
        .await
        .map_err(|_| Error::ConnectionTimeout)?
        .map_err(Error::Connect)?;
    let is_tls = request.uri().scheme() == Some(&uri::Scheme::HTTPS);
    let authority = request
        .uri()
        .authority()
        .ok_or(Error::HttpRequestUriInvalid)?
        .to_string();
    let value = authority
        .parse()
        .map_err(|_| Error::HttpRequestUriInvalid)?;
    request.headers_mut().insert(header::HOST, value);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| Error::HttpRequestUriInvalid)?;
    if !is_tls {
        return exchange(TokioIo::new(stream), request, places).await;
    }
    let name = rustls::pki_types::ServerName::try_from(host.to_owned())
        .map_err(|_| Error::HttpRequestUriInvalid)?;
    let connector = tokio_rustls::TlsConnector::from(network.tls.clone());
    let stream = tokio::time::timeout(connect_timeout, connector.connect(name, stream)).await;
    let stream = stream
        .map_err(|_| Error::ConnectionTimeout)?
        .map_err(Error::Tls)?;
    exchange(TokioIo::new(stream), request, places).await
}

/// Of the call, and of all.
type Places = [OwnedSemaphorePermit; 2];

/// A task that ends when this is dropped. A connection that shuts down on its own may wait for its peer for ever.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn exchange<I>(io: I, request: Request<WasiBody>, places: Places) -> Sent
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    // Ends with the answer's body, or when the call ends and drops that.
    let connection = tokio::spawn(connection);
    let held = (Task(connection.abort_handle()), places);
    let response = sender.send_request(request).await?;
    let announced = response.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_RESPONSE_BYTES) {
        return Err(Error::HttpResponseBodySize(None));
    }
    let response = response.map(|body| {
        Limited::new(body, MAX_RESPONSE_BYTES)
            .map_err(|_| Error::HttpResponseBodySize(None))
            .map_frame(move |frame| {
                let _ = &held;
                frame.map_data(|data: Bytes| data)
            })
            .boxed_unsync()
    });
    let finished: Finished = Box::new(async move {
        // Whether the connection ended well does not matter to the skill: the body said so.
        drop(connection.await);
        Ok(())
    });
    Ok((response, finished))
}

#[cfg(test)]
mod tests;
