//! The store of components, in PostgreSQL or in an object store. Each component is stored once, by digest. Its reader
//! checks the digest.

use anyhow::Context;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use sqlx::{PgConnection, PgPool};
use std::sync::Arc;
use url::Url;

/// The reason why a component was not stored or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageError {
    /// All connections to the database are in use.
    Busy,
    /// The database or the object store can't be reached, or has no room at this moment. The text names it and the
    /// reason.
    Unavailable(String),
    /// Any other failure, which is the platform's fault.
    Failed(String),
}

/// The result of a request to the store.
type Result<T> = std::result::Result<T, StorageError>;

impl std::fmt::Display for StorageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => out.write_str("all connections to the database are in use"),
            Self::Unavailable(why) | Self::Failed(why) => out.write_str(why),
        }
    }
}

impl std::error::Error for StorageError {}

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        let why = format!("the database: {error}");
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unavailable(why),
            // Connection exceptions, transactions given up for others, resources used up, operator's intervention
            // (which a statement's time-out is, too).
            sqlx::Error::Database(error)
                if error.code().is_some_and(|code| {
                    ["08", "40", "53", "57"]
                        .iter()
                        .any(|class| code.starts_with(class))
                }) =>
            {
                Self::Unavailable(why)
            }
            _ => Self::Failed(why),
        }
    }
}

impl From<object_store::Error> for StorageError {
    fn from(error: object_store::Error) -> Self {
        let why = format!("the object store: {error}");
        match error {
            // The requests' errors, after all repetitions.
            object_store::Error::Generic { .. } | object_store::Error::JoinError { .. } => {
                Self::Unavailable(why)
            }
            _ => Self::Failed(why),
        }
    }
}

/// Stores components.
pub struct Storage {
    pool: PgPool,
    objects: Option<(Arc<dyn ObjectStore>, Path)>,
}

impl Storage {
    /// Makes the store in the database, or in the object store at `url`: `s3://bucket/folder`, with its credentials,
    /// region and endpoint among the `variables`, by their usual names (`AWS_…`).
    ///
    /// # Errors
    /// The address is not an object store's.
    pub fn new(
        pool: PgPool,
        url: Option<&Url>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let environment = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("AWS_"));
        let objects = match url {
            Some(url) => {
                // Fails where it is done already.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let (store, path) =
                    object_store::parse_url_opts(url, environment).with_context(|| {
                        format!(
                            "{}://… is not an object store that can be used",
                            url.scheme()
                        )
                    })?;
                Some((Arc::from(store), path))
            }
            None => None,
        };
        Ok(Self { pool, objects })
    }

    /// Stores a component, unless it is already stored.
    ///
    /// # Errors
    /// The store fails.
    pub async fn put(&self, digest: &str, wasm: &[u8]) -> Result<()> {
        let size = i64::try_from(wasm.len()).unwrap_or(i64::MAX);
        // Known again, it is new again: the sweep leaves it alone until a version refers to it.
        let known = sqlx::query("update skills.component set created_at = now() where digest = $1")
            .bind(digest)
            .execute(&self.pool)
            .await?;
        if known.rows_affected() == 1 {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        // The object first: a row without one would be a promise that is not kept.
        if let Some((store, folder)) = &self.objects {
            alone(&mut transaction, digest).await?;
            store
                .put(&object(folder, digest), PutPayload::from(wasm.to_vec()))
                .await?;
        }
        let bytes = self.objects.is_none().then_some(wasm);
        sqlx::query("insert into skills.component (digest, size_bytes, bytes) values ($1, $2, $3) on conflict do nothing")
            .bind(digest)
            .bind(size)
            .bind(bytes)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Reads a component, if it is stored.
    ///
    /// # Errors
    /// The store fails.
    pub async fn get(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        let row: Option<(Option<Vec<u8>>,)> =
            sqlx::query_as("select bytes from skills.component where digest = $1")
                .bind(digest)
                .fetch_optional(&self.pool)
                .await?;
        match (row, &self.objects) {
            (None, _) => Ok(None),
            (Some((Some(bytes),)), _) => Ok(Some(bytes)),
            (Some((None,)), Some((store, folder))) => {
                let object = store.get(&object(folder, digest)).await?;
                Ok(Some(object.bytes().await?.to_vec()))
            }
            (Some((None,)), None) => {
                let why = format!("{digest} is in an object store, and none is configured");
                Err(StorageError::Failed(why))
            }
        }
    }

    /// Deletes components that nothing has referred to for a day. Returns their number.
    ///
    /// # Errors
    /// The store fails.
    pub async fn sweep(&self) -> Result<usize> {
        let forgotten: Vec<String> = sqlx::query_scalar("select skills.sweep()")
            .fetch_all(&self.pool)
            .await?;
        if let Some((store, folder)) = &self.objects {
            for digest in &forgotten {
                let mut transaction = self.pool.begin().await?;
                alone(&mut transaction, digest).await?;
                if !is_known(&mut transaction, digest).await? {
                    store.delete(&object(folder, digest)).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(forgotten.len())
    }
}

/// Locks an object, so that an upload and the sweep do not change it at the same time.
async fn alone(transaction: &mut PgConnection, digest: &str) -> Result<()> {
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 2))")
        .bind(digest)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn is_known(transaction: &mut PgConnection, digest: &str) -> Result<bool> {
    let known =
        sqlx::query_scalar("select exists (select from skills.component where digest = $1)")
            .bind(digest)
            .fetch_one(transaction)
            .await?;
    Ok(known)
}

fn object(folder: &Path, digest: &str) -> Path {
    folder
        .clone()
        .join(format!("{}.wasm", digest.trim_start_matches("sha256:")))
}
