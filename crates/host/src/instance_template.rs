//! The settings that all instances of a component share.

use crate::{
    guest_log::GuestLog,
    interfaces::connections::Connections,
    limits::Limits,
    mount::Mount,
    state::{self, Grants, State},
};
use anyhow::Result;
use wasm::Data;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

/// The number of ticks of the epoch after which a running guest lets others run.
pub const EPOCHS_PER_TICK: u64 = 1;

/// The settings that all instances of a component share.
pub struct InstanceTemplate {
    /// The component's id.
    pub component: String,
    /// The limits of an instance.
    pub limits: Limits,
    /// The environment variables.
    pub environment: Vec<(String, String)>,
    /// The mounted files.
    pub mounts: Vec<Mount>,
    /// The grants of each interface.
    pub grants: Grants,
}

impl InstanceTemplate {
    /// The store of a fresh instance, with its limits. The guest lets others run at each tick of the
    /// epoch.
    ///
    /// # Errors
    /// A file cannot be mounted.
    pub fn store(&self, engine: &Engine, connections: &Connections) -> Result<Store<Data>> {
        let mut wasi = WasiCtx::builder();
        wasi.envs(&self.environment)
            .stdout(GuestLog::new(&self.component, false))
            .stderr(GuestLog::new(&self.component, true));
        for mount in &self.mounts {
            mount.add_to(&mut wasi)?;
        }
        let memory = self.limits.memory_bytes;
        let state = State::new(&self.grants, connections, wasi.build(), memory);
        let mut store = Store::new(engine, Data::new(state));
        store.limiter(|data| &mut state::of(data).memory);
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
