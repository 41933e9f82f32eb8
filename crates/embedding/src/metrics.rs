//! What the service counts.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder, core::Collector,
};

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    /// Requests by their outcome: `ok`, or the code of the refusal.
    pub requests: IntCounterVec,
    pub texts: IntCounter,
    pub tokens: IntCounter,
    pub seconds: Histogram,
    pub waiting: IntGauge,
    pub loaded: IntGauge,
}

impl Metrics {
    /// Makes the counters, which begin at 0.
    ///
    /// # Errors
    /// Never: their names differ.
    pub fn new() -> prometheus::Result<Self> {
        let requests = Opts::new(
            "gather_embedding_requests_total",
            "Requests for embeddings by their outcome: `ok`, or the code of the refusal.",
        );
        let seconds = HistogramOpts::new(
            "gather_embedding_seconds",
            "The time that a request for embeddings took, with its wait.",
        );
        let seconds = seconds.buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0]);
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(requests, &["outcome"])?,
            texts: IntCounter::new("gather_embedding_texts_total", "Texts that were embedded.")?,
            tokens: IntCounter::new(
                "gather_embedding_tokens_total",
                "Tokens of the texts that were embedded.",
            )?,
            seconds: Histogram::with_opts(seconds)?,
            waiting: IntGauge::new(
                "gather_embedding_requests",
                "Requests for embeddings that are computed or wait at the moment.",
            )?,
            loaded: IntGauge::new(
                "gather_embedding_loaded",
                "Whether the model is loaded: 1, or 0 before the first request and after a pause.",
            )?,
        };
        for one in metrics.all() {
            metrics.registry.register(one)?;
        }
        Ok(metrics)
    }

    /// The counters, for another registry.
    pub fn all(&self) -> [Box<dyn Collector>; 6] {
        [
            Box::new(self.requests.clone()),
            Box::new(self.texts.clone()),
            Box::new(self.tokens.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.loaded.clone()),
        ]
    }

    /// The counters, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the metrics of the embedding service");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
