//! The types of `spin:postgres`, and the traits of its functions.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import spin:postgres/postgres@4.2.0;",
        imports: { default: async | trappable },
        with: {
            "spin:postgres/postgres.connection": super::super::session::Connection,
            "spin:postgres/postgres.connection-builder": super::super::session::Builder,
        },
        require_store_data_send: true,
    });
}
pub use generated::spin::postgres::postgres::*;
