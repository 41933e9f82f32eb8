//! Traces, as a collector receives them by OTLP over HTTP: one request's trace from its function to the job.

use anyhow::{Context, Result, ensure};
use axum::{Router, body::Bytes, extract::DefaultBodyLimit, http::StatusCode, routing::post};
use e2e::{Database, MASTER_KEY, command, publishing, root};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use reqwest::multipart::{Form, Part};
use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const CANARY: &str = "canary-4be1";

/// A collector that keeps the spans of the test's trace.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    /// Until then it takes requests and answers none.
    awake: watch::Sender<bool>,
}

impl Collector {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let (awake, woken) = watch::channel(false);
        let kept = spans.clone();
        let take = move |body: Bytes| async move {
            drop(woken.clone().wait_for(|awake| *awake).await);
            let Ok(batch) = ExportTraceServiceRequest::decode(body) else {
                return StatusCode::BAD_REQUEST;
            };
            let scopes = batch
                .resource_spans
                .into_iter()
                .flat_map(|one| one.scope_spans);
            let spans = scopes.flat_map(|scope| scope.spans);
            if let Ok(mut kept) = kept.lock() {
                kept.extend(spans.filter(|span| hex::encode(&span.trace_id) == TRACE));
            }
            StatusCode::OK
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .layer(DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            spans,
            awake,
        })
    }

    fn spans(&self) -> Vec<Span> {
        self.spans
            .lock()
            .map(|spans| spans.clone())
            .unwrap_or_default()
    }
}

/// The platform as a process that exports its traces.
struct Platform {
    process: Child,
    url: String,
    state: TempDir,
    _database: Database,
}

impl Platform {
    async fn start(collector: SocketAddr) -> Result<Self> {
        let database = Database::create().await?;
        let state = tempfile::tempdir()?;
        e2e::share_compiled(state.path())?;
        let port = gather::port::free(gather::port::TESTS)?;
        let listen = format!("127.0.0.1:{port}");
        let mut up = Command::new(command()?);
        up.args(["up", "--listen", &listen])
            .current_dir(root())
            .env("DATABASE_URL", database.admin.as_str())
            .env("GATHER_MASTER_KEY", MASTER_KEY)
            .env("GATHER_STATE_DIR", state.path())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"))
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let platform = Self {
            process: up.spawn()?,
            url: format!("http://{listen}"),
            state,
            _database: database,
        };
        let http = e2e::http().build()?;
        let ready = format!("{}/health/ready", platform.url);
        until("it serves", async || {
            let answer = http.get(&ready).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await?;
        Ok(platform)
    }

    /// Runs a command of an agent.
    async fn agent(&self, arguments: &[&str]) -> Result<String> {
        let mut agent = Command::new(command()?);
        agent
            .arg("agent")
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.state.path())
            .env("GATHER_SERVER", &self.url);
        let output = agent.output().await?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Publishes a skill of the agent as the caller of the test's trace, with a secret wherever one may be.
    async fn publish(&self) -> Result<()> {
        let login = self.agent(&["login", "--json"]).await?;
        let login: serde_json::Value = serde_json::from_str(&login)?;
        let token = login["access_token"].as_str().context("a token")?;
        let mut manifest = publishing::manifest("adder", "1.0.0");
        manifest["description"] = CANARY.into();
        let form = Form::new()
            .part("manifest", Part::text(manifest.to_string()))
            .part(
                "component",
                Part::bytes(publishing::fixture("adder")?).file_name("skill.wasm"),
            );
        let request = e2e::http()
            .build()?
            .post(format!("{}/api/skills?key={CANARY}", self.url))
            .bearer_auth(token)
            .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
            .header("user-agent", CANARY)
            .multipart(form);
        let answer = request.send().await?;
        ensure!(answer.status() == 202, "{}", answer.text().await?);
        Ok(())
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) -> Result<()> {
    let started = Instant::now();
    while !holds().await {
        ensure!(started.elapsed() < Duration::from_secs(600), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The spans of a name whose parent is another.
fn below<'a>(spans: &'a [Span], name: &str, parent: &[u8]) -> Vec<&'a Span> {
    let is_it = |span: &&Span| span.name == name && span.parent_span_id == parent;
    spans.iter().filter(is_it).collect()
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    match found?.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_caller_to_the_jobs_sandbox() -> Result<()> {
    let collector = Collector::start().await?;
    // While the collector is silent, requests are answered all the same.
    let mut platform = Platform::start(collector.address).await?;
    platform.agent(&["register", "--name", "ada"]).await?;
    collector.awake.send_replace(true);
    platform.publish().await?;

    let caller = hex::decode(CALLER)?;
    let whole = |spans: &[Span]| {
        let function = below(spans, "request", &caller);
        let job = function
            .first()
            .map(|function| below(spans, "job", &function.span_id));
        job.is_some_and(|job| !job.is_empty())
    };
    until("the job's span", async || whole(&collector.spans())).await?;
    let spans = collector.spans();
    let function = below(&spans, "request", &caller);
    ensure!(function.len() == 1, "{function:?}");
    let function = function[0];
    assert_eq!(attribute(function, "component"), Some("skills"));
    assert_eq!(attribute(function, "http.request.method"), Some("POST"));
    let statements = below(&spans, "sql", &function.span_id);
    assert!(!statements.is_empty(), "{spans:#?}");
    let text = attribute(statements[0], "db.query.text");
    assert!(text.is_some_and(|text| text.contains("select")), "{text:?}");
    let inspected = below(&spans, "sandbox", &function.span_id);
    assert_eq!(attribute(inspected[0], "route"), Some("/components"));
    let job = below(&spans, "job", &function.span_id)[0];
    assert_eq!(attribute(job, "kind"), Some("skill-review"));
    assert!(!below(&spans, "sql", &job.span_id).is_empty(), "{spans:#?}");
    assert!(
        !below(&spans, "sandbox", &job.span_id).is_empty(),
        "{spans:#?}"
    );

    let all = format!("{spans:?}");
    for secret in [CANARY, "Bearer", "adder"] {
        assert!(!all.contains(secret), "{secret} is in a span: {all}");
    }
    let id = platform.process.id().context("it runs")?.to_string();
    Command::new("kill").arg(&id).status().await?;
    assert!(platform.process.wait().await?.success());
    Ok(())
}
