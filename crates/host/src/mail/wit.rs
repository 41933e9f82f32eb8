//! The types of `gather:mail/outgoing`, and the trait of its functions.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "gather:mail/sender",
        imports: { default: async | trappable },
        require_store_data_send: true,
    });
}
pub use generated::gather::mail::outgoing::*;
