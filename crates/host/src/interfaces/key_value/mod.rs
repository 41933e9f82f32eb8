//! `spin:key-value@3.0.0`: the stores whose labels are in the component's `key_value_stores`, and no others.

pub mod stores;

use super::interface::{GrantContext, In, Interface, View};
use crate::interfaces::connections::Connections;
use anyhow::Result;
use std::sync::Arc;
use stores::Stores;
use wasm::Data;
use wasmtime::component::{Accessor, FutureReader, Linker, Resource, StreamReader};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import spin:key-value/key-value@3.0.0;",
        imports: { default: async | trappable },
        with: { "spin:key-value/key-value.store": super::Store },
        require_store_data_send: true,
    });
}
use generated::spin::key_value::key_value;

/// A store that a guest has opened.
pub struct Store {
    label: String,
}

/// The stores that a component may open.
pub struct Grant {
    labels: Vec<String>,
    stores: Arc<Stores>,
}

/// The interface in one instance.
pub struct KeyValue(Arc<Grant>);

impl Interface for KeyValue {
    type Grant = Grant;

    fn grant(context: &GrantContext<'_>) -> Result<Grant> {
        Ok(Grant {
            labels: context.component.key_value_stores.clone(),
            stores: context.key_value.clone(),
        })
    }

    fn new(grant: &Arc<Grant>, _: &Connections) -> Self {
        Self(grant.clone())
    }

    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()> {
        key_value::add_to_linker::<_, In<Self>>(linker, view)
    }
}

/// Logs the reason of a failure; the guest learns only that the store failed.
fn failed(error: anyhow::Error) -> key_value::Error {
    tracing::error!(%error, "the key-value store failed");
    key_value::Error::Other("the key-value store failed".into())
}

/// The stores and the label that a resource names.
fn opened<T>(
    accessor: &Accessor<T, In<KeyValue>>,
    store: &Resource<Store>,
) -> wasmtime::Result<(Arc<Stores>, String)> {
    accessor.with(|mut access| {
        let view = access.get();
        let label = view.table.get(store)?.label.clone();
        Ok((view.own.0.stores.clone(), label))
    })
}

impl key_value::Host for View<'_, KeyValue> {}

impl key_value::HostStore for View<'_, KeyValue> {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: Send + 'static> key_value::HostStoreWithStore<T> for In<KeyValue> {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Store>, key_value::Error>> {
        accessor.with(|mut access| {
            let view = access.get();
            if !view.own.0.labels.contains(&label) {
                return Ok(Err(key_value::Error::AccessDenied));
            }
            let store = view.table.push(Store { label });
            Ok(store.map_err(|_| key_value::Error::StoreTableFull))
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, key_value::Error>> {
        let (stores, label) = opened(accessor, &store)?;
        Ok(stores.get(label, key).await.map_err(failed))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), key_value::Error>> {
        let (stores, label) = opened(accessor, &store)?;
        Ok(stores.set(label, key, value).await.map_err(failed))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<(), key_value::Error>> {
        let (stores, label) = opened(accessor, &store)?;
        Ok(stores.delete(label, key).await.map_err(failed))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
        key: String,
    ) -> wasmtime::Result<Result<bool, key_value::Error>> {
        let (stores, label) = opened(accessor, &store)?;
        let value = stores.get(label, key).await.map_err(failed);
        Ok(value.map(|value| value.is_some()))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Store>,
    ) -> wasmtime::Result<(
        StreamReader<String>,
        FutureReader<Result<(), key_value::Error>>,
    )> {
        let (stores, label) = opened(accessor, &store)?;
        let (keys, outcome) = match stores.keys(label).await {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (Vec::new(), Err(failed(error))),
        };
        accessor.with(|mut access| {
            let keys = StreamReader::new(&mut access, keys)?;
            let outcome =
                FutureReader::new(&mut access, async move { wasmtime::error::Ok(outcome) })?;
            Ok((keys, outcome))
        })
    }
}
