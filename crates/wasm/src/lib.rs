//! The parts of the engine that the host and the sandbox share. WASI's host functions are generic over a store's data:
//! with one type for both, [`Data`], they are compiled only once, which saves most of the build time of either.

use anyhow::{Context, Result};
use std::{
    any::Any,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use wasmtime::{Engine, component::Linker};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

/// The state that an instance's host functions work on: WASI's, and whatever else the linker has.
pub trait Views: WasiView + WasiHttpView + Any {}

/// A store's data: a state behind one type for the stores of all linkers.
pub struct Data(Box<dyn Views>);

const OWN_LINKER: &str = "a store has the state of its own linker";

impl Data {
    /// Wraps a state.
    #[must_use]
    pub fn new(state: impl Views) -> Self {
        Self(Box::new(state))
    }

    /// Returns the state.
    ///
    /// # Panics
    /// The state has another type, because the store was made for another linker.
    #[must_use]
    pub fn get<S: Views>(&self) -> &S {
        let state: &dyn Any = &*self.0;
        state.downcast_ref().expect(OWN_LINKER)
    }

    /// Returns the state for changes.
    ///
    /// # Panics
    /// The state has another type.
    #[must_use]
    pub fn get_mut<S: Views>(&mut self) -> &mut S {
        let state: &mut dyn Any = &mut *self.0;
        state.downcast_mut().expect(OWN_LINKER)
    }
}

impl WasiView for Data {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.0.ctx()
    }
}

impl WasiHttpView for Data {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.0.http()
    }
}

/// Makes a linker with WASI 0.2 and 0.3, and their HTTP.
///
/// # Errors
/// Two definitions have the same name, which is a mistake in the libraries.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// A hash of everything that compiled code depends on.
#[must_use]
pub fn version(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Advances the engine's epoch for as long as the engine lives, on a thread of this name.
///
/// # Errors
/// The thread can't be started.
pub fn tick(engine: &Engine, name: &str, period: Duration) -> Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(period);
            }
        })
        .context("cannot start the epoch thread")?;
    Ok(())
}
