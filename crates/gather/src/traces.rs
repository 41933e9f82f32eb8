//! Traces by OTLP/HTTP, if the standard variable `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector. Spans wait in a bounded
//! queue and are sent by a thread of their own, so a collector that is away costs requests nothing: what does not fit is
//! dropped.

use std::{
    env,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracerProvider, Tracer},
};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{Layer, filter::DynFilterFn, registry::LookupSpan};

/// The variables that name a collector.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// The time that the collector has to take a batch.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// The time for which the last spans are waited for when the process ends.
const LAST_WITHIN: Duration = Duration::from_secs(3);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that exports spans; `None` if no collector is named.
pub fn layer<S>() -> Result<Option<impl Layer<S>>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(tracer) = tracer()? else {
        return Ok(None);
    };
    // Decided anew for each span: of filters that are sure of a callsite, `tracing-subscriber` believes what they said last
    // in the same thread, and others ask them without consequences (`tracing::enabled!`).
    let is_exported = |span: &Metadata<'_>| span.is_span() && span.target() == trace::TARGET;
    let spans = DynFilterFn::new(move |span, _| is_exported(span))
        .with_callsite_filter(move |span| {
            if is_exported(span) {
                Interest::sometimes()
            } else {
                Interest::never()
            }
        })
        .with_max_level_hint(LevelFilter::DEBUG);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    Ok(Some(layer.with_filter(spans)))
}

fn tracer() -> Result<Option<Tracer>> {
    let is_named = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.into_iter().any(is_named) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector::new())
        .build()
        .context("the OTEL_… variables name no collector for OTLP over HTTP")?;
    let resource = match env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => Resource::builder(),
        None => Resource::builder().with_service_name("gather"),
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("gather");
    // Logging starts once in a process.
    _ = PROVIDER.set(provider);
    Ok(Some(tracer))
}

/// Sends the last spans, for a moment at most.
pub fn stop() {
    if let Some(provider) = PROVIDER.get() {
        // Nobody is there any more who could be told.
        _ = provider.shutdown_with_timeout(LAST_WITHIN);
    }
}

/// The collector, which is asked by the thread of the export, and never by one that serves requests.
#[derive(Debug)]
struct Collector {
    agent: ureq::Agent,
    /// Whether the last batch was taken, so that an outage is one line in the log.
    answers: AtomicBool,
}

impl Collector {
    fn new() -> Self {
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TAKEN_WITHIN))
            .max_redirects(0)
            .tls_config(tls)
            .build()
            .into();
        Self {
            agent,
            answers: AtomicBool::new(true),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, body.to_vec());
        let (parts, mut body) = self.agent.run(request)?.into_parts();
        let body = body.read_to_vec()?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        let answers = sent
            .as_ref()
            .is_ok_and(|answer| answer.status().is_success());
        if self.answers.swap(answers, Ordering::Relaxed) != answers {
            if answers {
                tracing::info!("the collector takes traces again");
            } else {
                let cause = match &sent {
                    Ok(answer) => answer.status().to_string(),
                    Err(error) => error.to_string(),
                };
                tracing::warn!(
                    cause,
                    "the collector takes no traces; they are dropped until it does"
                );
            }
        }
        sent
    }
}
