//! Routes that no component can answer, such as those of sockets: the manifest names them, and this process answers.

use crate::route::Route;
use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc};

/// The body of a native answer.
pub type NativeBody = UnsyncBoxBody<Bytes, Infallible>;

/// Answers the manifest's native routes in this process.
pub trait Native: Send + Sync {
    /// Answers a request. Its `x-request-id` is set.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<NativeBody>>;

    /// The metrics of the native routes, in Prometheus's text format.
    fn metrics(&self) -> Vec<u8>;
}

/// Reads the native routes from the manifest's table `[application.tool]`, where Spin ignores them.
///
/// # Errors
/// A value that is not a list of routes.
pub fn routes(tool: &toml::Table) -> Result<Vec<Route>> {
    const KEY: &str = "[application.tool.gather] native_routes";
    let Some(list) = tool
        .get("gather")
        .and_then(|ours| ours.get("native_routes"))
    else {
        return Ok(Vec::new());
    };
    let list = list.as_array();
    let list = list.with_context(|| format!("{KEY} must be a list of routes"))?;
    let parse = |route: &toml::Value| {
        let pattern = route.as_str().context("a route is a string")?;
        Route::parse(pattern)
    };
    list.iter().map(parse).collect::<Result<_>>().context(KEY)
}

/// The service that answers the manifest's native routes; `None` if components answer them.
#[derive(Clone, Default)]
pub struct NativeRoutes(pub Option<Arc<dyn Native>>);

impl fmt::Debug for NativeRoutes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "native" } else { "none" })
    }
}
