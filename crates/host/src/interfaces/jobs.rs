//! `gather:jobs/control`: the progress that a running job reports, and whether it is to stop.

use super::{
    connections::Connections,
    interface::{GrantContext, In, Interface, View},
};
use anyhow::Result;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use wasm::Data;
use wasmtime::component::Linker;

/// The length at which a note is cut, since notes are kept in the database and sent as events.
const MAX_NOTE_CHARS: usize = 200;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:jobs/core",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}
use generated::gather::jobs::control;
pub use generated::{
    CorePre,
    gather::jobs::types::{Failure, Job, Retry},
};

/// The state that a running job shares with its worker.
#[derive(Debug, Default)]
pub struct Control {
    progress: Mutex<Option<Progress>>,
    cancelled: AtomicBool,
}

/// The progress of a job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The progress in percent, from 0 to 100.
    pub percent: u8,
    /// A note of a few words.
    pub note: String,
}

impl Control {
    /// Takes the newest progress, if there is any since the last call.
    pub fn take_progress(&self) -> Option<Progress> {
        self.lock().take()
    }

    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the job was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interface in one instance: the control of the job that it runs.
pub struct Jobs(pub Arc<Control>);

/// The grant of the interface, which every queued component may use.
pub struct Grant;

impl Interface for Jobs {
    type Grant = Grant;
    const QUEUED_ONLY: bool = true;

    fn grant(_: &GrantContext<'_>) -> Result<Grant> {
        Ok(Grant)
    }

    fn new(_: &Arc<Grant>, _: &Connections) -> Self {
        Self(Arc::default())
    }

    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        control::add_to_linker::<_, In<Self>>(linker, view)
    }
}

impl control::Host for View<'_, Jobs> {
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
        *self.own.0.lock() = Some(progress);
        Ok(())
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        Ok(self.own.0.is_cancelled())
    }
}
