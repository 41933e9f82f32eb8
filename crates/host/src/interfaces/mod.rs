//! The interfaces that functions import besides WASI: Spin's published ones, with Spin's semantics, and our own.
//!
//! Each file is one interface: its private bindings, a component's grant, its state in an instance, and
//! the functions on the view of that state. A new interface is such a file, a line here, and a line in `state.rs`.

pub mod connections;
pub mod exchange;
pub mod http;
pub mod intercept;
pub mod interface;
pub mod jobs;
pub mod key_value;
pub mod mail;
pub mod postgres;
pub mod variables;
