//! Whether the function that asked is still there. One that is dropped by its host, since its client left, can't book what
//! its call of a model cost; so the way out tells the ledger what was sent, and if nobody hears the answer.

use http::{HeaderMap, HeaderName};
use sqlx::PgPool;
use std::time::Duration;
use tokio::task::JoinHandle;

/// The call of a model, and the number of the attempt, as the ledger takes them.
const CALL: HeaderName = HeaderName::from_static("gather-call");
/// A function that is alive books its call within this time, and knows more of it.
const GRACE: Duration = Duration::from_secs(1);

/// Tells the ledger when it is dropped, unless the answer has ended before.
pub struct Presence(Option<Attempt>);

/// An attempt of a call of a model.
struct Attempt {
    pool: PgPool,
    name: String,
    /// The statement that says that the request is sent; `None` if it is not.
    sent: Option<JoinHandle<()>>,
}

impl Presence {
    /// Watches the request with these headers; other requests than calls of models need no watching.
    pub fn of(headers: &HeaderMap, pool: &PgPool) -> Self {
        let call = headers.get(CALL).and_then(|call| call.to_str().ok());
        Self(call.map(|call| Attempt {
            pool: pool.clone(),
            name: call.to_owned(),
            sent: None,
        }))
    }

    /// The request is sent now. The ledger is told beside that.
    pub fn sending(&mut self) {
        if let Some(attempt) = &mut self.0 {
            let (pool, name) = (attempt.pool.clone(), attempt.name.clone());
            attempt.sent = Some(tokio::spawn(async move {
                tell(&pool, "select llm.sent($1)", &name).await;
            }));
        }
    }

    /// The function has heard the end of the answer, or that there is none.
    pub fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let Some(Attempt {
            pool,
            name,
            sent: Some(sent),
        }) = self.0.take()
        else {
            return;
        };
        // Without a runtime the process is about to end, and the lease of the call lapses.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(GRACE).await;
                // Otherwise the ledger might hear of the end first, and take no notice of it.
                _ = sent.await;
                tell(&pool, "select llm.hung_up($1)", &name).await;
            });
        }
    }
}

/// Tells the ledger something about an attempt.
async fn tell(pool: &PgPool, statement: &'static str, attempt: &str) {
    let told = sqlx::query(statement).bind(attempt).execute(pool).await;
    if let Err(error) = told {
        tracing::warn!(%error, statement, "the ledger was not told of an attempt of a call");
    }
}
