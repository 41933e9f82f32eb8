//! What the provisioner counts.

use prometheus::{Encoder, IntCounter, IntCounterVec, Opts, Registry, TextEncoder};

/// The operations that are counted.
const OPERATIONS: [&str; 6] = [
    "provision",
    "deprovision",
    "start",
    "stop",
    "pause",
    "resume",
];

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    operations: IntCounterVec,
    pub(crate) refused: IntCounter,
}

impl Metrics {
    /// Makes the counters, which begin at 0.
    ///
    /// # Errors
    /// Never: the names are ones that metrics can have.
    pub fn new() -> prometheus::Result<Self> {
        let operations = Opts::new(
            "gather_provisioner_operations_total",
            "Operations on instances of claws, by their result: ok, or the code of the problem.",
        );
        let operations = IntCounterVec::new(operations, &["operation", "backend", "result"])?;
        let refused = IntCounter::new(
            "gather_provisioner_refused_connections_total",
            "Connections of claws to hosts that they may not reach.",
        )?;
        let registry = Registry::new();
        registry.register(Box::new(operations.clone()))?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Self {
            registry,
            operations,
            refused,
        })
    }

    /// Shows the operations of a back end from the start.
    pub fn begin(&self, backend: &str) {
        for operation in OPERATIONS {
            self.operations
                .with_label_values(&[operation, backend, "ok"]);
        }
    }

    /// Counts an operation.
    pub fn count(&self, operation: &str, backend: &str, result: &str) {
        self.operations
            .with_label_values(&[operation, backend, result])
            .inc();
    }

    /// The counters, as Prometheus reads them.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the metrics of the provisioner");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
