//! The model while it is in use: loaded by the first request, and given back when nobody has asked for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::model::Model;

/// Holds the model while it is in use.
pub struct Embedder {
    state: Mutex<State>,
    idle: Duration,
}

struct State {
    model: Option<Arc<Model>>,
    used: Instant,
}

impl Embedder {
    /// Makes one that gives the model back after `idle`.
    #[must_use]
    pub fn new(idle: Duration) -> Self {
        let state = State {
            model: None,
            used: Instant::now(),
        };
        Self {
            state: Mutex::new(state),
            idle,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model, which is loaded if it is not. That takes some 50 ms, in which others wait.
    ///
    /// # Errors
    /// The files of the model are damaged.
    pub fn model(&self) -> Result<Arc<Model>> {
        let mut state = self.state();
        state.used = Instant::now();
        if let Some(model) = &state.model {
            return Ok(model.clone());
        }
        let model = Arc::new(Model::load()?);
        state.model = Some(model.clone());
        Ok(model)
    }

    /// Gives the model back if nobody has asked for long enough. Requests in flight keep it until they end.
    pub fn sweep(&self) {
        let mut state = self.state();
        if state.used.elapsed() >= self.idle {
            state.model = None;
        }
    }

    /// Whether the model is loaded.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.state().model.is_some()
    }
}
