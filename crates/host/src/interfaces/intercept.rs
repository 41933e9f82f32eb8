//! Requests that never leave the process.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Response;
use wasmtime_wasi_http::{Error, handler::Request};

/// Answers requests to `http://<component>.spin.internal`, for components that call each other. Whoever runs the
/// components implements it, so that outgoing HTTP need not know how they are run.
pub trait Interceptor: Send + Sync {
    /// Lets another component answer the request.
    fn call(
        &self,
        component: &str,
        request: Request,
    ) -> BoxFuture<'static, Result<Response<Bytes>, Error>>;
}
