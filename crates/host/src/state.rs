//! The state that an instance's host functions work on, and the list of all interfaces.

use crate::interfaces::{
    connections::Connections,
    http::Outbound,
    interface::{GrantContext, Interface, View},
    jobs::Jobs,
    key_value::KeyValue,
    mail::Outgoing,
    postgres::Postgres,
    variables::Variables,
};
use anyhow::Result;
use std::sync::Arc;
use wasm::{Data, Views};
use wasmtime::{
    Engine, ResourceLimiter, StoreLimits, StoreLimitsBuilder,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The largest number of resources that a guest may hold at the same time. A guest that leaks more traps.
const MAX_RESOURCES: usize = 10_000;

/// Takes the list of interfaces. A component's grants, the state of an instance and the linker's definitions
/// follow from it.
macro_rules! interfaces {
    ($($name:ident: $state:ty,)*) => {
        /// A component's grants of each interface, the same for all its instances.
        pub struct Grants {
            $($name: Arc<<$state as Interface>::Grant>,)*
        }

        /// Each interface's state in one instance.
        pub struct Interfaces {
            $(
                #[doc = concat!("The state of `", stringify!($state), "`.")]
                pub $name: $state,
            )*
        }

        impl Grants {
            /// Reads a component's grants.
            ///
            /// # Errors
            /// As [`Interface::grant`].
            pub fn new(context: &GrantContext<'_>) -> Result<Self> {
                Ok(Self { $($name: Arc::new(<$state>::grant(context)?),)* })
            }

            fn instance(&self, connections: &Connections) -> Interfaces {
                Interfaces { $($name: <$state>::new(&self.$name, connections),)* }
            }
        }

        fn add_to_linker(linker: &mut Linker<Data>, queued: bool) -> wasmtime::Result<()> {
            $(
                if queued || !<$state>::QUEUED_ONLY {
                    <$state>::add_to_linker(linker, |data| {
                        let state = of(data);
                        View { own: &mut state.interfaces.$name, table: &mut state.table }
                    })?;
                }
            )*
            Ok(())
        }
    };
}

interfaces! {
    variables: Variables,
    key_value: KeyValue,
    postgres: Postgres,
    http: Outbound,
    jobs: Jobs,
    mail: Outgoing,
}

/// Everything that one instance's host functions work on.
pub struct State {
    /// The state of each interface.
    pub interfaces: Interfaces,
    /// The bound on linear memory.
    pub memory: Memory,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

/// The bound on linear memory, and whether the guest has reached it.
pub struct Memory {
    limits: StoreLimits,
    refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = self.limits.memory_growing(current, desired, maximum)?;
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.limits.table_growing(current, desired, maximum)
    }
}

impl Views for State {}

/// The state that host functions work on, from a store's data.
///
/// # Panics
/// The store was made for another linker.
pub fn of(data: &mut Data) -> &mut State {
    data.get_mut()
}

/// The linker with everything that a component may import. Some of it is for queued components only.
///
/// # Errors
/// Two definitions have the same name, which is a mistake in this crate.
pub fn linker(engine: &Engine, queued: bool) -> Result<Linker<Data>> {
    let mut linker = wasm::linker(engine)?;
    add_to_linker(&mut linker, queued)?;
    Ok(linker)
}

impl State {
    /// The state of a fresh instance.
    #[must_use]
    pub fn new(
        grants: &Grants,
        connections: &Connections,
        wasi: WasiCtx,
        memory_bytes: usize,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let limits = StoreLimitsBuilder::new().memory_size(memory_bytes).build();
        Self {
            interfaces: grants.instance(connections),
            memory: Memory {
                limits,
                refused: false,
            },
            table,
            wasi,
            http: WasiHttpCtx::new(),
        }
    }

    /// Whether the guest asked for more memory than it may have, after which most guests trap.
    pub fn was_refused_memory(&self) -> bool {
        self.memory.refused
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.interfaces.http,
        }
    }
}
