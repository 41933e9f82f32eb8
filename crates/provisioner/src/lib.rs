//! The only process that opens the socket of a container runtime. It makes, starts, pauses and removes the instances of
//! claws for the component `claw-provision`, and for nobody else. It has no database and no master key: the names and
//! labels of the containers are all that it knows, so that it may end at any time.
//!
//! An instance has no network. Its only way out is a proxy that listens within the instance's own network namespace and
//! is served from here: to the platform, and to the origins that the claw's template lists.

mod backend;
mod container;
pub mod docker;
mod door;
mod fleet;
mod found;
mod instance;
mod metrics;
mod namespace;
mod output;
mod problem;
pub mod service;

pub use backend::Backend;
pub use door::Doors;
pub use instance::{Instance, Line, Reason, Specification, State};
pub use problem::Problem;
