//! The access log: one line and one measurement a request.

use crate::{function::Function, metrics::Metrics};
use http::{HeaderValue, StatusCode};
use std::{sync::Arc, time::Instant};
use tracing::Span;

/// What is logged and counted of a request when it ends.
pub struct Record {
    /// When the request began.
    pub started: Instant,
    /// Its method.
    pub method: http::Method,
    /// Its path.
    pub path: String,
    /// The route that it matched.
    pub route: Arc<str>,
    /// Its id.
    pub id: HeaderValue,
    /// What was answered.
    pub status: StatusCode,
    /// Who called, as the function says.
    pub caller: Option<HeaderValue>,
    /// The function that it was for.
    pub function: Arc<Function>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Its span in the log.
    pub span: Span,
}

impl Drop for Record {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let status = self.status.as_u16();
        self.metrics.request(
            &self.function.id,
            &self.route,
            &self.method,
            status,
            duration,
        );
        let caller = self.caller.as_ref().and_then(|caller| caller.to_str().ok());
        let _entered = self.span.enter();
        tracing::info!(
            target: "gather::access",
            method = self.method.as_str(),
            path = self.path,
            status,
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            caller,
        );
    }
}
