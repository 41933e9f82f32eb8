//! What an instance's host functions work on, and how it is made.

use crate::{
    Limits,
    guest_log::GuestLog,
    instance::Instances,
    interfaces::{http::Outbound, jobs, key_value, postgres},
    mail::Mailer,
    mount::Mount,
    outbound::AllowedHosts,
};
use anyhow::Result;
use outgoing::Outgoing;
use std::{collections::BTreeMap, sync::Arc};
use wasm::{Data, Views};
use wasmtime::{
    Engine, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline,
    component::ResourceTable,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Resources that a guest may hold at the same time: it leaks them itself, so it traps itself.
const MAX_RESOURCES: usize = 10_000;
/// A running guest lets others run at each tick of the epoch.
pub const EPOCHS_PER_TICK: u64 = 1;

/// What a component may see and reach: the same for all its instances.
pub struct Rights {
    /// The component's id.
    pub component: String,
    /// `spin:variables`.
    pub variables: BTreeMap<String, String>,
    /// `key_value_stores`.
    pub key_value_stores: Vec<String>,
    /// `allowed_outbound_hosts`.
    pub allowed_hosts: AllowedHosts,
    /// The key-value store behind every label.
    pub key_value: Arc<key_value::Stores>,
    /// For calls of other components: `http://<component>.spin.internal`.
    pub app: std::sync::Weak<crate::handler::App>,
    /// How many PostgreSQL connections a worker may hold, and how long to wait for one.
    pub database: postgres::PoolLimits,
    /// Whether the database may be asked by calls that hold the instance.
    pub blocking_database: bool,
    /// The only way of its requests out, where the component is to reach public addresses only.
    pub outgoing: Option<Arc<Outgoing>>,
    /// Sends mail, if the component may.
    pub mail: Option<Arc<Mailer>>,
}

/// Everything that one instance's host functions work on.
pub struct State {
    /// The guest's resources.
    pub table: ResourceTable,
    /// What the component may reach.
    pub rights: Arc<Rights>,
    /// The PostgreSQL pools of the worker that the instance lives on.
    pub pools: Arc<postgres::Pools>,
    /// The way to the database that was connected to last, by its address.
    pub database: Option<(String, postgres::Access)>,
    /// What a queued job tells and asks.
    pub job: Arc<jobs::Control>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    memory: Memory,
}

/// The bound on linear memory, and whether the guest has met it.
struct Memory {
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

impl State {
    /// Whether the guest asked for more memory than it may have; most then trap.
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
            hooks: &mut self.outbound,
        }
    }
}

/// What all instances of a component are made with.
pub struct Blueprint {
    /// What it may use.
    pub limits: Limits,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Files.
    pub mounts: Vec<Mount>,
    /// What it may see and reach.
    pub rights: Arc<Rights>,
}

impl Blueprint {
    /// The store of a fresh instance, with its limits. The guest lets others run at each tick of the
    /// epoch.
    ///
    /// # Errors
    /// A file that cannot be mounted.
    pub fn store(
        &self,
        engine: &Engine,
        worker: &Arc<Instances>,
        job: Arc<jobs::Control>,
    ) -> Result<Store<Data>> {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.environment)
            .stdout(GuestLog::new(&self.rights.component, false))
            .stderr(GuestLog::new(&self.rights.component, true));
        for mount in &self.mounts {
            mount.add_to(&mut wasi)?;
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let state = State {
            table,
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            job,
            outbound: Outbound::new(self.rights.clone(), worker),
            rights: self.rights.clone(),
            pools: worker.pools.clone(),
            database: None,
            memory: Memory {
                limits: StoreLimitsBuilder::new()
                    .memory_size(self.limits.memory_bytes)
                    .build(),
                refused: false,
            },
        };
        let mut store = Store::new(engine, Data::new(state));
        store.limiter(|data| &mut of(data).memory);
        store.set_epoch_deadline(EPOCHS_PER_TICK);
        store.epoch_deadline_callback(|_| {
            // `yield_now` lets the runtime poll its sockets and timers before the guest goes on.
            Ok(UpdateDeadline::YieldCustom(
                EPOCHS_PER_TICK,
                Box::pin(tokio::task::yield_now()),
            ))
        });
        Ok(store)
    }
}
