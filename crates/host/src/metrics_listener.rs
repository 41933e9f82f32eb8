//! GET /metrics on its own listener, apart from the public one.

use crate::{listen::bind, problem};
use anyhow::Result;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::sleep};

/// Answers GET /metrics with what `render` gives, until `stop`.
///
/// # Errors
/// The address cannot be used.
pub async fn serve(
    listen: SocketAddr,
    render: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) -> Result<SocketAddr> {
    let listener: TcpListener = bind(listen).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok((socket, _)) = accepted else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            let render = render.clone();
            tokio::spawn(async move {
                let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
                    let response = if request.uri().path() == "/metrics" {
                        render()
                    } else {
                        problem::NOT_FOUND.response("")
                    };
                    async move { Ok::<_, Infallible>(response) }
                });
                let served = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(socket), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a metrics connection ended");
                }
            });
        }
    });
    Ok(address)
}
