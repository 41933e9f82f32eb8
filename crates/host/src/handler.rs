//! A request's way through the host: route, place, instance, answer.

use crate::{
    instance::{Function, Instances, Run},
    metrics::Metrics,
    problem::{self, Problem},
    request_body::{self, Oversize},
    route::{Match, Route, Router},
};
use bytes::{Bytes, BytesMut};
use futures::channel::oneshot;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;
use wasmtime_wasi_http::{Error, WasiBody};

/// An answer up to this size leaves its instance before the client has read it.
const WHOLE_BYTES: usize = 256 << 10;
/// The request's id, for logs, problems and support.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How a function tells the log who called; it is taken off before the client sees the answer.
const CALLER: HeaderName = HeaderName::from_static("gather-caller");
const MAX_REQUEST_ID: usize = 128;

/// Everything that serving needs, shared by all workers.
pub struct App {
    /// The public routes.
    pub router: Router<Arc<Function>>,
    /// All components by id.
    pub functions: BTreeMap<String, Arc<Function>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whether the host is about to stop.
    pub draining: AtomicBool,
    /// The path that answers 503 while the host drains, whatever the function says.
    pub readiness: Option<String>,
    /// Whether GET /metrics is answered on the public listener.
    pub public_metrics: bool,
    /// All workers' instances, for the metrics.
    pub workers: Vec<Arc<Instances>>,
}

impl App {
    /// A component by its id.
    #[must_use]
    pub fn function(&self, id: &str) -> Option<Arc<Function>> {
        self.functions.get(id).cloned()
    }

    /// The text of GET /metrics, with the sizes of pools as they are now.
    #[must_use]
    pub fn render_metrics(&self) -> Response<Full<Bytes>> {
        self.metrics.database.reset();
        for id in self.functions.keys() {
            self.metrics
                .instances
                .with_label_values(&[id.as_str(), "idle"])
                .set(0);
        }
        for worker in &self.workers {
            worker.report(&self.metrics);
        }
        let mut response = Response::new(Full::new(self.metrics.render().into()));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4"),
        );
        response
    }

    /// Answers one request of a client.
    pub async fn handle(
        self: Arc<Self>,
        worker: Arc<Instances>,
        peer: SocketAddr,
        request: Request<Incoming>,
    ) -> Response<Answer> {
        let id = request_id(request.headers());
        let path = request.uri().path();
        if self.public_metrics && path == "/metrics" {
            return self.render_metrics().map(Answer::whole);
        }
        if self.readiness.as_deref() == Some(path) && self.draining.load(Ordering::Relaxed) {
            return with_id(problem::DRAINING.response(&id), &id).map(Answer::whole);
        }
        let Some((route, function, found)) = self.router.find(path) else {
            return with_id(problem::NOT_FOUND.response(&id), &id).map(Answer::whole);
        };
        let span = tracing::info_span!(
            "request",
            id,
            component = function.id,
            route = route.pattern(),
            trace = trace_id(request.headers()),
        );
        let record = Record {
            started: Instant::now(),
            method: request.method().clone(),
            path: path.to_owned(),
            route: route.pattern().to_owned(),
            id: id.clone(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            caller: None,
            function: function.clone(),
            metrics: self.metrics.clone(),
            span: span.clone(),
        };
        let prepared = prepare(
            route,
            &found,
            peer,
            &id,
            request.headers(),
            request.uri(),
            function,
        );
        let function = function.clone();
        let serve = serve(&self.metrics, &worker, &function, request, prepared, record);
        serve.instrument(span).await
    }
}

/// Takes in the request, runs the function and answers; a failure becomes the host's own problem.
async fn serve(
    metrics: &Metrics,
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: Request<Incoming>,
    prepared: Result<Prepared, Problem>,
    mut record: Record,
) -> Response<Answer> {
    let answered = async {
        let prepared = prepared?;
        let limits = &function.limits;
        let (mut parts, body) = request.into_parts();
        let waits = parts.headers.contains_key(header::EXPECT);
        let (max, stall) = (limits.max_body_bytes, limits.stall_timeout);
        let (body, oversize) = request_body::receive(body, max, stall, waits).await?;
        prepared.apply(&mut parts);
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
            if !parts.headers.contains_key(REQUEST_ID)
                && let Ok(id) = HeaderValue::from_str(&record.id)
            {
                parts.headers.insert(REQUEST_ID, id);
            }
            Response::from_parts(parts, Answer::new(content, record))
        }
        Err(problem) => {
            let response = problem.response(&record.id);
            record.status = response.status();
            if response.status().is_server_error() {
                let reason = response.status().as_str().to_owned();
                metrics
                    .refused
                    .with_label_values(&[&function.id, &reason])
                    .inc();
            }
            with_id(response, &record.id).map(Answer::whole)
        }
    }
}

