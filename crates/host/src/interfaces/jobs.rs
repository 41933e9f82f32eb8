//! `gather:jobs/control`: what a job tells and asks while it runs.

use super::Host;
use crate::state::{self, State};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use wasm::Data;
use wasmtime::component::Linker;

/// Longer notes are cut: they are kept in the database and sent as events.
const MAX_NOTE_CHARS: usize = 200;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:jobs/core",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}
pub use generated::{
    CorePre,
    gather::jobs::types::{Failure, Job, Retry},
};

/// Shared by a running job and its worker.
#[derive(Debug, Default)]
pub struct Control {
    progress: Mutex<Option<Progress>>,
    cancelled: AtomicBool,
}

/// How far a job is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// A few words.
    pub note: String,
}

impl Control {
    /// The newest progress, if there is one since the last time.
    pub fn take_progress(&self) -> Option<Progress> {
        self.lock().take()
    }

    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl generated::gather::jobs::control::Host for &mut State {
    fn progress(&mut self, percent: u8, note: String) -> wasmtime::Result<()> {
        let progress = Progress {
            percent: percent.min(100),
            // PostgreSQL's text has no zero character.
            note: note
                .chars()
                .filter(|c| *c != '\0')
                .take(MAX_NOTE_CHARS)
                .collect(),
        };
        *self.job.lock() = Some(progress);
        Ok(())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.job.is_cancelled())
    }
}

/// Defines the interface, for queued components only.
///
/// # Errors
/// A name that is defined already.
pub fn add_to_linker(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    generated::gather::jobs::control::add_to_linker::<_, Host>(linker, state::of)
}

/// The control of an instance that runs no job.
pub fn none() -> Arc<Control> {
    Arc::default()
}
