//! What an interface is to the host: a grant for each component, state for each instance, and a view of that state
//! for the interface's functions.

use super::{connections::Connections, key_value::stores::Stores, postgres::pool::PoolLimits};
use crate::{mail::Mailer, manifest::Component, outbound::AllowedHosts};
use anyhow::Result;
use outgoing::Outgoing;
use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};
use wasm::Data;
use wasmtime::component::{HasData, Linker, ResourceTable};

/// An interface that components may import: the type is its state in one instance. The list of all of them stands in
/// `state.rs`.
pub trait Interface: Sized + Send + 'static {
    /// What the component may use of it, the same for all its instances.
    type Grant: Send + Sync + 'static;
    /// Whether only components that do queued work may import it.
    const QUEUED_ONLY: bool = false;

    /// Reads the grant from the manifest.
    ///
    /// # Errors
    /// Whatever is wrong with the component's settings.
    fn grant(context: &GrantContext<'_>) -> Result<Self::Grant>;

    /// The state of a fresh instance, which uses the connections of the worker that it lives on.
    fn new(grant: &Arc<Self::Grant>, connections: &Connections) -> Self;

    /// Defines the interface's functions.
    ///
    /// # Errors
    /// A name that is defined already.
    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()>;
}

/// What the grants of one component are made from.
pub struct GrantContext<'a> {
    /// The component, as the manifest has it.
    pub component: &'a Component,
    /// The application variables' values.
    pub variables: &'a BTreeMap<String, String>,
    /// The addresses that the component may reach.
    pub allowed_hosts: &'a Arc<AllowedHosts>,
    /// The key-value store behind every label.
    pub key_value: &'a Arc<Stores>,
    /// The PostgreSQL connections that its worker may hold, and how long to wait for one.
    pub database: PoolLimits,
    /// Whether the database may be asked by calls that hold the instance.
    pub blocking_database: bool,
    /// The way out of components that may reach public addresses only.
    pub outgoing: &'a Arc<Outgoing>,
    /// Sends mail, where queued work is done.
    pub mailer: Option<&'a Arc<Mailer>>,
}

/// What an interface's functions work on: its own state, and the guest's resources.
pub struct View<'a, S> {
    /// The interface's state.
    pub own: &'a mut S,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names the view of an interface to the generated code.
pub struct In<S>(PhantomData<fn() -> S>);

impl<S: 'static> HasData for In<S> {
    type Data<'a> = View<'a, S>;
}
