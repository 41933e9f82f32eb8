//! What the benchmarks measure with: a load, and the functions' handlers in native axum.

pub mod load;
pub mod native;