/// Runs a request of another component, with the same limits as a client's.
///
/// # Errors
/// The problem that a client would get.
pub async fn call(
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: wasmtime_wasi_http::handler::Request,
) -> Result<Response<Content>, Problem> {
    let (parts, content) = run(worker, function, request, &Oversize::default()).await?;
    Ok(Response::from_parts(parts, content))
}

/// Gets a place and an instance, and runs the guest to its response's head; and to its end if that
/// comes without waiting.
async fn run(
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: wasmtime_wasi_http::handler::Request,
    oversize: &Oversize,
) -> Result<(http::response::Parts, Content), Problem> {
    let place = place(function).await?;
    let work = async {
        let (answer, response) = oneshot::channel();
        let run = worker
            .run(function, request, answer)
            .await
            .map_err(|error| {
                tracing::error!(error = format!("{error:#}"), "no instance");
                problem::INTERNAL
            })?;
        let mut guest = Guest::new(run, place, function.clone());
        let head = guest.head(response).await;
        if oversize.happened() {
            return Err(problem::BODY_TOO_LARGE);
        }
        let (mut parts, body) = head?.into_parts();
        let content = guest.collect(body).await?;
        if let Content::Whole(body) = &content
            && let Some(length) = body.size_hint().exact()
            && parts.status != StatusCode::NO_CONTENT
            && parts.status != StatusCode::NOT_MODIFIED
        {
            parts
                .headers
                .entry(header::CONTENT_LENGTH)
                .or_insert(length.into());
        }
        Ok((parts, content))
    };
    match timeout(function.limits.deadline, work).await {
        Ok(result) => result,
        Err(_) => {
            tracing::error!(deadline = ?function.limits.deadline, "the function was stopped at its deadline");
            Err(problem::DEADLINE)
        }
    }
}

/// A place for the request, or one in the queue until a place is free.
async fn place(function: &Function) -> Result<OwnedSemaphorePermit, Problem> {
    if let Ok(place) = function.places.clone().try_acquire_owned() {
        return Ok(place);
    }
    let Ok(_queued) = function.queue.try_acquire() else {
        return Err(problem::BUSY);
    };
    match timeout(
        function.limits.queue_timeout,
        function.places.clone().acquire_owned(),
    )
    .await
    {
        Ok(Ok(place)) => Ok(place),
        _ => Err(problem::BUSY),
    }
}

/// A guest at work on a request. Dropping it stops the guest.
struct Guest {
    run: Option<Run>,
    place: Option<OwnedSemaphorePermit>,
    function: Arc<Function>,
    /// Time at work since the client last got something.
    busy: Duration,
}

impl Guest {
    fn new(run: Run, place: OwnedSemaphorePermit, function: Arc<Function>) -> Self {
        Self {
            run: Some(run),
            place: Some(place),
            function,
            busy: Duration::ZERO,
        }
    }

