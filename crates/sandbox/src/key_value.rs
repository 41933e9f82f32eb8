//! `wasi:keyvalue` of skills: a namespace for each skill, with a quota.

pub mod wit;

use crate::{
    inert::Used,
    keys::{Granted, PAGE, check_key},
};
use std::sync::atomic::Ordering::Relaxed;
use wasm::Data;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wit::{Bucket, Cas, CasError, Error, KeyResponse, atomics, batch, store};

/// The largest number of pairs in a batch.
const BATCH: usize = 1_000;
/// The largest answer to one call of the interface, and the most that compare-and-swap handles remember, in bytes.
const MAX_SHOWN: usize = 16 << 20;

/// The key-value store of one call.
pub struct KeyValue {
    granted: Option<Granted>,
    denied: Option<String>,
    used: Used,
    /// The number of bytes that compare-and-swap handles remember.
    remembered: usize,
}

impl KeyValue {
    /// Makes the store of one call.
    #[must_use]
    pub fn new(granted: Option<Granted>) -> Self {
        Self {
            granted,
            denied: None,
            used: Used::default(),
            remembered: 0,
        }
    }

    /// Whether the skill opened its store.
    #[must_use]
    pub fn was_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// Whether a request failed because the store could not be reached, or had no connection left.
    #[must_use]
    pub fn was_starved(&self) -> bool {
        self.granted.as_ref().is_some_and(Granted::was_starved)
    }

    /// The grant that the skill lacked, if it tried to use one.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.denied.clone()
    }

    fn granted(&self) -> Result<&Granted, Error> {
        self.granted.as_ref().ok_or(Error::AccessDenied)
    }
}

/// The memory of a compare-and-swap handle.
fn remembers(cas: &Cas) -> usize {
    cas.seen.as_ref().map_or(0, Vec::len)
}

fn too_much() -> Error {
    Error::Other(format!(
        "more than {BATCH} pairs or {} MiB at once",
        MAX_SHOWN >> 20
    ))
}

/// The state that the functions work on.
pub struct View<'a> {
    /// The store of the call.
    pub key_value: &'a mut KeyValue,
    /// The resources of the skill.
    pub table: &'a mut ResourceTable,
}

struct Marker;

impl HasData for Marker {
    type Data<'a> = View<'a>;
}

/// Defines `wasi:keyvalue`.
///
/// # Errors
/// A name is already defined.
pub fn add_to_linker(
    linker: &mut Linker<Data>,
    view: fn(&mut Data) -> View<'_>,
) -> wasmtime::Result<()> {
    store::add_to_linker::<_, Marker>(linker, view)?;
    atomics::add_to_linker::<_, Marker>(linker, view)?;
    batch::add_to_linker::<_, Marker>(linker, view)?;
    Ok(())
}

impl View<'_> {
    fn bucket(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<String> {
        Ok(self.table.get(bucket)?.0.clone())
    }
}

impl store::Host for View<'_> {
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

impl store::HostBucket for View<'_> {
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

impl atomics::Host for View<'_> {
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

impl atomics::HostCas for View<'_> {
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

impl batch::Host for View<'_> {
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

impl View<'_> {
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
    use crate::{engine, grant::Grant, keys::Backing, network::Network, refused::Reach, state};
    use skill::{Limits, Permissions};
    use std::{collections::BTreeMap, sync::Arc, time::Instant};
    use wasmtime::Store;

    fn store(max_bytes: u64) -> Store<Data> {
        let granted = Granted::new(Backing::Memory(Arc::default()), max_bytes);
        let grant = Grant {
            permissions: Permissions::default(),
            limits: Limits::default(),
            key_value: Some(granted),
            reach: Reach::default(),
        };
        let engine = engine::for_compiling().expect("an engine");
        let network = Arc::new(Network::new(None, BTreeMap::new()));
        state::store(&engine, &network, &grant, [0; 32], Instant::now()).expect("a store")
    }

    async fn open(state: &mut View<'_>) -> Resource<Bucket> {
        let bucket = store::Host::open(state, "b".to_owned()).await;
        bucket.expect("no trap").expect("granted")
    }

    fn again(bucket: &Resource<Bucket>) -> Resource<Bucket> {
        Resource::new_borrow(bucket.rep())
    }

    #[tokio::test]
    async fn reading_one_large_value_often_holds_it_only_so_often() {
        let mut store = store(10 << 20);
        let state = &mut state::of(store.data_mut()).key_values();
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
        let state = &mut state::of(store.data_mut()).key_values();
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
