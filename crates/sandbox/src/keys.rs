//! The keys of skills and their quota: in PostgreSQL, where every sandbox sees the same, or in memory, for
//! an author's own machine and for the calls of a review.

use crate::{
    inert::Used,
    key_value::wit::{Cas, Error},
};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
};
use uuid::Uuid;

/// The number of keys on a page of a list.
pub const PAGE: usize = 100;
/// The bytes that a pair counts besides its bucket, key and value, about the overhead of a row.
const PAIR_BYTES: u64 = 64;

/// The values by bucket and key.
#[derive(Default)]
pub struct Keys {
    values: BTreeMap<(String, String), Vec<u8>>,
    /// The size of all pairs, as the quota counts it.
    bytes: u64,
}

/// The store of a skill's keys.
#[derive(Clone)]
pub enum Backing {
    /// The keys are in the platform's database.
    Database(PgPool, Uuid),
    /// The keys are in this process.
    Memory(Arc<Mutex<Keys>>),
}

/// The key-value grant of a call: the store of its keys, and their largest size together.
#[derive(Clone)]
pub struct Granted {
    backing: Backing,
    /// The quota of buckets, keys and values together, with 64 bytes for each pair.
    max_bytes: u64,
    /// Whether the store could not be reached, or had no connection left.
    starved: Used,
}

impl Granted {
    /// Makes the store of one call, with its quota.
    #[must_use]
    pub fn new(backing: Backing, max_bytes: u64) -> Self {
        Self {
            backing,
            max_bytes,
            starved: Used::default(),
        }
    }

    /// Whether a request failed because the store could not be reached, or had no connection left.
    #[must_use]
    pub fn was_starved(&self) -> bool {
        self.starved.load(Relaxed)
    }

    /// Logs the reason of a failure; the skill learns only that the store failed.
    fn failed(&self, error: sqlx::Error) -> Error {
        tracing::error!(%error, "a skill's key-value store failed");
        self.starved.store(true, Relaxed);
        Error::Other("the store can't be reached at the moment".to_owned())
    }

    /// The quota in the database's type.
    fn quota(&self) -> i64 {
        i64::try_from(self.max_bytes).unwrap_or(i64::MAX)
    }

