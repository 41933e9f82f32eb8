//! Paths that no component can answer, such as sockets, beside the manifest's routes.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use std::{convert::Infallible, fmt, net::SocketAddr, sync::Arc};

/// The body of a native answer.
pub type NativeBody = UnsyncBoxBody<Bytes, Infallible>;

/// Answers some paths in this process.
pub trait Native: Send + Sync {
    /// Whether a path is answered here and not by a component.
    fn serves(&self, path: &str) -> bool;

    /// Answers a request. Its `x-request-id` is set.
    fn handle(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> BoxFuture<'static, Response<NativeBody>>;

    /// What is counted, as Prometheus's text.
    fn metrics(&self) -> Vec<u8>;
}

/// What answers beside the components, if anything does.
#[derive(Clone, Default)]
pub struct NativeRoutes(pub Option<Arc<dyn Native>>);

impl NativeRoutes {
    /// What answers a path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Arc<dyn Native>> {
        self.0.as_ref().filter(|native| native.serves(path))
    }
}

impl fmt::Debug for NativeRoutes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "native" } else { "none" })
    }
}
