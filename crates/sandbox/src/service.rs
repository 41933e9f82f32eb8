//! The sandbox over HTTP, for the platform's own functions. They name the component, the tool, the grants and the
//! account, and decide who may call what. Each caller has a key, and the rights that the
//! manifest gives it.

mod calls;
mod uploads;

use crate::{
    callers::{Caller, CallerGrant, Callers, Right},
    problem::Problem,
    runner::{LoadError, Runner},
    storage::Storage,
    usage::Counter,
};
use anyhow::Result;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use native_service::Listening;
use serde::Deserialize;
use serde_json::json;
use skill::{
    FieldError, MAX_COMPONENT_BYTES,
    statement::{ERASURE, REVIEW, STATEMENT_TYPE, Signer, Statement, TURN},
};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use strict_json::Refusal;
use tokio::{sync::Semaphore, task::JoinHandle};
use tracing::Instrument;

/// The interval at which counted calls are added up in the database, and the sandbox reports its state.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// The number of those visits between two sweeps.
const SWEEP_EVERY: u32 = 1_800;
/// The largest multipart upload: the component, the manifest, and the heads of the parts.
const MAX_UPLOAD_BYTES: usize = MAX_COMPONENT_BYTES + skill::manifest::MAX_BYTES + (64 << 10);
/// The largest other body.
const MAX_BODY_BYTES: usize = 2 << 20;
/// The number of uploads at the same time, each of which is whole in memory.
const UPLOADS: usize = 4;

/// The options of a service.
pub struct ServiceOptions {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The runner of the skills.
    pub runner: Runner,
    /// The connections to the database, with the sandbox's own role.
    pub pool: PgPool,
    /// The store of components.
    pub storage: Storage,
    /// The components that may use it, by their names.
    pub callers: BTreeMap<String, CallerGrant>,
    /// The secret that the key of receipts and attestations follows from.
    pub signing_secret: [u8; 32],
    /// The platform's address, which receipts name.
    pub server: String,
}

/// A running service.
pub struct Service {
    listening: Listening,
    housekeeping: JoinHandle<()>,
    shared: Arc<Shared>,
}

struct Shared {
    runner: Runner,
    pool: PgPool,
    storage: Storage,
    callers: Callers,
    signer: Signer,
    server: String,
    usage: Counter,
    uploads: Semaphore,
}

