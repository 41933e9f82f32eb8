//! The way out of an instance without a network: a proxy that listens within the instance's own network namespace. It
//! carries connections to the platform and to the origins that are listed for the instance. A name is resolved once, and
//! connected to at the address that was checked; private addresses are refused, but for the platform's own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use outgoing::{CONNECT_WITHIN, Failure, Origin, Outgoing, in_origin_form, is_forbidden_header};
use prometheus::IntCounter;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// The address of the proxy, as an instance sees it.
pub const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3128);
/// The number of connections of one instance; further ones wait.
const CONNECTIONS: usize = 64;
/// The time that the head of a request has to come.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The pause after an accept that failed, such as for want of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// The ways out of all instances.
pub struct Doors {
    outgoing: Arc<Outgoing>,
    platform: Origin,
    refused: IntCounter,
    open: Mutex<HashMap<Uuid, Door>>,
}

/// The way out of one instance, which is shut with this value.
struct Door {
    /// The process whose network it is in.
    process: i64,
    serving: AbortHandle,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Doors {
    /// Makes the ways out, with the platform's own address, which all instances may reach.
    #[must_use]
    pub fn new(outgoing: Outgoing, platform: Origin, refused: IntCounter) -> Self {
        Self {
            outgoing: Arc::new(outgoing),
            platform,
            refused,
            open: Mutex::default(),
        }
    }

    /// Whether the instance has a way out of the network of this process.
    pub(crate) fn is_open(&self, id: Uuid, process: i64) -> bool {
        let open = self.lock();
        let door = open.get(&id);
        door.is_some_and(|door| door.process == process && !door.serving.is_finished())
    }

    /// Serves a listener within the network of an instance's process.
    pub(crate) fn open(&self, id: Uuid, process: i64, listener: TcpListener, listed: Vec<Origin>) {
        let way = Arc::new(Way {
            outgoing: self.outgoing.clone(),
            platform: self.platform.clone(),
            listed,
            refused: self.refused.clone(),
        });
        let serving = tokio::spawn(serve(listener, way)).abort_handle();
        self.lock().insert(id, Door { process, serving });
    }

    /// Shuts the way out of an instance.
    pub(crate) fn shut(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Door>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the connections of one instance may go.
struct Way {
    outgoing: Arc<Outgoing>,
    platform: Origin,
    listed: Vec<Origin>,
    refused: IntCounter,
}

async fn serve(listener: TcpListener, way: Arc<Way>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // Ends all connections with itself.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection of a claw can't be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let way = way.clone();
        connections.spawn(async move {
            let _permit = permit;
            way.carry(stream).await;
        });
    }
}

impl Way {
    /// Serves one connection, with the tunnel that it may become.
    async fn carry(self: Arc<Self>, stream: TcpStream) {
        _ = stream.set_nodelay(true);
        let tunnel = Arc::new(Mutex::new(None));
        let service = service_fn(|request| {
            let (way, tunnel) = (self.clone(), tunnel.clone());
            async move { Ok::<_, Infallible>(way.answer(request, &tunnel).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            // Some clients say that they have sent all before they read.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // What a claw does with its own connection is its own business.
        drop(connection.await);
        let tunnel = tunnel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Tunnel {
            upgrade,
            mut target,
        }) = tunnel
            && let Ok(upgraded) = upgrade.await
        {
            let mut upgraded = TokioIo::new(upgraded);
            drop(tokio::io::copy_bidirectional(&mut upgraded, &mut target).await);
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        tunnel: &Mutex<Option<Tunnel>>,
    ) -> Response<Body> {
        let answer = match *request.method() {
            Method::CONNECT => self.open_tunnel(request, tunnel).await,
            _ => self.forward(request).await,
        };
        answer.unwrap_or_else(|refusal| {
            if matches!(
                refusal,
                Refusal::NotListed | Refusal::Failed(Failure::PrivateAddress)
            ) {
                self.refused.inc();
            }
            refusal.answer()
        })
    }

    async fn open_tunnel(
        &self,
        request: Request<Incoming>,
        tunnel: &Mutex<Option<Tunnel>>,
    ) -> Result<Response<Body>, Refusal> {
        let authority = request.uri().authority().ok_or(Refusal::Malformed)?;
        let uri: Uri = format!("https://{authority}")
            .parse()
            .map_err(|_| Refusal::Malformed)?;
        let wanted = Origin::of(&uri).map_err(|_| Refusal::Malformed)?;
        if authority.as_str().contains('@') || authority.port().is_none() {
            return Err(Refusal::Malformed);
        }
        let target = self
            .connect(&wanted, |origin| is_same_host(origin, &wanted))
            .await?;
        let opened = Tunnel {
            upgrade: hyper::upgrade::on(request),
            target,
        };
        *tunnel.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        Ok(Response::new(empty()))
    }

    /// Sends a request in absolute form, as clients write them for a proxy if the target does not speak TLS.
    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let wanted = Origin::of(request.uri()).map_err(|_| Refusal::Malformed)?;
        if wanted.is_tls {
            return Err(Refusal::Malformed);
        }
        let stream = self.connect(&wanted, |origin| *origin == wanted).await?;
        let headers = request.headers();
        let dropped: Vec<_> = headers
            .keys()
            .filter(|name| is_forbidden_header(name))
            .cloned()
            .collect();
        for name in dropped {
            request.headers_mut().remove(name);
        }
        // The platform may trust this machine to name the client.
        request.headers_mut().remove("x-forwarded-for");
        request.headers_mut().remove(header::FORWARDED);
        in_origin_form(&mut request).map_err(Refusal::Failed)?;
        let failed = |error| Refusal::Failed(Failure::Http(error));
        let shaking = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = shaking.await.map_err(failed)?;
        // Ends with the answer's body, or when that is dropped.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove(header::CONNECTION);
        Ok(Response::from_parts(head, body.boxed_unsync()))
    }

    async fn connect(
        &self,
        wanted: &Origin,
        is_wanted: impl Fn(&Origin) -> bool,
    ) -> Result<TcpStream, Refusal> {
        let host = wanted.host.trim_matches(['[', ']']);
        let connecting = async {
            if is_wanted(&self.platform) {
                let connected = TcpStream::connect((host, wanted.port)).await;
                return connected.map_err(|error| Refusal::Failed(Failure::Connect(error)));
            }
            if !self.listed.iter().any(is_wanted) {
                return Err(Refusal::NotListed);
            }
            let address = self.outgoing.address(&wanted.host, wanted.port).await;
            let address = address.map_err(Refusal::Failed)?;
            let connected = TcpStream::connect(address).await;
            connected.map_err(|error| Refusal::Failed(Failure::Connect(error)))
        };
        let connected = timeout(2 * CONNECT_WITHIN, connecting).await;
        let stream = connected.map_err(|_| Refusal::Failed(Failure::ConnectionTimeout))??;
        _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// Whether a tunnel to the one is one to the other: what is spoken in it can't be seen.
fn is_same_host(one: &Origin, other: &Origin) -> bool {
    (&one.host, one.port) == (&other.host, other.port)
}

/// A connection that becomes one to the target.
struct Tunnel {
    upgrade: hyper::upgrade::OnUpgrade,
    target: TcpStream,
}

/// Why a connection is not carried.
enum Refusal {
    /// The request is not meant for a proxy.
    Malformed,
    /// The instance may not reach the host.
    NotListed,
    /// The host can't be reached, or must not be.
    Failed(Failure),
}

impl Refusal {
    fn answer(self) -> Response<Body> {
        let (status, code, detail) = match self {
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "invalid-input",
                "This is a proxy: send CONNECT host:port, or a request with an http address."
                    .to_owned(),
            ),
            Self::NotListed => (
                StatusCode::FORBIDDEN,
                "origin-refused",
                "The claw's template does not list this origin in `egress`.".to_owned(),
            ),
            Self::Failed(Failure::PrivateAddress) => (
                StatusCode::FORBIDDEN,
                "origin-refused",
                "The host is in a private network.".to_owned(),
            ),
            Self::Failed(failure) => (
                StatusCode::BAD_GATEWAY,
                "connect-failed",
                format!("The host: {failure}."),
            ),
        };
        let body = json!({
            "type": format!("/problems/{code}"),
            "title": code.replace('-', " "),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        let mut response = Response::new(
            Full::from(body.to_string())
                .map_err(|never| match never {})
                .boxed_unsync(),
        );
        *response.status_mut() = status;
        let problem = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        response
    }
}

fn empty() -> Body {
    Full::new(Bytes::new())
        .map_err(|never| match never {})
        .boxed_unsync()
}
