//! Calls between components, in this process, on the caller's thread, with the callee's own limits.

use crate::{
    function::Function, functions::Functions, headers::REQUEST_ID, instances::Instances,
    interfaces::intercept::Interceptor, request_body::Oversize, run::run,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::Response;
use http_body_util::{BodyExt, Limited};
use std::sync::{Arc, Weak};
use tokio::task::JoinSet;
use tracing::Instrument;
use wasmtime_wasi_http::{Error, handler::Request};

/// The largest answer of one component to another, since it is handed over whole.
const MAX_INTERNAL_BYTES: usize = 16 << 20;

/// The functions of a host, as the instances on one of its workers reach them.
pub struct SelfCalls {
    /// All functions by id.
    pub functions: Arc<Functions>,
    /// The worker that owns this value.
    pub worker: Weak<Instances>,
}

impl Interceptor for SelfCalls {
    fn call(
        &self,
        component: &str,
        request: Request,
    ) -> BoxFuture<'static, Result<Response<Bytes>, Error>> {
        let function = self.functions.current(component);
        let function = function.map(|current| current.load_full());
        let id = request.headers().get(REQUEST_ID);
        let id = id.and_then(|id| id.to_str().ok());
        // A part of the caller's span, which is the one that this runs in.
        let span = tracing::info_span!(target: trace::TARGET, "request", id, component);
        let worker = self.worker.upgrade();
        Box::pin(async move {
            let worker = worker.ok_or(Error::DestinationUnavailable)?;
            let function = function.ok_or(Error::DestinationNotFound)?;
            // A task of its own: a guest cannot run inside of another one's run. Dropped, it ends.
            let mut task = JoinSet::new();
            task.spawn(call(worker, function, request).instrument(span));
            match task.join_next().await {
                Some(Ok(response)) => response,
                _ => Err(Error::DestinationUnavailable),
            }
        })
    }
}

async fn call(
    worker: Arc<Instances>,
    function: Arc<Function>,
    request: Request,
) -> Result<Response<Bytes>, Error> {
    let (parts, content) = run(&worker, &function, request, &Oversize::default())
        .await
        .map_err(|_| Error::DestinationUnavailable)?;
    let body = Limited::new(content, MAX_INTERNAL_BYTES).collect().await;
    let body = body
        .map_err(|_| Error::HttpResponseBodySize(None))?
        .to_bytes();
    Ok(Response::from_parts(parts, body))
}
