//! The state that a call's host functions work on, and the making of its store, with nothing that was not granted.

use crate::{
    grant::{Grant, UsedPermissions},
    inert::{Clock, Log, Random, Used},
    key_value::{KeyValue, View},
    network::{Network, Outbound},
};
use anyhow::Result;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};
use wasm::{Data, Views};
use wasmtime::{Engine, ResourceLimiter, Store, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{HostMonotonicClock as _, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The number of resources that a skill may hold at the same time.
const MAX_RESOURCES: usize = 1_000;
/// The most that a skill may pass to the host at once, in bytes as the host holds them. A list of a
/// million strings at one address is small in the skill, and large in the host.
pub const MAX_HANDED_OVER: usize = 64 << 20;
/// The number of random bytes that a skill may take at once.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// Everything that one call's host functions work on.
pub struct State {
    /// The resources of the skill.
    pub table: ResourceTable,
    /// The key-value store, and the use made of it.
    pub key_value: KeyValue,
    /// The requests, with those that were refused.
    pub outbound: Outbound,
    /// The output of the skill.
    pub log: Log,
    /// Whether the skill asked for the time.
    pub clock_used: Used,
    /// Whether the skill asked for random numbers.
    pub random_used: Used,
    /// The memory of the skill.
    pub memory: Memory,
    clock: Clock,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

/// The bound on linear memory and tables.
pub struct Memory {
    limit: usize,
    /// The present size of all memories together.
    current: usize,
    /// The largest size that they had together.
    pub peak: usize,
    /// Whether the skill has reached the bound.
    pub refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.current - current.min(self.current) + desired;
        if after > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.current = after;
        self.peak = self.peak.max(after);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
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

impl Views for State {}

/// The state that host functions work on, from a store's data.
///
/// # Panics
/// The store was made for another linker.
pub fn of(data: &mut Data) -> &mut State {
    data.get_mut()
}

impl State {
    /// The use that the skill made of its grants.
    #[must_use]
    pub fn used(&self) -> UsedPermissions {
        UsedPermissions {
            http: self.outbound.reached().to_vec(),
            refused: self.outbound.refused(),
            kv: self.key_value.was_used(),
            clock: self.clock_used.load(Relaxed),
            random: self.random_used.load(Relaxed),
        }
    }

    /// The state that the functions of the key-value store work on.
    pub fn key_values(&mut self) -> View<'_> {
        View {
            key_value: &mut self.key_value,
            table: &mut self.table,
        }
    }

    /// The time that a skill waits when it asks for this many nanoseconds, which is zero if its clock stands still.
    pub fn wait(&mut self, nanoseconds: u64) -> u64 {
        self.clock_used.store(true, Relaxed);
        self.clock.since.map_or(0, |_| nanoseconds)
    }

    /// The time of the skill's monotonic clock, in nanoseconds.
    #[must_use]
    pub fn elapsed(&self) -> u64 {
        self.clock.now()
    }

    /// Whether something that all skills share was granted but not available.
    #[must_use]
    pub fn was_starved(&self) -> bool {
        self.outbound.was_starved() || self.key_value.was_starved()
    }

    /// The grant that the skill lacked, if it tried to use one.
    #[must_use]
    pub fn denied(&self) -> Option<String> {
        self.outbound.denied().or_else(|| self.key_value.denied())
    }
}

/// Makes the store of one call, with its fuel, memory, deadline and grants.
///
/// # Errors
/// The engine refuses the settings.
pub fn store(
    engine: &Engine,
    network: &Arc<Network>,
    grant: &Grant,
    seed: [u8; 32],
    deadline: Instant,
) -> Result<Store<Data>> {
    let permissions = &grant.permissions;
    let log = Log::default();
    let (clock_used, random_used) = (Used::default(), Used::default());
    let clock = Clock {
        since: permissions.clock.then(Instant::now),
        used: clock_used.clone(),
    };
    let random = if permissions.random {
        rand_seed()
    } else {
        seed
    };
    let wasi = wasi(&log, &clock, &random_used, random);
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_RESOURCES);
    let state = State {
        table,
        key_value: KeyValue::new(grant.key_value.clone()),
        outbound: Outbound::new(
            network.clone(),
            permissions.http.clone(),
            grant.reach.clone(),
        ),
        log,
        clock_used,
        random_used,
        memory: Memory {
            limit: usize::try_from(grant.limits.memory_bytes).unwrap_or(usize::MAX),
            current: 0,
            peak: 0,
            refused: false,
        },
        clock,
        wasi,
        http: WasiHttpCtx::new(),
    };
    let mut store = Store::new(engine, Data::new(state));
    store.limiter(|data| &mut of(data).memory);
    store.set_fuel(grant.limits.fuel)?;
    store.set_hostcall_fuel(MAX_HANDED_OVER);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if Instant::now() >= deadline {
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::YieldCustom(
            1,
            Box::pin(tokio::task::yield_now()),
        ))
    });
    Ok(store)
}

/// Makes WASI without files and sockets: output goes to the log, the clock may stand still, and random numbers may be
/// predictable.
fn wasi(log: &Log, clock: &Clock, random_used: &Used, seed: [u8; 32]) -> WasiCtx {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(log.clone())
        .stderr(log.clone())
        .wall_clock(clock.clone())
        .monotonic_clock(clock.clone())
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    let mut other = seed;
    other[0] ^= 1;
    wasi.secure_random(Random::new(seed, random_used.clone()))
        .insecure_random(Random::new(other, random_used.clone()))
        .insecure_random_seed(u128::from_le_bytes(*seed.first_chunk().unwrap_or(&[0; 16])));
    wasi.build()
}

/// Random bytes from the operating system.
fn rand_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for half in seed.chunks_mut(16) {
        half.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    }
    seed
}
