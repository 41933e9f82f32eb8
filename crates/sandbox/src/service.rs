//! The sandbox over HTTP, for the platform's own functions: they say which component, which tool, what is
//! granted and for whom; who may call what is their business. Each caller has a key and the rights that its
//! name has here.

mod uploads;

use crate::{
    call::{End, Fault, Grant},
    callers::{Caller, Callers},
    keys::{Backing, Granted},
    probe::{self, Probe},
    problem::{CallEvidence, Problem},
    refused::Reach,
    runner::{LoadError, Runner},
    storage::Storage,
    usage::Counter,
};
use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skill::{
    FieldError, Limits, MAX_COMPONENT_BYTES, Permissions, digest,
    statement::{Envelope, RECEIPT, REVIEW, STATEMENT_TYPE, Signer, Statement},
};
use sqlx::PgPool;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use strict_json::Refusal;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use uuid::Uuid;

/// How often counted calls are added up in the database, and the sandbox says how it is.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// How many of those visits there are between two sweeps.
const SWEEP_EVERY: u32 = 1_800;
/// A multipart upload: the component, the manifest, and the parts' heads.
const MAX_UPLOAD_BYTES: usize = MAX_COMPONENT_BYTES + skill::manifest::MAX_BYTES + (64 << 10);
/// Any other body.
const MAX_BODY_BYTES: usize = 2 << 20;
/// Uploads at the same time: each is whole in memory.
const UPLOADS: usize = 4;
/// Calls of one probe.
const MAX_PROBE_CALLS: u32 = 2_000;
/// Requests that one example of a review may send: enough for a token, a redirect and a page or two.
const EXAMPLE_REQUESTS: u32 = 5;

/// What a service is made with.
pub struct ServiceOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Runs the skills.
    pub runner: Runner,
    /// The database, as the sandbox's own role.
    pub pool: PgPool,
    /// Where components are.
    pub storage: Storage,
    /// The keys of the callers, by their names: `skills`, `skill-review`.
    pub callers: BTreeMap<String, String>,
    /// The secret that the key of receipts and attestations follows from.
    pub signing_secret: [u8; 32],
    /// The platform's address, which receipts name.
    pub server: String,
}

