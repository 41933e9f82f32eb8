//! A gateway as its own process: its paths on a listener, with its health and its metrics.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{Body, Gateway, stopping};

/// The time within which a client sends its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

impl Gateway {
    /// Serves the gateway's paths, `/health/live` and `/metrics` until the gateway stops. Returns the listener's
    /// address.
    ///
    /// # Errors
    /// The address cannot be used.
    pub async fn listen<F>(self: &Arc<Self>, address: SocketAddr, metrics: F) -> Result<SocketAddr>
    where
        F: Fn() -> Vec<u8> + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("can't listen on {address}"))?;
        let address = listener.local_addr()?;
        let gateway = self.clone();
        tokio::spawn(async move {
            let mut stop = gateway.stop.subscribe();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopping(&mut stop) => return,
                };
                match accepted {
                    Ok((socket, peer)) => {
                        tokio::spawn(connection(gateway.clone(), socket, peer, metrics.clone()));
                    }
                    // Out of files, or a client that left: neither must end or spin the listener.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        });
        Ok(address)
    }
}

async fn connection(
    gateway: Arc<Gateway>,
    socket: TcpStream,
    peer: SocketAddr,
    metrics: impl Fn() -> Vec<u8>,
) {
    // Frames are small, and each is to arrive at once.
    _ = socket.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let own = own(&request, &metrics);
        let gateway = gateway.clone();
        async move {
            Ok::<_, Infallible>(match own {
                Some(answer) => answer,
                None => gateway.handle(with_id(request), peer).await,
            })
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    if let Err(error) = served.await {
        tracing::debug!(%error, %peer, "a connection ended");
    }
}

/// Answers requests for other paths than the gateway's.
fn own(request: &Request<Incoming>, metrics: impl Fn() -> Vec<u8>) -> Option<Response<Body>> {
    let (status, text) = match request.uri().path() {
        "/health/live" => (StatusCode::OK, Bytes::from_static(b"ok\n")),
        "/metrics" => (StatusCode::OK, metrics().into()),
        path if Gateway::serves(path) => return None,
        _ => (StatusCode::NOT_FOUND, Bytes::from_static(b"not found\n")),
    };
    let mut response = Response::new(Full::new(text).boxed_unsync());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; version=0.0.4");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    Some(response)
}

/// Gives the request an id, unless a proxy has done that.
fn with_id(mut request: Request<Incoming>) -> Request<Incoming> {
    let headers = request.headers_mut();
    if !headers.contains_key("x-request-id")
        && let Ok(id) = HeaderValue::from_str(&Uuid::now_v7().to_string())
    {
        headers.insert("x-request-id", id);
    }
    request
}
