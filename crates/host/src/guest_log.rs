//! The log of guests: each line on stdout or stderr becomes a log event.

use serde::Deserialize;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// The length at which a line is cut into several, so that a guest cannot fill the host's memory.
const MAX_LINE_BYTES: usize = 16 << 10;

/// A guest's stdout or stderr.
#[derive(Clone)]
pub struct GuestLog {
    component: Arc<str>,
    stderr: bool,
    line: Arc<Mutex<Vec<u8>>>,
}

impl GuestLog {
    /// The stream of one instance of a component.
    #[must_use]
    pub fn new(component: &str, stderr: bool) -> Self {
        Self {
            component: component.into(),
            stderr,
            line: Arc::default(),
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for chunk in piece.chunks(MAX_LINE_BYTES) {
                line.extend_from_slice(chunk);
                if line.ends_with(b"\n") || line.len() >= MAX_LINE_BYTES {
                    self.emit(&line);
                    line.clear();
                }
            }
        }
    }

    fn emit(&self, line: &[u8]) {
        let component = &*self.component;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        let Ok(entry) = serde_json::from_str::<Entry>(text) else {
            tracing::info!(target: "guest", component, stderr = self.stderr, "{text}");
            return;
        };
        let fields = entry.fields.as_ref().map(|f| f.get()).unwrap_or_default();
        let message = &entry.message;
        match entry.level.as_str() {
            "error" => tracing::error!(target: "guest", component, fields, "{message}"),
            "warn" => tracing::warn!(target: "guest", component, fields, "{message}"),
            "debug" | "trace" => tracing::debug!(target: "guest", component, fields, "{message}"),
            _ => tracing::info!(target: "guest", component, fields, "{message}"),
        }
    }
}

/// One line as `guest::log` writes it.
#[derive(Deserialize)]
struct Entry {
    level: String,
    message: String,
    fields: Option<Box<serde_json::value::RawValue>>,
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for GuestLog {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