    /// Reads a value.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.backing {
            Backing::Memory(keys) => {
                let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(keys.get(bucket, key).cloned())
            }
            Backing::Database(pool, skill) => sqlx::query_scalar(
                "select value from skills.kv where skill_id = $1 and bucket = $2 and key = $3",
            )
            .bind(skill)
            .bind(bucket)
            .bind(key)
            .fetch_optional(pool)
            .await
            .map_err(|error| self.failed(error)),
        }
    }

    /// Sets or deletes a value.
    ///
    /// # Errors
    /// The key is not valid, there is no room, or the store can't be reached.
    pub async fn put(&self, bucket: &str, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
        check_key(key)?;
        let fits = match &self.backing {
            Backing::Memory(keys) => {
                let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                keys.put(bucket, key, value, self.max_bytes)
            }
            Backing::Database(pool, skill) => {
                sqlx::query_scalar("select skills.kv_put($1, $2, $3, $4, $5)")
                    .bind(skill)
                    .bind(bucket)
                    .bind(key)
                    .bind(value)
                    .bind(self.quota())
                    .fetch_one(pool)
                    .await
                    .map_err(|error| self.failed(error))?
            }
        };
        if fits { Ok(()) } else { Err(full()) }
    }

    /// Lists a page of the keys after a key.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn list(&self, bucket: &str, after: &str) -> Result<Vec<String>, Error> {
        match &self.backing {
            Backing::Memory(keys) => {
                let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                let after = (Bound::Excluded((bucket.to_owned(), after.to_owned())), Bound::Unbounded);
                let keys = keys.values.range(after).take_while(|((b, _), _)| b == bucket);
                Ok(keys.map(|((_, key), _)| key.clone()).take(PAGE).collect())
            }
            Backing::Database(pool, skill) => sqlx::query_scalar(
                "select key from skills.kv where skill_id = $1 and bucket = $2 and key > $3 order by key limit $4",
            )
            .bind(skill)
            .bind(bucket)
            .bind(after)
            .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
            .fetch_all(pool)
            .await
            .map_err(|error| self.failed(error)),
        }
    }

    /// Adds to a number that is kept as text, and returns the sum.
    ///
    /// # Errors
    /// The key is not valid, the value is not a number, there is no room, or the store can't be reached.
    pub async fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, Error> {
        check_key(key)?;
        let added: Option<i64> = match &self.backing {
            Backing::Memory(keys) => {
                let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                let current = keys.get(bucket, key).map_or(Some(0), |value| {
                    std::str::from_utf8(value).ok()?.parse().ok()
                });
                let sum = current.and_then(|current: i64| current.checked_add(delta));
                sum.filter(|sum| {
                    keys.put(
                        bucket,
                        key,
                        Some(sum.to_string().as_bytes()),
                        self.max_bytes,
                    )
                })
            }
            Backing::Database(pool, skill) => {
                sqlx::query_scalar("select skills.kv_increment($1, $2, $3, $4, $5)")
                    .bind(skill)
                    .bind(bucket)
                    .bind(key)
                    .bind(delta)
                    .bind(self.quota())
                    .fetch_one(pool)
                    .await
                    .map_err(|error| self.failed(error))?
            }
        };
        added.ok_or_else(|| {
            Error::Other("the value is not a number, or the quota is used up".to_owned())
        })
    }

    /// Replaces a value if it is still the one that was read. Returns whether it was.
    ///
    /// # Errors
    /// There is no room, or the store can't be reached.
    pub async fn swap(&self, cas: &Cas, value: &[u8]) -> Result<bool, Error> {
        let outcome: String = match &self.backing {
            Backing::Memory(keys) => {
                let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
                if keys.get(&cas.bucket, &cas.key) != cas.seen.as_ref() {
                    return Ok(false);
                }
                let fits = keys.put(&cas.bucket, &cas.key, Some(value), self.max_bytes);
                if fits { "done" } else { "full" }.to_owned()
            }
            Backing::Database(pool, skill) => {
                sqlx::query_scalar("select skills.kv_swap($1, $2, $3, $4, $5, $6)")
                    .bind(skill)
                    .bind(&cas.bucket)
                    .bind(&cas.key)
                    .bind(&cas.seen)
                    .bind(value)
                    .bind(self.quota())
                    .fetch_one(pool)
                    .await
                    .map_err(|error| self.failed(error))?
            }
        };
        match outcome.as_str() {
            "done" => Ok(true),
            "full" => Err(full()),
            _ => Ok(false),
        }
    }
}

impl Keys {
    fn get(&self, bucket: &str, key: &str) -> Option<&Vec<u8>> {
        self.values.get(&(bucket.to_owned(), key.to_owned()))
    }

    /// Sets or deletes a value, as `skills.kv_put` does. Returns whether there is room for it.
    fn put(&mut self, bucket: &str, key: &str, value: Option<&[u8]>, max_bytes: u64) -> bool {
        let size = |value: &[u8]| (bucket.len() + key.len() + value.len()) as u64 + PAIR_BYTES;
        let before = self.get(bucket, key).map_or(0, |value| size(value));
        let after = value.map_or(0, size);
        let total = self.bytes - before + after;
        if after > before && total > max_bytes {
            return false;
        }
        let place = (bucket.to_owned(), key.to_owned());
        match value {
            Some(value) => self.values.insert(place, value.to_vec()),
            None => self.values.remove(&place),
        };
        self.bytes = total;
        true
    }
}

/// Checks that a text can be a key.
///
/// # Errors
/// The text can't be a key.
pub fn check_key(key: &str) -> Result<(), Error> {
    if key.is_empty() || key.len() > 1024 || key.contains('\0') {
        return Err(Error::Other(
            "a key has 1 to 1,024 bytes, none of them zero".to_owned(),
        ));
    }
    Ok(())
}

fn full() -> Error {
    Error::Other("the quota of this skill's key-value store is used up".to_owned())
}
