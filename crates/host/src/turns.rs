//! Whether a connection is at a request, from when hyper has read its head until the answer is written and flushed, or
//! between two.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// Whether a connection is at a request.
#[derive(Default)]
pub struct Turns {
    /// The number of requests whose answers hyper has not taken whole.
    open: AtomicUsize,
    /// Whether a part of an answer may not be flushed yet.
    unflushed: AtomicBool,
}

impl Turns {
    /// Notes that a request begins.
    pub fn begin(self: &Arc<Self>) -> Turn {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.unflushed.store(true, Ordering::Relaxed);
        Turn(self.clone())
    }

    /// Notes that hyper has written and flushed everything.
    pub fn flushed(&self) {
        if self.open.load(Ordering::Relaxed) == 0 {
            self.unflushed.store(false, Ordering::Relaxed);
        }
    }

    /// Whether the connection is between two requests.
    pub fn are_over(&self) -> bool {
        !self.unflushed.load(Ordering::Relaxed)
    }
}

/// A request that is being answered until this value is dropped.
pub struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_lasts_until_all_of_it_is_flushed() {
        let turns = Arc::new(Turns::default());
        assert!(turns.are_over());
        let turn = turns.begin();
        turns.flushed();
        assert!(!turns.are_over(), "the body still comes");
        drop(turn);
        assert!(!turns.are_over(), "its end is not flushed");
        turns.flushed();
        assert!(turns.are_over());
    }
}
