//! A request's way through the host: route, place, instance, answer.

use crate::{
    function::{Asked, Function, Instances},
    guest_run::{Content, Guest, no_answer},
    interfaces::exchange::{self, Reply},
    metrics::Metrics,
    native::{Native, NativeBody, NativeRoutes},
    own_answers::whole,
    problem::{self, Problem},
    refusals::Refusals,
    request_body::{self, Oversize},
    route::{Match, Route, Router},
    turns::Turn,
};
use bytes::Bytes;
use futures::channel::oneshot;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, uri,
};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;
use wasmtime::PoolConcurrencyLimitError;
use wasmtime_wasi_http::Error;

/// The request's id, for logs, problems and support.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where the client's connection comes from, as in Spin.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("spin-client-addr");
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
    /// What answers beside the components.
    pub native: NativeRoutes,
    /// All workers' instances, for the metrics.
    pub workers: Vec<Arc<Instances>>,
    /// What the host itself refused.
    pub refusals: Refusals,
    /// Whether clients come by HTTPS, as the variable `public_url` says.
    pub is_https: bool,
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
        let more = self.native.0.as_ref().map(|native| native.metrics());
        self.metrics.response(more.as_deref().unwrap_or_default())
    }

    /// Answers one request of a client, whose address is `peer`.
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
            return self.own(problem::DRAINING, &request, &peer, &id);
        }
        if let Some(native) = self.native.find(path).cloned()
            && let Some(address) = text(&peer).parse().ok()
        {
            return answer_natively(native, address, id, request).await;
        }
        let Some((route, function, found)) = self.router.find(path) else {
            return self.own(problem::NOT_FOUND, &request, &peer, &id);
        };
        let span = tracing::info_span!(
            "request",
            id = text(&id),
            component = function.id,
            route = &**route.pattern(),
            trace = trace_id(request.headers()),
        );
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
        let prepared = prepare(
            route,
            &found,
            peer.clone(),
            id,
            request.headers(),
            request.uri(),
            function,
        );
        let function = function.clone();
        let serve = serve(&self, &peer, &worker, &function, request, prepared, record);
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

