//! The types of `wasi:keyvalue`, and the traits of its functions.

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue@0.2.0-draft2",
        world: "wasi:keyvalue/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": super::Bucket,
            "wasi:keyvalue/atomics.cas": super::Cas,
        },
        require_store_data_send: true,
    });
}
pub use generated::wasi::keyvalue::{
    atomics::{self, CasError},
    batch,
    store::{self, Error, KeyResponse},
};

/// An open bucket.
pub struct Bucket(pub String);

/// A value that was read, and is replaced only if it has not changed.
pub struct Cas {
    /// The bucket of the value.
    pub bucket: String,
    /// The key of the value.
    pub key: String,
    /// The value that was read.
    pub seen: Option<Vec<u8>>,
}
