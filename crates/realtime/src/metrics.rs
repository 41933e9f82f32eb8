//! The metrics of the gateway.

use anyhow::Result;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The gateway's metrics.
pub struct Metrics {
    /// The open sockets.
    pub sockets: IntGauge,
    /// The open event streams.
    pub streams: IntGauge,
    /// The subscriptions of sockets and streams.
    pub subscriptions: IntGauge,
    /// The frames put into clients' queues.
    pub delivered: IntCounter,
    /// The clients that were closed because they read too slowly.
    pub slow: IntCounter,
    /// The failures to read the outbox.
    pub failures: IntCounter,
    /// The time since the outbox was last read to its end.
    pub lag: Lag,
    latency: Histogram,
}

/// The time since the outbox was last read to its end. It grows while the database is gone, as nothing else does.
#[derive(Clone)]
pub struct Lag {
    gauge: Gauge,
    read: Arc<Mutex<Instant>>,
}

impl Lag {
    /// Notes that the outbox was read to its end.
    pub fn read(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

impl Collector for Lag {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauge.set(read.elapsed().as_secs_f64());
        self.gauge.collect()
    }
}

impl Metrics {
    /// Makes the metrics in a registry.
    ///
    /// # Errors
    /// A metric is already registered.
    pub fn new(registry: &Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| -> Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counter = |name: &str, help: &str| -> Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let buckets = vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        let latency = HistogramOpts::new(
            "gather_realtime_delivery_seconds",
            "From an event's statement to its clients' queues",
        );
        let latency = Histogram::with_opts(latency.buckets(buckets))?;
        registry.register(Box::new(latency.clone()))?;
        let lag = Lag {
            gauge: Gauge::new(
                "gather_realtime_outbox_lag_seconds",
                "Since the outbox was last read to its end",
            )?,
            read: Arc::new(Mutex::new(Instant::now())),
        };
        registry.register(Box::new(lag.clone()))?;
        Ok(Self {
            sockets: gauge("gather_realtime_sockets", "Open sockets")?,
            streams: gauge("gather_realtime_streams", "Open event streams")?,
            subscriptions: gauge(
                "gather_realtime_subscriptions",
                "Subscriptions of sockets and streams",
            )?,
            delivered: counter(
                "gather_realtime_delivered_total",
                "Events put into a client's queue",
            )?,
            slow: counter(
                "gather_realtime_slow_total",
                "Clients closed because they read too slowly",
            )?,
            failures: counter(
                "gather_realtime_outbox_failures_total",
                "Failures to read the outbox",
            )?,
            lag,
            latency,
        })
    }

    /// Notes the delay of an event that was made at a time, in milliseconds since 1970.
    pub fn delivered_after(&self, created_at_ms: i64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
        self.latency
            .observe((now - created_at_ms).max(0) as f64 / 1000.0);
    }
}