impl Service {
    /// Starts the service.
    ///
    /// # Errors
    /// The address is in use.
    pub async fn start(options: ServiceOptions) -> Result<Self> {
        let shared = Arc::new(Shared {
            runner: options.runner,
            pool: options.pool,
            storage: options.storage,
            callers: Callers::new(options.callers),
            signer: Signer::new(options.signing_secret),
            server: options.server,
            usage: Counter::default(),
            uploads: Semaphore::new(UPLOADS),
        });
        let router = router(shared.clone());
        let listening = Listening::start("the sandbox", options.listen, router).await?;
        Ok(Self {
            listening,
            housekeeping: tokio::spawn(keep_house(shared.clone())),
            shared,
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Finishes the running calls, for at most `grace`, and writes the counts to the database.
    pub async fn shutdown(self, grace: Duration) {
        self.listening.shutdown(grace).await;
        self.housekeeping.abort();
        if let Err(error) = self.shared.usage.flush(&self.shared.pool).await {
            tracing::warn!(%error, "the last calls are not counted");
        }
    }
}

/// Publishes the signing key. From then on it writes the counts to the database, reports the sandbox's state, and
/// sweeps.
async fn keep_house(shared: Arc<Shared>) {
    let mut published = false;
    let mut visits = 0_u32;
    // Of the report before: how long the sandbox's own database takes to answer it.
    let mut latency_ms = 0.0;
    loop {
        let visit = async {
            if !published {
                publish_key(&shared).await?;
                published = true;
            }
            shared.usage.flush(&shared.pool).await?;
            let (skills, bytes) = shared.runner.loaded();
            let asked = Instant::now();
            sqlx::query("select platform.report_health('sandbox', 'healthy', $1)")
                .bind(json!({"loaded_skills": skills, "loaded_bytes": bytes, "latency_ms": latency_ms}))
                .execute(&shared.pool)
                .await?;
            latency_ms = asked.elapsed().as_secs_f64() * 1000.0;
            if visits.is_multiple_of(SWEEP_EVERY) {
                shared.storage.sweep().await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = visit.await {
            tracing::warn!(
                error = format!("{error:#}"),
                "the sandbox can't write to its database"
            );
        }
        visits = visits.wrapping_add(1);
        tokio::time::sleep(FLUSH_EVERY).await;
    }
}

async fn publish_key(shared: &Shared) -> Result<()> {
    sqlx::query("insert into identity.attestation_key (kid, public_key) values ($1, $2) on conflict do nothing")
        .bind(&shared.signer.kid)
        .bind(shared.signer.public_key())
        .execute(&shared.pool)
        .await?;
    Ok(())
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(
            "/components",
            post(uploads::take).layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES)),
        )
        .route("/components/{digest}", get(uploads::give))
        .route("/invoke", post(calls::invoke))
        .route("/probe", post(calls::try_out))
        .route("/attest", post(attest))
        .route("/sign-card", post(sign_card))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(traced))
        .route("/health", get(async || "ok"))
        .with_state(shared)
}

/// Answers a request in a span of the caller's trace.
async fn traced(path: MatchedPath, request: Request, next: Next) -> Response {
    let span = tracing::info_span!(target: trace::TARGET, "sandbox", route = path.as_str());
    let parent = request.headers().get(trace::TRACEPARENT);
    trace::follow(&span, parent.and_then(|parent| parent.to_str().ok()));
    next.run(request).instrument(span).await
}

impl AsRef<Callers> for Shared {
    fn as_ref(&self) -> &Callers {
        &self.callers
    }
}

impl Shared {
    async fn skill(&self, digest: &str) -> Result<Arc<crate::Skill>, LoadError> {
        self.runner.load(digest, self.storage.get(digest)).await
    }
}

#[derive(Deserialize)]
struct ToSign {
    statement: Statement,
}

/// POST /attest: signs the findings of a review or the decision of a person, that something was erased, or what an agent
/// did in a turn.
async fn attest(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let signed = async {
        if !caller.has(Right::AttestErasure) && !caller.has(Right::AttestTurn) {
            caller.require(Right::Attest)?;
        }
        let ToSign { statement } = parse(&body)?;
        // Nobody can make receipts, and each only the statements of its own work.
        let right = match statement.predicate_type.as_str() {
            REVIEW => Some(Right::Attest),
            ERASURE => Some(Right::AttestErasure),
            TURN => Some(Right::AttestTurn),
            _ => None,
        };
        caller.require(right.unwrap_or(Right::Attest))?;
        if statement.kind != STATEMENT_TYPE || right.is_none() {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-input",
                "Only statements about reviews, erasures and turns are signed.",
            ));
        }
        let envelope = shared
            .signer
            .sign(&statement)
            .map_err(|error| Problem::internal(&error))?;
        Ok(Json(json!({"envelope": envelope})))
    };
    answer(signed.await, caller.request_id)
}

/// POST /sign-card: signs an A2A card. Unlike a statement, it has a signature of its own form: a detached JWS.
async fn sign_card(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    #[derive(Deserialize)]
    struct Card {
        card: serde_json::Value,
    }
    let signed = async {
        caller.require(Right::SignCard)?;
        let Card { card } = parse(&body)?;
        let signed = shared.signer.sign_card(&card);
        signed.map(Json).map_err(|error| Problem::internal(&error))
    };
    answer(signed.await, caller.request_id)
}

/// Reads a body. Its content is hashed and signed, so no member may occur twice.
fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    strict_json::read_unique(body).map_err(|refusal| {
        let (field, detail) = match refusal {
            Refusal::Invalid { path, detail } if path.is_empty() => {
                ("arguments".to_owned(), detail)
            }
            Refusal::Invalid { path, detail } => (path, detail),
            Refusal::Malformed(what) => ("arguments".to_owned(), format!("is not JSON: {what}")),
        };
        Problem::invalid("invalid-arguments", vec![FieldError { field, detail }])
    })
}

fn answer(result: Result<impl IntoResponse, Problem>, request_id: Option<String>) -> Response {
    match result {
        Ok(answer) => answer.into_response(),
        Err(mut problem) => {
            problem.request_id = request_id;
            problem.into_response()
        }
    }
}
