//! Prometheus metrics (text format 0.0.4) of one host.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use prometheus::{
    CounterVec, Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector, proto::MetricFamily,
};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The latency buckets of requests in seconds, from a warm function to its deadline.
const BUCKETS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

/// The latency buckets of new instances in seconds.
const INSTANTIATION_BUCKETS: [f64; 9] = [
    0.00002, 0.00005, 0.0001, 0.00015, 0.0002, 0.0005, 0.001, 0.01, 0.1,
];

/// The latency buckets of jobs in seconds, from an empty job to an hour.
const JOB_BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0,
];

/// The registry and its metrics.
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    /// The time to make a new instance, by component.
    pub instantiation: HistogramVec,
    /// The traps, by component.
    pub traps: IntCounterVec,
    /// The requests that were turned away, by component and reason.
    pub refused: IntCounterVec,
    /// The living instances, by component and state (`all`, `idle`).
    pub instances: IntGaugeVec,
    /// The open client connections.
    pub connections: IntGauge,
    /// The PostgreSQL connections, by role and state (`open`, `idle`, `waiting`).
    pub database: IntGaugeVec,
    /// The time of an attempt at a job, by kind and outcome.
    pub jobs: HistogramVec,
    /// The running jobs, by kind.
    pub jobs_running: IntGaugeVec,
    /// What the database said last.
    measured: Mutex<Vec<MetricFamily>>,
}

/// A number that only the database knows.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The metric's name.
    pub name: String,
    /// The metric's description.
    pub help: String,
    /// Whether the number only grows.
    pub counts: bool,
    /// The label's name and value, for one of several numbers of a metric.
    pub label: Option<(String, String)>,
    /// The number.
    pub number: f64,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// Two metrics have the same name, which is a mistake in this crate.
    pub fn new() -> Result<Self> {
        let requests = histogram(
            "gather_http_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            &BUCKETS,
            &["component", "route", "method", "status"],
        )?;
        let instantiation = histogram(
            "gather_function_instantiation_seconds",
            "Time to a new wasm instance.",
            &INSTANTIATION_BUCKETS,
            &["component"],
        )?;
        let traps = counter(
            "gather_function_traps_total",
            "Guests that trapped.",
            &["component"],
        )?;
        let refused = counter(
            "gather_http_refused_total",
            "Requests that the host refused.",
            &["component", "reason"],
        )?;
        let instances = gauge(
            "gather_function_instances",
            "Living wasm instances.",
            &["component", "state"],
        )?;
        let connections = IntGauge::new("gather_http_connections", "Open client connections.")?;
        let database = gauge(
            "gather_database_connections",
            "PostgreSQL connections of the functions.",
            &["role", "state"],
        )?;
        let jobs = histogram(
            "gather_job_duration_seconds",
            "Time of one attempt at a job.",
            &JOB_BUCKETS,
            &["kind", "outcome"],
        )?;
        let jobs_running = gauge("gather_jobs_running", "Jobs that run.", &["kind"])?;
        let metrics = Self {
            registry: Registry::new(),
            requests,
            instantiation,
            traps,
            refused,
            instances,
            connections,
            database,
            jobs,
            jobs_running,
            measured: Mutex::default(),
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<()> {
        let all: [Box<dyn Collector>; 9] = [
            Box::new(self.requests.clone()),
            Box::new(self.instantiation.clone()),
            Box::new(self.traps.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.instances.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.database.clone()),
            Box::new(self.jobs.clone()),
            Box::new(self.jobs_running.clone()),
        ];
        for one in all {
            self.registry.register(one)?;
        }
        Ok(())
    }

    /// Shows the metrics of another part of this process, too.
    ///
    /// # Errors
    /// Another metric has the same name.
    pub fn add(&self, part: Box<dyn Collector>) -> Result<()> {
        Ok(self.registry.register(part)?)
    }

    /// Counts one finished request.
    pub fn request(
        &self,
        component: &str,
        route: &str,
        method: &http::Method,
        status: u16,
        duration: Duration,
    ) {
        // An unknown method is the client's text, and must not make a new time series each.
        let method = match method.as_str() {
            m @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => m,
            _ => "other",
        };
        let mut buffer = [0; 3];
        self.requests
            .with_label_values(&[component, route, method, status_text(status, &mut buffer)])
            .observe(duration.as_secs_f64());
    }

    /// Shows these numbers of the database from now on, instead of those before.
    ///
    /// # Errors
    /// A name that no metric can have.
    pub fn measured(&self, measures: &[Measure]) -> Result<()> {
        let metrics = measures.chunk_by(|one, next| one.name == next.name);
        let families: Vec<_> = metrics.map(families).collect::<Result<_>>()?;
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        *measured = families.concat();
        Ok(())
    }

    /// The answer to `GET /metrics`, with the metrics of other parts of this process.
    #[must_use]
    pub fn response(&self, more: &[u8]) -> Response<Full<Bytes>> {
        let text = [self.render().as_slice(), more].concat();
        let mut response = Response::new(Full::new(text.into()));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; version=0.0.4"),
        );
        response
    }

    /// The text of that answer.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        families.extend(measured.iter().cloned());
        drop(measured);
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "cannot render the metrics");
        }
        text
    }
}

