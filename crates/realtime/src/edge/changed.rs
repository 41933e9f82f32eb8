//! The accounts whose rights or blocks have changed, whatever topics their sockets read: one look for all topics of a
//! gateway, however often an account changes something.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use position::Snapshot;
use sqlx::postgres::PgPool;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::database;
use crate::outbox;

/// The least time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The number of looks that a pusher may be behind.
const QUEUED: usize = 64;

/// The accounts that changed before a snapshot.
#[derive(Debug)]
pub(super) struct Changed {
    pub accounts: Vec<String>,
    pub until: Snapshot,
}

impl Changed {
    /// Asks the database for the accounts that changed since a snapshot.
    pub async fn since(pool: &PgPool, since: &Snapshot) -> Result<Self> {
        let (_, now) = outbox::now(pool).await?;
        let query = sqlx::query_scalar::<_, Vec<Uuid>>(
            "select edge.concerned($1::text::pg_snapshot, $2::text::pg_snapshot)",
        );
        let query = query.bind(since.to_string()).bind(now.snapshot.to_string());
        let accounts = database::one(pool, query).await?;
        Ok(Self {
            accounts: accounts.iter().map(Uuid::to_string).collect(),
            until: now.snapshot,
        })
    }
}

/// The looks of a gateway.
pub(super) struct Looks {
    pub changed: broadcast::Sender<Arc<Changed>>,
    /// The snapshot of the last look; `None` while nobody wants to know.
    seen: Option<Snapshot>,
    looked_at: Instant,
    /// Whether something has changed since.
    is_due: bool,
}

impl Looks {
    pub fn new() -> Self {
        Self {
            changed: broadcast::channel(QUEUED).0,
            seen: None,
            looked_at: Instant::now(),
            is_due: false,
        }
    }

    /// Begins, so that pushers which start after this miss nothing.
    pub async fn begin(&mut self, pool: &PgPool) -> Result<()> {
        let (_, now) = outbox::now(pool).await?;
        self.seen = Some(now.snapshot);
        Ok(())
    }

    /// Notes that rights or blocks of an account have changed.
    pub fn note(&mut self) {
        self.is_due = true;
    }

    /// Waits until it is time for a look; forever if nothing has changed.
    pub async fn due(&self) {
        match self.is_due {
            true => sleep_until(self.looked_at + LOOK_EVERY).await,
            false => std::future::pending().await,
        }
    }

    /// Looks, and tells the pushers. What can't be looked up now is looked up later.
    pub async fn look(&mut self, pool: &PgPool) {
        self.looked_at = Instant::now();
        let Some(seen) = &self.seen else {
            self.is_due = false;
            return;
        };
        match Changed::since(pool, seen).await {
            Ok(changed) => {
                self.is_due = false;
                self.seen = Some(changed.until.clone());
                if !changed.accounts.is_empty() {
                    // The last pusher may have ended.
                    _ = self.changed.send(Arc::new(changed));
                }
            }
            Err(error) => tracing::debug!("can't look up whose rights have changed: {error:#}"),
        }
    }
}