/// Takes in the request, runs the function and answers; a failure becomes the host's own problem.
async fn serve(
    app: &App,
    peer: &HeaderValue,
    worker: &Arc<Instances>,
    function: &Arc<Function>,
    request: Request<Incoming>,
    prepared: Result<Prepared, Problem>,
    mut record: Record,
) -> Response<Answer> {
    let method = request.method().clone();
    let answered = async {
        let prepared = prepared?;
        let limits = &function.limits;
        let (mut parts, body) = request.into_parts();
        let waits = parts.headers.contains_key(header::EXPECT);
        let (max, stall) = (limits.max_body_bytes, limits.stall_timeout);
        let (body, oversize) = request_body::receive(body, max, stall, waits).await?;
        prepared.apply(&mut parts);
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
            let response = app.refuse(problem, peer, &record.id);
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
    let is_head = *request.method() == Method::HEAD;
    let work = async {
        let begin = async |asked| {
            let run = worker.run(function, asked).await.map_err(|error| {
                tracing::error!(error = format!("{error:#}"), "no instance");
                if error.is::<PoolConcurrencyLimitError>() {
                    return problem::BUSY;
                }
                problem::INTERNAL
            })?;
            Ok(Guest::new(run, place, function.clone()))
        };
        let (mut guest, reply);
        if function.takes_whole_requests() && exchange::fits(&request) {
            let (answer, answered) = oneshot::channel();
            guest = begin(Asked::Whole(request, answer)).await?;
            reply = guest.answer(answered).await;
        } else {
            let (answer, answered) = oneshot::channel();
            guest = begin(Asked::Parts(request, answer)).await?;
            reply = guest.answer(answered).await.map(Reply::Streamed);
        }
        if oversize.happened() {
            return Err(problem::BODY_TOO_LARGE);
        }
        let (mut parts, content) = match reply? {
            Reply::Whole(told) => {
                guest.finish();
                give_way().await;
                let answer = told.read().map_err(|error| no_answer(&error))?;
                let (parts, body) = answer.into_parts();
                (parts, Content::Whole(Full::new(body)))
            }
            Reply::Streamed(answer) => {
                let (parts, body) = answer.into_parts();
                let content = guest.collect(body).await?;
                give_way().await;
                (parts, content)
            }
        };
        if let Content::Whole(body) = &content
            && let Some(length) = body.size_hint().exact()
            // The answer to HEAD has no body, and may leave out how long it would be.
            && !(is_head && length == 0)
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
    match timeout(function.limits.deadline, pin!(work)).await {
        Ok(result) => result,
        Err(_) => {
            tracing::error!(deadline = ?function.limits.deadline, "the function was stopped at its deadline");
            Err(problem::DEADLINE)
        }
    }
}

/// Lets the worker's other requests come as far as this one: it then does the same for all of them in a row, with the
/// code still in the CPU's caches, and wakes clients less often. The way of a request has several times more code than
/// a first-level cache holds, and one after the other each would load all of it anew.
///
/// Larus and Parkes, "Using Cohort Scheduling to Enhance Server Performance", 2002.
async fn give_way() {
    tokio::task::yield_now().await;
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

/// An answer as hyper sends it. When it is sent, or given up, the request is logged and counted.
pub struct Answer {
    content: Content,
    /// Held until the answer is sent or given up: its drop is the log line.
    _record: Option<Box<Record>>,
    /// Tells the connection when hyper has taken the whole answer.
    _turn: Option<Turn>,
}

impl Answer {
    /// With the request's turn on its connection.
    #[must_use]
    pub fn in_turn(mut self, turn: Turn) -> Self {
        self._turn = Some(turn);
        self
    }

    fn new(content: Content, record: Record) -> Self {
        Self {
            content,
            _record: Some(Box::new(record)),
            _turn: None,
        }
    }

    /// An answer of the host itself.
    #[must_use]
    pub fn whole(body: Full<Bytes>) -> Self {
        Self {
            content: Content::Whole(body),
            _record: None,
            _turn: None,
        }
    }

    /// An answer beside the components.
    #[must_use]
    pub fn native(body: NativeBody) -> Self {
        Self {
            content: Content::Native(body),
            _record: None,
            _turn: None,
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
    route: Arc<str>,
    id: HeaderValue,
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
    /// The absolute URI, where the guest may ask for it.
    absolute: Option<http::Uri>,
}

/// Makes Spin's headers and the absolute URI.
fn prepare(
    route: &Route,
    found: &Match<'_>,
    peer: HeaderValue,
    id: HeaderValue,
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
    let mut headers = vec![(CLIENT_ADDRESS, peer), (REQUEST_ID, id)];
    let mut absolute = None;
    if !function.takes_whole_requests() {
        let path_and_query = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
        let full_url = format!("http://{authority}{path_and_query}");
        for (name, value) in [
            ("spin-path-info", found.rest),
            ("spin-full-url", &full_url),
            ("spin-matched-route", route.pattern()),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", route.pattern()),
            ("spin-component-route", route.prefix()),
        ] {
            let value = HeaderValue::try_from(value).map_err(|_| problem::BAD_HOST)?;
            headers.push((HeaderName::from_static(name), value));
        }
        absolute = Some(full_url.parse().map_err(|_| problem::BAD_HOST)?);
    }
    for (name, value) in &found.params {
        let name = HeaderName::try_from(format!("spin-path-match-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.push((name, value));
        } else {
            tracing::warn!(component = function.id, "a path parameter fits no header");
        }
    }
    Ok(Prepared { headers, absolute })
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
        if let Some(absolute) = self.absolute {
            parts.uri = absolute;
        }
    }
}

/// The client's own id where it is a sane one, a new one otherwise.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let sane = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_sane)
    };
    // Copied: the client's is a part of all that it sent, which would be kept as long as the answer takes.
    let given = headers.get(REQUEST_ID).filter(sane);
    if let Some(id) = given.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
        return id;
    }
    new_request_id()
}

pub(crate) fn new_request_id() -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let id = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(id).expect("hexadecimal digits and hyphens")
}

/// A request's id, which is printable.
pub(crate) fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The trace that a W3C `traceparent` names (Trace Context, section 3.2).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = parent.split('-');
    let (_version, trace) = (fields.next()?, fields.next()?);
    (trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit())).then_some(trace)
}
