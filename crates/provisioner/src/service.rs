//! The provisioner over HTTP, for the one component that may ask.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State, rejection::JsonRejection};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{StatusCode, header};
use native_service::Listening;
use outgoing::{Origin, Outgoing, Resolve};
use serde::Deserialize;
use serde_json::{Value, json};
use service_token::{PROVISIONER, Verifier};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::backend::Lines;
use crate::docker::Docker;
use crate::door::Doors;
use crate::fleet::{Change, Fleet};
use crate::instance::{Instance, Specification};
use crate::metrics::Metrics;
use crate::problem::Problem;

/// The component that may ask.
pub const CALLER: &str = "claw-provision";
/// The largest body of a request.
const MAX_BODY: usize = 4 << 20;
/// The most lines of output in one answer, and the usual number.
const LINES: (usize, usize) = (1_000, 200);

/// What a service is made with.
pub struct ServiceOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The key of the component that may ask.
    pub key: String,
    /// The socket of the container runtime; `None` for the one of this machine, if there is one.
    pub socket: Option<PathBuf>,
    /// The URL at which instances reach the platform.
    pub platform_url: String,
    /// Finds the addresses of hosts; `None` for the system's resolver.
    pub resolve: Option<Resolve>,
}

/// A service that serves.
pub struct Service {
    listening: Listening,
}

struct Shared {
    fleet: Fleet,
    callers: Verifier,
    metrics: Arc<Metrics>,
}

impl Service {
    /// Takes over the instances that are there, and starts to serve.
    ///
    /// # Errors
    /// The port is taken, or the platform's URL is not an address of the web.
    pub async fn start(options: ServiceOptions) -> Result<Self> {
        let metrics = Arc::new(Metrics::new()?);
        let platform = options.platform_url.parse().ok();
        let platform = platform.and_then(|uri| Origin::of(&uri).ok());
        let platform = platform.context("the platform's URL is not an address of the web")?;
        let outgoing = Outgoing::new(options.resolve, std::collections::BTreeMap::new());
        let refused = metrics.refused.clone();
        let backend = Docker::new(
            options.socket.or_else(crate::docker::socket),
            mark(&options.key),
            Arc::new(Doors::new(outgoing, platform, refused)),
            options.platform_url,
        );
        let fleet = Fleet::adopt(Arc::new(backend)).await;
        metrics.begin(fleet.backend().name());
        let callers = Verifier::new(PROVISIONER, [(CALLER, options.key.as_str())]);
        let shared = Arc::new(Shared {
            fleet,
            callers,
            metrics,
        });
        let listening = Listening::start("the provisioner", options.listen, router(shared)).await?;
        Ok(Self { listening })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Finishes the requests in flight, for at most `grace`. Instances go on, without a way out until the next start.
    pub async fn shutdown(self, grace: Duration) {
        self.listening.shutdown(grace).await;
    }
}

/// The mark of a platform's containers: two platforms have different keys.
fn mark(key: &str) -> String {
    let digest = Sha256::digest(format!("gather provisioner {key}"));
    hex::encode(&digest[..5])
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/provision", post(provision))
        .route("/deprovision", post(deprovision))
        .route("/instances", get(list))
        .route("/instances/{id}", get(find))
        .route("/instances/{id}/logs", get(logs))
        .route("/instances/{id}/{change}", post(change))
        .route_layer(middleware::from_fn_with_state(shared.clone(), guard))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

/// Refuses whoever has no token of the component that may ask.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match token.and_then(|token| shared.callers.issuer(token)) {
        Some(_) => next.run(request).await,
        None => Problem::unauthenticated().into_response(),
    }
}

/// The instance that is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deprovision {
    id: Uuid,
    generation: u32,
}

/// The generation that is meant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generation {
    generation: u32,
}

type Input<T> = Result<Json<T>, JsonRejection>;

fn read<T>(input: Input<T>) -> Result<T, Problem> {
    match input {
        Ok(Json(value)) => Ok(value),
        Err(rejection) => Err(Problem::invalid(rejection.body_text())),
    }
}

async fn provision(
    State(shared): State<Arc<Shared>>,
    input: Input<Specification>,
) -> Result<Json<Instance>, Problem> {
    let wanted = read(input)?;
    let own = shared.clone();
    let done = async move { own.fleet.provision(&wanted).await };
    shared.counted("provision", done).await.map(Json)
}

async fn deprovision(
    State(shared): State<Arc<Shared>>,
    input: Input<Deprovision>,
) -> Result<StatusCode, Problem> {
    let Deprovision { id, generation } = read(input)?;
    let own = shared.clone();
    let done = async move { own.fleet.deprovision(id, generation).await };
    let done = shared.counted("deprovision", done).await;
    done.map(|()| StatusCode::NO_CONTENT)
}

async fn change(
    State(shared): State<Arc<Shared>>,
    Path((id, change)): Path<(Uuid, String)>,
    input: Input<Generation>,
) -> Result<Json<Instance>, Problem> {
    let (name, change) = match change.as_str() {
        "start" => ("start", Change::Start),
        "stop" => ("stop", Change::Stop),
        "pause" => ("pause", Change::Pause),
        "resume" => ("resume", Change::Resume),
        _ => return Err(Problem::not_found()),
    };
    let generation = read(input)?.generation;
    let own = shared.clone();
    let done = async move { own.fleet.change(id, generation, change).await };
    shared.counted(name, done).await.map(Json)
}

async fn list(State(shared): State<Arc<Shared>>) -> Result<Json<Value>, Problem> {
    let instances = shared.fleet.backend().list().await?;
    Ok(Json(json!({ "instances": instances })))
}

async fn find(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
) -> Result<Json<Instance>, Problem> {
    shared.fleet.get(id).await.map(Json)
}

/// Which lines are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    #[serde(default, with = "time::serde::rfc3339::option")]
    since: Option<OffsetDateTime>,
    stream: Option<String>,
    limit: Option<usize>,
}

async fn logs(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<Uuid>,
    query: Result<Query<LogQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| Problem::invalid(rejection.body_text()))?;
    let streams = match query.stream.as_deref() {
        None => (true, true),
        Some("stdout") => (true, false),
        Some("stderr") => (false, true),
        Some(_) => return Err(Problem::invalid("`stream` is `stdout` or `stderr`.")),
    };
    let wanted = Lines {
        since: query.since,
        streams,
        most: query.limit.unwrap_or(LINES.1).clamp(1, LINES.0),
    };
    let lines = shared.fleet.lines(id, wanted).await?;
    Ok(Json(json!({ "lines": lines })))
}

async fn health(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let backend = shared.fleet.backend();
    Json(match backend.check().await {
        Ok(()) => json!({"status": "healthy", "backend": backend.name()}),
        Err(problem) => {
            json!({"status": "degraded", "backend": backend.name(), "detail": problem.detail})
        }
    })
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    shared.metrics.text()
}

impl Shared {
    /// Does and counts an operation, to its end even if nobody waits for it any more: half of one would hide what it began.
    async fn counted<T: Send + 'static>(
        &self,
        name: &str,
        operation: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = tokio::spawn(operation).await;
        let done = done.unwrap_or_else(|_| Err(Problem::unavailable("The operation broke off.")));
        let result = match &done {
            Ok(_) => "ok",
            Err(problem) => problem.code,
        };
        let backend = self.fleet.backend().name();
        self.metrics.count(name, backend, result);
        done
    }
}
