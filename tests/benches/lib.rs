//! What the benchmarks measure with: a load, and the functions' handlers in native axum. A package of its own, so that it
//! can be optimised whatever the tests are: it is what the functions are compared with.

pub mod load;
pub mod native;