/// A service that serves.
pub struct Service {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
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
    /// Starts to serve.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(options: ServiceOptions) -> Result<Self> {
        // Sockets of callers, of the database and of skills' requests: the usual soft limit is too low for all.
        if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
            tracing::warn!(%error, "cannot raise the limit on open files");
        }
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("the sandbox cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
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
        let (stop, stopped) = watch::channel(false);
        let router = router(shared.clone());
        let serving = tokio::spawn(async move {
            let mut stopped = stopped;
            let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
                drop(stopped.wait_for(|stop| *stop).await);
            });
            if let Err(error) = graceful.await {
                tracing::error!(%error, "the sandbox stopped serving");
            }
        });
        let housekeeping = tokio::spawn(keep_house(shared.clone()));
        Ok(Self {
            address,
            stop,
            serving,
            housekeeping,
            shared,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the calls in flight, for at most `grace`, and writes down what was counted.
    pub async fn shutdown(self, grace: Duration) {
        _ = self.stop.send(true);
        let stop = self.serving.abort_handle();
        if tokio::time::timeout(grace, self.serving).await.is_err() {
            stop.abort();
        }
        self.housekeeping.abort();
        if let Err(error) = self.shared.usage.flush(&self.shared.pool).await {
            tracing::warn!(%error, "the last calls are not counted");
        }
    }
}

/// Publishes the signing key, and from then on writes down what was counted, says how the sandbox is, and
/// sweeps.
async fn keep_house(shared: Arc<Shared>) {
    let mut published = false;
    let mut visits = 0_u32;
    loop {
        let visit = async {
            if !published {
                publish_key(&shared).await?;
                published = true;
            }
            shared.usage.flush(&shared.pool).await?;
            let (skills, bytes) = shared.runner.loaded();
            sqlx::query("select platform.report_health('sandbox', 'healthy', $1)")
                .bind(json!({"loaded_skills": skills, "loaded_bytes": bytes}))
                .execute(&shared.pool)
                .await?;
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
        .route("/invoke", post(invoke))
        .route("/probe", post(try_out))
        .route("/attest", post(attest))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route("/health", get(async || "ok"))
        .with_state(shared)
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

    /// What a call is granted. One of a review has a store of its own that is forgotten: it must not change what the
    /// skill has kept.
    fn grant(&self, skill: Uuid, permissions: Permissions, limits: Limits, reach: Reach) -> Grant {
        let backing = || match reach {
            Reach::Granted => Backing::Database(self.pool.clone(), skill),
            Reach::Review { .. } | Reach::Nowhere => Backing::Memory(Arc::default()),
        };
        let key_value = permissions
            .kv
            .map(|kv| Granted::new(backing(), kv.max_bytes));
        Grant {
            permissions,
            limits,
            key_value,
            reach,
        }
    }

    /// What an example of a review may send: a few requests, which say whose they are and where to read about it.
    fn of_review(&self, skill: &Named) -> Result<Reach, Problem> {
        let user_agent = format!(
            "gather-skill-review/1 (+{}/docs; an example of the skill {} {} is tried once, before it is approved)",
            self.server, skill.name, skill.version
        );
        Ok(Reach::Review {
            user_agent: HeaderValue::try_from(user_agent)
                .map_err(|error| Problem::internal(&error))?,
            requests: EXAMPLE_REQUESTS,
        })
    }
}

/// Which skill, for receipts and counts.
#[derive(Deserialize)]
struct Named {
    id: Uuid,
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Invocation {
    digest: String,
    tool: String,
    #[serde(default)]
    arguments: Value,
    skill: Named,
    account: Uuid,
    permissions: Permissions,
    limits: Limits,
    /// An example that a review makes: says what was used and written, and is not counted.
    #[serde(default)]
    evidence: bool,
    /// Of such an example: whether its requests are sent.
    #[serde(default)]
    network: bool,
}

/// POST /invoke: one call.
async fn invoke(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let request_id = caller.request_id.clone();
    answer(call(&shared, &body).await, request_id)
}

async fn call(shared: &Shared, body: &[u8]) -> Result<Json<Value>, Problem> {
    let invocation: Invocation = parse(body)?;
    let arguments = match invocation.arguments {
        Value::Object(arguments) => arguments,
        Value::Null => Map::new(),
        _ => {
            return Err(Problem::invalid(
                "invalid-arguments",
                vec![FieldError {
                    field: "arguments".to_owned(),
                    detail: "must be an object by parameter name".to_owned(),
                }],
            ));
        }
    };
    let _place = shared
        .runner
        .enter(invocation.account)
        .await
        .map_err(|_| Problem::busy())?;
    let skill = shared.skill(&invocation.digest).await?;
    let reach = match (invocation.evidence, invocation.network) {
        (false, _) => Reach::Granted,
        (true, true) => shared.of_review(&invocation.skill)?,
        (true, false) => Reach::Nowhere,
    };
    let grant = shared.grant(
        invocation.skill.id,
        invocation.permissions,
        invocation.limits,
        reach,
    );
    let input = digest::of_json(&arguments).map_err(|error| Problem::internal(&error))?;
    let outcome = shared
        .runner
        .call(&skill, &invocation.tool, arguments, &grant)
        .await;
    let evidence = invocation.evidence.then_some(CallEvidence {
        log: outcome.log,
        used: outcome.used,
        usage: outcome.usage,
    });
    // What did not run was no use of the skill.
    let did_run = !matches!(
        outcome.end,
        End::Ended(
            Fault::UnknownTool(_) | Fault::InvalidArguments(_) | Fault::Busy | Fault::Internal(_)
        )
    );
    if evidence.is_none() && did_run {
        let failed = !matches!(outcome.end, End::Answered(_));
        shared
            .usage
            .count(invocation.skill.id, invocation.account, failed);
    }
    let (name, output) = match &outcome.end {
        End::Answered(value) => ("answered", value),
        End::Failed(value) => ("failed", value),
        End::Ended(fault) => {
            let mut problem = Problem::from(fault.clone());
            problem.evidence = evidence.map(Box::new);
            return Err(problem);
        }
    };
    let receipt = sign(
        shared,
        &invocation.digest,
        &invocation.skill,
        RECEIPT,
        json!({
            "id": Uuid::now_v7(),
            "server": shared.server,
            "tool": invocation.tool,
            "account": invocation.account,
            "outcome": name,
            "input": {"sha256": input},
            "output": {"sha256": digest::of_json(output).map_err(|error| Problem::internal(&error))?},
            "usage": outcome.usage,
            "invoked_at": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        }),
    )?;
    match outcome.end {
        End::Answered(result) => {
            let mut answer = json!({"result": result, "usage": outcome.usage, "receipt": receipt});
            if let Some(evidence) = evidence {
                answer["used"] = json!(evidence.used);
                answer["log"] = json!(evidence.log);
            }
            Ok(Json(answer))
        }
        End::Failed(error) => {
            let detail = "The skill answered with an error of its own; `error` has it.";
            let mut problem =
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "skill-failed", detail);
            problem.error = Some(Box::new(error));
            problem.receipt = Some(Box::new(receipt));
            problem.evidence = evidence.map(Box::new);
            Err(problem)
        }
        End::Ended(fault) => Err(fault.into()),
    }
}

/// A statement about a component, signed.
fn sign(
    shared: &Shared,
    digest: &str,
    skill: &Named,
    kind: &str,
    predicate: Value,
) -> Result<Envelope, Problem> {
    let statement = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{"name": format!("{}@{}", skill.name, skill.version), "digest": {"sha256": digest.trim_start_matches("sha256:")}}],
        "predicateType": kind,
        "predicate": predicate,
    });
    shared
        .signer
        .sign(&statement)
        .map_err(|error| Problem::internal(&error))
}