    /// Lets the guest go on. Ready when it has ended; an error is a trap.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        let Some(run) = &mut self.run else {
            return Poll::Ready(Ok(()));
        };
        let started = Instant::now();
        let Poll::Ready(result) = run.as_mut().poll(cx) else {
            self.busy += started.elapsed();
            if self.busy > self.function.limits.deadline {
                tracing::error!(
                    "the function was stopped: it computed for longer than its deadline"
                );
                self.run = None;
                self.place = None;
                return Poll::Ready(Err(problem::DEADLINE));
            }
            return Poll::Pending;
        };
        self.run = None;
        self.place = None;
        Poll::Ready(result.map_err(|trap| {
            tracing::error!(trap = format!("{trap:?}"), "the function trapped");
            self.function.trapped();
            problem::INTERNAL
        }))
    }

    async fn head(
        &mut self,
        response: oneshot::Receiver<Result<wasmtime_wasi_http::handler::Response, wasmtime::Error>>,
    ) -> Result<wasmtime_wasi_http::handler::Response, Problem> {
        let mut response = std::pin::pin!(response);
        poll_fn(|cx| {
            let ended = self.poll(cx);
            match (response.as_mut().poll(cx), ended) {
                (Poll::Ready(Ok(Ok(response))), _) => Poll::Ready(Ok(response)),
                (Poll::Ready(Ok(Err(error))), _) => {
                    tracing::error!(error = format!("{error:#}"), "the function gave no answer");
                    Poll::Ready(Err(problem::INTERNAL))
                }
                (_, Poll::Ready(Err(problem))) => Poll::Ready(Err(problem)),
                (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Ok(()))) => {
                    tracing::error!("the function ended without an answer");
                    Poll::Ready(Err(problem::INTERNAL))
                }
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }

    /// Takes the body whole if the guest has it ready and it is not large, as a stream otherwise.
    async fn collect(mut self, body: WasiBody) -> Result<Content, Problem> {
        let mut body = Box::pin(body);
        let mut frames = Frames::default();
        let whole = poll_fn(|cx| {
            loop {
                let ended = match self.poll(cx) {
                    Poll::Ready(Err(problem)) => return Poll::Ready(Err(problem)),
                    ended => ended.is_ready(),
                };
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(None) => return Poll::Ready(Ok(true)),
                    Poll::Ready(Some(Ok(frame))) => {
                        if !frames.add(frame) {
                            return Poll::Ready(Ok(false));
                        }
                    }
                    Poll::Ready(Some(Err(error))) => {
                        tracing::error!(%error, "the function's body broke off");
                        return Poll::Ready(Err(problem::INTERNAL));
                    }
                    Poll::Pending if ended => {
                        tracing::error!("the function ended before its body did");
                        return Poll::Ready(Err(problem::INTERNAL));
                    }
                    Poll::Pending => return Poll::Ready(Ok(false)),
                }
            }
        })
        .await?;
        if !whole {
            return Ok(Content::Stream(Box::new(Streamed {
                start: frames.bytes(),
                body,
                guest: self,
                span: Span::current(),
            })));
        }
        self.finish();
        Ok(Content::Whole(Full::new(frames.bytes())))
    }

    /// The answer is whole; what the guest still does, it does without the client waiting.
    fn finish(mut self) {
        let ended = self.poll(&mut Context::from_waker(std::task::Waker::noop()));
        if ended.is_pending() {
            let deadline = self.function.limits.deadline;
            let rest = poll_fn(move |cx| self.poll(cx));
            tokio::spawn(timeout(deadline, rest).in_current_span());
        }
    }
}

/// The frames of a small answer: mostly one, which is not copied.
#[derive(Default)]
struct Frames {
    first: Bytes,
    rest: BytesMut,
}

impl Frames {
    /// Adds a frame; false when that is enough for an answer to count as small.
    fn add(&mut self, frame: Frame<Bytes>) -> bool {
        // Trailers are not sent on: no function of ours makes any.
        let Ok(data) = frame.into_data() else {
            return true;
        };
        if self.first.is_empty() {
            self.first = data;
        } else {
            if self.rest.is_empty() {
                self.rest.extend_from_slice(&self.first);
            }
            self.rest.extend_from_slice(&data);
        }
        self.first.len().max(self.rest.len()) <= WHOLE_BYTES
    }

    fn bytes(self) -> Bytes {
        if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        }
    }
}

/// The content of a function's answer.
pub enum Content {
    /// All of it.
    Whole(Full<Bytes>),
    /// A beginning, and a guest that makes the rest.
    Stream(Box<Streamed>),
}

/// A body whose guest runs on while the client reads. When the client goes away the guest stops.
pub struct Streamed {
    start: Bytes,
    body: Pin<Box<WasiBody>>,
    guest: Guest,
    span: Span,
}

