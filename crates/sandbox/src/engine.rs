//! The engine for strangers' code, apart from that of the platform's functions, which share neither
//! memory slots nor settings with it.

use anyhow::{Context, Result};
use std::time::Duration;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The interval at which a running skill is interrupted, to let others run and to check its deadline.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);
/// The stack of a skill in bytes, beyond which recursion traps.
const STACK_BYTES: usize = 512 << 10;
/// The bounds of an instance, which have room for Python's runtime: 16 MiB of data, and 100 core instances and tables.
const CORE_INSTANCE_BYTES: usize = 16 << 20;
const CORE_INSTANCES: u32 = 100;
const MEMORIES: u32 = 2;
const TABLE_ELEMENTS: usize = 40_000;
/// The memory that a slot keeps between calls, so that the instance of a small skill faults no pages.
const KEEP_RESIDENT: usize = 128 << 10;

/// The settings that compiled code depends on, the same in the compiling and in the running process.
fn code_settings() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .async_stack_size(2 << 20)
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        // Not needed by any toolchain for skills, and each is attack surface.
        .wasm_memory64(false)
        .wasm_multi_memory(true)
        .memory_init_cow(true);
    config
}

/// The engine of the compiling process, without a pool.
///
/// # Errors
/// The machine does not support the settings.
pub fn for_compiling() -> Result<Engine> {
    Engine::new(&code_settings())
        .map_err(anyhow::Error::from)
        .context("cannot start the compiler")
}

/// The engine that runs skills: a pool of slots for `calls` at the same time, each of at most
/// `memory_bytes`; its clock ticks for as long as it lives.
///
/// # Errors
/// The machine does not have the address space.
pub fn for_running(calls: usize, memory_bytes: usize) -> Result<Engine> {
    // An instance is still being torn down when the next call starts.
    let slots = u32::try_from(calls * 2).unwrap_or(u32::MAX).clamp(8, 1_000);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_core_instances(slots * CORE_INSTANCES)
        .total_memories(slots * MEMORIES)
        .total_tables(slots * CORE_INSTANCES)
        .total_stacks(slots)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(CORE_INSTANCES)
        .max_core_instance_size(CORE_INSTANCE_BYTES)
        .max_component_instance_size(CORE_INSTANCE_BYTES)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(memory_bytes)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(32);
    let mut config = code_settings();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)
        .map_err(anyhow::Error::from)
        .context("cannot start the sandbox's engine")?;
    wasm::tick(&engine, "sandbox-epoch", EPOCH_TICK)?;
    Ok(engine)
}