/// One metric with its numbers.
fn families(measures: &[Measure]) -> Result<Vec<MetricFamily>> {
    let Some(first) = measures.first() else {
        return Ok(Vec::new());
    };
    let options = Opts::new(&first.name, &first.help);
    let label: Vec<_> = first.label.iter().map(|(name, _)| name.as_str()).collect();
    let value = |measure: &Measure| measure.label.clone().map(|(_, value)| value);
    if first.counts {
        let counter = CounterVec::new(options, &label)?;
        for measure in measures {
            let values: Vec<_> = value(measure).into_iter().collect();
            let counter = counter.get_metric_with_label_values(&values)?;
            counter.inc_by(measure.number.max(0.0));
        }
        return Ok(counter.collect());
    }
    let gauge = GaugeVec::new(options, &label)?;
    for measure in measures {
        let values: Vec<_> = value(measure).into_iter().collect();
        gauge
            .get_metric_with_label_values(&values)?
            .set(measure.number);
    }
    Ok(gauge.collect())
}

fn histogram(name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    Ok(HistogramVec::new(options, labels)?)
}

fn counter(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
    Ok(IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
    Ok(IntGaugeVec::new(Opts::new(name, help), labels)?)
}

fn status_text(status: u16, buffer: &mut [u8; 3]) -> &str {
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    *buffer = [digit(status / 100), digit(status / 10), digit(status)];
    std::str::from_utf8(buffer).unwrap_or("000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_is_shown_until_it_says_something_else() {
        let metrics = Metrics::new().unwrap();
        let measure = |name: &str, counts, label: Option<&str>, number| Measure {
            name: name.to_owned(),
            help: "Help.".to_owned(),
            counts,
            label: label.map(|value| ("result".to_owned(), value.to_owned())),
            number,
        };
        let all = [
            measure("attempts_total", true, Some("delivered"), 3.0),
            measure("attempts_total", true, Some("refused"), 1.0),
            measure("oldest_seconds", false, None, 1.5),
        ];
        metrics.measured(&all).unwrap();
        let text = String::from_utf8(metrics.render()).unwrap();
        for line in [
            "# TYPE attempts_total counter",
            "attempts_total{result=\"delivered\"} 3",
            "attempts_total{result=\"refused\"} 1",
            "# TYPE oldest_seconds gauge",
            "oldest_seconds 1.5",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
        metrics.measured(&[]).unwrap();
        let text = String::from_utf8(metrics.render()).unwrap();
        assert!(!text.contains("oldest_seconds"), "{text}");
        let bad = measure("no name", false, None, 0.0);
        assert!(metrics.measured(&[bad]).is_err());
    }
}
