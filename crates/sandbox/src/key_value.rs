//! `wasi:keyvalue` of skills: a namespace for each skill, with a quota. In PostgreSQL, where every
//! sandbox sees the same; or in memory, for an author's own machine.

use crate::{inert::Used, state::State};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
};
use uuid::Uuid;
use wasmtime::component::{HasData, Linker, Resource};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue@0.2.0-draft2",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
        require_store_data_send: true,
    });
}
use generated::wasi::keyvalue::{
    atomics::{self, CasError},
    batch,
    store::{self, Error, KeyResponse},
};

/// Keys of one page of a list.
const PAGE: usize = 100;

/// Pairs of one batch.
const BATCH: usize = 1_000;
/// What a call may be shown at once, and what its compare-and-swap handles may remember together, in bytes.
const MAX_SHOWN: usize = 16 << 20;
/// What a pair counts beside its bucket, key and value: about what a row takes.
const PAIR_BYTES: u64 = 64;

/// Values by bucket and key.
#[derive(Default)]
pub struct Keys {
    values: BTreeMap<(String, String), Vec<u8>>,
    /// Of all, as the quota counts them.
    bytes: u64,
}

/// Where a skill's keys are.
#[derive(Clone)]
pub enum Backing {
    /// In the platform's database.
    Database(PgPool, Uuid),
    /// In this process.
    Memory(Arc<Mutex<Keys>>),
}

/// What a call was granted: where its keys are, and how large they may become together.
#[derive(Clone)]
pub struct Granted {
    /// Where.
    pub backing: Backing,
    /// Buckets, keys and values together, and 64 bytes for each pair.
    pub max_bytes: u64,
}

/// The key-value store of one call.
pub struct KeyValue {
    granted: Option<Granted>,
    denied: Option<String>,
    used: Used,
    /// Bytes that compare-and-swap handles remember.
    remembered: usize,
}

/// An open bucket.
pub struct Bucket(String);

/// A value that was seen, to be replaced if it still is the same.
pub struct Cas {
    bucket: String,
    key: String,
    seen: Option<Vec<u8>>,
}

impl KeyValue {
    /// For one call.
    #[must_use]
    pub fn new(granted: Option<Granted>) -> Self {
        Self {
            granted,
            denied: None,
            used: Used::default(),
            remembered: 0,
        }
    }

    /// Whether it was opened.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// What the skill reached for and may not.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.denied.clone()
    }

    fn granted(&self) -> Result<&Granted, Error> {
        self.granted.as_ref().ok_or(Error::AccessDenied)
    }
}

impl Granted {
    async fn get(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
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
            .map_err(failed),
        }
    }

    /// Sets or deletes.
    async fn put(&self, bucket: &str, key: &str, value: Option<&[u8]>) -> Result<(), Error> {
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
                    .bind(i64::try_from(self.max_bytes).unwrap_or(i64::MAX))
                    .fetch_one(pool)
                    .await
                    .map_err(failed)?
            }
        };
        if fits { Ok(()) } else { Err(full()) }
    }

    async fn list(&self, bucket: &str, after: &str) -> Result<Vec<String>, Error> {
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
            .map_err(failed),
        }
    }

    async fn increment(&self, bucket: &str, key: &str, delta: i64) -> Result<i64, Error> {
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
                    .bind(i64::try_from(self.max_bytes).unwrap_or(i64::MAX))
                    .fetch_one(pool)
                    .await
                    .map_err(failed)?
            }
        };
        added.ok_or_else(|| {
            Error::Other("the value is no number, or the quota is used up".to_owned())
        })
    }

    /// Replaces a value that is still the one that was seen; answers whether it was.
    async fn swap(&self, cas: &Cas, value: &[u8]) -> Result<bool, Error> {
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
                    .bind(i64::try_from(self.max_bytes).unwrap_or(i64::MAX))
                    .fetch_one(pool)
                    .await
                    .map_err(failed)?
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

    /// Sets or deletes; answers whether there is room for it. As `skills.kv_put` does it.
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

/// What a compare-and-swap handle remembers.
fn remembers(cas: &Cas) -> usize {
    cas.seen.as_ref().map_or(0, Vec::len)
}

fn too_much() -> Error {
    Error::Other(format!(
        "more than {BATCH} pairs or {} MiB at once",
        MAX_SHOWN >> 20
    ))
}

fn check_key(key: &str) -> Result<(), Error> {
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

/// The log is told what happened, the skill only that it did.
fn failed(error: sqlx::Error) -> Error {
    tracing::error!(%error, "a skill's key-value store failed");
    Error::Other("the store can't be reached at the moment".to_owned())
}

struct Marker;

impl HasData for Marker {
    type Data<'a> = &'a mut State;
}

/// Defines `wasi:keyvalue`.
///
/// # Errors
/// A name that is defined already.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Marker>(linker, |state| state)?;
    atomics::add_to_linker::<_, Marker>(linker, |state| state)?;
    batch::add_to_linker::<_, Marker>(linker, |state| state)?;
    Ok(())
}

impl State {
    fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<String> {
        Ok(self.table.get(bucket)?.0.clone())
    }
}

impl store::Host for State {
    async fn open(
        &mut self,
        identifier: String,
    ) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        self.key_value.used.store(true, Relaxed);
        if self.key_value.granted.is_none() {
            self.key_value.denied.get_or_insert_with(|| {
                "a key-value store, which is not among its permissions".to_owned()
            });
            return Ok(Err(Error::AccessDenied));
        }
        if identifier.len() > 100 || identifier.contains('\0') {
            return Ok(Err(Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket(identifier))?))
    }
}

