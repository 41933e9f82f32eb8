//! The connections of one worker thread, which its instances share. Bytes are read and written by the
//! thread that waits for it.

use super::{intercept::Interceptor, postgres::pool::Pools};
use crate::metrics::Metrics;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{sync::Arc, time::Duration};
use wasmtime_wasi_http::WasiBody;

/// The longest time that connecting to a plain HTTP host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for which an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest number of idle connections to one host.
const MAX_IDLE: usize = 64;

/// Sends requests to plain HTTP hosts, and keeps the connections for the next ones.
pub type HttpClient = Client<HttpConnector, WasiBody>;

/// The connections that a worker's instances share.
pub struct Connections {
    /// The database pools.
    pub pools: Arc<Pools>,
    /// Connections to plain HTTP hosts.
    pub http: HttpClient,
    /// The service that answers requests to other components, if there are any.
    pub interceptor: Option<Arc<dyn Interceptor>>,
}

impl Connections {
    /// Makes the mailer without connecting.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, interceptor: Option<Arc<dyn Interceptor>>) -> Self {
        Self {
            pools: Arc::new(Pools::new(metrics)),
            http: http_client(),
            interceptor,
        }
    }
}

fn http_client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(MAX_IDLE)
        .build(connector)
}
