//! What functions import beside WASI: Spin's published interfaces, with Spin's semantics.

pub mod exchange;
pub mod http;
pub mod jobs;
pub mod key_value;
pub mod mail;
pub mod postgres;
mod variables;

use crate::state::{self, State};
pub use postgres::check_database;
use wasm::Data;
use wasmtime::component::{HasData, Linker};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:host/functions",
        imports: { default: async | trappable },
        with: {
            "spin:postgres/postgres.connection": super::postgres::Connection,
            "spin:postgres/postgres.connection-builder": super::postgres::Builder,
            "spin:key-value/key-value.store": super::key_value::Store,
        },
        require_store_data_send: true,
    });
}
use generated::spin;

/// Marks the state that the host functions work on.
struct Host;

impl HasData for Host {
    type Data<'a> = &'a mut State;
}

/// Defines Spin's interfaces.
///
/// # Errors
/// A name that is defined already.
pub fn add_to_linker(linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    spin::postgres::postgres::add_to_linker::<_, Host>(linker, state::of)?;
    spin::key_value::key_value::add_to_linker::<_, Host>(linker, state::of)?;
    spin::variables::variables::add_to_linker::<_, Host>(linker, state::of)?;
    Ok(())
}
