//! The stores of keys and values: one SQLite file by default, as in Spin, or Redis or Valkey by URL.

use anyhow::{Context as _, Result};
use redis::AsyncCommands;
use rusqlite::{OptionalExtension, params};
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The number of keys that are read from Redis in one step.
const SCAN_COUNT: usize = 1000;

/// The stores of all components. A label is a name within them.
pub enum Stores {
    /// A file of this machine.
    Sqlite(Arc<Mutex<rusqlite::Connection>>),
    /// A server that several machines share.
    Redis(redis::aio::ConnectionManager),
}

impl Stores {
    /// Opens the file, which is made if it is missing.
    ///
    /// # Errors
    /// The file cannot be written, or is not an SQLite database.
    pub fn sqlite(path: &Path) -> Result<Self> {
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let db = rusqlite::Connection::open(path)?;
            db.busy_timeout(std::time::Duration::from_secs(5))?;
            db.pragma_update(None, "journal_mode", "wal")?;
            db.pragma_update(None, "synchronous", "normal")?;
            db.execute_batch(
                "create table if not exists key_value (
                     store text not null, key text not null, value blob not null,
                     primary key (store, key)
                 ) without rowid",
            )?;
            Ok(db)
        };
        let db =
            open().with_context(|| format!("cannot open the key-value file {}", path.display()))?;
        Ok(Self::Sqlite(Arc::new(Mutex::new(db))))
    }

    /// Connects to Redis or Valkey: `redis://[user:password@]host[:port][/db]`.
    ///
    /// # Errors
    /// The URL is malformed, or nothing answers there.
    pub async fn redis(url: &str) -> Result<Self> {
        let client = redis::Client::open(url).context("the key-value URL is not a redis:// URL")?;
        let manager = redis::aio::ConnectionManager::new(client)
            .await
            .context("cannot reach the key-value server")?;
        Ok(Self::Redis(manager))
    }

    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn get(&self, label: String, key: String) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Sqlite(db) => {
                blocking(db, move |db| {
                    db.prepare_cached("select value from key_value where store = ?1 and key = ?2")?
                        .query_row(params![label, key], |row| row.get(0))
                        .optional()
                })
                .await
            }
            Self::Redis(redis) => Ok(redis.clone().get(redis_key(&label, &key)).await?),
        }
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn set(&self, label: String, key: String, value: Vec<u8>) -> Result<()> {
        match self {
            Self::Sqlite(db) => blocking(db, move |db| {
                db.prepare_cached(
                    "insert into key_value (store, key, value) values (?1, ?2, ?3)
                         on conflict (store, key) do update set value = excluded.value",
                )?
                .execute(params![label, key, value])
            })
            .await
            .map(drop),
            Self::Redis(redis) => Ok(redis.clone().set(redis_key(&label, &key), value).await?),
        }
    }

    /// Removes a key and its value.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn delete(&self, label: String, key: String) -> Result<()> {
        match self {
            Self::Sqlite(db) => blocking(db, move |db| {
                db.prepare_cached("delete from key_value where store = ?1 and key = ?2")?
                    .execute(params![label, key])
            })
            .await
            .map(drop),
            Self::Redis(redis) => Ok(redis.clone().del(redis_key(&label, &key)).await?),
        }
    }

    /// The keys of a store, in order.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn keys(&self, label: String) -> Result<Vec<String>> {
        match self {
            Self::Sqlite(db) => {
                blocking(db, move |db| {
                    db.prepare_cached("select key from key_value where store = ?1 order by key")?
                        .query_map(params![label], |row| row.get(0))?
                        .collect()
                })
                .await
            }
            Self::Redis(redis) => {
                let prefix = redis_key(&label, "");
                let mut connection = redis.clone();
                let options = redis::ScanOptions::default()
                    .with_pattern(format!("{}*", escape_glob(&prefix)))
                    .with_count(SCAN_COUNT);
                let mut found = connection.scan_options::<String>(options).await?;
                let mut keys = Vec::new();
                while let Some(key) = found.next_item().await {
                    keys.push(key?.split_off(prefix.len()));
                }
                // SCAN may repeat a key.
                keys.sort_unstable();
                keys.dedup();
                Ok(keys)
            }
        }
    }
}

fn redis_key(label: &str, key: &str) -> String {
    format!("gather:{label}:{key}")
}

/// Escapes a label for a Redis pattern, which is a glob, so that its characters match as they are.
fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

async fn blocking<R: Send + 'static>(
    db: &Arc<Mutex<rusqlite::Connection>>,
    work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<R> + Send + 'static,
) -> Result<R> {
    let db = db.clone();
    let done = tokio::task::spawn_blocking(move || {
        work(&db.lock().unwrap_or_else(PoisonError::into_inner))
    });
    Ok(done.await??)
}
