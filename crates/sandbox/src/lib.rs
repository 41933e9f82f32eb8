//! The sandbox: runs components that strangers uploaded.
//!
//! [`Runner`] compiles them in child processes, caches the result, and makes calls, each in a fresh
//! instance with fuel, memory and time, and with nothing that was not granted. [`service`] is the
//! same over HTTP, for the platform's own functions; it stores components and signs what happened.

mod admission;
mod call;
mod callers;
mod compile;
mod engine;
mod grant;
mod inert;
mod key_value;
mod keys;
mod network;
mod probe;
mod problem;
mod refused;
mod runner;
pub mod service;
mod state;
mod storage;
mod usage;
mod value;
mod wasi;

pub use admission::{Bounds, Busy};
pub use call::{End, Fault, Outcome, Skill, Usage};
pub use callers::{CallerGrant, Right};
pub use compile::{CompileError, Work, child};
pub use grant::{Grant, UsedPermissions};
pub use keys::{Backing, Granted};
pub use outgoing::Resolve;
pub use probe::{Finding, Probe, ProbeReport};
pub use refused::{Reach, Reason, RefusedRequest};
pub use runner::{LoadError, Options, Runner};
pub use storage::{Storage, StorageError};