impl store::HostBucket for State {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(match self.key_value.granted() {
            Ok(granted) => granted.get(&bucket, &key).await,
            Err(error) => Err(error),
        })
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(match self.key_value.granted() {
            Ok(granted) => granted.put(&bucket, &key, Some(&value)).await,
            Err(error) => Err(error),
        })
    }

    async fn delete(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(match self.key_value.granted() {
            Ok(granted) => granted.put(&bucket, &key, None).await,
            Err(error) => Err(error),
        })
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(match self.key_value.granted() {
            Ok(granted) => granted
                .get(&bucket, &key)
                .await
                .map(|value| value.is_some()),
            Err(error) => Err(error),
        })
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let bucket = self.bucket(&bucket)?;
        let granted = match self.key_value.granted() {
            Ok(granted) => granted,
            Err(error) => return Ok(Err(error)),
        };
        let keys = granted
            .list(&bucket, cursor.as_deref().unwrap_or_default())
            .await;
        Ok(keys.map(|keys| {
            let cursor = if keys.len() == PAGE {
                keys.last().cloned()
            } else {
                None
            };
            KeyResponse { keys, cursor }
        }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let bucket = self.bucket(&bucket)?;
        Ok(match self.key_value.granted() {
            Ok(granted) => granted.increment(&bucket, &key, delta).await,
            Err(error) => Err(error),
        })
    }

    async fn swap(
        &mut self,
        cas: Resource<Cas>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), CasError>> {
        let mut cas = self.table.delete(cas)?;
        self.key_value.remembered -= remembers(&cas);
        let granted = match self.key_value.granted() {
            Ok(granted) => granted.clone(),
            Err(error) => return Ok(Err(CasError::StoreError(error))),
        };
        match granted.swap(&cas, &value).await {
            Ok(true) => Ok(Ok(())),
            Ok(false) => match granted.get(&cas.bucket, &cas.key).await {
                Ok(seen) => {
                    cas.seen = seen;
                    Ok(Err(match self.remember(cas)? {
                        Ok(cas) => CasError::CasFailed(cas),
                        Err(error) => CasError::StoreError(error),
                    }))
                }
                Err(error) => Ok(Err(CasError::StoreError(error))),
            },
            Err(error) => Ok(Err(CasError::StoreError(error))),
        }
    }
}

impl atomics::HostCas for State {
    async fn new(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
        let bucket = self.bucket(&bucket)?;
        let seen = match self.key_value.granted() {
            Ok(granted) => granted.get(&bucket, &key).await,
            Err(error) => Err(error),
        };
        match seen.and_then(|seen| check_key(&key).map(|()| seen)) {
            Ok(seen) => self.remember(Cas { bucket, key, seen }),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn current(
        &mut self,
        cas: Resource<Cas>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(Ok(self.table.get(&cas)?.seen.clone()))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        let cas = self.table.delete(cas)?;
        self.key_value.remembered -= remembers(&cas);
        Ok(())
    }
}

impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<(String, Option<Vec<u8>>)>, Error>> {
        let bucket = self.bucket(&bucket)?;
        let granted = match self.key_value.granted() {
            Ok(granted) => granted,
            Err(error) => return Ok(Err(error)),
        };
        if keys.len() > BATCH {
            return Ok(Err(too_much()));
        }
        let (mut found, mut shown) = (Vec::with_capacity(keys.len()), 0);
        for key in keys {
            match granted.get(&bucket, &key).await {
                Ok(value) => {
                    shown += value.as_ref().map_or(0, Vec::len);
                    found.push((key, value));
                }
                Err(error) => return Ok(Err(error)),
            }
            if shown > MAX_SHOWN {
                return Ok(Err(too_much()));
            }
        }
        Ok(Ok(found))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let pairs = pairs
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        self.put_many(&bucket, pairs).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let keys = keys.into_iter().map(|key| (key, None)).collect();
        self.put_many(&bucket, keys).await
    }
}

impl State {
    fn remember(&mut self, cas: Cas) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
        let after = self.key_value.remembered + remembers(&cas);
        if after > MAX_SHOWN {
            return Ok(Err(too_much()));
        }
        let cas = self.table.push(cas)?;
        self.key_value.remembered = after;
        Ok(Ok(cas))
    }

    async fn put_many(
        &mut self,
        bucket: &Resource<Bucket>,
        pairs: Vec<(String, Option<Vec<u8>>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let bucket = self.bucket(bucket)?;
        let granted = match self.key_value.granted() {
            Ok(granted) => granted,
            Err(error) => return Ok(Err(error)),
        };
        if pairs.len() > BATCH {
            return Ok(Err(too_much()));
        }
        for (key, value) in pairs {
            if let Err(error) = granted.put(&bucket, &key, value.as_deref()).await {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::Grant, engine, network::Network, state};
    use skill::{Limits, Permissions};
    use std::{collections::BTreeMap, time::Instant};
    use wasmtime::Store;

    fn store(max_bytes: u64) -> Store<State> {
        let granted = Granted {
            backing: Backing::Memory(Arc::default()),
            max_bytes,
        };
        let grant = Grant {
            permissions: Permissions::default(),
            limits: Limits::default(),
            key_value: Some(granted),
        };
        let engine = engine::for_compiling().expect("an engine");
        let network = Arc::new(Network::new(None, BTreeMap::new()));
        state::store(&engine, &network, &grant, [0; 32], Instant::now()).expect("a store")
    }

    async fn open(state: &mut State) -> Resource<Bucket> {
        let bucket = store::Host::open(state, "b".to_owned()).await;
        bucket.expect("no trap").expect("granted")
    }

    fn again(bucket: &Resource<Bucket>) -> Resource<Bucket> {
        Resource::new_borrow(bucket.rep())
    }

    #[tokio::test]
    async fn reading_one_large_value_often_holds_it_only_so_often() {
        let mut store = store(10 << 20);
        let state = store.data_mut();
        let bucket = open(state).await;
        let value = vec![7; 5 << 20];
        let set = store::HostBucket::set(state, again(&bucket), "k".to_owned(), value).await;
        assert!(set.expect("no trap").is_ok());
        let few = batch::Host::get_many(state, again(&bucket), vec!["k".to_owned(); 3]).await;
        assert!(few.expect("no trap").is_ok());
        for often in [4, BATCH + 1] {
            let keys = vec!["k".to_owned(); often];
            let many = batch::Host::get_many(state, again(&bucket), keys).await;
            assert!(many.expect("no trap").is_err(), "{often}");
        }
        let mut handles = Vec::new();
        for at in 0..10 {
            let cas = atomics::HostCas::new(state, again(&bucket), "k".to_owned()).await;
            match cas.expect("no trap") {
                Ok(cas) => handles.push(cas),
                Err(_) => assert_eq!(at, 3, "three fit"),
            }
            if at == 3 {
                let first = handles.remove(0);
                atomics::HostCas::drop(state, first)
                    .await
                    .expect("it is there");
                break;
            }
        }
        let cas = atomics::HostCas::new(state, again(&bucket), "k".to_owned()).await;
        assert!(cas.expect("no trap").is_ok(), "one was dropped");
    }

    #[tokio::test]
    async fn the_quota_counts_buckets_and_pairs_and_forgets_what_is_deleted() {
        let mut store = store(1_000);
        let state = store.data_mut();
        let bucket = open(state).await;
        let pairs = |count: usize| {
            (0..count)
                .map(|n| (format!("{n:04}"), Vec::new()))
                .collect()
        };
        let set = batch::Host::set_many(state, again(&bucket), pairs(15)).await;
        assert!(set.expect("no trap").is_err(), "69 bytes each");
        let keys = (0..15).map(|n| format!("{n:04}")).collect();
        let deleted = batch::Host::delete_many(state, again(&bucket), keys).await;
        assert!(deleted.expect("no trap").is_ok());
        let set = batch::Host::set_many(state, again(&bucket), pairs(14)).await;
        assert!(set.expect("no trap").is_ok());
        let set = batch::Host::set_many(state, again(&bucket), pairs(BATCH + 1)).await;
        assert!(set.expect("no trap").is_err(), "a batch too large");
    }
}
