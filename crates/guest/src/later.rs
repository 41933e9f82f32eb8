//! Answers that wait for the work of others.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::Response;

/// The final answer of an operation that waits for work that it has begun, such as the end of a run. The handler puts it into
/// the extensions of its first answer, and it is awaited after the request's change is committed: until then nobody else
/// sees the work, since the transaction of an `Idempotency-Key` is still open.
///
/// Only operations that honour `Idempotency-Key` can answer so.
#[derive(Clone)]
pub struct Later(Arc<Mutex<Option<Final>>>);

type Final = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Later {
    /// The answer that a future makes. It must not hold the request's [`crate::Db`], but one that is apart.
    pub fn new(answer: impl Future<Output = Response> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(answer)))))
    }

    /// Takes the final answer out of the first one, if there will be another.
    pub(crate) fn take(first: &mut Response) -> Option<Final> {
        let later = first.extensions_mut().remove::<Self>()?;
        let mut answer = later.0.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }
}
