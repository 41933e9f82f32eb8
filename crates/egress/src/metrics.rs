//! What the way out counts.

use crate::problem::CODES;
use prometheus::{Encoder, IntCounterVec, Opts, TextEncoder, core::Collector};

/// The counters of a process.
pub struct Metrics {
    refused: IntCounterVec,
}

impl Metrics {
    /// Makes the counters, which begin at 0.
    ///
    /// # Errors
    /// Never: the name is one that a metric can have.
    pub fn new() -> prometheus::Result<Self> {
        let options = Opts::new(
            "gather_egress_refused_total",
            "Requests that the way out did not send, or that had no answer, by the code of the problem.",
        );
        let refused = IntCounterVec::new(options, &["code"])?;
        for code in CODES {
            refused.with_label_values(&[code]);
        }
        Ok(Self { refused })
    }

    /// Counts a refusal.
    pub fn refused(&self, code: &str) {
        self.refused.with_label_values(&[code]).inc();
    }

    /// The refusals, for another registry.
    pub fn refusals(&self) -> Box<dyn Collector> {
        Box::new(self.refused.clone())
    }

    /// The counters, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.refused.collect(), &mut text) {
            tracing::error!(%error, "cannot render the metrics of the way out");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
