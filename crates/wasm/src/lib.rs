//! What the host and the sandbox share of the engine. WASI's host functions are generic over a store's data: with one
//! type for both, [`Data`], they are compiled once, which is most of what either would take to build.

use anyhow::{Context, Result};
use std::{
    any::Any,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use wasmtime::{Engine, component::Linker};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

/// What an instance's host functions work on: WASI's, and whatever else the linker has.
pub trait Views: WasiView + WasiHttpView + Any {}

/// A store's data: a state that has one type for all stores of a linker.
pub struct Data(Box<dyn Views>);

const OWN_LINKER: &str = "a store has the state of its own linker";

impl Data {
    /// Data that hold a state.
    #[must_use]
    pub fn new(state: impl Views) -> Self {
        Self(Box::new(state))
    }

    /// The state.
    ///
    /// # Panics
    /// It has another type: the store was made for another linker.
    #[must_use]
    pub fn get<S: Views>(&self) -> &S {
        let state: &dyn Any = &*self.0;
        state.downcast_ref().expect(OWN_LINKER)
    }

    /// The state, to be changed.
    ///
    /// # Panics
    /// As [`Data::get`].
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

/// A linker with WASI, 0.2 and 0.3, and its HTTP.
///
/// # Errors
/// Two definitions of one name: a mistake in the libraries.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Names everything that compiled code depends on.
#[must_use]
pub fn version(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Ticks the engine's epoch for as long as the engine lives, on a thread of this name.
///
/// # Errors
/// No thread can be started.
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