#[derive(Deserialize)]
struct Trial {
    digest: String,
    tool: String,
    calls: u32,
    #[serde(default)]
    seed: u64,
    budget_ms: u64,
    skill: Named,
    account: Uuid,
    permissions: Permissions,
    limits: Limits,
}

/// POST /probe: calls with generated arguments.
async fn try_out(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let tried = async {
        caller.require("skill-review")?;
        let trial: Trial = parse(&body)?;
        let _place = shared
            .runner
            .enter(trial.account)
            .await
            .map_err(|_| Problem::busy())?;
        let skill = shared.skill(&trial.digest).await?;
        // Strangers name the origins, and these arguments are nobody's: nothing is sent there.
        let grant = shared.grant(
            trial.skill.id,
            trial.permissions,
            trial.limits,
            Reach::Nowhere,
        );
        let probe = Probe {
            tool: trial.tool,
            calls: trial.calls.min(MAX_PROBE_CALLS),
            seed: trial.seed,
            budget: Duration::from_millis(trial.budget_ms),
        };
        let report = probe::probe(&shared.runner, &skill, &grant, &probe).await?;
        report.map(Json).ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown-tool",
                "The skill has no such tool.",
            )
        })
    };
    answer(tried.await, caller.request_id)
}

#[derive(Deserialize)]
struct ToSign {
    statement: Statement,
}

/// POST /attest: signs what a review found, or what a person decided about it.
async fn attest(State(shared): State<Arc<Shared>>, caller: Caller, body: Bytes) -> Response {
    let signed = async {
        let ToSign { statement } = parse(&body)?;
        // A review can't make receipts.
        if statement.kind != STATEMENT_TYPE || statement.predicate_type != REVIEW {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-input",
                "Only statements about reviews are signed.",
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

/// Reads a body. What is in it is hashed and signed, so no member may stand twice.
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
