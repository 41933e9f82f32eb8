//! The outcomes of a schema's functions: a value, or the reason why they did nothing.

use serde::Deserialize;

use crate::{Problem, Result};

/// A reason that the functions of a schema give.
pub trait Refusal {
    /// The problem that it means for the client, who may try again after `wait_ms` if that is given.
    fn problem(self, wait_ms: Option<u64>) -> Problem;
}

/// The single column of a statement that calls such a function.
#[derive(Debug, Deserialize)]
pub struct Outcome<T, R> {
    outcome: Answer<T, R>,
}

#[derive(Debug, Deserialize)]
struct Answer<T, R> {
    ok: Option<T>,
    refused: Option<R>,
    wait_ms: Option<u64>,
}

impl<T, R: Refusal> Outcome<T, R> {
    /// The value, or the problem that the refusal means for the client.
    ///
    /// # Errors
    /// The function refused, or answered nothing.
    pub fn value(self) -> Result<T> {
        match self.done()? {
            Some(value) => Ok(value),
            None => Err(Problem::internal(
                "a function answered neither a value nor a refusal",
            )),
        }
    }

    /// Like [`Outcome::value`], for functions that may return nothing.
    ///
    /// # Errors
    /// The function refused.
    pub fn done(self) -> Result<Option<T>> {
        let Answer {
            ok,
            refused,
            wait_ms,
        } = self.outcome;
        match refused {
            Some(refusal) => Err(refusal.problem(wait_ms)),
            None => Ok(ok),
        }
    }
}
