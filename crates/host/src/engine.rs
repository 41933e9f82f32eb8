//! The engine: wasmtime's settings, and compiled components cached on disk.

use crate::{limits::Limits, manifest::Manifest};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, component::Component,
};

/// The interval at which a running guest is interrupted to let others run.
const EPOCH_TICK: Duration = Duration::from_millis(2);
/// The largest number of core instances in a component. Spin's own have three: the module and its adapters.
const CORE_INSTANCES_PER_COMPONENT: u32 = 20;
/// The most instances that are torn down while others start.
const TEARDOWN: usize = 1_536;
/// The memory that a slot keeps between instances, so that a new instance faults fewer pages.
const KEEP_RESIDENT: usize = 256 << 10;

/// Compiles components, and caches the compiled ones.
pub struct Compiler {
    engine: Engine,
    cache: PathBuf,
    version: u64,
}

impl Compiler {
    /// Makes the engine for all components of a manifest.
    ///
    /// # Errors
    /// The machine does not have the address space for the settings, or the cache folder cannot be made.
    pub fn new(manifest: &Manifest, limits: &Limits, cache: PathBuf) -> Result<Self> {
        fs::create_dir_all(&cache)
            .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
        let engine = Engine::new(&config(manifest, limits))
            .map_err(anyhow::Error::from)
            .context("cannot start the wasm engine")?;
        wasm::tick(&engine, "gather-epoch", EPOCH_TICK)?;
        Ok(Self {
            version: wasm::version(&engine),
            engine,
            cache,
        })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads a component. Each content is compiled once for each engine.
    ///
    /// # Errors
    /// The file is missing, or is not a component that this engine takes.
    pub fn load(&self, source: &Path) -> Result<Component> {
        let wasm = fs::read(source).with_context(|| {
            format!(
                "cannot read the component {}: build it first (`gather build`, or `spin build`)",
                source.display()
            )
        })?;
        let digest = Sha256::digest(&wasm);
        let name = format!("{}-{:016x}.cwasm", hex::encode(digest), self.version);
        let compiled = self.cache.join(name);
        if compiled.exists() {
            // SAFETY: the file was written by `store` below, in a folder that only we write to, and
            // its name binds it to the component's content and the engine's version and settings.
            match unsafe { Component::deserialize_file(&self.engine, &compiled) } {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(
                    file = %compiled.display(), %error, "compiling again: the cached file is unusable"
                ),
            }
        }
        let component = Component::new(&self.engine, &wasm)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("{} is not a component that can run", source.display()))?;
        if let Err(error) = self.store(&component, &compiled) {
            tracing::warn!(file = %compiled.display(), %error, "cannot keep the compiled component");
        }
        Ok(component)
    }

    /// Writes the file under another name and renames it, so that no half-written file is ever loaded.
    fn store(&self, component: &Component, path: &Path) -> Result<()> {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let bytes = component.serialize()?;
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, path)?;
        Ok(())
    }
}

fn config(manifest: &Manifest, limits: &Limits) -> Config {
    let components = manifest.components.values();
    let instances: usize = components
        .clone()
        .map(|c| limits.places_of(c.settings.concurrency))
        .sum();
    let memory = components
        .map(|c| c.settings.memory_bytes.unwrap_or(limits.memory_bytes))
        .max()
        .unwrap_or(limits.memory_bytes);
    // More than the bound on requests: an instance is still being torn down when the next one starts. Each reserves
    // gigabytes of addresses, of which a process has a limited number.
    let instances = u32::try_from(instances + instances.min(TEARDOWN))
        .unwrap_or(u32::MAX)
        .clamp(16, 16_384);

    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 4)
        .total_memories(instances)
        .total_tables(instances * 3)
        .total_stacks(instances * 2)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(1)
        .max_tables_per_component(CORE_INSTANCES_PER_COMPONENT)
        .table_elements(20_000)
        .max_memory_size(memory)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .max_unused_warm_slots(64);

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .memory_init_cow(true);
    config
}
