//! Queued work: a worker claims jobs in the database and runs each in a fresh instance of its
//! component.
//!
//! The queue (order, locks, named queues, wake-ups, heartbeats, recurring jobs) is Graphile Worker's,
//! through its Rust port's statements; its own loop knows its tasks at compile time, so ours
//! ([`worker`]) stands in for it. What a job is, and every change of its state, is a function in the
//! schema `jobs` ([`queue`] calls them): only who still holds a job can end it. What events start is matched here too
//! ([`subscriptions`]).

mod ends;
mod kind;
mod kinds;
mod lease;
mod queue;
mod schedule;
mod start;
mod state;
mod subscriptions;
mod times;
mod watch;
mod worker;

pub use kinds::Kinds;
pub use start::{JobOptions, JobWorker};
pub use times::JobTimes;
