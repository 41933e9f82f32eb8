//! The parts of an interface: a grant for each component, state for each instance, and a view of that state
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
    /// The component's grant, the same for all its instances.
    type Grant: Send + Sync + 'static;
    /// Whether only components that do queued work may import it.
    const QUEUED_ONLY: bool = false;

    /// Reads the grant from the manifest.
    ///
    /// # Errors
    /// A setting of the component is wrong.
    fn grant(context: &GrantContext<'_>) -> Result<Self::Grant>;

    /// The state of a fresh instance, which uses the connections of the worker that it lives on.
    fn new(grant: &Arc<Self::Grant>, connections: &Connections) -> Self;

    /// Defines the interface's functions.
    ///
    /// # Errors
    /// A name is already defined.
    fn add_to_linker(
        linker: &mut Linker<Data>,
        view: fn(&mut Data) -> View<'_, Self>,
    ) -> wasmtime::Result<()>;
}

/// The settings from which the grants of one component are made.
pub struct GrantContext<'a> {
    /// The component, as the manifest has it.
    pub component: &'a Component,
    /// The application variables' values.
    pub variables: &'a BTreeMap<String, String>,
    /// The addresses that the component may reach.
    pub allowed_hosts: &'a Arc<AllowedHosts>,
    /// The key-value store behind every label.
    pub key_value: &'a Arc<Stores>,
    /// The number of PostgreSQL connections that its worker may hold, and the longest wait for one.
    pub database: PoolLimits,
    /// Whether calls of the database that hold the instance are allowed.
    pub blocking_database: bool,
    /// The guarded client of components that may reach public addresses only.
    pub outgoing: &'a Arc<Outgoing>,
    /// The mailer, if this process does queued work.
    pub mailer: Option<&'a Arc<Mailer>>,
}

/// The view that an interface's functions work on: its own state, and the guest's resources.
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
