//! The sandbox over HTTP, for the platform's own functions: they say which component, which tool, what is
//! granted and for whom; who may call what is their business. Each caller has a key and the rights that its
//! name has here.

use crate::{
    call::{End, Fault, Grant},
    key_value::{Backing, Granted},
    probe::{self, Probe},
    problem::{CallEvidence, Problem},
    runner::{LoadError, Runner},
    storage::Storage,
    usage::Counter,
};
use anyhow::{Context, Result};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Multipart, Path, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use jwt_simple::prelude::{HS256Key, MACLike, NoCustomClaims, Token, VerificationOptions};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use skill::{
    FieldError, Limits, MAX_COMPONENT_BYTES, Manifest, Permissions, digest,
    statement::{Envelope, RECEIPT, REVIEW, STATEMENT_TYPE, Signer, Statement},
};
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use uuid::Uuid;

/// Who tokens are for.
const AUDIENCE: &str = "gather-sandbox";
/// How often counted calls are added up in the database, and the sandbox says how it is.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// How many of those visits there are between two sweeps.
const SWEEP_EVERY: u32 = 1_800;
/// A multipart upload: the component, the manifest, and the parts' heads.
const MAX_UPLOAD_BYTES: usize = MAX_COMPONENT_BYTES + skill::manifest::MAX_BYTES + (64 << 10);
/// Any other body.
const MAX_BODY_BYTES: usize = 2 << 20;
/// What clocks of our own machines may differ by.
const LEEWAY_SECONDS: u64 = 30;
/// Uploads at the same time: each is whole in memory.
const UPLOADS: usize = 4;
/// Verified tokens that are remembered.
const MAX_TOKENS: usize = 1_000;
/// Calls of one probe.
const MAX_PROBE_CALLS: u32 = 2_000;

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
    callers: BTreeMap<String, HS256Key>,
    /// Tokens that were verified, with their issuers, until they expire.
    tokens: Mutex<HashMap<String, (String, Instant)>>,
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
        let callers = options
            .callers
            .into_iter()
            .map(|(name, key)| (name, HS256Key::from_bytes(key.as_bytes())));
        let shared = Arc::new(Shared {
            runner: options.runner,
            pool: options.pool,
            storage: options.storage,
            callers: callers.collect(),
            tokens: Mutex::default(),
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
            post(take).layer(DefaultBodyLimit::max(MAX_UPLOAD_BYTES)),
        )
        .route("/components/{digest}", get(give))
        .route("/invoke", post(invoke))
        .route("/probe", post(try_out))
        .route("/attest", post(attest))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .route("/health", get(async || "ok"))
        .with_state(shared)
}

/// The component of ours that asks, by the issuer of its token.
struct Caller {
    name: String,
    request_id: Option<String>,
}

impl Caller {
    /// What only the review may.
    fn require(&self, name: &str) -> Result<(), Problem> {
        if self.name == name {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("Only {name} may ask this."),
        ))
    }
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let token =
            header(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let name = token.and_then(|token| shared.issuer(token));
        let name = name.ok_or_else(|| {
            Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "This needs a service token.",
            )
        })?;
        Ok(Self {
            name,
            request_id: header("x-request-id").map(str::to_owned),
        })
    }
}

impl Shared {
    /// Which component made this token, if it is valid. A caller uses its token for minutes: one that was found to be
    /// valid is so until it expires.
    fn issuer(&self, token: &str) -> Option<String> {
        let now = Instant::now();
        let mut known = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, until)) = known.get(token)
            && now < *until
        {
            return Some(name.clone());
        }
        let (name, validity) = self.verified(token)?;
        if known.len() >= MAX_TOKENS {
            known.clear();
        }
        known.insert(token.to_owned(), (name.clone(), now + validity));
        Some(name)
    }

    /// Which component made this token, and for how long it is still good.
    fn verified(&self, token: &str) -> Option<(String, Duration)> {
        // The name of its key says which key to try; the signature whether that is true.
        let metadata = Token::decode_metadata(token).ok()?;
        let (name, key) = self.callers.get_key_value(metadata.key_id()?)?;
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([name.clone()])),
            allowed_audiences: Some(HashSet::from([AUDIENCE.to_owned()])),
            time_tolerance: Some(jwt_simple::prelude::Duration::from_secs(LEEWAY_SECONDS)),
            ..VerificationOptions::default()
        };
        let claims = key
            .verify_token::<NoCustomClaims>(token, Some(options))
            .ok()?;
        let until = claims.expires_at?;
        let now = jwt_simple::prelude::Clock::now_since_epoch();
        let left = Duration::from_secs(until.as_secs().saturating_sub(now.as_secs()));
        Some((name.clone(), left))
    }

    async fn skill(&self, digest: &str) -> Result<Arc<crate::Skill>, LoadError> {
        self.runner.load(digest, self.storage.get(digest)).await
    }

    /// What a call is granted. One for evidence has a store of its own that is forgotten: a review must not
    /// change what the skill has kept.
    fn grant(
        &self,
        skill: Uuid,
        permissions: Permissions,
        limits: Limits,
        evidence: bool,
    ) -> Grant {
        let backing = || match evidence {
            true => Backing::Memory(Arc::default()),
            false => Backing::Database(self.pool.clone(), skill),
        };
        let key_value = permissions.kv.map(|kv| Granted {
            backing: backing(),
            max_bytes: kv.max_bytes,
        });
        Grant {
            permissions,
            limits,
            key_value,
        }
    }
}

