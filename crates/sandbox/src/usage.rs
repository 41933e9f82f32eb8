//! The number of calls by skill and account. They are counted here and added up in the database now and then, so that
//! no call waits for it. A sandbox that is killed loses the counts of the last seconds.

use anyhow::Result;
use serde_json::json;
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

/// The number of pairs of skill and account that are counted between two visits to the database.
const MAX_COUNTED: usize = 100_000;

#[derive(Default)]
struct Count {
    calls: u64,
    failures: u64,
}

/// Counts calls.
#[derive(Default)]
pub struct Counter(Mutex<HashMap<(Uuid, Uuid), Count>>);

impl Counter {
    /// Counts one call.
    pub fn count(&self, skill: Uuid, account: Uuid, failed: bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_COUNTED && !counts.contains_key(&(skill, account)) {
            return;
        }
        let count = counts.entry((skill, account)).or_default();
        count.calls += 1;
        count.failures += u64::from(failed);
    }

    /// Adds the counts up in the database, and keeps them if that fails.
    ///
    /// # Errors
    /// The database failed.
    pub async fn flush(&self, pool: &PgPool) -> Result<()> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = counts
            .iter()
            .map(|((skill, account), count)| {
                json!({"skill_id": skill, "account_id": account, "calls": count.calls, "failures": count.failures})
            })
            .collect();
        let recorded = sqlx::query("select skills.record_usage($1)")
            .bind(json!(rows))
            .execute(pool)
            .await;
        if let Err(error) = recorded {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in counts {
                let sum = current.entry(key).or_default();
                sum.calls += count.calls;
                sum.failures += count.failures;
            }
            return Err(error.into());
        }
        Ok(())
    }
}
