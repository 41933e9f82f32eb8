//! What the way out counts.

use prometheus::{Encoder, IntCounterVec, Opts, Registry, TextEncoder};

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    refused: IntCounterVec,
}

impl Metrics {
    /// Makes the counters, which begin at 0.
    ///
    /// # Errors
    /// Never: their names differ.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let options = Opts::new(
            "gather_egress_refused_total",
            "Requests that the way out did not send, or that had no answer, by the code of the problem.",
        );
        let refused = IntCounterVec::new(options, &["code"])?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self { registry, refused })
    }

    /// Counts a refusal.
    pub fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    /// The counters, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the metrics of the way out");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