/// POST /components: takes an upload, answers what it is.
async fn take(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    upload: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Response {
    let taken = async {
        caller.require("skills")?;
        let upload = upload.map_err(|error| {
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                error.body_text(),
            )
        })?;
        let _place = shared
            .uploads
            .acquire()
            .await
            .map_err(|error| Problem::internal(&error))?;
        let (manifest, wasm) = read_upload(upload).await?;
        let manifest = Manifest::parse(&manifest)
            .map_err(|errors| Problem::invalid("invalid-input", errors))?;
        let inspection = shared
            .runner
            .inspect(&wasm)
            .await
            .map_err(|error| Problem::internal(&error))??;
        let errors = manifest.check_against(&inspection.tools);
        if !errors.is_empty() {
            return Err(Problem::invalid("invalid-input", errors));
        }
        let mut tools = inspection.tools;
        manifest.describe(&mut tools);
        shared
            .storage
            .put(&inspection.digest, &wasm)
            .await
            .map_err(|error| Problem::internal(&format!("{error:#}")))?;
        let version = manifest
            .semver()
            .ok_or_else(|| Problem::internal(&"a version without precedence"))?;
        Ok(Json(json!({
            "manifest": manifest,
            "precedence": skill::manifest::precedence(&version),
            "is_prerelease": !version.pre.is_empty(),
            "digest": inspection.digest,
            "size_bytes": wasm.len(),
            "tools": tools,
            "facts": inspection.facts,
        })))
    };
    answer(taken.await, caller.request_id)
}

async fn read_upload(mut upload: Multipart) -> Result<(Bytes, Bytes), Problem> {
    let broken = |error: axum::extract::multipart::MultipartError| {
        let code = if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "body-too-large"
        } else {
            "malformed-multipart"
        };
        Problem::new(error.status(), code, error.body_text())
    };
    let (mut manifest, mut component) = (None, None);
    while let Some(field) = upload.next_field().await.map_err(broken)? {
        let slot = match field.name() {
            Some("manifest") => &mut manifest,
            Some("component") => &mut component,
            other => {
                return Err(missing(
                    other.unwrap_or_default(),
                    "is no field of an upload: it has `manifest` and `component`",
                ));
            }
        };
        if slot.is_some() {
            return Err(missing("manifest", "or `component` is there twice"));
        }
        *slot = Some(field.bytes().await.map_err(broken)?);
    }
    let manifest = manifest.ok_or_else(|| missing("manifest", "is missing"))?;
    let component = component.ok_or_else(|| missing("component", "is missing"))?;
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "A component may have at most 32 MiB.",
        ));
    }
    Ok((manifest, component))
}

fn missing(field: &str, detail: &str) -> Problem {
    Problem::invalid(
        "invalid-input",
        vec![FieldError {
            field: field.to_owned(),
            detail: detail.to_owned(),
        }],
    )
}

/// GET /components/{digest}: the bytes.
async fn give(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Path(digest): Path<String>,
) -> Response {
    let given = async {
        let bytes = shared
            .storage
            .get(&digest)
            .await
            .map_err(|error| Problem::internal(&format!("{error:#}")))?;
        let bytes = bytes.ok_or_else(|| Problem::from(LoadError::NotFound))?;
        Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes))
    };
    answer(given.await, caller.request_id)
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
    /// Says what was used and written; is not counted.
    #[serde(default)]
    evidence: bool,
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
    let grant = shared.grant(
        invocation.skill.id,
        invocation.permissions,
        invocation.limits,
        invocation.evidence,
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
        let grant = shared.grant(trial.skill.id, trial.permissions, trial.limits, true);
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

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let detail = error.to_string();
        let errors = vec![FieldError {
            field: "arguments".to_owned(),
            detail,
        }];
        Problem::invalid("invalid-arguments", errors)
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
