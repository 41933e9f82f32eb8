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

/// A value that was seen, to be replaced if it still is the same.
pub struct Cas {
    /// Where.
    pub bucket: String,
    /// Which.
    pub key: String,
    /// What it was.
    pub seen: Option<Vec<u8>>,
}
