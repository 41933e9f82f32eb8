//! The steps of a request through the host: route, body, run, answer.

use crate::{
    access_log::Record,
    answer::Answer,
    function::Function,
    functions::{Current, Functions},
    headers::{Added, CALLER, REQUEST_ID, added, request_id, text, trace_id, traceparent},
    instances::Instances,
    metrics::Metrics,
    native::{Native, NativeRoutes},
    own_answers::{OwnAnswers, whole},
    problem::{self, Problem},
    request_body,
    route::Router,
    run::{give_way, run},
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tracing::Instrument;

/// The target of a route.
pub enum Target {
    /// A function.
    Function(Current),
    /// This process, through its native routes.
    Native(Arc<dyn Native>),
}

/// Everything that serving needs, shared by all workers.
pub struct App {
    /// The public routes.
    pub router: Router<Target>,
    /// The functions by id.
    pub functions: Arc<Functions>,
    /// The metrics of this host.
    pub metrics: Arc<Metrics>,
    /// Whether the host is about to stop.
    pub draining: AtomicBool,
    /// The path that answers 503 while the host drains, without asking the function.
    pub readiness: Option<String>,
    /// Whether GET /metrics is answered on the public listener.
    pub public_metrics: bool,
    /// The service that answers the native routes.
    pub native: NativeRoutes,
    /// All workers' instances, for the metrics.
    pub workers: Vec<Arc<Instances>>,
    /// The answers that the host makes itself.
    pub own: Arc<OwnAnswers>,
}

impl App {
    /// The text of GET /metrics, with the sizes of pools as they are now.
    #[must_use]
    pub fn render_metrics(&self) -> Response<Full<Bytes>> {
        self.metrics.database.reset();
        for id in self.functions.ids() {
            self.metrics
                .instances
                .with_label_values(&[id.as_str(), "idle"])
                .set(0);
        }
        for worker in &self.workers {
            worker.report(&self.metrics);
        }
        let more = self.native.0.as_ref().map(|native| native.metrics());
        self.metrics.response(more.as_deref().unwrap_or_default())
    }

    /// Answers one request of the client at the address `peer`.
    pub async fn handle(
        self: Arc<Self>,
        worker: Arc<Instances>,
        peer: HeaderValue,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let id = request_id(request.headers());
        let path = request.uri().path();
        if self.public_metrics && path == "/metrics" {
            return whole(self.render_metrics(), request.method());
        }
        if self.readiness.as_deref() == Some(path) && self.draining.load(Ordering::Relaxed) {
            return self.own.answer(problem::DRAINING, &request, &peer, &id);
        }
        let Some((route, target, found)) = self.router.find(path) else {
            return self.own.answer(problem::NOT_FOUND, &request, &peer, &id);
        };
        let function = match target {
            Target::Function(current) => current.load_full(),
            Target::Native(native) => match text(&peer).parse() {
                Ok(address) => return answer_natively(native.clone(), address, id, request).await,
                Err(_) => return self.own.answer(problem::NOT_FOUND, &request, &peer, &id),
            },
        };
        let span = tracing::info_span!(
            target: trace::TARGET,
            "request",
            id = text(&id),
            component = function.id,
            route = &**route.pattern(),
            trace = trace_id(request.headers()),
        );
        trace::follow(&span, traceparent(request.headers()));
        let record = Record {
            started: Instant::now(),
            method: request.method().clone(),
            path: path.to_owned(),
            route: route.pattern().clone(),
            id: id.clone(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            caller: None,
            function: function.clone(),
            metrics: self.metrics.clone(),
            span: span.clone(),
        };
        let added = added(
            route,
            &found,
            peer.clone(),
            id,
            request.headers(),
            request.uri(),
            &function,
        );
        let serve = serve(&self, &peer, &worker, &function, request, added, record);
        // Large, and not moved once more for it.
        pin!(serve).instrument(span).await
    }
}

async fn answer_natively(
    native: Arc<dyn Native>,
    peer: SocketAddr,
    id: HeaderValue,
    mut request: Request<Incoming>,
) -> Response<Answer> {
    request.headers_mut().insert(REQUEST_ID, id);
    native.handle(request, peer).await.map(Answer::native)
}

/// Reads the request, runs the function and answers. A failure becomes a problem of the host.
async fn serve(
    app: &App,
    peer: &HeaderValue,
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: Request<Incoming>,
    added: Result<Added, Problem>,
    mut record: Record,
) -> Response<Answer> {
    let method = request.method().clone();
    let answered = async {
        let added = added?;
        let limits = function.limits();
        let (mut parts, body) = request.into_parts();
        let waits = parts.headers.contains_key(header::EXPECT);
        let (max, stall) = (limits.max_body_bytes, limits.stall_timeout);
        let (body, oversize) = request_body::receive(body, max, stall, waits).await?;
        added.apply(&mut parts);
        give_way().await;
        run(
            worker,
            function,
            Request::from_parts(parts, body),
            &oversize,
        )
        .await
    };
    match answered.await {
        Ok((mut parts, content)) => {
            record.status = parts.status;
            record.caller = parts.headers.remove(CALLER);
            let told = parts.headers.entry(REQUEST_ID);
            told.or_insert_with(|| record.id.clone());
            Response::from_parts(parts, Answer::new(content, record))
        }
        Err(problem) => {
            let response = app.own.refuse(problem, peer, &record.id);
            record.status = response.status();
            if response.status().is_server_error() {
                let reason = response.status().as_str().to_owned();
                app.metrics
                    .refused
                    .with_label_values(&[&function.id, &reason])
                    .inc();
            }
            whole(response, &method)
        }
    }
}
