//! The trace that a request, a statement, a call or a job belongs to (W3C Trace Context), as spans of `tracing` carry it.
//!
//! Only the spans of the target [`TARGET`] are exported. They hold names, routes and the text of statements, never a
//! value: no secret, no parameter, no query string.

use opentelemetry::{
    Context, Value,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The header that names a trace and the span in it (W3C Trace Context, section 3.2).
pub const TRACEPARENT: &str = "traceparent";
/// The target of the spans that are exported.
pub const TARGET: &str = "gather::trace";

/// Makes a span part of the trace that a `traceparent` names. Must be called before the span is entered. Without a valid
/// `traceparent`, the span begins a trace of its own.
pub fn follow(span: &Span, traceparent: Option<&str>) {
    let Some(traceparent) = traceparent else {
        return;
    };
    let given = Given(traceparent);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &given);
    if context.span().span_context().is_valid() {
        // An error means that the span is not exported.
        _ = span.set_parent(context);
    }
}

/// The `traceparent` of a span. `None` if the span is not exported.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut taken = Taken(None);
    TraceContextPropagator::new().inject_context(&context, &mut taken);
    taken.0
}

/// Adds an attribute to a span that is exported.
pub fn note(span: &Span, key: &'static str, value: impl Into<Value>) {
    span.set_attribute(key, value);
}

struct Given<'a>(&'a str);

impl Extractor for Given<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Taken(Option<String>);

impl Injector for Taken {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::prelude::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn span(traceparent: Option<&str>) -> Span {
        let span = tracing::info_span!(target: TARGET, "request");
        follow(&span, traceparent);
        span
    }

    #[test]
    fn spans_continue_the_trace_that_they_are_given() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _active = tracing_subscriber::registry().with(layer).set_default();
        let own = traceparent(&span(Some(PARENT))).unwrap();
        assert!(
            own.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
            "{own}"
        );
        assert_ne!(own, PARENT);
        let child = span(Some(PARENT)).in_scope(|| {
            let inner = tracing::info_span!(target: TARGET, "sql");
            traceparent(&inner)
        });
        assert!(child.unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
        for bad in [
            None,
            Some(""),
            Some("x"),
            Some("00-0-0-01"),
            Some("drop table"),
        ] {
            let own = traceparent(&span(bad)).unwrap();
            assert!(!own.contains("0af7651916cd43dd8448eb211c80319c"), "{own}");
            assert_eq!(own.len(), PARENT.len());
        }
    }

    #[test]
    fn without_an_export_nothing_is_named() {
        let _active = tracing_subscriber::registry().set_default();
        assert_eq!(traceparent(&span(Some(PARENT))), None);
    }
}
