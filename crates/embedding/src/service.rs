//! The model over HTTP, in OpenAI's protocol, for the platform's own gateway: it has the only key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream::{self, StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use native_service::Listening;
use prometheus::core::Collector;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::answer::{Refusal, Request, written};
use crate::embedder::Embedder;
use crate::metrics::Metrics;
use crate::model::Batch;
use crate::{MODEL, Model};

/// The largest body of a request.
const MAX_BYTES: usize = 4 << 20;
/// The part of a larger body that is read before its client is refused.
const MAX_DRAINED_BYTES: usize = 64 << 20;
/// The time that a body has to come.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// What all requests that are computed or wait may hold, in KiB of their bodies.
const ROOM_KIB: usize = 64 << 10;
/// The least that a request counts for.
const LEAST_KIB: usize = 64;
/// The shortest and longest interval of looks at whether the model is idle.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What a service is made with.
pub struct ServiceOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The key that the gateway sends.
    pub key: String,
    /// The number of batches that are computed at once.
    pub threads: usize,
    /// The pause after which the model is given back.
    pub idle: Duration,
}

/// A service that serves.
pub struct Service {
    listening: Listening,
    housekeeping: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

struct Shared {
    key: String,
    embedder: Arc<Embedder>,
    /// A permit for each batch that is computed at once; who waits gets one in turn.
    cores: Arc<Semaphore>,
    threads: usize,
    room: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Service {
    /// Starts to serve. The model is loaded by the first request.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(options: ServiceOptions) -> Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let threads = options.threads.max(1);
        let embedder = Arc::new(Embedder::new(options.idle));
        let shared = Arc::new(Shared {
            key: options.key,
            embedder: embedder.clone(),
            cores: Arc::new(Semaphore::new(threads)),
            threads,
            room: Arc::new(Semaphore::new(ROOM_KIB)),
            metrics: metrics.clone(),
        });
        let listening =
            Listening::start("the embedding service", options.listen, router(shared)).await?;
        let pause = (options.idle / 4).clamp(LOOKS.0, LOOKS.1);
        let counted = metrics.clone();
        let housekeeping = tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                embedder.sweep();
                counted.loaded.set(embedder.is_loaded().into());
            }
        });
        Ok(Self {
            listening,
            housekeeping,
            metrics,
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// What the service counts, for the metrics of the process that it is a part of.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        self.metrics.all().into()
    }

    /// Finishes the requests in flight, for at most `grace`.
    pub async fn shutdown(self, grace: Duration) {
        self.listening.shutdown(grace).await;
        self.housekeeping.abort();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/health", get(async || "ok"))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    shared.metrics.text()
}

async fn models(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    shared.authenticate(&headers)?;
    let model = json!({"id": MODEL, "object": "model", "created": 0, "owned_by": "gather"});
    Ok(Json(json!({"object": "list", "data": [model]})))
}

async fn embeddings(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response<Body> {
    let started = Instant::now();
    shared.metrics.waiting.inc();
    let counted = Counted(&shared.metrics);
    let answer = shared.answer(request).await;
    let outcome = answer
        .as_ref()
        .map_or_else(|refusal| refusal.code, |_| "ok");
    shared.metrics.requests.with_label_values(&[outcome]).inc();
    shared
        .metrics
        .seconds
        .observe(started.elapsed().as_secs_f64());
    drop(counted);
    answer.map_or_else(IntoResponse::into_response, |answer| {
        Json(answer).into_response()
    })
}

/// A request that is counted until it ends, also if its client leaves.
struct Counted<'a>(&'a Metrics);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.waiting.dec();
    }
}

impl Shared {
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let is_right = given.is_some_and(|key| key.ct_eq(self.key.as_bytes()).into());
        is_right.then_some(()).ok_or_else(|| Refusal {
            status: StatusCode::UNAUTHORIZED,
            code: "unauthenticated",
            detail: "This needs the key of the platform's gateway.".to_owned(),
        })
    }

    async fn answer(&self, request: HttpRequest) -> Result<Value, Refusal> {
        self.authenticate(request.headers())?;
        let (body, _room) = self.body(request).await?;
        let Request { texts, as_base64 } = Request::read(&body)?;
        drop(body);
        let count = texts.len();
        let embedder = self.embedder.clone();
        let prepared = spawn_blocking(move || {
            let model = embedder.model()?;
            let (batches, tokens) = model.batches(&texts);
            anyhow::Ok((model, batches, tokens))
        });
        let (model, batches, tokens) = prepared.await.map_err(failed)?.map_err(failed)?;
        self.metrics.loaded.set(1);
        let vectors = self.compute(&model, batches, count).await?;
        self.metrics.texts.inc_by(count as u64);
        self.metrics.tokens.inc_by(tokens);
        Ok(written(&vectors, tokens, as_base64))
    }

    /// Reads the body, if there is room for one of its size.
    async fn body(&self, request: HttpRequest) -> Result<(Vec<u8>, OwnedSemaphorePermit), Refusal> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let kib = length
            .unwrap_or(MAX_BYTES)
            .min(MAX_BYTES)
            .div_ceil(1024)
            .max(LEAST_KIB);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let room = self
            .room
            .clone()
            .try_acquire_many_owned(kib)
            .map_err(|_| Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                code: "overloaded",
                detail: "Too many texts wait to be embedded. Send the request again in a second."
                    .to_owned(),
            })?;
        let read = tokio::time::timeout(BODY_WITHIN, read(request.into_body())).await;
        let body =
            read.unwrap_or_else(|_| Err(Refusal::invalid("The body did not come in time.")))?;
        Ok((body, room))
    }

    /// Computes the batches, as many at once as there are threads, and in turn with those of other requests.
    async fn compute(
        &self,
        model: &Arc<Model>,
        batches: Vec<Batch>,
        count: usize,
    ) -> Result<Vec<Vec<f32>>, Refusal> {
        let computed = stream::iter(batches).map(async |batch| {
            let permit = self.cores.clone().acquire_owned().await.map_err(failed)?;
            let model = model.clone();
            let work = spawn_blocking(move || {
                let _permit = permit;
                let vectors = model.compute(&batch);
                (batch.places, vectors)
            });
            work.await.map_err(failed)
        });
        let computed: Vec<_> = computed
            .buffer_unordered(self.threads)
            .try_collect()
            .await?;
        let mut vectors = vec![Vec::new(); count];
        for (places, computed) in computed {
            for (place, vector) in places.into_iter().zip(computed) {
                vectors[place] = vector;
            }
        }
        Ok(vectors)
    }
}

/// Reads a body. One that is too large is read to its end all the same, since a client that still sends would not see
/// the answer.
async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let (mut bytes, mut size) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::invalid("The body broke off."))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        size += data.len();
        if size > MAX_DRAINED_BYTES {
            break;
        }
        if size <= MAX_BYTES {
            bytes.extend_from_slice(data);
        }
    }
    if size > MAX_BYTES {
        return Err(Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "too_large",
            detail: format!("The body is larger than {MAX_BYTES} bytes; divide the request."),
        });
    }
    Ok(bytes)
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "texts can't be embedded");
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "failed",
        detail: "The model failed.".to_owned(),
    }
}