impl Body for Content {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Self::Stream(streamed) => streamed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let _entered = self.span.enter();
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        let ended = match self.guest.poll(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            ended => ended.is_ready(),
        };
        match self.body.as_mut().poll_frame(cx) {
            Poll::Pending if ended => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
            frame => {
                if frame.is_ready() {
                    self.guest.busy = Duration::ZERO;
                }
                frame
            }
        }
    }
}

/// An answer as hyper sends it. When it is sent, or given up, the request is logged and counted.
pub struct Answer {
    content: Content,
    /// Held until the answer is sent or given up: its drop is the log line.
    _record: Option<Box<Record>>,
}

impl Answer {
    fn new(content: Content, record: Record) -> Self {
        Self {
            content,
            _record: Some(Box::new(record)),
        }
    }

    /// An answer of the host itself.
    #[must_use]
    pub fn whole(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Whole(body),
            _record: None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.content).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// What is logged and counted of a request when it ends.
struct Record {
    started: Instant,
    method: http::Method,
    path: String,
    route: String,
    id: String,
    status: StatusCode,
    caller: Option<HeaderValue>,
    function: Arc<Function>,
    metrics: Arc<Metrics>,
    span: Span,
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let status = self.status.as_u16();
        self.metrics.request(
            &self.function.id,
            &self.route,
            &self.method,
            status,
            duration,
        );
        let caller = self.caller.as_ref().and_then(|caller| caller.to_str().ok());
        let _entered = self.span.enter();
        tracing::info!(
            target: "gather::access",
            method = self.method.as_str(),
            path = self.path,
            status,
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            caller,
        );
    }
}

/// What the host adds to a request before a guest sees it.
struct Prepared {
    headers: Vec<(HeaderName, HeaderValue)>,
    uri: http::Uri,
}

/// Makes Spin's headers and the absolute URI.
fn prepare(
    route: &Route,
    found: &Match<'_>,
    peer: SocketAddr,
    id: &str,
    headers: &HeaderMap,
    uri: &http::Uri,
    function: &Function,
) -> Result<Prepared, Problem> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut hosts = headers.get_all(header::HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => {
                    uri::Authority::try_from(host.as_bytes()).map_err(|_| problem::BAD_HOST)?
                }
                _ => return Err(problem::BAD_HOST),
            }
        }
    };
    let path_and_query = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
    let full_url = format!("http://{authority}{path_and_query}");
    let spin = [
        ("spin-path-info", found.rest.to_owned()),
        ("spin-full-url", full_url.clone()),
        ("spin-matched-route", route.pattern().to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-raw-component-route", route.pattern().to_owned()),
        ("spin-component-route", route.prefix().to_owned()),
        ("spin-client-addr", peer.to_string()),
        ("x-request-id", id.to_owned()),
    ];
    let mut headers = Vec::with_capacity(spin.len() + found.params.len());
    for (name, value) in spin {
        let value = HeaderValue::try_from(value).map_err(|_| problem::BAD_HOST)?;
        headers.push((HeaderName::from_static(name), value));
    }
    for (name, value) in &found.params {
        let name = HeaderName::try_from(format!("spin-path-match-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.push((name, value));
        } else {
            tracing::warn!(component = function.id, "a path parameter fits no header");
        }
    }
    let uri = full_url.parse().map_err(|_| problem::BAD_HOST)?;
    Ok(Prepared { headers, uri })
}

impl Prepared {
    fn apply(self, parts: &mut http::request::Parts) {
        // A client must not be able to say what only the host knows.
        let forged: Vec<_> = parts
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("spin-"))
            .cloned()
            .collect();
        for name in forged {
            parts.headers.remove(name);
        }
        for (name, value) in self.headers {
            parts.headers.insert(name, value);
        }
        parts.uri = self.uri;
    }
}

/// The client's own id where it is a sane one, a new one otherwise.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        !id.is_empty()
            && id.len() <= MAX_REQUEST_ID
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(sane)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The trace that a W3C `traceparent` names (Trace Context, section 3.2).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = parent.split('-');
    let (_version, trace) = (fields.next()?, fields.next()?);
    (trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit())).then_some(trace)
}

fn with_id(mut response: Response<Full<Bytes>>, id: &str) -> Response<Full<Bytes>> {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
