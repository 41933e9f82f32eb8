//! Whether the function that asked is still there. One that is dropped by its host, since its client left, can't book what
//! its call of a model cost; so the way out tells the ledger.

use http::{HeaderMap, HeaderName};
use sqlx::PgPool;
use std::time::Duration;

/// The call of a model, and the number of the attempt, as the ledger takes them.
const CALL: HeaderName = HeaderName::from_static("gather-call");
/// A function that is alive books its call within this time, and knows more of it.
const GRACE: Duration = Duration::from_secs(1);

/// Tells the ledger when it is dropped, unless the answer has ended before.
pub struct Presence(Option<(PgPool, String)>);

impl Presence {
    /// Watches the request with these headers; other requests than calls of models need no watching.
    pub fn of(headers: &HeaderMap, pool: &PgPool) -> Self {
        let call = headers.get(CALL).and_then(|call| call.to_str().ok());
        Self(call.map(|call| (pool.clone(), call.to_owned())))
    }

    /// The function has heard the end of the answer, or that there is none.
    pub fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Some((pool, call)) = self.0.take() else {
            return;
        };
        // Without a runtime the process is about to end, and the lease of the call lapses.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GRACE).await;
                let told = sqlx::query("select llm.hung_up($1)")
                    .bind(call)
                    .execute(&pool)
                    .await;
                if let Err(error) = told {
                    tracing::warn!(%error, "the ledger was not told of a call that was dropped");
                }
            });
        }
    }
}
