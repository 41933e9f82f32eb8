//! The access log: one line and one measurement for each request.

use crate::{function::Function, metrics::Metrics};
use http::{HeaderValue, StatusCode};
use std::{sync::Arc, time::Instant};
use tracing::Span;

/// The fields that are logged and counted when a request ends.
pub struct Record {
    /// The time at which the request began.
    pub started: Instant,
    /// The request's method.
    pub method: http::Method,
    /// The request's path.
    pub path: String,
    /// The route that the request matched.
    pub route: Arc<str>,
    /// The request's id.
    pub id: HeaderValue,
    /// The status of the answer.
    pub status: StatusCode,
    /// The caller, as the function named it.
    pub caller: Option<HeaderValue>,
    /// The function that the request was for.
    pub function: Arc<Function>,
    /// The metrics that count the request.
    pub metrics: Arc<Metrics>,
    /// The request's span in the log.
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
        trace::note(&self.span, "http.request.method", self.method.to_string());
        trace::note(&self.span, "http.response.status_code", i64::from(status));
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
