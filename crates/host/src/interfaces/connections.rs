//! The connections of one worker thread, which the instances on it share: what is sent is read and written by the
//! thread that waits for it.

use super::{intercept::Interceptor, postgres::pool::Pools};
use crate::metrics::Metrics;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use std::{sync::Arc, time::Duration};
use wasmtime_wasi_http::WasiBody;

/// How long connecting to a plain HTTP host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Idle connections to one host.
const MAX_IDLE: usize = 64;

/// Sends requests to plain HTTP hosts, and keeps the connections for the next ones.
pub type HttpClient = Client<HttpConnector, WasiBody>;

/// What a worker's instances share.
pub struct Connections {
    /// The database pools.
    pub pools: Arc<Pools>,
    /// Connections to plain HTTP hosts.
    pub http: HttpClient,
    /// Answers requests to other components, where there are any.
    pub interceptor: Option<Arc<dyn Interceptor>>,
}

impl Connections {
    /// Nothing is connected yet.
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
